"""Accuracy on texts under label noise: words, and embeddings, beside what people use.

    pip install cleanlab && pip install --no-deps wordllama tokenizers
    python benchmarks/texts.py --seeds 0 1 2
    python benchmarks/texts.py --table

The texts are the first words of the documentation of eleven Python packages, or parts
of them, which are their classes; names of packages are left out. All but pandas and
Matplotlib come with this package. "words" are TF-IDF; "embeddings" are the means of the
static word vectors that wordllama brings, without which they are skipped. The training
labels alone are noisy; whatever is chosen is chosen on them. Rows that are in
texts.jsonl already are skipped.
"""

import argparse
import contextlib
import importlib.util
import inspect
import pkgutil
import re
import time
import warnings
from functools import cache, lru_cache
from pathlib import Path

import numpy as np
import pandas as pd
from rows import add_rows, environment, read_rows, table
from sklearn.decomposition import TruncatedSVD
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import StratifiedKFold, cross_val_predict
from sklearn.naive_bayes import ComplementNB
from sklearn.pipeline import make_pipeline
from sklearn.svm import LinearSVC
from vector_data import Absent
from vectors import Cleaned, search

from sknoisy import (
    LabelCleaningClassifier,
    LabelErrorDetector,
    NoisyRobustClassifier,
)
from sknoisy.metrics import detection_average_precision
from sknoisy.noise import add_noise

HERE = Path(__file__).parent
# Packages and modules by the class of their texts; "*" stands for all submodules.
PACKAGES = {
    "numpy": "numpy numpy.linalg numpy.fft numpy.random numpy.ma",
    "stats": "scipy.stats",
    "signal": "scipy.signal scipy.ndimage",
    "sparse": "scipy.sparse scipy.sparse.linalg scipy.sparse.csgraph",
    "special": "scipy.special",
    "sklearn": "sklearn.*",
    "pandas": "pandas.*",
    "networkx": "networkx.*",
    "sympy": "sympy.*",
    "torch": "torch torch.nn torch.nn.functional",
    "matplotlib": "matplotlib.axes matplotlib.figure matplotlib.patches "
    "matplotlib.colors matplotlib.transforms matplotlib.text matplotlib.lines "
    "matplotlib.collections matplotlib.artist matplotlib.axis matplotlib.ticker",
}
TOLD = (
    "numpy scipy sklearn scikit pandas networkx sympy torch pytorch matplotlib np pd "
)
TOLD += "nx plt tensor dataframe"
LINES, WORDS, FEWEST = 12, 40, 8  # of a docstring; of a text, at most and at least
NOT_FOR_USERS = re.compile(r"test|_libs|backends|externals|__main__|interactive")
NOISES = [
    ("none", 0.0),
    ("symmetric_exclusive", 0.2),
    ("symmetric_exclusive", 0.4),
    ("symmetric_exclusive", 0.6),
    ("pair_flip", 0.3),
    ("instance_dependent", 0.4),
]
SIZES = [150, 600]  # training texts of each class, at most; 70% of those there are
N_TEST = 200


@cache
def corpus():
    """Return texts and the names of their classes, in a fixed order."""
    texts, names = [], []
    for name, modules in PACKAGES.items():
        found = {plain(text) for module in modules.split() for text in docs(module)}
        found = sorted(text for text in found if len(text.split()) >= FEWEST)
        texts += found
        names += [name] * len(found)
    return np.array(texts, dtype=object), np.array(names)


def plain(text):
    """Return the first words of a docstring, but for those that tell the package."""
    text = " ".join(text.splitlines()[:LINES]).lower()
    text = re.sub("[^a-z]+", " ", text)
    text = re.sub(rf"\b({TOLD.replace(' ', '|')})s?\b", " ", text)
    return " ".join(text.split()[:WORDS])


def docs(name):
    """Yield the docstrings of what modules have, and of their classes' methods."""
    root = name.partition(".")[0]
    for module in modules_of(name):
        for name, thing in list(vars(module).items()):
            origin = str(getattr(thing, "__module__", None) or module.__name__)
            if name.startswith("_") or not origin.startswith(root):
                continue
            own = vars(thing).items() if inspect.isclass(thing) else ()
            methods = [m for n, m in own if not n.startswith("_") and callable(m)]
            for documented in (thing, *methods):
                if not isinstance(documented, (int, str, float)):
                    yield inspect.getdoc(documented) or ""


