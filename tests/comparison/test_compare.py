import json
import sys
from functools import partial

import numpy as np
import pytest
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.datasets import make_blobs
from sklearn.dummy import DummyClassifier
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.metrics import make_scorer
from sklearn.model_selection import GroupKFold, StratifiedKFold, cross_validate
from sklearn.naive_bayes import GaussianNB
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

import sknoisy
from sknoisy import ELR, GCE, CoTrainingClassifier, Forward, NoisyRobustClassifier
from sknoisy.comparison import Comparison
from sknoisy.noise import symmetric_exclusive

X, CLEAN = make_blobs(240, centers=3, cluster_std=2.0, random_state=0)
Y = symmetric_exclusive(CLEAN, 0.2, random_state=0).y
EVEN = np.full((3, 3), 1 / 3)


class Counting(ClassifierMixin, BaseEstimator):
    """Counts its fits, and what it was seeded with."""

    fits = []

    def __init__(self, guess=0, random_state=None):
        self.guess = guess
        self.random_state = random_state

    def fit(self, X, y):
        self.classes_ = np.unique(y)
        Counting.fits.append(self.random_state)
        return self

    def predict(self, X):
        return np.full(len(X), self.guess)


@pytest.fixture
def fits():
    Counting.fits = []
    return Counting.fits


def test_scores_are_those_of_cross_validate():
    found = sknoisy.compare({"nb": GaussianNB()}, X, Y, seeds=[0, 1], cv=4)
    expected = [
        score
        for seed in (0, 1)
        for score in cross_validate(
            GaussianNB(), X, Y, cv=StratifiedKFold(4, shuffle=True, random_state=seed)
        )["test_score"]
    ]
    assert [row["noisy"] for row in found.rows] == pytest.approx(expected)
    assert found.scores == ["corrected", "noisy"]


def test_a_list_of_scores():
    settings = {"seeds": [0], "cv": 2}
    names = ["accuracy", "f1_macro"]
    found = sknoisy.compare({"nb": GaussianNB()}, X, Y, scoring=names, **settings)
    named = dict(zip(names, names, strict=True))
    again = sknoisy.compare({"nb": GaussianNB()}, X, Y, scoring=named, **settings)
    assert found.scores == names
    for name in names:
        assert [r[name] for r in found.rows] == [r[name] for r in again.rows]


def test_images_are_ranked_by_noisy_labels_alone():
    images = X[:, :, None]
    chance = {"chance": DummyClassifier()}
    found = sknoisy.compare(chance, images, Y, seeds=[0], cv=2)
    assert found.scores == ["noisy"]


def test_losses_become_parameters_of_the_estimator():
    small = {"seeds": [0], "cv": 2, "scoring": "accuracy"}
    clf = NoisyRobustClassifier(max_epochs=1)
    losses = sknoisy.compare(["ce", GCE(q=0.5)], X, Y, estimator=clf, **small)
    pipe = make_pipeline(StandardScaler(), clf)
    named = sknoisy.compare({"a": "ce", "b": ELR()}, X, Y, estimator=pipe, **small)
    networks = CoTrainingClassifier(max_epochs=2)
    several = sknoisy.compare(["coteaching"], X, Y, estimator=networks, **small)
    assert losses._summary().keys() == named._summary().keys()
    methods = [{r["method"] for r in c.rows} for c in (losses, named, several)]
    assert methods == [{"ce", "GCE(q=0.5)"}, {"a", "b"}, {"coteaching"}]


def test_every_part_is_seeded(fits):
    sknoisy.compare(
        {"a": make_pipeline(StandardScaler(), Counting(random_state=7))},
        X,
        Y,
        seeds=(3, 5),
        cv=2,
    )
    assert fits == [3, 3, 5, 5]


def test_what_is_in_the_file_is_not_trained_again(tmp_path, fits):
    path = tmp_path / "new" / "rows.jsonl"
    common = {"seeds": [0], "cv": 2, "path": path}
    first = sknoisy.compare({"a": Counting()}, X, Y, **common)
    assert len(fits) == 2
    with path.open("a") as file:  # a run that was killed while it wrote
        file.write('{"key": "12')
    methods = {"b": Counting(), "c": Counting(guess=1)}
    second = sknoisy.compare(methods, X, Y, **common)
    assert len(fits) == 4  # equal parameters, another name
    third = sknoisy.compare(methods, X, Y, **common)
    assert len(fits) == 4
    assert third.rows == second.rows
    assert [r["noisy"] for r in first.rows] == [r["noisy"] for r in second.rows[:2]]
    sknoisy.compare({"a": Counting()}, X, CLEAN, **common)
    assert len(fits) == 6
    sknoisy.compare({"a": Counting()}, X + 1, Y, scoring="accuracy", **common)
    assert len(fits) == 8


