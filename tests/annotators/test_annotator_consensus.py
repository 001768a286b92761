import pickle
import tracemalloc

import numpy as np
import pandas as pd
import pytest
from sklearn import config_context
from sklearn.base import clone
from sklearn.datasets import load_digits
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.model_selection import GridSearchCV, KFold
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import LinearSVC
from sklearn.utils.estimator_checks import parametrize_with_checks

import sknoisy
from sknoisy import LabelErrorDetector, NoisyRobustClassifier
from sknoisy.annotators import (
    AnnotatorConsensus,
    crowdlab,
    majority_vote,
    read_annotations,
)
from sknoisy.annotators.training import out_of_sample
from sknoisy.estimators.soft_training import weighted_copies
from sknoisy.noise import symmetric_exclusive

LOGISTIC = make_pipeline(StandardScaler(), LogisticRegression(C=0.1))


@parametrize_with_checks(
    [
        AnnotatorConsensus(LogisticRegression()),
        AnnotatorConsensus(LogisticRegression(), method="majority_vote"),
    ]
)
def test_scikit_learn(estimator, check):
    check(estimator)


@pytest.fixture(scope="module")
def asked():
    """600 digits, labels by three annotators with gaps, and the right ones."""
    X, y = load_digits(return_X_y=True)
    X, y = X[:600], y[:600]
    rates = (0.1, 0.4, 0.6)
    given = [symmetric_exclusive(y, r, random_state=k).y for k, r in enumerate(rates)]
    table = np.stack(given, axis=1).astype(float)
    table[np.random.default_rng(0).random(table.shape) < 0.2] = np.nan
    table[np.isnan(table).all(axis=1), 2] = 0
    return X, table, y


def test_consensus_is_better_than_any_annotator(asked):
    X, table, y = asked
    clf = AnnotatorConsensus(LOGISTIC, random_state=0).fit(X, table)
    majority = AnnotatorConsensus(LOGISTIC, method="majority_vote").fit(X, table)
    right = (clf.labels_ == y).mean()
    assert right > (majority.labels_ == y).mean() + 0.1
    assert right > 0.95
    assert (np.diff(clf.annotator_quality_) < -0.1).all()
    wrong = clf.labels_ != y
    assert clf.label_quality_[wrong].mean() < clf.label_quality_[~wrong].mean() - 0.1
    assert (np.isnan(clf.annotation_quality_) == np.isnan(table)).all()
    worst = clf.relabel_order_[:100]
    assert wrong[worst].mean() > 2 * wrong.mean()
    assert sorted(clf.relabel_order_) == list(range(600))
    assert clf.score(X, y) == (clf.predict(X) == y).mean() > 0.95


def test_samplers_in_a_pipeline(asked):
    pipeline = pytest.importorskip("imblearn.pipeline")
    over = pytest.importorskip("imblearn.over_sampling").RandomOverSampler
    X, table, _ = asked
    pipe = pipeline.make_pipeline(StandardScaler(), over(random_state=0), LOGISTIC[-1])
    clf = AnnotatorConsensus(pipe, method="majority_vote").fit(X, table)
    plain = clone(pipe).fit(X, clf.labels_)
    np.testing.assert_array_equal(clf.predict_proba(X), plain.predict_proba(X))
    with pytest.raises(ValueError, match="sampler"):
        clf.fit(X, table, sample_weight=np.ones(600))


def test_it_is_the_functions(asked):
    X, table, _ = asked
    clf = AnnotatorConsensus(LOGISTIC, cv=3, random_state=0).fit(X, table)
    probs = out_of_sample(LOGISTIC, X, read_annotations(table), 3, random_state=0)
    np.testing.assert_allclose(clf.pred_probs_, probs)
    found = crowdlab(table, probs)
    np.testing.assert_allclose(clf.soft_labels_, found.soft_labels)
    clf = AnnotatorConsensus(LOGISTIC, method="majority_vote").fit(X, table)
    found = majority_vote(table)
    np.testing.assert_array_equal(clf.labels_, found.labels)
    assert clf.pred_probs_ is None
    quality = found.label_quality[clf.relabel_order_]
    assert (np.diff(quality) >= 0).all()


def test_memory_of_many_annotators():
    """Each labels a few samples, so that a table of all is nearly empty."""
    X = np.random.default_rng(0).normal(size=(2000, 2))
    y = (X[:, 0] > 0).astype(int)
    long = pd.DataFrame({"sample": np.arange(2000), "annotator": np.arange(2000)})
    clf = AnnotatorConsensus(LogisticRegression(), random_state=0)
    tracemalloc.start()
    clf.fit(X, long.assign(label=y))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 8 * 2000 * 2000 / 2
    quality = clf.annotation_quality_
    given = ~np.isnan(quality)
    np.testing.assert_array_equal(given, np.eye(2000, dtype=bool))
    np.testing.assert_array_equal(quality[given], clf.soft_labels_[range(2000), y])


