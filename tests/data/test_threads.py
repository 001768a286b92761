"""Threads of PyTorch where other processes use the cores."""

import os

import pytest
from processes import run_python

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


X = np.random.default_rng(0).normal(size=(60, 5)).astype(np.float32)
clf = NoisyRobustClassifier("ce", max_epochs=1, callbacks=[Threads()])
for kept in (True, False):
    if kept:
        os.environ["OMP_NUM_THREADS"] = "2"
    else:
        del os.environ["OMP_NUM_THREADS"]
    seen, others = set(), set()
    clf.fit(X, X[:, 0] > 0).fit(X, X[:, 0] > 0).predict(X)
    print(seen, others, torch.get_num_threads())
"""


@pytest.mark.skipif(
    not hasattr(os, "sched_setaffinity") or len(os.sched_getaffinity(0)) < 2,
    reason="a core cannot be left out",
)
def test_threads_do_not_wait_for_cores_that_others_use():
    """Fewer are used, and said to be, unless the environment sets their number.

    A thread that uses PyTorch for the first time meanwhile has all.
    """
    ended = run_python(ON_ONE_CORE, timeout=300)
    assert ended.stdout.splitlines() == ["{2} {2} 2", "{1} {2} 2"], ended.stderr
    assert ended.stderr.count("PyTorch uses 1 of its 2 threads") == 1
