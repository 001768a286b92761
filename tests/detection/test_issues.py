"""What to look at: the table of issues, and the order of second looks."""

import pickle
import sys
import warnings

import numpy as np
import pandas as pd
import pytest
from nets import narrow
from sklearn.base import clone
from sklearn.compose import ColumnTransformer
from sklearn.datasets import load_breast_cancer, load_digits, load_iris, load_wine
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler
from torch import nn

import sknoisy
from sknoisy import (
    LabelErrorDetector,
    NoisyRobustClassifier,
    PretrainedEncoder,
    SSLPretrainer,
)
from sknoisy.detection.features import comparable_features
from sknoisy.noise import symmetric_exclusive
from sknoisy.scores import relabel_priority

LOGISTIC = make_pipeline(StandardScaler(), LogisticRegression(C=0.1))
COLUMNS = ["sample", "kind", "severity", "label", "suggestion", "group"]


@pytest.fixture(scope="module")
def flawed():
    """600 digits, 5% mislabelled, then 5 copies, 5 with other labels, 2 white."""
    X, y = load_digits(return_X_y=True)
    X, y = X[:600], symmetric_exclusive(y[:600], 0.05, random_state=0).y
    X = np.vstack([X, X[:5], X[5:10] + 0.1, np.full((2, 64), 40.0)])
    return X, np.concatenate([y, y[:5], (y[5:10] + 1) % 10, [0, 0]])


@pytest.fixture(scope="module")
def detector(flawed):
    return LabelErrorDetector(LOGISTIC, cv=3, random_state=0).fit(*flawed)


def test_issues(detector, flawed):
    _, y = flawed
    issues = detector.issues_
    assert list(issues) == COLUMNS
    kinds = dict(tuple(issues.groupby("kind")))
    wrong = kinds["wrong_label"]
    assert set(wrong["sample"]) == set(np.flatnonzero(detector.label_errors_))
    np.testing.assert_array_equal(
        wrong["severity"], detector.error_probability_[wrong["sample"]]
    )
    suggested = detector.suggested_labels_[wrong["sample"]]
    assert [
        one if other is None else other
        for one, other in zip(wrong["label"], wrong["suggestion"], strict=True)
    ] == suggested.tolist()
    copies = kinds["near_duplicate"]
    assert {*range(5), *range(600, 605), 610, 611} <= set(copies["sample"])
    assert copies["suggestion"].isna().all()
    mixed = kinds["conflicting_duplicate"]
    assert {*range(5, 10), *range(605, 610)} <= set(mixed["sample"])
    for sample in range(10):
        group = issues[(issues["sample"] == sample) & (issues["group"] >= 0)]["group"]
        members = issues[issues["group"] == group.iloc[0]]["sample"]
        assert sorted(members) == [sample, 600 + sample]
    assert kinds["outlier"]["sample"].iloc[:2].tolist() == [610, 611]
    assert (kinds["outlier"]["group"] == -1).all()
    np.testing.assert_array_equal(issues["label"], y[issues["sample"]])
    assert issues["severity"].between(0, 1).all()
    for rows in kinds.values():
        assert rows["severity"].is_monotonic_decreasing


def test_conflicting_duplicates_get_the_probable_label(detector, flawed):
    _, y = flawed
    right = load_digits(return_X_y=True)[1][5:10]
    issues = detector.issues_
    issues = issues[issues["kind"] == "conflicting_duplicate"].set_index("sample")
    agreed = issues["suggestion"].where(issues["suggestion"].notna(), issues["label"])
    assert (agreed.loc[range(605, 610)] == right).sum() >= 4
    assert (agreed.loc[range(605, 610)].values == agreed.loc[range(5, 10)].values).all()


def test_names_of_classes_and_no_pandas(flawed, monkeypatch):
    X, y = flawed
    names = np.array([f"digit {c}" for c in y])
    detector = LabelErrorDetector(LOGISTIC, cv=3, random_state=0).fit(X, names)
    issues = detector.issues_
    assert set(issues["label"]) <= set(names)
    assert set(issues["suggestion"].dropna()) <= set(names)
    monkeypatch.setitem(sys.modules, "pandas", None)
    plain = detector.issues_
    assert list(plain) == COLUMNS
    for name in COLUMNS:
        assert plain[name].tolist() == issues[name].tolist()


