"""Cross-validation of several methods over several seeds."""

import time
from collections import Counter
from collections.abc import Mapping
from numbers import Integral

import numpy as np
from sklearn.base import clone, is_classifier
from sklearn.metrics import accuracy_score, check_scoring
from sklearn.model_selection import StratifiedKFold
from sklearn.pipeline import Pipeline

from sknoisy._compat import safe_indexing
from sknoisy.bars import bar
from sknoisy.checks import check_integer, check_lengths
from sknoisy.comparison.results import Comparison
from sknoisy.comparison.rows import Rows
from sknoisy.data.labels import check_several, encode_labels, some
from sknoisy.data.order import check_order
from sknoisy.detection.folds import folds_of
from sknoisy.estimators.classifier import NoisyRobustClassifier
from sknoisy.estimators.pipelines import check_steps, split_pipeline
from sknoisy.metrics.corrected import NoiseCorrectedScorer
from sknoisy.metrics.counts import is_finite, is_table
from sknoisy.parameters import Method

TEST = "test_accuracy"
SIZES = ("seconds", "n_train", "n_test")
OTHERS = {"method", "seed", "fold", *SIZES, TEST}  # columns


def compare(
    methods,
    X,
    y,
    *,
    estimator=None,
    seeds=(0, 1, 2),
    cv=3,
    scoring=None,
    X_test=None,
    y_test=None,
    noise=None,
    path=None,
    verbose=None,
):
    """Compare methods by cross-validation on noisy labels, over several seeds.

    Parameters
    ----------
    methods : dict of str to object, or list
        Methods to compare, by name: classifiers, pipelines, losses or short names of
        losses. A loss becomes the ``loss`` of `estimator` (the ``method`` of a
        ``CoTrainingClassifier``). Losses may also be given as a list, and are then
        called by their own names.
    X : array-like, array of paths or LazyFeatures of shape (n_samples, ...)
        Samples.
    y : array-like of shape (n_samples,)
        Their labels, some of them wrong; with `noise`, all of them right.
    estimator : classifier or Pipeline, default=None
        The classifier that is trained with each loss; by default,
        ``NoisyRobustClassifier()``.
    seeds : sequence of int, default=(0, 1, 2)
        Each becomes the ``random_state`` of all parts of a method, and of the folds.
    cv : int, splitter or None, default=3
        Number of folds, stratified and shuffled with each seed, or a splitter. None:
        each method is trained on all samples, and scored on `X_test` only.
    scoring : str, callable, list, tuple or dict, default=None
        Scores, as in ``cross_validate``. Methods are ranked by the first, unless there
        is `noise`. The default is "noisy", the accuracy on the held-out noisy labels.
        If X is a table or features, "corrected" precedes it, the score of
        :meth:`NoiseCorrectedScorer.from_samples
        <sknoisy.metrics.NoiseCorrectedScorer.from_samples>`.
    X_test : array-like of shape (n_test, ...), default=None
        Samples with clean labels, for research. They add a score, "test_accuracy".
    y_test : array-like of shape (n_test,), default=None
        Their labels.
    noise : callable, default=None
        For research: a function that makes labels wrong, such as
        ``partial(symmetric_exclusive, rate=0.4)``. It is called as
        ``noise(y, random_state=seed)``, once for each seed, and returns labels or
        :class:`~sknoisy.noise.NoisyLabels`. Methods are then ranked by "test_accuracy":
        on `X_test` if it is given, else on the clean labels of the held-out samples.
        The default scores then lack "corrected".
    path : str or path, default=None
        File of JSON lines to which each result is added at once. Results that it
        already holds for the same data, parameters, folds, version and code of your own
        are not computed again.
    verbose : bool, default=None
        True: a progress bar. None: one in a terminal, after ten seconds.

    Returns
    -------
    comparison : Comparison
        All scores, and a summary with error bars.

    Raises
    ------
    ValueError
        If an argument is not valid; before any training.

    See Also
    --------
    sknoisy.metrics.NoiseCorrectedScorer : What methods are ranked by.
    sklearn.model_selection.GridSearchCV : A search over many parameters.

    Examples
    --------
    >>> import sknoisy
    >>> from sklearn.datasets import load_iris
    >>> from sknoisy.noise import symmetric_exclusive
    >>> X, y = load_iris(return_X_y=True)
    >>> noisy = symmetric_exclusive(y, 0.2, random_state=0).y
    >>> found = sknoisy.compare(["ce", "gce"], X, noisy, seeds=[0], cv=2)
    >>> sorted({row["method"] for row in found.rows})
    ['ce', 'gce']
    >>> found.scores
    ['corrected', 'noisy']

    With clean labels, and noise that is drawn anew with each seed:

    >>> from functools import partial
    >>> noise = partial(symmetric_exclusive, rate=0.2)
    >>> sknoisy.compare(["ce", "gce"], X, y, noise=noise, seeds=[0], cv=2).scores
    ['test_accuracy', 'noisy']
    """
    methods = _estimators(methods, estimator)
    seeds = _check_seeds(seeds)
    check_order(X, y=y)
    classes, codes = encode_labels(y)
    check_several(classes)
    y = classes[codes]  # no objects, which scikit-learn's folds and scores refuse
    check_lengths(X=X, y=y)
    test = _checked_test(X_test, y_test, cv, classes)
    noisy = {seed: y if noise is None else _noisy(noise, y, seed) for seed in seeds}
    scorers = {}
    if cv is not None:
        scorers = _scorers(scoring, X, y if noise is None else None)
    scores = [*scorers, *([TEST] if test else [])]
    if noise is not None:
        scores = [TEST, *scorers]
    if cv is not None and not isinstance(cv, Integral):
        if not hasattr(cv, "split"):
            cv = folds_of(cv, np.zeros(len(y)), y)  # keeps those of an iterator
    clean = y if noise is not None and test is None else None
    plan = [
        (name, seed, fold, rows)
        for seed in seeds
        for fold, rows in enumerate(_splits(cv, noisy[seed], seed))
        for name in methods
    ]
    for method in methods.values():
        check_steps(method)
    file = Rows(path, X, y, test, scorers, [*SIZES, *scores])
    keys = [
        file.key(
            _seeded(methods[name], seed), rows, None if noise is None else noisy[seed]
        )
        for name, seed, _, rows in plan
    ]
    found = []
    for key, (name, seed, fold, rows) in zip(keys, _bar(plan, verbose), strict=True):
        method = _seeded(methods[name], seed)
        row = file.done.get(key)
        if row is None:
            row = _row(method, X, noisy[seed], rows, scorers, test, clean)
            file.add(key, row)
        found.append({"method": name, "seed": seed, "fold": fold} | row)
    order = list(methods)
    found.sort(key=lambda row: order.index(row["method"]))
    return Comparison(found, scores)


