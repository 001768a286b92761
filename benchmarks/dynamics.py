"""Wrong labels by the dynamics of one training, beside those by five folds.

    python benchmarks/dynamics.py

prints a table for docs/guide/detection.md: digits as vectors with 40% of symmetric
noise, and networks that are trained as they are by default.
"""

import warnings

import numpy as np
from rows import table
from sklearn.datasets import load_digits

from sknoisy import LabelErrorDetector, NoisyRobustClassifier
from sknoisy.noise import symmetric_exclusive


def main():
    warnings.simplefilter("ignore", UserWarning)
    X, y = load_digits(return_X_y=True)
    noisy = symmetric_exclusive(y, 0.4, random_state=0)
    is_wrong = noisy.is_wrong
    lines = []
    for loss in ("elr", "ce"):
        for cv in ("dynamics", 5):
            clf = NoisyRobustClassifier(loss, random_state=0)
            detector = LabelErrorDetector(clf, cv=cv, random_state=0)
            found = detector.fit(X.astype(np.float32), noisy.y).label_errors_
            right = np.count_nonzero(found & is_wrong)
            rate = f"{detector.noise_rate_:.2f}"
            row = loss, cv, is_wrong.sum(), right, found.sum() - right, rate
            lines.append([str(cell) for cell in row])
    print(table(["loss", "cv", "wrong", "found", "false alarms", "noise rate"], lines))


if __name__ == "__main__":
    main()