def test_issues_are_kept_in_files_and_features_are_not(flawed, tmp_path):
    X, y = flawed
    detector = LabelErrorDetector(LOGISTIC, cv=3, random_state=0).fit(X, y)
    with pytest.warns(UserWarning, match="wrong labels only"):
        early = pickle.loads(pickle.dumps(detector)).issues_
    assert set(early["kind"]) == {"wrong_label"}
    issues = detector.issues_
    pd.testing.assert_frame_equal(pickle.loads(pickle.dumps(detector)).issues_, issues)
    detector.set_params(estimator=NoisyRobustClassifier())  # one that files may hold
    detector.save(tmp_path / "detector.safetensors")
    loaded = sknoisy.load(tmp_path / "detector.safetensors")
    pd.testing.assert_frame_equal(loaded.issues_, issues)
    np.testing.assert_array_equal(loaded.relabel_order_, detector.relabel_order_)


def test_a_display_begins_no_search(flawed):
    X, y = flawed
    detector = LabelErrorDetector(LOGISTIC, cv=3, random_state=0).fit(X, y)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for shown in (detector, pickle.loads(pickle.dumps(detector))):
            assert "issues_" not in dir(shown)
            assert "label_quality_" in dir(shown)
            assert "Labels called wrong" in shown._repr_html_()
    assert "near_duplicate" in set(detector.issues_["kind"])  # X was still there
    assert "issues_" in dir(detector)


def kinds_of(detector):
    return set(detector.issues_["kind"])


def test_features_that_there_are(digits, image_files):
    """Of pre-trainers, of fitted networks; images alone have none."""
    images = np.concatenate([digits[0], digits[0][:3]])
    y = np.concatenate([digits[1], digits[1][:3]])
    ssl = SSLPretrainer(encoder=narrow, max_epochs=1, random_state=0)
    clf = NoisyRobustClassifier("ce", encoder=narrow, max_epochs=2, random_state=0)
    logistic = LogisticRegression(max_iter=500)
    pipe = Pipeline([("ssl", ssl), ("clf", logistic)])
    settings = {"random_state": 0}
    found = [
        LabelErrorDetector(pipe, cv=2, **settings).fit(images, y),
        LabelErrorDetector(pipe, "knn_agreement", **settings).fit(images, y),
        LabelErrorDetector(clf, cv="dynamics").fit(images, y),
        LabelErrorDetector(pipe.fit(images, y), cv="prefit").fit(images, y),
        LabelErrorDetector(clf.fit(images, y), cv="prefit").fit(images, y),
    ]
    for detector in found:
        issues = detector.issues_
        copies = issues[issues["severity"] > 0.999]
        copies = copies[copies["kind"].str.contains("duplicate")]
        assert {0, 1, 2, 300, 301, 302} <= set(copies["sample"])
    alone = LabelErrorDetector(clf, cv=2, random_state=0).fit(images, y)
    with pytest.warns(UserWarning, match="wrong labels only"):
        assert kinds_of(alone) <= {"wrong_label"}


def test_tables_that_are_no_features(flawed):
    X, y = flawed
    gaps = X.copy()
    gaps[3, 4] = np.nan
    boosting = HistGradientBoostingClassifier(max_iter=5)
    detector = LabelErrorDetector(boosting, cv=2, random_state=0).fit(gaps, y)
    with pytest.warns(UserWarning, match="no features"):
        assert kinds_of(detector) <= {"wrong_label"}
    frame = pd.DataFrame(X).add_prefix("pixel ")
    detector = LabelErrorDetector(LOGISTIC, cv=2, random_state=0).fit(frame, y)
    assert "near_duplicate" in kinds_of(detector)


def test_features_are_made_of_tables_with_categories_and_gaps(flawed, tmp_path):
    X, y = flawed
    frame = pd.DataFrame(X[:, 8:]).add_prefix("pixel ")
    frame["ink"] = np.where(X[:, 20] > 8, "dark", "light")
    frame.iloc[3, 4] = np.nan
    numbers = make_pipeline(SimpleImputer(), StandardScaler())
    parts = [("ink", OneHotEncoder(), ["ink"])]
    columns = ColumnTransformer(parts, remainder=numbers)
    pipe = make_pipeline(columns, LogisticRegression(C=0.1))
    settings = {"random_state": 0}
    dynamics = make_pipeline(
        columns, NoisyRobustClassifier("elr", max_epochs=2, **settings)
    )
    found = [
        LabelErrorDetector(pipe, cv=2, **settings),
        LabelErrorDetector(pipe, "knn_agreement"),
        LabelErrorDetector(dynamics, cv="dynamics"),
        LabelErrorDetector(clone(pipe).fit(frame, y), cv="prefit"),
    ]
    for detector in found:
        issues = detector.fit(frame, y).issues_
        copies = issues[issues["kind"].str.contains("duplicate")]["sample"]
        assert {0, 1, 2, 4, *range(600, 603), 604} <= set(copies)
    pickled = pickle.loads(pickle.dumps(found[0].fit(frame, y)))
    pickled.to_html(tmp_path / "page.html")  # does not use up the warning
    with pytest.warns(UserWarning, match="no features"):
        assert kinds_of(pickled) <= {"wrong_label"}


