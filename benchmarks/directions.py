"""Classes that differ in directions of little variance, beside common classifiers.

    python benchmarks/directions.py

prints a table of accuracies, means over seeds: of spectra, small peaks on a large
smooth baseline; of columns that are nearly equal, whose differences tell the classes;
of embeddings whose components of little variance do; and of classes with straight
boundaries in all directions, where a linear model has to be best. All are made up: 800
rows train. "cleaned" is our LabelCleaningClassifier around the logistic regression, and
"cleanlab" its CleanLearning. The script needs nothing of ours but public classes, so it
can be run at older revisions, too: at bf3f06b, the default saw little of such
directions.
"""

import argparse
import warnings

import numpy as np
from cleanlab.classification import CleanLearning
from rows import table
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import average_precision_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC

from sknoisy import (
    LabelCleaningClassifier,
    LabelErrorDetector,
    NoisyRobustClassifier,
)
from sknoisy.noise import symmetric_exclusive

N_TRAIN, N_TEST = 800, 1400


def spectra(rng, n):
    """Peaks at one of four places, on a sum of smooth curves."""
    place, y = np.linspace(0, 1, 100), rng.integers(4, size=n)
    curves = np.stack([np.ones(100), place, place**2, np.sin(3 * place)])
    X = 5 * rng.normal(size=(n, 4)) @ curves
    middle = np.array([0.2, 0.4, 0.6, 0.8])[y, None]
    height = rng.uniform(0.15, 0.45, size=(n, 1))
    X += height * np.exp(-(((place - middle) / 0.03) ** 2))
    return X + rng.normal(scale=0.08, size=X.shape), y


def differences(rng, n):
    """Five columns, and five that hardly differ from them."""
    columns, small = rng.normal(size=(n, 5)), 0.05 * rng.normal(size=(n, 5))
    y = (small @ np.array([1, -1, 0.5, 0.5, 1]) > 0).astype(int)
    return np.c_[columns, columns + small], y


def embeddings(rng, n):
    """Components of large variance tell nothing, and ten of the others do."""
    fixed = np.random.default_rng(0)
    turned = np.linalg.qr(fixed.normal(size=(64, 64)))[0]
    middles, y = 0.6 * fixed.normal(size=(6, 10)), rng.integers(6, size=n)
    X = rng.normal(size=(n, 64)) * np.r_[np.full(20, 5.0), np.full(44, 0.5)]
    X[:, 40:50] += middles[y]
    return X @ turned, y


def straight(rng, n):
    """The largest of six sums of twenty columns."""
    weights, X = rng.normal(size=(20, 6)), rng.normal(size=(n, 20))
    return X, (X @ weights).argmax(axis=1)


DATA = {
    "spectra": spectra,
    "differences": differences,
    "embeddings": embeddings,
    "straight": straight,
}


def logistic(random_state):
    return make_pipeline(StandardScaler(), LogisticRegression(max_iter=2000))


def cleanlab(random_state):
    return CleanLearning(logistic(random_state), seed=random_state)


def cleaned(random_state):
    return LabelCleaningClassifier(logistic(random_state), random_state=random_state)


METHODS = {
    "default": NoisyRobustClassifier,
    "logistic": logistic,
    "cleaned": cleaned,
    "cleanlab": cleanlab,
    "forest": RandomForestClassifier,
    "svc": lambda random_state: make_pipeline(StandardScaler(), SVC()),
}


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--sets", nargs="+", default=[*DATA], choices=DATA)
    args = parser.parse_args()
    seeds = args.seeds
    warnings.simplefilter("ignore", UserWarning)
    lines = []
    for name in args.sets:
        make = DATA[name]
        for rate in (0.0, 0.3):
            accuracies = {method: [] for method in METHODS}
            ours, theirs = [], []
            for seed in seeds:
                X, y = make(np.random.default_rng(seed), N_TRAIN + N_TEST)
                given = symmetric_exclusive(y[:N_TRAIN], rate, random_state=seed)
                train, test = X[:N_TRAIN], X[N_TRAIN:]
                for method, classifier in METHODS.items():
                    model = classifier(random_state=seed).fit(train, given.y)
                    accuracies[method].append(100 * model.score(test, y[N_TRAIN:]))
                if rate:
                    detector = LabelErrorDetector(random_state=seed)
                    wrong = detector.fit(train, given.y).error_probability_
                    ours.append(average_precision_score(given.is_wrong, wrong))
                    found = cleanlab(seed).find_label_issues(train, given.y)
                    doubt = 1 - found["label_quality"]
                    theirs.append(average_precision_score(given.is_wrong, doubt))
            means = [f"{np.mean(values):.1f}" for values in accuracies.values()]
            found = [f"{np.mean(v):.2f}" if v else "" for v in (ours, theirs)]
            lines.append([name, f"{rate:.0%}", *means, *found])
    precisions = ["average precision", "of cleanlab"]
    print(table(["data", "wrong labels", *METHODS, *precisions], lines))


if __name__ == "__main__":
    main()