@pytest.mark.parametrize(
    "change",
    [
        lambda row: b"\xff\xfe",
        lambda row: 10**5 * b"[",
        lambda row: b"null",
        lambda row: json.dumps(row | {"key": []}).encode(),
        lambda row: json.dumps({"key": row["key"]}).encode(),
        lambda row: json.dumps(row | {"noisy": "x"}).encode(),
        lambda row: json.dumps(row | {"seconds": None}).encode(),
    ],
    ids=["bytes", "deep", "null", "key", "columns", "text", "none"],
)
def test_lines_that_are_no_rows_are_passed_over(tmp_path, fits, change):
    common = {"seeds": [0], "cv": 2, "path": tmp_path / "rows.jsonl"}
    first = sknoisy.compare({"a": Counting()}, X, Y, **common)
    lines = common["path"].read_bytes().splitlines()
    lines[0] = change(json.loads(lines[0]))
    common["path"].write_bytes(b"\n".join(lines) + b"\n")
    second = sknoisy.compare({"a": Counting()}, X, Y, **common)
    assert len(fits) == 3  # one more
    assert [r["noisy"] for r in first.rows] == [r["noisy"] for r in second.rows]


class Guess:
    """A parameter whose name in memory tells nothing."""

    def __init__(self, value):
        self.value = value

    def __eq__(self, other):
        return other == self.value

    def __array__(self, dtype=None, copy=None):
        return np.array(self.value, dtype)


def test_parameters_are_known_by_value_in_the_file(tmp_path, fits):
    common = {"seeds": [0], "cv": 2, "path": tmp_path / "rows.jsonl"}
    for _ in range(2):
        sknoisy.compare({"a": Counting(Guess(1))}, X, Y, **common)
    assert len(fits) == 2
    sknoisy.compare({"a": Counting(Guess(2))}, X, Y, **common)
    assert len(fits) == 4
    with pytest.raises(ValueError, match="guess=.* is not valid with path="):
        sknoisy.compare({"a": Counting(lambda: 1)}, X, Y, **common)


def constant(value):
    def score(estimator, X, y):
        return value

    return score


def shifted(estimator, X, y, by):
    return by


def one_of(y, predicted):
    return 1.0


def two_of(y, predicted):
    return 2.0


two_of.__name__ = two_of.__qualname__ = "one_of"


@pytest.mark.parametrize(
    ("first", "second"),
    [
        (lambda estimator, X, y: 1.0, lambda estimator, X, y: 2.0),
        (constant(1.0), constant(2.0)),
        (partial(shifted, by=1.0), partial(shifted, by=2.0)),
        (make_scorer(one_of), make_scorer(two_of)),
    ],
    ids=["code", "closure", "partial", "scorer"],
)
def test_scorers_are_known_by_what_they_do(first, second, tmp_path, fits):
    common = {"seeds": [0], "cv": 2, "path": tmp_path / "rows.jsonl"}
    for scorer, value, n_fits in ((first, 1, 2), (second, 2, 4), (first, 1, 4)):
        found = sknoisy.compare({"a": Counting()}, X, Y, scoring=scorer, **common)
        assert [row["score"] for row in found.rows] == [value, value]
        assert len(fits) == n_fits


def test_a_scorer_without_a_name_is_refused(tmp_path):
    scorer = constant(lambda: 1)
    with pytest.raises(ValueError, match="^scoring=.* is not valid with path="):
        sknoisy.compare({"a": Counting()}, X, Y, scoring=scorer, path=tmp_path / "rows")


def test_an_iterator_of_folds_serves_every_seed(fits):
    folds = iter([(np.arange(120), np.arange(120, 240))])
    found = sknoisy.compare({"a": Counting()}, X, Y, seeds=[0, 1], cv=folds)
    assert len(found.rows) == 2


def test_rows_are_written_as_they_come(tmp_path, fits):
    class Failing(Counting):
        def fit(self, X, y):
            raise RuntimeError("out of memory")

    path = tmp_path / "rows.jsonl"
    with pytest.raises(RuntimeError, match="out of memory"):
        methods = {"a": Counting(), "b": Failing()}
        sknoisy.compare(methods, X, Y, seeds=[0], cv=2, path=path)
    (line,) = path.read_text().splitlines()
    assert json.loads(line)["n_train"] == 120


