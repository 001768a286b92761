"""What copies cost: tables as they are, and with each row there twice, or three times.

    python benchmarks/copies.py

prints a table: 60% of the rows train, 30% of their labels are wrong, and copies have
the labels of their originals. It needs nothing but public classes, so it can be run at
older revisions, too: at ce33183, copies vouched for each other. With ``--jitter 0.25``,
noise of a quarter of the columns' standard deviations makes near-copies of them.
"""

import argparse
import warnings

import numpy as np
from rows import table
from sklearn.datasets import load_breast_cancer, load_digits, load_wine
from sklearn.model_selection import train_test_split

from sknoisy import LabelErrorDetector
from sknoisy.noise import symmetric_exclusive

DATA = {"digits": load_digits, "wine": load_wine, "breast_cancer": load_breast_cancer}
COPIES = (1, 2, 3)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--jitter", type=float, default=0.0)
    jitter = parser.parse_args().jitter
    warnings.simplefilter("ignore", UserWarning)
    lines = []
    for name, load in DATA.items():
        X, y = load(return_X_y=True)
        X, X_test, y, y_test = train_test_split(
            X, y, test_size=0.4, stratify=y, random_state=0
        )
        noisy = symmetric_exclusive(y, 0.3, random_state=0)
        for n in COPIES:
            wrong = np.tile(noisy.is_wrong, n)
            copied = np.tile(X, (n, 1))
            noise = np.random.default_rng(0).normal(size=copied[len(X) :].shape)
            copied[len(X) :] += jitter * X.std(axis=0) * noise
            detector = LabelErrorDetector(random_state=0)
            detector.fit(copied, np.tile(noisy.y, n))
            found = detector.label_errors_
            right = np.count_nonzero(found & wrong)
            accuracy = 100 * detector.estimator_.score(X_test, y_test)
            row = name, n, f"{accuracy:.1f}", wrong.sum(), right, found.sum() - right
            lines.append([str(cell) for cell in row])
    header = ["data", "each row", "accuracy", "wrong", "found", "false alarms"]
    print(table(header, lines))


if __name__ == "__main__":
    main()
