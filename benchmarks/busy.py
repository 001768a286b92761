"""How long a fit of the default takes while another process uses a core.

    python benchmarks/busy.py

Each fit is in a process of its own, beside a process that does nothing but count: once
with the number of threads that sknoisy chooses, once with all of PyTorch's, which
OMP_NUM_THREADS keeps.
"""

import os
import subprocess
import sys
from contextlib import contextmanager

FIT = """
import time
from sklearn.datasets import make_classification
from sknoisy import NoisyRobustClassifier

X, y = make_classification(8_000, 40, n_informative=15, n_classes=4, random_state=0)
clf = NoisyRobustClassifier(random_state=0)
begin = time.perf_counter()
clf.fit(X.astype("float32"), y)
print(f"{time.perf_counter() - begin:.1f} s, accuracy {clf.score(X, y):.4f}")
"""


@contextmanager
def busy_core():
    # A session of its own, as of another user: Linux shares the cores among sessions.
    counting = subprocess.Popen(
        [sys.executable, "-c", "while True: pass"], start_new_session=True
    )
    try:
        yield
    finally:
        counting.kill()
        counting.wait()


def main():
    others = {k: v for k, v in os.environ.items() if k != "OMP_NUM_THREADS"}
    kept = others | {"OMP_NUM_THREADS": str(os.cpu_count())}
    for name, environment in (("chosen", others), ("all threads", kept)):
        print(f"{name}: ", end="", flush=True)
        with busy_core():
            subprocess.run([sys.executable, "-c", FIT], env=environment, check=True)


if __name__ == "__main__":
    main()