def test_errors_by_hand():
    """Two folds; what is scored is half as large as what is trained on."""
    common = {"n_train": 20, "n_test": 10, "seconds": 1.0, "seed": 0}
    rows = [
        {"method": method, "fold": fold, "score": score, **common}
        for method, scores in {"a": (0.6, 0.8), "b": (0.5, 0.85)}.items()
        for fold, score in enumerate(scores)
    ]
    table = Comparison(rows, ["score"])._summary()
    assert table["method"] == ["a", "b"]
    assert table["score"] == pytest.approx([0.7, 0.675])
    variance = 0.02  # of 0.6 and 0.8; times 1 / 2 + 10 / 20
    assert table["score_error"][0] == pytest.approx(variance**0.5)
    assert table["behind"] == pytest.approx([0, 0.025])
    variance = 0.075**2 * 2  # of 0.1 and -0.05
    assert table["behind_error"] == pytest.approx([0, variance**0.5])
    alone = Comparison(rows[:1], ["score"])
    assert np.isnan(alone._summary()["score_error"]).all()
    assert alone.best == "a"
    lines = repr(Comparison(rows, ["score"])).splitlines()
    assert lines[0].split() == ["method", "score", "behind", "seconds"]
    assert lines[1].split() == "a 0.700 ± 0.141 0.000 ± 0.000 1.0".split()


def test_no_method_without_a_score_is_best():
    common = {"n_train": 20, "n_test": 10, "seconds": 1.0, "seed": 0, "fold": 0}
    scores = {"x": np.nan, "a": 0.5, "y": np.nan, "b": 0.7, "z": np.nan}
    rows = [{"method": m, "score": score, **common} for m, score in scores.items()]
    found = Comparison(rows, ["score"])
    assert found.best == "b"
    assert list(found._summary()["method"]) == ["b", "a", "x", "y", "z"]


def test_clean_test_samples():
    methods = {"nb": GaussianNB(), "chance": DummyClassifier()}
    test = {"X_test": X[:60], "y_test": CLEAN[:60]}
    alone = sknoisy.compare(methods, X[60:], Y[60:], cv=None, seeds=[0], **test)
    expected = GaussianNB().fit(X[60:], Y[60:]).score(X[:60], CLEAN[:60])
    assert alone.rows[0]["test_accuracy"] == pytest.approx(expected)
    assert alone.scores == ["test_accuracy"]
    both = sknoisy.compare(methods, X[60:], Y[60:], seeds=[0], **test)
    assert both.scores == ["corrected", "noisy", "test_accuracy"]
    assert both.best == "nb"


NOISE = partial(symmetric_exclusive, rate=0.3)


def test_noise_is_drawn_with_each_seed():
    found = sknoisy.compare({"nb": GaussianNB()}, X, CLEAN, noise=NOISE, seeds=[3, 4])
    assert found.scores == ["test_accuracy", "noisy"]
    expected = []
    for seed in (3, 4):
        noisy = symmetric_exclusive(CLEAN, 0.3, random_state=seed).y
        cv = StratifiedKFold(3, shuffle=True, random_state=seed)
        for train, held in cv.split(X, noisy):
            model = GaussianNB().fit(X[train], noisy[train])
            expected.append([model.score(X[held], y[held]) for y in (CLEAN, noisy)])
    scores = [[row[name] for name in found.scores] for row in found.rows]
    np.testing.assert_allclose(scores, expected)
    test = {"X_test": X[:60], "y_test": CLEAN[:60], "cv": None, "seeds": [0]}
    alone = sknoisy.compare(["ce"], X[60:], CLEAN[60:], noise=NOISE, **test)
    assert alone.scores == ["test_accuracy"] and len(alone.rows) == 1


def test_a_noise_may_change_what_it_gets():
    def in_place(y, random_state):
        y[:] = symmetric_exclusive(y, 0.3, random_state=random_state).y
        return y

    settings = {"seeds": [0, 1], "cv": 2}
    found, expected = (
        sknoisy.compare({"nb": GaussianNB()}, X, CLEAN, noise=noise, **settings).rows
        for noise in (in_place, NOISE)
    )
    for row, other in zip(found, expected, strict=True):
        assert row["test_accuracy"] == other["test_accuracy"]


def test_rows_of_another_noise_are_others(tmp_path, fits):
    settings = {"path": tmp_path / "rows.jsonl", "seeds": [0], "cv": 2}
    for rate in (0.3, 0.3, 0.2, None):
        noise = None if rate is None else partial(symmetric_exclusive, rate=rate)
        sknoisy.compare({"a": Counting()}, X, CLEAN, noise=noise, **settings)
    assert len(fits) == 6