def test_certain_labels_are_plain_training(asked):
    """Where annotators agree by majority vote, soft labels are hard ones."""
    X, _, y = asked
    table = np.stack([y, y], axis=1)
    clf = AnnotatorConsensus(LOGISTIC, method="majority_vote").fit(X, table)
    plain = clone(LOGISTIC).fit(X, y)
    np.testing.assert_allclose(clf.predict_proba(X), plain.predict_proba(X), atol=1e-6)


@pytest.mark.parametrize("inner", [KNeighborsClassifier(), LOGISTIC])
def test_the_labels_of_crowdlab_are_learned(inner, asked):
    X, table, _ = asked
    clf = AnnotatorConsensus(inner, random_state=0).fit(X, table)
    plain = clone(inner).fit(X, clf.labels_)
    np.testing.assert_array_equal(clf.predict(X), plain.predict(X))


def test_classifiers_without_weights_get_labels(asked):
    X, table, _ = asked
    clf = AnnotatorConsensus(KNeighborsClassifier(), method="majority_vote")
    plain = KNeighborsClassifier().fit(X, clf.fit(X, table).labels_)
    np.testing.assert_array_equal(clf.predict(X), plain.predict(X))


@pytest.mark.parametrize("loss", ["ce", "elr", "auto"])
def test_ours_learn_from_samples_without_a_label(loss, asked):
    X, table, y = (part[:300] for part in asked)
    table = table.copy()
    table[:50] = np.nan  # without a label
    settings = {"max_epochs": 5, "random_state": 0} if loss != "auto" else {}
    inner = NoisyRobustClassifier(loss, **settings).set_params(random_state=0)
    clf = AnnotatorConsensus(inner, cv=2, random_state=0).fit(X, table)
    soft = np.eye(10)[clf.labels_.astype(int)]
    soft[:50] = np.nan
    plain = clone(inner).set_params(classes=clf.classes_).fit(X, soft)
    np.testing.assert_array_equal(clf.predict_proba(X), plain.predict_proba(X))
    assert clf.score(X, y) > 0.6


@pytest.mark.parametrize("cv", ["auto", "dynamics", 1, True, None, 2.5])
def test_what_are_no_folds(cv, asked):
    X, table, _ = asked
    with pytest.raises(ValueError, match=f"^cv={cv!r} is not valid"):
        AnnotatorConsensus(LOGISTIC, cv=cv).fit(X, table)


def test_tables_with_names(asked):
    X, table, _ = asked
    plain = AnnotatorConsensus(LOGISTIC, random_state=0).fit(X, table)
    frame = pd.DataFrame(table, columns=["ann", "bob", "cy"]).astype("Int64")
    frame = frame.astype(object).where(frame.isna(), "digit " + frame.astype("string"))
    named = clone(plain).fit(X, frame)
    assert named.annotators_.tolist() == ["ann", "bob", "cy"]
    assert named.classes_[0] == "digit 0"
    np.testing.assert_allclose(named.soft_labels_, plain.soft_labels_)
    long = frame.reset_index(names="sample").melt(
        "sample", var_name="annotator", value_name="label"
    )
    long = long.dropna()
    again = clone(plain).fit(X, long)
    np.testing.assert_allclose(again.soft_labels_, plain.soft_labels_)
    names = [f"image {i}" for i in range(600)]
    long["sample"] = [names[i] for i in long["sample"]]
    again = clone(plain).fit(pd.DataFrame(X, index=names), long)
    np.testing.assert_allclose(again.soft_labels_, plain.soft_labels_)
    named_X = pd.DataFrame(X, index=names)
    assert again.score(named_X, long) == pytest.approx(again.score(named_X, frame))


def test_a_wide_table_in_another_order_than_x(asked):
    """As of ``pivot``, which sorts names: "image 10" comes before "image 9"."""
    X, table, _ = asked
    X = pd.DataFrame(X, index=[f"image {i}" for i in range(len(X))])
    wide = pd.DataFrame(table, index=X.index)
    clf = AnnotatorConsensus(LOGISTIC, random_state=0).fit(X, wide)
    for use in (clone(clf).fit, clf.score):
        with pytest.raises(ValueError, match=r"another order. Pass y.loc\[X.index\]"):
            use(X, wide.sort_index())
    again = clone(clf).fit(X, wide.sort_index().loc[X.index])
    np.testing.assert_array_equal(again.labels_, clf.labels_)
    plain = clone(clf).fit(X, wide.set_axis(range(500, 500 + len(X))))
    np.testing.assert_array_equal(plain.labels_, clf.labels_)