class CountingEncoder(PretrainedEncoder):
    """Logs how many samples each fit gets."""

    log = []  # of the class, so that clones have it, too

    def fit(self, X, y=None):
        self.log.append(len(X))
        return super().fit(X, y)


def test_a_published_encoder_is_fitted_once(digits):
    X, y = digits
    module = nn.Sequential(nn.Flatten(), nn.Linear(64, 8))
    encoder = CountingEncoder(module, normalization="auto")
    pipe = make_pipeline(encoder, LogisticRegression(max_iter=500))
    CountingEncoder.log.clear()
    detector = LabelErrorDetector(pipe, cv=3, random_state=0).fit(X, y)
    detector.issues_  # noqa: B018
    assert encoder.log == [300]


class Counted(nn.Module):
    """Counts the samples that it encodes."""

    samples = 0

    def forward(self, x):
        Counted.samples += len(x)
        return x.flatten(1)


@pytest.mark.parametrize(
    "clf",
    [
        LogisticRegression(max_iter=500),
        NoisyRobustClassifier("ce", freeze_encoder=True, max_epochs=2, random_state=0),
        NoisyRobustClassifier(freeze_encoder=True, random_state=0),
    ],
)
def test_each_sample_is_encoded_once(clf, digits):
    X, y = digits
    encoder = PretrainedEncoder(Counted(), normalization="auto").fit(X)
    Counted.samples = 0
    pipe = make_pipeline(encoder, clf)
    LabelErrorDetector(pipe, cv=3, random_state=0).fit(X, y).issues_  # noqa: B018
    assert 300 <= Counted.samples <= 310  # a few tell the number of features


def test_order_of_second_looks(detector, flawed):
    X, y = flawed
    order = detector.relabel_order_
    assert sorted(order) == list(range(len(y)))
    priority = relabel_priority(y, detector.pred_probs_)
    assert (np.diff(priority[order]) <= 0).all()
    trusted = np.isin(np.arange(len(y)), order[:50])
    again = LabelErrorDetector(LOGISTIC, cv=3, random_state=0)
    last = again.fit(X, y, trusted=trusted).relabel_order_[-50:]
    assert set(last) == set(order[:50])
    ours = NoisyRobustClassifier("ce", max_epochs=10, random_state=0)
    right = load_digits(return_X_y=True)[1][:600]
    for settings in (
        {},
        {"method": "knn_agreement"},
        {"estimator": ours, "cv": "dynamics"},
    ):
        found = LabelErrorDetector(LOGISTIC, random_state=0).set_params(**settings)
        first = found.fit(X[:600], y[:600]).relabel_order_[:30]
        assert (y[first] != right[first]).mean() > 0.7


@pytest.mark.parametrize("load", [load_iris, load_wine, load_breast_cancer])
def test_neighbors_call_nothing_wrong_where_nothing_is(load):
    # By the angle, scaled flowers near the mean of all have neighbours of any class.
    X, y = load(return_X_y=True)
    pipe = make_pipeline(StandardScaler(), LogisticRegression())
    detector = LabelErrorDetector(pipe, "knn_agreement").fit(X, y)
    assert detector.label_errors_.mean() <= 0.01


def test_the_scale_of_features_is_that_of_which_neighbors_agree():
    rng = np.random.default_rng(0)
    codes = np.arange(200) % 2
    direction = np.eye(2)[codes] + 0.05 * rng.normal(size=(200, 2))
    of_any_length = direction * rng.lognormal(sigma=2, size=(200, 1))
    found = comparable_features(of_any_length, codes, angles=True)
    np.testing.assert_allclose(np.linalg.norm(found, axis=1), 1, rtol=1e-5)
    column = np.column_stack(
        [codes + 0.1 * rng.normal(size=200), 9 * rng.normal(size=200)]
    )
    scaled = comparable_features(column, codes, angles=True)
    np.testing.assert_allclose(scaled.std(axis=0), 1, rtol=1e-5)


def test_columns_whose_spread_float32_cannot_hold():
    X, y = load_iris(return_X_y=True)
    tiny = np.hstack([X, 1e-44 * X[:, :2]])
    features = comparable_features(tiny, y)
    assert np.isfinite(features).all()
    np.testing.assert_allclose(features[:, :4], comparable_features(X, y))
