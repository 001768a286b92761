"""Threads of PyTorch where other processes use the cores."""

import os
import subprocess
import sys

import pytest

# PyTorch has learned of two cores when its threads are given one of them: so each of
# them waits for the other, as for the thread of another process.
ON_ONE_CORE = """
import os, threading, torch
torch.set_num_threads(2)
os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})

import numpy as np
from skorch.callbacks import Callback
from sknoisy import NoisyRobustClassifier


class Threads(Callback):
    def on_batch_end(self, net, **kwargs):
        seen.add(torch.get_num_threads())
        new = threading.Thread(target=lambda: others.add(torch.get_num_threads()))
        new.start()
        new.join()


seen, others = set(), set()
X = np.random.default_rng(0).normal(size=(300, 5)).astype(np.float32)
clf = NoisyRobustClassifier("ce", max_epochs=2, callbacks=[Threads()])
clf.fit(X, X[:, 0] > 0).fit(X, X[:, 0] > 0).predict(X)
print(seen, others, torch.get_num_threads())
"""


@pytest.mark.skipif(
    not hasattr(os, "sched_setaffinity") or len(os.sched_getaffinity(0)) < 2,
    reason="a core cannot be left out",
)
@pytest.mark.parametrize(
    ("kept", "expected"), [(None, "{1} {2} 2"), ("2", "{2} {2} 2")]
)
def test_threads_do_not_wait_for_cores_that_others_use(kept, expected):
    """Fewer are used, and said to be, unless the environment sets their number.

    A thread that uses PyTorch for the first time meanwhile has all.
    """
    environment = {k: v for k, v in os.environ.items() if k != "OMP_NUM_THREADS"}
    ended = subprocess.run(
        [sys.executable, "-c", ON_ONE_CORE],
        env=environment | ({"OMP_NUM_THREADS": kept} if kept else {}),
        timeout=300,
        capture_output=True,
        text=True,
    )
    assert ended.stdout.strip() == expected, ended.stderr
    said = ended.stderr.count("PyTorch uses 1 of its 2 threads")
    assert said == (kept is None)