def test_annotations_in_another_order_than_x(asked):
    X, table, _ = asked
    X = pd.DataFrame(X, index=[f"image {i}" for i in range(len(X))])
    wide = pd.DataFrame(table, index=X.index)
    clf = AnnotatorConsensus(LOGISTIC, method="majority_vote")
    with pytest.raises(ValueError, match="X has the samples of y in another order"):
        clf.fit(X, read_annotations(wide.sort_index()))
    again = clone(clf).fit(X, read_annotations(wide))
    np.testing.assert_array_equal(again.labels_, clf.fit(X, wide).labels_)


def test_scores_by_other_labels_or_weights(asked):
    X, table, y = asked
    X = pd.DataFrame(X, index=[f"image {i}" for i in range(len(X))])
    clf = AnnotatorConsensus(LOGISTIC, method="majority_vote").fit(X, table)
    with pytest.raises(ValueError, match="labels of another type than those of fit: '"):
        clf.score(X, y.astype(str))
    weights = pd.Series(np.arange(len(X)), X.index)
    with pytest.raises(ValueError, match="sample_weight has the index of X in another"):
        clf.score(X, y, weights.sort_index())
    right = clf.predict(X) == y
    assert clf.score(X, y, weights) == pytest.approx(np.average(right, weights=weights))


def test_clone_pickle_and_files(asked, tmp_path):
    X, table, _ = asked
    inner = NoisyRobustClassifier("ce", max_epochs=2, random_state=0)
    clf = AnnotatorConsensus(inner, cv=2, random_state=0).fit(X, table)
    expected = clf.predict_proba(X)
    loaded = pickle.loads(pickle.dumps(clf))
    np.testing.assert_array_equal(loaded.predict_proba(X), expected)
    np.testing.assert_array_equal(clone(clf).fit(X, table).labels_, clf.labels_)
    clf.save(tmp_path / "model.safetensors")
    loaded = sknoisy.load(tmp_path / "model.safetensors")
    np.testing.assert_array_equal(loaded.predict_proba(X), expected)
    np.testing.assert_array_equal(loaded.annotator_quality_, clf.annotator_quality_)


def test_search(asked):
    X, table, _ = asked
    grid = {
        "estimator__logisticregression__C": [1e-5, 0.1],
        "method": ["crowdlab", "majority_vote"],
    }
    clf = AnnotatorConsensus(LOGISTIC, cv=2, random_state=0)
    for y in (table, pd.DataFrame(table)):
        search = GridSearchCV(clf, grid, cv=KFold(2)).fit(X, y)
        assert search.best_params_["estimator__logisticregression__C"] == 0.1
        assert search.best_estimator_.labels_.shape == (600,)


def test_pretrainer_is_fitted_once_for_all_folds(digits, counting):
    X, y = digits[0].reshape(300, -1), digits[1]
    pipe = make_pipeline(counting, LogisticRegression(max_iter=500))
    clf = AnnotatorConsensus(pipe, cv=2, random_state=0).fit(X, y)
    assert counting.log == [300, 300]  # once for the folds, once for the classifier
    assert clf.predict(X).shape == (300,)
    assert not hasattr(counting, "encoder_")  # the user's own is not fitted


def test_unlabelled_samples_and_rare_classes(asked):
    X, table, y = asked
    table = table.copy()
    table[:50] = np.nan
    table[50] = 77  # of no other sample
    clf = AnnotatorConsensus(LOGISTIC, random_state=0).fit(X, table)
    assert (clf.labels_[:50] == y[:50]).mean() > 0.85
    np.testing.assert_allclose(clf.soft_labels_[:50], clf.pred_probs_[:50])
    assert clf.predict_proba(X).shape == (600, 11)
    assert clf.classes_[-1] == 77
    with pytest.raises(ValueError, match="no label for the samples 0, 1"):
        clf.set_params(method="majority_vote").fit(X, table)