def _estimators(methods, estimator):
    """Return the estimators by name, of which losses are put into a clone of one."""
    if not isinstance(methods, (Mapping, list, tuple)):
        raise ValueError(
            f"methods={methods!r} is not valid: it must be a dict of names and "
            "classifiers or losses, or a list of losses."
        )
    if not isinstance(methods, Mapping):
        methods = _named(methods, map(str, methods))
    methods = _named(methods.values(), map(str, methods))
    if not methods:
        raise ValueError("methods is empty: name at least one loss or estimator.")
    estimator = NoisyRobustClassifier() if estimator is None else estimator
    if not _is_estimator(estimator):
        raise ValueError(
            f"estimator={estimator!r} is not valid: it must be a classifier or a "
            "Pipeline."
        )
    prefix = f"{estimator.steps[-1][0]}__" if isinstance(estimator, Pipeline) else ""
    params = split_pipeline(estimator)[1].get_params(deep=False)
    parameter = next((name for name in ("loss", "method") if name in params), None)
    found = {}
    for name, method in methods.items():
        if isinstance(method, (str, Method)):
            if parameter is None:
                raise ValueError(
                    f"methods={method!r} is not valid: the estimator, {estimator!r}, "
                    "has no loss. Pass classifiers."
                )
            method = clone(estimator).set_params(**{prefix + parameter: method})
        elif not (_is_estimator(method) and is_classifier(method)):
            raise ValueError(
                f"methods[{name!r}]={method!r} is not valid: it must be a classifier, "
                "a Pipeline, a loss or its short name."
            )
        found[name] = method
    return found


def _is_estimator(value):
    """Whether it is an estimator, and no class of them."""
    return hasattr(value, "get_params") and not isinstance(value, type)


def _named(methods, names, parameter="methods"):
    """Return methods or scores by their names, which must differ."""
    pairs = [*zip(names, methods, strict=True)]
    found = dict(pairs)
    if len(found) < len(pairs):
        twice = [n for n, count in Counter(n for n, _ in pairs).items() if count > 1]
        raise ValueError(
            f"{parameter} is not valid: several are called {some(twice)}. Pass a dict "
            "with names that differ."
        )
    return found