def modules_of(name):
    """Return a module, and its submodules where the name ends in ".*"."""
    root = importlib.import_module(name.removesuffix(".*"))
    modules = [root]
    if name.endswith(".*"):
        for found in pkgutil.walk_packages(root.__path__, root.__name__ + "."):
            if NOT_FOR_USERS.search(found.name):
                continue
            with contextlib.suppress(Exception):  # of what is not installed
                modules.append(importlib.import_module(found.name))
    return modules


def split(per_class, seed):
    """Return training texts and their classes, and those of the test."""
    texts, names = corpus()
    rng = np.random.default_rng(seed)
    train, test = [], []
    for name in np.unique(names):
        rows = rng.permutation(np.flatnonzero(names == name))
        n = min(per_class, int(0.7 * len(rows)))
        train.append(rows[:n])
        test.append(rows[n : n + N_TEST])
    train, test = rng.permutation(np.concatenate(train)), np.concatenate(test)
    return texts[train], names[train], texts[test], names[test]


def words(texts, others):
    """Return TF-IDF of the training texts and of others."""
    tfidf = TfidfVectorizer(sublinear_tf=True, min_df=2)
    return tfidf.fit_transform(texts), tfidf.transform(others)


def embeddings(texts, others):
    """Return the mean vectors of the words of texts, of length 1."""
    from safetensors import safe_open

    for name in ("tokenizers", "wordllama"):
        if (spec := importlib.util.find_spec(name)) is None:
            raise Absent(f"{name} is not installed")
    from tokenizers import Tokenizer

    folder = Path(spec.origin).parent  # whose code is not needed
    with safe_open(folder / "weights/l2_supercat_256.safetensors", "np") as file:
        vectors = file.get_tensor("embedding.weight").astype(np.float32)
    config = folder / "tokenizers/l2_supercat_tokenizer_config.json"
    split_words = Tokenizer.from_file(str(config)).encode

    def mean(text):
        return vectors[split_words(text, add_special_tokens=False).ids].mean(axis=0)

    found = [np.stack([mean(text) for text in part]) for part in (texts, others)]
    return [x / np.linalg.norm(x, axis=1, keepdims=True) for x in found]


REPRESENTATIONS = {"words": words, "embeddings": embeddings}


def logistic(seed):
    grid = {"C": [0.01, 0.1, 1, 10]}
    return search(LogisticRegression(max_iter=1000), grid, seed)


def svm(seed):
    grid = {"C": [0.001, 0.01, 0.1, 1]}
    return search(LinearSVC(random_state=seed), grid, seed)


def bayes(seed):
    return search(ComplementNB(), {"alpha": [0.03, 0.1, 0.3, 1]}, seed)


def default(seed):
    return NoisyRobustClassifier(random_state=seed)


def of_words(seed):
    """Return the default behind what makes words dense."""
    return make_pipeline(TruncatedSVD(256, random_state=seed), default(seed))


def cleaned(make, by):
    return lambda seed: Cleaned(make(seed), seed, by)


def searched(make):
    """Return the same of ours, with the search on cleaned labels."""
    return lambda seed: LabelCleaningClassifier(make(seed), random_state=seed)


METHODS = {
    "words": {
        "default": of_words,
        "cleaned_logistic": cleaned(logistic, "cleaned"),
        "searched_logistic": searched(logistic),
        "folds_logistic": cleaned(logistic, "folds"),
        "cleaned_svm": cleaned(svm, "cleaned"),
        "searched_svm": searched(svm),
        "logistic": logistic,
        "cleanlab_logistic": cleaned(logistic, "cleanlab"),
        "svm": svm,
        "bayes": bayes,
    },
    "embeddings": {
        "default": default,
        "cleaned_logistic": cleaned(logistic, "cleaned"),
        "searched_logistic": searched(logistic),
        "logistic": logistic,
        "cleanlab_logistic": cleaned(logistic, "cleanlab"),
    },
}


def quality(detector, X, y, seed):
    """Return the quality of labels, by our detector or by cleanlab's on folds."""
    if detector == "ours":
        return LabelErrorDetector(random_state=seed).fit(X, y).label_quality_
    from cleanlab.rank import get_label_quality_scores

    estimator = logistic(seed).fit(X, y).best_estimator_
    return get_label_quality_scores(y, out_of_sample(estimator, X, y, seed))