@pytest.mark.parametrize("installed", [True, False], ids=["pandas", "no pandas"])
def test_tables(installed, monkeypatch):
    methods = {"chance": DummyClassifier(), "lr": LogisticRegression()}
    found = sknoisy.compare(methods, X, Y, seeds=[0, 1], cv=2)
    if installed:
        pytest.importorskip("pandas")
    else:
        monkeypatch.setitem(sys.modules, "pandas", None)
    frame, summary = found.to_frame(), found.summary()
    assert list(summary["method"]) == ["lr", "chance"]
    assert list(frame["method"]) == ["chance"] * 4 + ["lr"] * 4
    if installed:
        means = frame.groupby("method")["noisy"].mean()
        assert means["lr"] == pytest.approx(summary["noisy"][0])
        pivot = frame.pivot_table(index="method", columns="seed", values="noisy")
        assert pivot.shape == (2, 2)


@pytest.mark.parametrize(
    "change, message",
    [
        ({"methods": {}}, "methods is empty"),
        ({"methods": {"a": 3}}, r"methods\['a'\]=3 is not valid"),
        (
            {"methods": {"a": Counting(), "b": LinearRegression()}},
            r"methods\['b'\]=LinearRegression\(\) is not valid: it must be a classif",
        ),
        (
            {"methods": {"a": Counting(), "b": make_pipeline(StandardScaler())}},
            r"methods\['b'\]=Pipeline.* is not valid: it must be a classifier",
        ),
        ({"y": np.zeros(len(Y))}, "y holds only one class, 0.0"),
        ({"scoring": {"accuracy"}}, "scoring={'accuracy'} is not valid"),
        ({"scoring": {"a": ["accuracy"]}}, r"scoring=\['accuracy'\] is not valid"),
        ({"scoring": ["accuracy"] * 2}, "scoring is not valid: several are called"),
        ({"methods": ["cee"]}, "loss='cee' is not valid.*Did you mean"),
        ({"methods": ["ce"], "estimator": GaussianNB()}, "GaussianNB.* has no loss"),
        ({"methods": None}, "methods=None is not valid"),
        ({"methods": ["ce", "gce", "ce"]}, "several are called 'ce'"),
        ({"methods": {1: "ce", "1": "gce"}}, "several are called '1'"),
        ({"methods": [Forward(np.eye(3)), Forward(EVEN)]}, "several are called 'Forw"),
        (
            {"X_test": X, "y_test": Y.astype(str)},
            "y_test and y hold labels of different",
        ),
        ({"methods": ["ce"], "estimator": 3}, "estimator=3 is not valid"),
        ({"seeds": None}, "seeds=None is not valid"),
        ({"seeds": []}, r"seeds=\[\] is not valid: name at least one"),
        ({"seeds": [1, 1]}, "none twice"),
        ({"seeds": 0.5}, "seeds=0.5 is not valid"),
        ({"seeds": 3}, "seeds=3 is not valid: .*range"),
        ({"seeds": [2**32]}, "seeds=.* must be below"),
        ({"scoring": {}}, "scoring is empty"),
        ({"cv": 1}, "cv=1 is not valid"),
        ({"cv": 10**4}, "cv=10000 is not valid"),
        ({"cv": [0]}, r"cv=\[0\] is not valid"),
        ({"cv": []}, r"cv=\[\] is not valid: it has no folds"),
        ({"cv": None}, "cv=None is not valid without X_test"),
        ({"X_test": X}, "given together"),
        ({"scoring": "acuracy"}, "acuracy"),
        ({"scoring": {"seconds": "accuracy"}}, "names of other columns"),
        ({"noise": 0.4}, "noise=0.4 is not valid"),
        (
            {"noise": lambda y, random_state: y[:-1]},
            "noise returned labels .*inconsistent",
        ),
        ({"noise": lambda y, random_state: y + 1}, "noise returned .*not among the"),
        ({"noise": NOISE, "cv": None}, "cv=None is not valid without X_test"),
        ({"y": Y[:5]}, "inconsistent numbers"),
        ({"cv": GroupKFold(2)}, r"where fit takes no groups, the splits"),
    ],
    ids=lambda value: "+".join(value) if isinstance(value, dict) else "",
)
def test_bad_arguments_are_found_before_training(change, message, fits):
    arguments = {"methods": {"a": Counting()}, "X": X, "y": Y} | change
    with pytest.raises(ValueError, match=message):
        sknoisy.compare(**arguments)
    assert not fits


@pytest.mark.parametrize("kind", [list, lambda y: y.astype(object), lambda y: y > 0])
def test_labels_of_any_kind(kind):
    settings = {"seeds": [0], "cv": 2, "scoring": "accuracy"}
    found = sknoisy.compare({"nb": GaussianNB()}, X, kind(Y), **settings)
    assert [row["score"] if "score" in row else row["accuracy"] for row in found.rows]