def _check_seeds(seeds):
    try:
        seeds = [*seeds]
    except TypeError:
        raise ValueError(
            f"seeds={seeds!r} is not valid: it must be a sequence of integers, such as "
            "[0] or range(3)."
        ) from None
    for seed in seeds:
        check_integer("seeds", seed, low=0)
    if not seeds or len(set(seeds)) < len(seeds):
        raise ValueError(
            f"seeds={seeds!r} is not valid: name at least one, none twice."
        )
    if max(seeds) >= 2**32:
        raise ValueError(f"seeds={seeds!r} is not valid: they must be below 2**32.")
    return [int(seed) for seed in seeds]


def _checked_test(X_test, y_test, cv, classes):
    """Return the samples and labels of the test, or None."""
    if (X_test is None) != (y_test is None):
        raise ValueError("X_test and y_test must be given together.")
    if X_test is None:
        if cv is None:
            raise ValueError("cv=None is not valid without X_test and y_test.")
        return None
    check_lengths(X_test=X_test, y_test=y_test)
    check_order(X_test, called="X_test", y_test=y_test)
    found, codes = encode_labels(y_test)
    if len({labels.dtype.kind in "OUS" for labels in (classes, found)}) > 1:
        raise ValueError(
            f"y_test and y hold labels of different types: {some(found)}, and "
            f"{some(classes)}."
        )
    return X_test, found[codes]


def _noisy(noise, y, seed):
    """Return what a noise makes of the labels."""
    if not callable(noise):
        raise ValueError(
            f"noise={noise!r} is not valid: it must be called with labels and a "
            "random_state, as functools.partial(symmetric_exclusive, rate=0.4) is."
        )
    noisy = noise(y.copy(), random_state=seed)  # it may change what it gets
    noisy = getattr(noisy, "y", noisy)
    try:
        classes, codes = encode_labels(noisy, np.unique(y))
        check_lengths(y=y, noisy=noisy)
    except ValueError as error:
        raise ValueError(f"noise returned labels that are not valid: {error}") from None
    return classes[codes]


def _scorers(scoring, X, y):
    """Return the scorers by name; `y` is None if labels change with the seed."""
    if scoring is None:
        scoring = {"noisy": "accuracy"}
        if y is not None and is_table(X) and is_finite(X):
            corrected = NoiseCorrectedScorer.from_samples(X, y)
            scoring = {"corrected": corrected, **scoring}
    elif isinstance(scoring, (list, tuple)):
        scoring = _named(scoring, map(str, scoring), "scoring")
    elif not isinstance(scoring, Mapping):
        scoring = {scoring if isinstance(scoring, str) else "score": scoring}
    if not scoring:
        raise ValueError("scoring is empty: name at least one score.")
    for value in scoring.values():
        if not (isinstance(value, str) or callable(value)):
            raise ValueError(
                f"scoring={value!r} is not valid: it must be the name of a score, a "
                "callable, or a list or dict of these."
            )
    known = OTHERS & scoring.keys()
    if known:
        raise ValueError(
            f"scoring is not valid: {known} are the names of other "
            "columns of the result."
        )
    return {name: check_scoring(scoring=value) for name, value in scoring.items()}


def _splits(cv, y, seed):
    """Return the rows to train on and to score, all and None without folds."""
    if cv is None:
        return [(np.arange(len(y)), None)]
    if isinstance(cv, Integral):
        check_integer("cv", cv, low=2)
        splitter = StratifiedKFold(cv, shuffle=True, random_state=seed)
        return folds_of(cv, np.zeros(len(y)), y, splitter=splitter)
    return folds_of(cv, np.zeros(len(y)), y)


def _seeded(method, seed):
    """Return a clone whose parts all have one seed."""
    method = clone(method)
    names = [name for name in method.get_params() if name.endswith("random_state")]
    return method.set_params(**dict.fromkeys(names, seed))


def _row(method, X, y, rows, scorers, test, clean):
    """Train a method on a fold; return its scores and its time.

    It is tested on samples of their own, or, if there are `clean` labels, on those that
    were held out.
    """
    train, held_out = rows
    started = time.perf_counter()
    method.fit(safe_indexing(X, train), safe_indexing(y, train))
    row = {"seconds": round(time.perf_counter() - started, 3)}
    row |= {"n_train": len(train), "n_test": 0 if held_out is None else len(held_out)}
    if held_out is not None:
        others = safe_indexing(X, held_out)
        part = others, safe_indexing(y, held_out)
        row |= {name: float(s(method, *part)) for name, s in scorers.items()}
        if clean is not None:
            test = others, clean[held_out]
    if test is not None:
        X_test, y_test = test
        row[TEST] = float(accuracy_score(y_test, method.predict(X_test)))
    return row


def _bar(plan, verbose):
    return bar(
        plan,
        desc="compare",
        unit=" fits",
        delay=0 if verbose else 10,
        leave=bool(verbose),
        disable=None if verbose is None else not verbose,  # None: unless in a terminal
    )