def test_groups(asked):
    X, table, _ = asked
    groups = np.arange(600) // 2
    clf = AnnotatorConsensus(LOGISTIC, cv=3, random_state=0)
    alone, grouped = clone(clf).fit(X, table), clone(clf).fit(X, table, groups=groups)
    assert (alone.pred_probs_ != grouped.pred_probs_).any()
    probs = out_of_sample(LOGISTIC, X, read_annotations(table), 3, None, 0, groups)
    np.testing.assert_allclose(grouped.pred_probs_, probs)
    with config_context(enable_metadata_routing=True):
        asking = clone(clf).set_fit_request(groups=True)
        routed = make_pipeline("passthrough", asking).fit(X, table, groups=groups)
    np.testing.assert_array_equal(routed[-1].pred_probs_, grouped.pred_probs_)


def test_weights_reach_the_last_fit(asked):
    X, table, _ = asked
    weights = np.linspace(0, 2, 600)
    clf = AnnotatorConsensus(LogisticRegression(max_iter=30), "majority_vote")
    clf.fit(X, table, sample_weight=weights)
    rows, codes, shares = weighted_copies(clf.soft_labels_)
    plain = clone(clf.estimator).fit(X[rows], codes, shares * weights[rows])
    np.testing.assert_array_equal(clf.predict_proba(X), plain.predict_proba(X))
    ours = NoisyRobustClassifier("ce", max_epochs=1, random_state=0)
    clf.set_params(estimator=ours).fit(X, table, sample_weight=weights)
    ours.set_params(classes=clf.classes_).fit(X, clf.soft_labels_, weights)
    np.testing.assert_array_equal(clf.predict_proba(X), ours.predict_proba(X))
    clf.set_params(estimator=KNeighborsClassifier())
    with pytest.raises(ValueError, match="sample_weight is not valid"):
        clf.fit(X, table, sample_weight=weights)


def test_weights_reach_the_folds(asked):
    X, _, y = asked
    weights = np.linspace(0.1, 1.9, 600)  # of mean 1, to which the detector brings them
    clf = AnnotatorConsensus(LOGISTIC, cv=3, random_state=0)
    clf.fit(X, np.stack([y, y], axis=1), sample_weight=weights)
    detector = LabelErrorDetector(clf.estimator, cv=3, random_state=0)
    detector.fit(X, y, sample_weight=weights)
    plain = clone(clf).fit(X, y)
    assert np.abs(plain.pred_probs_ - clf.pred_probs_).max() > 0.02
    np.testing.assert_allclose(clf.pred_probs_, detector.pred_probs_, atol=0.01)


@pytest.mark.parametrize(
    "params, message",
    [
        ({"method": "crowd"}, "method='crowd' is not valid"),
        ({"estimator": LinearSVC()}, "must have predict_proba"),
        ({"estimator": LinearRegression()}, "must be a classifier, such as Random"),
        ({"estimator": LinearRegression(), "method": "majority_vote"}, "must be a cla"),
        ({"estimator": "rf"}, "must be a classifier, such as Random"),
        ({"estimator": NoisyRobustClassifier("erl")}, "loss='erl'"),
    ],
)
def test_bad_parameters(params, message, asked):
    clf = AnnotatorConsensus(LOGISTIC).set_params(**params)
    with pytest.raises(ValueError, match=message):
        clf.fit(*asked[:2])


def test_bad_labels(asked):
    X, table, _ = asked
    clf = AnnotatorConsensus(LOGISTIC)
    with pytest.raises(ValueError, match="inconsistent numbers of samples"):
        clf.fit(X, table[1:])
    with pytest.raises(ValueError, match="one class"):
        clf.fit(X, np.ones((600, 2)))
    svc = AnnotatorConsensus(LinearSVC(), method="majority_vote")
    assert not hasattr(svc.fit(X, np.nan_to_num(table)), "predict_proba")


def test_too_few_samples_of_each_class_are_named():
    table = pd.DataFrame({"ann": [0, 1, None], "bob": [0, 2, 2], "cy": [None, 1, 2]})
    with pytest.raises(ValueError, match="0 of 3 classes have at least two samples"):
        AnnotatorConsensus(LogisticRegression()).fit(np.eye(3), table)


def test_a_fit_that_fails_leaves_it_as_it_was():
    X, y = load_digits(return_X_y=True)
    X, table = X[:60], np.stack([y[:60], y[:60]], axis=1).astype(float)
    gaps = table.copy()
    gaps[3] = np.nan
    meta = AnnotatorConsensus(KNeighborsClassifier(1), "majority_vote")
    with pytest.raises(ValueError, match="no label for the samples 3"):
        meta.fit(X, gaps)
    assert not hasattr(meta, "n_features_in_")
    labels = meta.fit(X, table).labels_
    with pytest.raises(ValueError, match="no label for the samples 3"):
        meta.fit(X[:, :5], gaps)
    assert meta.n_features_in_ == 64
    np.testing.assert_array_equal(meta.labels_, labels)