def out_of_sample(estimator, X, y, seed):
    """Return the probabilities of five folds."""
    folds = StratifiedKFold(5, shuffle=True, random_state=seed)
    return cross_val_predict(estimator, X, y, cv=folds, method="predict_proba")


def key(row):
    names = "data", "per_class", "noise", "rate", "seed", "method"
    return tuple(row[name] for name in names)


def plan(args):
    """Yield the rows that are asked for, before they are run."""
    for seed in args.seeds:
        for per_class in SIZES:
            for noise, rate in NOISES:
                for data in REPRESENTATIONS:
                    row = {"data": data, "per_class": per_class, "noise": noise}
                    row |= {"rate": rate, "seed": seed}
                    yield from (row | {"method": m} for m in METHODS[data])
                    if rate:
                        yield row | {"method": "detector"}
                        yield row | {"method": "cleanlab"}


def run(args):
    """Run the rows that are not there."""
    done = {key(row) for row in read_rows(args.rows)}
    for row in plan(args):
        if key(row) in done:
            continue
        try:
            add_rows(args.rows, run_row(row))
        except Absent as absent:
            print(f"{row['data']} is skipped: {absent}", flush=True)
            continue
        print(*key(row), flush=True)


@lru_cache(maxsize=1)
def prepared(data, per_class, noise, rate, seed):
    """Return training samples, noisy and right codes, and the same of the test."""
    texts, names, others, of_others = split(per_class, seed)
    X, X_test = REPRESENTATIONS[data](texts, others)
    classes, y = np.unique(names, return_inverse=True)
    seen, noisy = X, y
    if noise == "instance_dependent" and data == "words":
        seen = TruncatedSVD(256, random_state=seed).fit_transform(X)
    if noise != "none":
        noisy = add_noise(y, noise, rate, X=seen, random_state=seed).y
    return X, noisy, y, X_test, np.searchsorted(classes, of_others)


def run_row(row):
    """Return the row with its results."""
    setting = (row[name] for name in ("data", "per_class", "noise", "rate", "seed"))
    X, noisy, y, X_test, y_test = prepared(*setting)
    method, seed = row["method"], row["seed"]
    start = time.perf_counter()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        if method in ("detector", "cleanlab"):
            name = "ours" if method == "detector" else "cleanlab"
            found = quality(name, X, noisy, seed)
            score = detection_average_precision(noisy != y, found)
            result = {"average_precision": round(100 * score, 2)}
        else:
            model = METHODS[row["data"]][method](seed).fit(X, noisy)
            right = np.mean(model.predict(X_test) == y_test)
            result = {"accuracy": round(100 * float(right), 2)}
    seconds = round(time.perf_counter() - start, 2)
    used = {"texts": len(corpus()[0]), "train": len(noisy), "test": len(y_test)}
    return row | result | {"seconds": seconds} | used | environment()


def texts_table(rows):
    """Return mean accuracies by noise, as Markdown."""
    return _means(rows, "accuracy", "method")


def text_errors_table(rows):
    """Return the average precision of the ranks of labels, as Markdown."""
    return _means(rows, "average_precision", "labels ranked by")


def _means(rows, score, title):
    frame = pd.DataFrame([row for row in rows if score in row])
    frame["column"] = frame["noise"].where(
        frame["noise"] == "none",
        frame["noise"].str.replace("_exclusive", "").str.replace("_", "-")
        + (100 * frame["rate"]).round().astype(int).map(" {}%".format),
    )
    columns = list(dict.fromkeys(frame["column"]))
    frame = frame.groupby(["data", "per_class", "method", "column"])[score].mean()
    lines = []
    for data, methods in METHODS.items():
        for per_class in SIZES:
            for method in [*methods, "detector", "cleanlab"]:
                if (data, per_class, method) not in frame:
                    continue
                means = frame[data, per_class, method]
                cells = [f"{means[c]:.1f}" if c in means else "open" for c in columns]
                lines.append([data, str(per_class), f"`{method}`", *cells])
    return table(["samples", "of each class", title, *columns], lines)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", nargs="+", type=int, default=[0, 1, 2])
    parser.add_argument("--rows", type=Path, default=HERE / "texts.jsonl")
    parser.add_argument("--table", action="store_true", help="print the tables alone")
    args = parser.parse_args()
    if args.table:
        rows = read_rows(args.rows)
        print(texts_table(rows), text_errors_table(rows), sep="\n\n")
    else:
        run(args)


if __name__ == "__main__":
    main()
