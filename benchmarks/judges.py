"""Who judges the labels, where the kernel machine predicts worse than the classifier.

    python benchmarks/judges.py

prints a table of accuracies, means over seeds, of a classifier trained on the given
labels and on labels cleaned by LabelCleaningClassifier ("cleaned"), by the kernel
machine alone, by folds of the classifier alone, and by cleanlab's CleanLearning. The
data are made up: a checkerboard of two columns beside eight that tell nothing, rules of
three of eight categories, and classes with straight boundaries; 1,400 rows train.
"chosen" counts the seeds in which the classifier's folds judged by default.
"""

import argparse
import warnings

import numpy as np
from cleanlab.classification import CleanLearning
from directions import straight
from rows import table
from sklearn.base import clone
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from sknoisy import LabelCleaningClassifier, LabelErrorDetector
from sknoisy.noise import symmetric_exclusive

N_TRAIN, N_TEST = 1400, 1400


def checkerboard(rng, n):
    """Four by four fields of two columns, and eight columns that tell nothing."""
    X = rng.uniform(-1, 1, size=(n, 10))
    fields = np.floor(2 * X[:, :2]).astype(int)
    return X, fields.sum(axis=1) % 2


def rules(rng, n):
    """Categories, one column for each value, of which three tell the class together."""
    values = rng.integers(6, size=(n, 8))
    y = (values[:, 0] < 3) ^ (values[:, 1] < 3)
    return np.eye(6)[values].reshape(n, -1), y.astype(int) + (values[:, 2] == 0)


BOOSTING = HistGradientBoostingClassifier(max_iter=60, random_state=0)
LOGISTIC = make_pipeline(StandardScaler(), LogisticRegression(max_iter=2000))
CELLS = {
    "checkerboard, boosting": (checkerboard, BOOSTING),
    "rules, boosting": (rules, BOOSTING),
    "straight, logistic": (straight, LOGISTIC),
}


def models(clf, seed):
    """Return what is compared, by name."""
    by_kernel = LabelErrorDetector(random_state=seed)
    by_folds = LabelErrorDetector(clf, random_state=seed)
    return {
        "given labels": clone(clf),
        "cleaned": LabelCleaningClassifier(clf, random_state=seed),
        "by the kernel machine": LabelCleaningClassifier(clf, by_kernel),
        "by its own folds": LabelCleaningClassifier(clf, by_folds),
        "by cleanlab": CleanLearning(clone(clf), seed=seed),
    }


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    args = parser.parse_args()
    warnings.simplefilter("ignore", UserWarning)
    lines = []
    for (name, (make, clf)), rate in [(c, r) for c in CELLS.items() for r in (0, 0.3)]:
        accuracies, chosen = {}, 0
        for seed in args.seeds:
            X, y = make(np.random.default_rng(seed), N_TRAIN + N_TEST)
            train, test = X[:N_TRAIN], X[N_TRAIN:]
            noisy = symmetric_exclusive(y[:N_TRAIN], float(rate), random_state=seed).y
            for method, model in models(clf, seed).items():
                accuracy = 100 * model.fit(train, noisy).score(test, y[N_TRAIN:])
                accuracies.setdefault(method, []).append(accuracy)
                if method == "cleaned":
                    judge = model.detector_.estimator
                    chosen += type(judge) is type(clf)
        means = [f"{np.mean(values):.1f}" for values in accuracies.values()]
        lines.append([name, f"{rate:.0%}", *means, f"{chosen} of {len(args.seeds)}"])
    print(table(["data", "wrong labels", *accuracies, "chosen"], lines))


if __name__ == "__main__":
    main()
