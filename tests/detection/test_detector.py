import pickle
import warnings

import joblib
import numpy as np
import pandas as pd
import pytest
from nets import narrow
from scipy.sparse import coo_array, csc_array, csr_matrix
from scipy.special import expit
from sklearn import config_context
from sklearn.base import clone
from sklearn.compose import ColumnTransformer
from sklearn.datasets import load_digits, load_iris
from sklearn.decomposition import PCA
from sklearn.dummy import DummyClassifier
from sklearn.ensemble import RandomForestClassifier
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.feature_selection import SelectKBest
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import (
    GridSearchCV,
    GroupKFold,
    KFold,
    ShuffleSplit,
    cross_val_predict,
)
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler, TargetEncoder
from sklearn.svm import LinearSVC
from sklearn.utils.estimator_checks import parametrize_with_checks

import sknoisy
from sknoisy import (
    CoTrainingClassifier,
    LabelCleaningClassifier,
    LabelErrorDetector,
    NoisyRobustClassifier,
    PseudoLabelRefiner,
    SSLPretrainer,
)
from sknoisy.detection.evidence import Evidence
from sknoisy.detection.label_free import label_free_steps
from sknoisy.detection.methods import (
    DETECTION_METHODS,
    ConfidentLearning,
    DetectionMethod,
    KNNAgreement,
    LossGMM,
    WrongEvents,
)
from sknoisy.detection.report import agreement_of, warn_of_near_copies
from sknoisy.detection.sources import from_dynamics, leaves_out
from sknoisy.metrics import detection_average_precision, detection_f1
from sknoisy.noise import pair_flip, symmetric_exclusive
from sknoisy.scores import (
    find_label_errors,
    pairwise_confidence,
    wrong_event_clean_probability,
)

FITTED = ["label_errors_", "label_quality_", "suggested_labels_", "noise_rate_"]
FITTED += ["transition_matrix_", "confident_joint_"]
LOGISTIC = make_pipeline(StandardScaler(), LogisticRegression(C=0.1))
OURS = NoisyRobustClassifier(random_state=0)  # on vectors, a kernel machine
NETWORK = NoisyRobustClassifier("elr", max_epochs=20, random_state=0)


@parametrize_with_checks(
    [
        LabelErrorDetector(LogisticRegression()),
        LabelErrorDetector(),
        LabelErrorDetector(LogisticRegression(), method=KNNAgreement(n_neighbors=5)),
        LabelErrorDetector(NoisyRobustClassifier("ce", max_epochs=1), cv="dynamics"),
    ]
)
@pytest.mark.filterwarnings("ignore:out-of-sample")  # of checks with random labels
def test_scikit_learn(estimator, check):
    check(estimator)


@pytest.fixture(scope="module")
def noisy():
    """All digits as vectors, and labels of which 5% are wrong."""
    X, y = load_digits(return_X_y=True)
    return X, symmetric_exclusive(y, 0.05, random_state=0)


SOURCES = [(name, 5) for name in sorted(DETECTION_METHODS)]
OF_DYNAMICS = ["area_under_margin", "wrong_events"]
SOURCES = [(name, cv) for name, cv in SOURCES if name not in OF_DYNAMICS]
SOURCES += [(name, "dynamics") for name in [*OF_DYNAMICS, "loss_gmm"]]


@pytest.mark.parametrize("method, cv", SOURCES)
def test_worst_digits_are_the_wrong_ones(method, cv, noisy):
    """Of the 5% that are wrong, the worst-ranked 5% hold at least 80%."""
    n = 900 if cv == 5 else 1200  # of fewer, first epochs miss half of the wrong ones
    X, y, wrong = noisy[0][:n], noisy[1].y[:n], noisy[1].is_wrong[:n]
    estimator = LOGISTIC if cv == 5 else NETWORK
    detector = LabelErrorDetector(estimator, method=method, cv=cv, random_state=0)
    worst = detector.fit(X, y).ranked(all_samples=True)[: wrong.sum()]
    assert wrong[worst].mean() >= 0.8
    assert detection_f1(wrong, detector.label_errors_) > 0.7
    assert detector.noise_rate_ == pytest.approx(0.05, abs=0.02)


@pytest.mark.parametrize("method", ["confident_learning", "loss_gmm", "knn_agreement"])
def test_attributes(method, noisy):
    X, y = noisy[0][:400], noisy[1].y[:400]
    detector = LabelErrorDetector(LOGISTIC, method=method, random_state=0).fit(X, y)
    errors, quality = detector.label_errors_, detector.label_quality_
    assert errors.shape == quality.shape == (400,) and errors.dtype == bool
    assert quality.min() >= 0 and quality.max() <= 1
    changed = detector.suggested_labels_ != y
    joint = detector.confident_joint_
    np.testing.assert_array_equal(joint.sum(axis=1), np.bincount(y))
    low, high = detector.noise_rate_interval_
    assert 0 <= low <= detector.noise_rate_ <= high <= 1
    T = detector.transition_matrix_
    np.testing.assert_allclose(T.sum(axis=1), 1)
    wrong, confidence = detector.error_probability_, detector.suggestion_confidence_
    np.testing.assert_allclose(confidence[~changed], 1 - wrong[~changed])
    assert (confidence[changed] > 1 - wrong[changed]).all()
    assert wrong[errors].min() >= wrong[~errors].max()
    assert not errors.any() or 1 - wrong[errors].mean() <= 0.3 + 1e-9
    assert (wrong[errors] >= 0.5).all()
    np.testing.assert_array_equal(detector.classes_, range(10))
    ranked = detector.ranked()
    assert sorted(ranked) == np.flatnonzero(errors).tolist()
    assert (np.diff(quality[ranked]) >= 0).all()
    assert sorted(detector.ranked(all_samples=True)) == list(range(400))


def test_folds_are_cross_val_predict(noisy):
    """With folds of the user's own, it is the functions on scikit-learn's output."""
    X, y = noisy[0][:500], noisy[1].y[:500]
    cv = KFold(4, shuffle=True, random_state=1)
    p = cross_val_predict(LOGISTIC, X, y, cv=cv, method="predict_proba")
    for folds in (cv, list(cv.split(X)), cv.split(X)):
        detector = LabelErrorDetector(LOGISTIC, cv=folds, max_false_alarms=None)
        detector.fit(X, y)
        np.testing.assert_array_equal(detector.label_errors_, find_label_errors(y, p))
        np.testing.assert_allclose(detector.label_quality_, pairwise_confidence(y, p))
        np.testing.assert_allclose(detector.pred_probs_, p)


@pytest.mark.parametrize("method", ["auto", "knn_agreement", "area_under_margin"])
def test_the_classifier_by_default(noisy, method, tmp_path):
    X, y = noisy[0][:150].astype(np.float32), noisy[1].y[:150]
    found = LabelErrorDetector(method=method, random_state=0).fit(X, y)
    clf = NoisyRobustClassifier(random_state=0)
    expected = LabelErrorDetector(clf, method, random_state=0).fit(X, y)
    np.testing.assert_array_equal(found.label_quality_, expected.label_quality_)
    np.testing.assert_array_equal(found.label_errors_, expected.label_errors_)
    assert found.estimator is None
    found.to_html(tmp_path / "page.html")
    assert "NoisyRobustClassifier(" in (tmp_path / "page.html").read_text()


def test_predictions_that_say_nothing(noisy):
    X, y = noisy[0][:500], noisy[1].y[:500]
    detector = LabelErrorDetector(LOGISTIC, random_state=0).fit(X, y)
    agrees = detector.pred_probs_.argmax(axis=1) == y
    assert detector.agreement_ == agrees.mean()
    noise = np.random.default_rng(0).normal(size=(500, 3))
    for clf in (LOGISTIC, DummyClassifier()):
        with pytest.warns(UserWarning, match="may be chance"):
            detector = LabelErrorDetector(clf, random_state=0).fit(noise, y)
        assert not detector.label_errors_.any()
        np.testing.assert_array_equal(detector.suggested_labels_, y)
        assert detector.noise_rate_interval_ == (0, 1)
        with pytest.warns(UserWarning, match="may be chance"):
            detector.set_params(max_false_alarms=None).fit(noise, y)
        assert detector.label_errors_.any()  # by the published rule


@pytest.mark.parametrize("n_classes", [2, 3])
def test_a_column_that_is_the_label_is_warned_of(n_classes):
    X, y = load_iris(return_X_y=True)
    X, y = X[y < n_classes], y[y < n_classes]
    noisy = pair_flip(y, 0.2, random_state=0).y
    told = np.c_[X[:, :2], 10.0 - noisy, X[:, 2:]]
    with pytest.warns(UserWarning, match="labels themselves.* in column 2"):
        detector = LabelErrorDetector(random_state=0).fit(told, noisy)
    assert not detector.label_errors_.any()
    once = np.where(np.arange(len(y)) == 7, 5.0, told[:, 2])  # not everywhere
    with warnings.catch_warnings():
        warnings.filterwarnings("error", message=".*labels themselves")
        for column in (y, y == 0, once, np.arange(len(y))):
            LabelErrorDetector(LOGISTIC, random_state=0).fit(np.c_[X, column], noisy)


@pytest.mark.parametrize("kind", ["str", "category", "string"])
def test_a_named_column_that_is_the_label_is_warned_of(kind):
    """Also beside gaps and categories, of which no table of numbers can be made."""
    X, y = load_iris(return_X_y=True, as_frame=True)
    noisy = pair_flip(y, 0.2, random_state=0).y
    X["parity"] = pd.Series(noisy % 2).map({0: "even", 1: None})
    names = pd.Series(np.array(["b", "c", "a"])[noisy])
    encode = OneHotEncoder(handle_unknown="ignore")
    clf = make_pipeline(encode, LogisticRegression())
    told = X.assign(species=names.astype(kind))
    for estimator in (LabelErrorDetector(clf, cv=2), LabelCleaningClassifier(clf)):
        with pytest.warns(UserWarning, match="labels themselves.* in column 'species'"):
            estimator.fit(told, noisy)
        with warnings.catch_warnings():
            warnings.filterwarnings("error", message=".*labels themselves")
            estimator.fit(X, noisy)


@pytest.mark.parametrize("made", ["augmented", "interpolated"])
def test_near_copies_without_groups_are_warned_of(made):
    X, y = load_digits(return_X_y=True)
    rng = np.random.default_rng(0)
    X, y = X[:150], y[:150]
    more = X + rng.normal(scale=0.5, size=X.shape)
    if made == "interpolated":  # of another sample of the class
        other = np.array([rng.choice(np.flatnonzero(y == c)) for c in y])
        more = X + rng.uniform(0.05, 0.3, size=(150, 1)) * (X[other] - X)
    noisy = np.where(rng.random(150) < 0.2, (y + 1) % 10, y)
    both = np.r_[X, more], np.r_[noisy, noisy]
    with pytest.warns(UserWarning, match="nearly copies of others.*Pass groups="):
        alone = LabelErrorDetector(LOGISTIC, cv=3, random_state=0).fit(*both)
    with warnings.catch_warnings():
        warnings.filterwarnings("error", message=".*nearly copies")
        groups = np.r_[np.arange(150), np.arange(150)]
        found = LabelErrorDetector(LOGISTIC, cv=3, random_state=0)
        found.fit(*both, groups=groups)
        recalls = [
            d.label_errors_[both[1] != np.r_[y, y]].mean() for d in (alone, found)
        ]
        assert recalls[1] > recalls[0] + 0.2
        pixels = (X > 8).astype(float)  # equal by chance, and at equal distances
        for table in (X, pixels, X[:, :1] * 0):
            warn_of_near_copies(table, noisy)


def test_a_class_that_is_never_predicted_is_no_chance_where_it_ranks_higher():
    rng = np.random.default_rng(0)
    codes = (rng.random(2000) < 0.2).astype(int)
    share = 0.2 + 0.2 * expit(rng.normal(size=2000) + codes)  # below a half
    probs = np.stack([1 - share, share], axis=1)
    assert agreement_of(codes, probs) == (np.mean(codes == 0), None)
    assert "may be chance" in agreement_of(codes, rng.permutation(probs))[1]


def test_predictions_of_one_class_alone_are_named_so():
    rng = np.random.default_rng(0)
    codes, share = rng.permutation(np.arange(400) % 10 == 0), rng.uniform(0, 0.4, 400)
    _, message = agreement_of(codes.astype(int), np.c_[1 - share, share])
    for part in ("may be chance", "all predictions are of one class", "order"):
        assert part in message


@pytest.mark.filterwarnings("error:out-of-sample")
@pytest.mark.parametrize("seed", range(10))
def test_few_of_a_class_are_no_chance(seed):
    """2% of one class, 20% of all labels flipped, and predictions that are right."""
    rng = np.random.default_rng(seed)
    y = (np.arange(1000) < 20).astype(int)
    noisy = np.where(rng.random(1000) < 0.2, 1 - y, y)
    X = np.c_[y, rng.normal(size=1000)]
    prefit = LogisticRegression(C=100).fit(X, y)
    LabelErrorDetector(prefit, cv="prefit").fit(X, noisy)


def test_pretrainer_is_fitted_once(digits, counting):
    X, y = digits[0].reshape(300, -1), digits[1]
    clf = NoisyRobustClassifier(max_epochs=1, random_state=0)
    pipe = make_pipeline(counting, clf)
    detector = LabelErrorDetector(pipe, cv=3, random_state=0).fit(X, y)
    assert counting.log == [300]
    assert not hasattr(counting, "encoder_")  # the user's own is not fitted
    LabelErrorDetector(pipe, method="knn_agreement").fit(X, y)
    LabelErrorDetector(pipe, cv="dynamics").fit(X, y)
    assert counting.log == [300, 300, 300]
    features = clone(counting).fit_transform(X)
    same = LabelErrorDetector(clf, cv=3, random_state=0).fit(features, y)
    np.testing.assert_array_equal(detector.label_quality_, same.label_quality_)


def test_pipeline_memory_serves_the_pretrainer(digits, counting, tmp_path):
    X, y = digits[0].reshape(300, -1), digits[1]
    pipe = make_pipeline(counting, LOGISTIC, memory=str(tmp_path))
    first = LabelErrorDetector(pipe, cv=2, random_state=0).fit(X, y)
    again = LabelErrorDetector(pipe, cv=2, random_state=0).fit(X, y[::-1])
    assert counting.log == [300]
    assert (first.label_quality_ != again.label_quality_).any()


def test_prefit(noisy):
    X, y = noisy[0], noisy[1].y
    model = clone(LOGISTIC).fit(X[:900], y[:900])
    for estimator in (model, FrozenEstimator(model)):
        detector = LabelErrorDetector(estimator, cv="prefit", max_false_alarms=None)
        detector.fit(X[900:], y[900:])
        p = model.predict_proba(X[900:])
        expected = find_label_errors(y[900:], p)
        np.testing.assert_array_equal(detector.label_errors_, expected)
        assert detector.estimator_ is estimator
    some = y < 7  # the classes are the model's, not those of these labels
    detector.fit(X[some], y[some])
    assert detector.confident_joint_.shape == (10, 10)
    with pytest.raises(ValueError, match="labels that are not among the classes"):
        detector.fit(X, y + 1)


def test_a_classifier_that_memorised_the_labels_is_warned_of(noisy):
    X, y = noisy[0][:600], noisy[1].y[:600]
    forest = RandomForestClassifier(30, random_state=0).fit(X[:300], y[:300])
    with pytest.warns(UserWarning, match="predicts all 300 labels"):
        LabelErrorDetector(forest, cv="prefit").fit(X[:300], y[:300])
    with warnings.catch_warnings():
        warnings.filterwarnings("error", "the fitted classifier")
        LabelErrorDetector(forest, cv="prefit").fit(X[300:], y[300:])


def test_prefit_neighbours_use_the_fitted_pretrainer(digits):
    X, y = digits[0].reshape(300, -1), digits[1]
    ssl = SSLPretrainer(max_epochs=1, random_state=0)
    pipe = make_pipeline(ssl, LogisticRegression(max_iter=500)).fit(X, y)
    settings = {"method": "knn_agreement", "random_state": 0}
    fitted = LabelErrorDetector(pipe, cv="prefit", **settings).fit(X, y)
    anew = LabelErrorDetector(pipe, **settings).fit(X, y)
    np.testing.assert_allclose(fitted.label_quality_, anew.label_quality_)


def test_neighbours_take_a_pretrainer_alone(digits):
    X, y = digits[0][:100], digits[1][:100]
    ssl = SSLPretrainer(encoder=narrow, max_epochs=1, random_state=0)
    alone, in_pipeline = (
        LabelErrorDetector(estimator, method="knn_agreement").fit(X, y)
        for estimator in (ssl, make_pipeline(ssl, LogisticRegression()))
    )
    np.testing.assert_array_equal(alone.label_quality_, in_pipeline.label_quality_)


def test_neighbours_are_those_in_what_unsupervised_steps_make_of_samples(noisy):
    X, y = noisy[0][:300] * np.geomspace(1, 1e4, 64), noisy[1].y[:300]
    pca = make_pipeline("passthrough", StandardScaler(), PCA(8, random_state=0))
    features = pca.fit_transform(X)
    expected = LabelErrorDetector(LogisticRegression(), "knn_agreement")
    expected.fit(features, y)
    supervised = make_pipeline(*pca, SelectKBest(k=3), LogisticRegression())
    fitted = make_pipeline(*pca, LogisticRegression(max_iter=500)).fit(X, y)
    for estimator, cv in ((pca, 5), (supervised, 5), (fitted, "prefit")):
        detector = LabelErrorDetector(estimator, "knn_agreement", cv=cv).fit(X, y)
        np.testing.assert_allclose(detector.pred_probs_, expected.pred_probs_)
    plain = LabelErrorDetector(LogisticRegression(), "knn_agreement").fit(X, y)
    assert (plain.pred_probs_ != expected.pred_probs_).any()


def test_neighbours_do_not_see_labels_in_features():
    frame = pd.DataFrame({"a": list("xyxyxyxyxyxy"), "b": range(12)})
    y = np.arange(12) % 3
    by_labels = ColumnTransformer(
        [("a", TargetEncoder(), ["a"])], remainder="passthrough"
    )
    assert label_free_steps(make_pipeline(by_labels, LogisticRegression())) == []
    one_hot = ColumnTransformer(
        [("a", OneHotEncoder(), ["a"])], remainder="passthrough"
    )
    pipe = make_pipeline(one_hot, StandardScaler(), LogisticRegression())
    assert label_free_steps(pipe) == [one_hot, pipe[1]]
    method = KNNAgreement(n_neighbors=3)
    found = LabelErrorDetector(pipe, method).fit(frame, y)
    expected = LabelErrorDetector(LogisticRegression(), method)
    expected.fit(pipe[:-1].fit_transform(frame), y)
    np.testing.assert_allclose(found.pred_probs_, expected.pred_probs_)


def test_dynamics_of_a_kernel_machine_are_out_of_sample(noisy):
    X, y = noisy[0][:600], noisy[1].y[:600]
    detector = LabelErrorDetector(OURS, cv="dynamics").fit(X, y)
    left_out = detector.estimator_.loss_state_["left_out"]
    np.testing.assert_array_equal(detector.pred_probs_, left_out)
    codes = np.searchsorted(detector.classes_, y)
    losses = -np.log(left_out[np.arange(len(y)), codes])
    np.testing.assert_allclose(detector.estimator_.training_loss_, losses, rtol=1e-4)
    assert 0.8 < detector.agreement_ < 1
    assert detector.confident_joint_.sum() == 600
    found = roc_auc_score(noisy[1].is_wrong[:600], detector.error_probability_)
    assert found > 0.95


def test_one_training_where_it_leaves_samples_out(noisy):
    X, y = noisy[0][:150], noisy[1].y[:150]
    detector = LabelErrorDetector(OURS).fit(X, y)
    alone = clone(OURS).fit(X, y)
    p = alone.loss_state_["left_out"]
    np.testing.assert_array_equal(detector.pred_probs_, p)
    np.testing.assert_array_equal(detector.label_quality_, pairwise_confidence(y, p))
    np.testing.assert_array_equal(detector.estimator_.predict(X), alone.predict(X))
    assert detector.agreement_ is not None
    for same in (X.tolist(), pd.DataFrame(X)):
        again = LabelErrorDetector(OURS).fit(same, y)
        np.testing.assert_allclose(again.pred_probs_, p, atol=1e-5)
    scaled = LabelErrorDetector(make_pipeline(StandardScaler(), OURS)).fit(X, y)
    assert scaled.estimator_.predict(X).shape == y.shape
    ours = CoTrainingClassifier("kernel_posterior", random_state=0)
    assert LabelErrorDetector(ours).fit(X, y).estimator_ is not None


@pytest.mark.parametrize(
    "estimator, groups",
    [
        (LOGISTIC, None),
        (OURS, np.arange(100)),
        (clone(NETWORK).set_params(max_epochs=2), None),
        (clone(OURS).set_params(validation=0.2), None),
        (make_pipeline(SelectKBest(k=20), OURS), None),
    ],
)
def test_folds_where_it_does_not(estimator, groups, noisy):
    X, y = noisy[0][:100], noisy[1].y[:100]
    auto = LabelErrorDetector(estimator, random_state=0).fit(X, y, groups=groups)
    five = LabelErrorDetector(estimator, cv=5, random_state=0).fit(X, y, groups=groups)
    assert auto.estimator_ is None
    np.testing.assert_array_equal(auto.pred_probs_, five.pred_probs_)
    np.testing.assert_array_equal(auto.label_errors_, five.label_errors_)


def test_one_training_on_frozen_features(noisy):
    """Images whose encoder stays as it is are vectors to the classifier."""
    X, y = noisy[0][:200].reshape(-1, 8, 8).astype(np.float32), noisy[1].y[:200]
    ssl = SSLPretrainer(encoder=narrow, max_epochs=1, random_state=0)
    frozen = NoisyRobustClassifier(freeze_encoder=True, random_state=0)
    pipe = make_pipeline(ssl, frozen)
    assert leaves_out(pipe, X) and leaves_out(frozen, ssl.fit_transform(X))
    tuned = NoisyRobustClassifier(random_state=0)
    assert not leaves_out(make_pipeline(ssl, tuned), X)
    assert not leaves_out(tuned, X) and leaves_out(tuned, X.reshape(200, 64))
    detector = LabelErrorDetector(pipe).fit(X, y)
    assert detector.estimator_.predict(X).shape == (200,)
    assert detector.issues_ is not None


def test_one_training_judges_what_has_no_weight(noisy):
    """Samples that the training did not learn are predicted by what was learned."""
    X, y = noisy[0][:200], noisy[1].y[:200]
    weights = np.r_[np.zeros(20), np.ones(180)]
    p = LabelErrorDetector(OURS).fit(X, y, sample_weight=weights).pred_probs_
    alone = clone(OURS).fit(X[20:], y[20:])
    np.testing.assert_allclose(p[20:], alone.loss_state_["left_out"], atol=1e-6)
    np.testing.assert_allclose(p[:20], alone.predict_proba(X[:20]), atol=1e-5)


@pytest.mark.parametrize("method", OF_DYNAMICS)
def test_dynamics_of_what_has_no_weight_are_those_of_its_prediction(method, noisy):
    X, y = noisy[0][:200], noisy[1].y[:200]
    weights = np.r_[np.zeros(20), np.ones(180)]
    detector = LabelErrorDetector(NETWORK, method).fit(X, y, sample_weight=weights)
    quality = detector.label_quality_[:20]
    right = clone(NETWORK).fit(X[20:], y[20:]).predict(X[:20]) == y[:20]
    assert quality[right].min() > quality[~right].max()


def test_what_has_no_weight_was_wrong_in_all_epochs_or_in_none(noisy):
    X, y = noisy[0][:200], noisy[1].y[:200]
    given = {"sample_weight": np.r_[np.zeros(20), np.ones(180)]}
    clf = clone(NETWORK).set_params(max_epochs=3)
    evidence = from_dynamics(clf, X, y, np.arange(10), given)
    wrong = clf.predict(X[:20]) != y[:20]
    np.testing.assert_array_equal(evidence.wrong_events[:20], 3 * wrong)


def test_a_method_of_dynamics_asks_for_one_training(noisy):
    X, y = noisy[0][:200], noisy[1].y[:200]
    margins = LabelErrorDetector(NETWORK, "area_under_margin").fit(X, y)
    np.testing.assert_array_equal(
        margins.label_quality_, clone(NETWORK).fit(X, y).label_quality_
    )
    with pytest.raises(ValueError, match="method='wrong_events' is not valid with est"):
        LabelErrorDetector(LOGISTIC, "wrong_events").fit(X, y)


SINGLE = {
    "once": (OURS, "auto", "auto"),
    "folds": (LOGISTIC, "auto", "auto"),
    "dynamics": (NETWORK, "area_under_margin", "dynamics"),
    "neighbors": (None, "knn_agreement", "auto"),
}


@pytest.mark.parametrize("estimator, method, cv", SINGLE.values(), ids=SINGLE)
def test_a_label_that_no_other_sample_has_is_kept(estimator, method, cv, noisy):
    """The classifier, which has not seen the class, would call it wrong."""
    X, y = noisy[0][:200], noisy[1].y[:200].copy()
    y[[7, 8]] = 98, 99
    detector = LabelErrorDetector(estimator, method, cv=cv, random_state=0)
    with pytest.warns(UserWarning, match="1 sample of each of the classes 98, 99: "):
        detector.fit(X, y)
    assert not detector.label_errors_[[7, 8]].any()
    assert (detector.label_quality_ < 0.5).any()
    assert (detector.label_quality_[[7, 8]] == 1).all()
    assert (detector.error_probability_[[7, 8]] < 1e-3).all()
    np.testing.assert_array_equal(detector.suggested_labels_[[7, 8]], [98, 99])
    trusted = np.isin(np.arange(200), [7, 8])
    detector.set_params(estimator=estimator).fit(X, y, trusted=trusted)


def test_a_fitted_classifier_judges_a_label_that_no_other_sample_has(noisy):
    X, y = noisy[0][:200], noisy[1].y[:200].copy()
    fitted = clone(LOGISTIC).fit(noisy[0][200:], noisy[1].y[200:])
    y[y == 3] = 4
    y[7] = 3
    probs = fitted.predict_proba(X[[7]])
    detector = LabelErrorDetector(fitted, "self_confidence", cv="prefit").fit(X, y)
    assert detector.label_quality_[7] == pytest.approx(probs[0, 3])


def test_two_classes_of_two_samples_are_needed(noisy):
    X, y = noisy[0][:20], np.where(np.arange(20) > 0, 4, 13)
    for estimator in (OURS, LOGISTIC):
        with pytest.raises(ValueError, match="fewer than two classes of 2 samples"):
            LabelErrorDetector(estimator).fit(X, y)


def test_a_single_sample_that_is_trusted_is_in_no_fold(noisy):
    X, y = noisy[0][:200], noisy[1].y[:200].copy()
    y[7] = -1
    trusted, others = np.arange(200) == 7, np.arange(200) != 7
    weights = np.linspace(1, 2, 200)
    weights[7] = weights[others].mean()
    splits = [*KFold(4, shuffle=True, random_state=0).split(X[others])]
    places = np.flatnonzero(others)
    given = [[places[part] for part in split] for split in splits]
    given.append([places, np.array([7])])
    found = LabelErrorDetector(LOGISTIC, cv=given)
    found.fit(X, y, sample_weight=weights, trusted=trusted)
    alone = LabelErrorDetector(LOGISTIC, cv=splits)
    alone.fit(X[others], y[others], sample_weight=weights[others])
    probs = found.pred_probs_
    np.testing.assert_allclose(probs[others, 1:], alone.pred_probs_, atol=1e-6)
    np.testing.assert_array_equal(probs[others, 0], 0)
    np.testing.assert_array_equal(probs[7], [1] + [0] * 10)
    assert found.suggested_labels_[7] == -1


def test_dynamics_are_the_classifiers(noisy):
    X, y = noisy[0][:400], noisy[1].y[:400]
    settings = {"cv": "dynamics", "method": "area_under_margin"}
    settings["max_false_alarms"] = None
    detector = LabelErrorDetector(NETWORK, **settings).fit(X, y)
    alone = clone(NETWORK).fit(X, y)
    np.testing.assert_array_equal(detector.label_quality_, alone.label_quality_)
    np.testing.assert_array_equal(detector.label_errors_, alone.label_quality_ < 0.5)
    np.testing.assert_array_equal(detector.estimator_.predict(X), alone.predict(X))
    assert detector.pred_probs_ is None


@pytest.mark.parametrize("loss", ["ce", "elr"])
def test_a_network_that_memorises_finds_errors_by_its_first_epochs(loss, noisy):
    """Its last predictions are the given labels, nearly all of them for "ce"."""
    X, y = noisy[0], load_digits().target
    labels = symmetric_exclusive(y, 0.3, random_state=0)
    clf = NoisyRobustClassifier(loss, max_epochs=30, random_state=0)
    detector = LabelErrorDetector(clf, cv="dynamics").fit(X, labels.y)
    wrong = labels.is_wrong
    if loss == "ce":
        assert (detector.estimator_.predict(X) == labels.y)[wrong].mean() > 0.8
    assert detection_f1(wrong, detector.label_errors_) > 0.8
    assert detector.noise_rate_ == pytest.approx(0.3, abs=0.1)
    low, high = detector.noise_rate_interval_
    assert low < 0.3 < high
    changed = detector.suggested_labels_ != labels.y
    assert (detector.suggested_labels_ == y)[changed].mean() > 0.9


def test_warns_where_the_first_epochs_tell_little(noisy):
    X, y = noisy[0][:300], load_digits().target
    labels = symmetric_exclusive(y, 0.3, random_state=0)
    with pytest.warns(
        UserWarning, match="in its first epochs .* disagreed with as many"
    ):
        LabelErrorDetector(NETWORK, cv="dynamics").fit(X, labels.y[:300])


def test_a_network_marks_hardly_a_right_label():
    X, y = (part[:900] for part in load_digits(return_X_y=True))
    for loss in ("ce", "elr"):
        clf = NoisyRobustClassifier(loss, max_epochs=30, random_state=0)
        detector = LabelErrorDetector(clf, cv="dynamics").fit(X, y)
        assert detector.noise_rate_ < 0.01
        assert detector.label_errors_.mean() < 0.005


def test_what_the_first_epochs_missed_may_be_wrong():
    """The interval holds the share of labels that were not predicted."""
    rng = np.random.default_rng(0)
    label = rng.choice([0.9, 0.3], p=[0.7, 0.3], size=400)
    codes = np.arange(400) % 2
    early = np.stack([label, 1 - label], axis=1)
    evidence = Evidence(codes, 1 - codes, early=early, n_classes=2)
    found = evidence.posterior()
    low, high = found.noise_rate_interval
    missed = (label < 0.5).mean()
    assert low <= found.noise_rate <= high and high >= missed
    trusted = label < 0.5
    assert evidence.posterior(trusted).noise_rate_interval[1] < missed


def test_probabilities_of_first_epochs_by_hand():
    """Classes beyond the label and the best other one share the rest, as equals.

    None has more than the best other one has, and none less than a millionth.
    """
    early = np.array([[0.5, 0.2], [0.1, 0.2], [1.0, 0.0]])
    codes, others = np.array([0, 1, 2]), np.array([3, 0, 1])
    found = Evidence(codes, others, early=early, n_classes=4).probabilities()
    expected = np.array([[0.5, 0.15, 0.15, 0.2], [2 / 7, 1 / 7, 2 / 7, 2 / 7]])
    np.testing.assert_allclose(found[:2], expected)
    np.testing.assert_allclose(found[2], [1e-6, 1e-6, 1, 1e-6], rtol=1e-5)


def test_predictions_by_chance_are_seldom_called_better():
    """Of shuffled predictions, 2.3% are two standard errors above chance."""
    rng = np.random.default_rng(0)
    codes, predicted = (rng.random((2, 500)) < 0.2).astype(int)
    shuffled = (rng.permutation(predicted) for _ in range(1000))
    passed = [agreement_of(codes, np.eye(2)[p])[1] is None for p in shuffled]
    assert np.mean(passed) == pytest.approx(0.023, abs=0.015)


def test_wrong_events_are_the_classifiers(noisy):
    X, y = noisy[0][:400], noisy[1].y[:400]
    settings = {"cv": "dynamics", "method": WrongEvents(threshold=0.3)}
    detector = LabelErrorDetector(NETWORK, **settings, max_false_alarms=None)
    detector.fit(X, y)
    alone = clone(NETWORK).fit(X, y)
    clean = wrong_event_clean_probability(y, alone.wrong_events_)
    np.testing.assert_array_equal(detector.label_errors_, clean < 0.3)
    order = np.lexsort([alone.training_loss_, alone.wrong_events_])
    np.testing.assert_array_equal(np.argsort(-detector.label_quality_), order)


def test_quality_of_wrong_events_by_hand():
    """Three epochs, none, three and none missed the labels."""
    evidence = Evidence(
        codes=np.zeros(4, dtype=int),
        others=np.ones(4, dtype=int),
        losses=np.array([3.0, 0.2, 2.0, 0.1]),
        wrong_events=np.array([3.0, 0.0, 3.0, 0.0]),
    )
    _, quality = WrongEvents().judge(evidence)
    expected = 1 - (np.array([3, 0, 3, 0]) + np.array([7, 3, 5, 1]) / 8) / 4
    np.testing.assert_allclose(quality, expected)


def test_string_labels(noisy):
    X, y = noisy[0][:400], noisy[1].y[:400]
    names = np.array([f"class {c}" for c in y])
    plain = LabelErrorDetector(LOGISTIC, random_state=0).fit(X, y)
    named = LabelErrorDetector(LOGISTIC, random_state=0).fit(X, names)
    np.testing.assert_array_equal(plain.label_quality_, named.label_quality_)
    expected = [f"class {c}" for c in plain.suggested_labels_]
    assert named.suggested_labels_.tolist() == expected
    named = LabelErrorDetector(OURS, cv="dynamics").fit(X, names)
    assert set(named.suggested_labels_) <= set(names)


def test_texts():
    texts = ["red apple", "green apple", "red cherry", "apple pie"] * 5
    texts += ["fast car", "red car", "car race", "car wheel"] * 5
    y = np.repeat(["fruit", "car"], 20)
    y[3] = "car"
    clf = make_pipeline(TfidfVectorizer(), LogisticRegression())
    detector = LabelErrorDetector(clf, random_state=0).fit(texts, y)
    assert detector.ranked().tolist() == [3]


KINDS = {
    "csr_matrix": csr_matrix,
    "csc_array": csc_array,
    "coo_array": coo_array,
    "int": lambda X: csr_matrix(X.astype(np.int32)),
    "frame": lambda X: pd.DataFrame.sparse.from_spmatrix(csr_matrix(X)),
}


@pytest.mark.parametrize("kind", KINDS)
def test_sparse_tables_of_few_columns_are_judged_as_dense_ones(kind, noisy, tmp_path):
    X, y = noisy[0][:150], noisy[1].y[:150]
    dense = LabelErrorDetector(random_state=0).fit(X, y)
    sparse = LabelErrorDetector(random_state=0).fit(KINDS[kind](X), y)
    np.testing.assert_allclose(sparse.pred_probs_, dense.pred_probs_, atol=1e-6)
    assert sparse.n_features_in_ == X.shape[1]
    sparse.save(tmp_path / "detector")
    loaded = sknoisy.load(tmp_path / "detector")  # it has no code of others
    np.testing.assert_array_equal(
        loaded.estimator_.predict(KINDS[kind](X)), loaded.estimator_.predict(X)
    )


def test_sparse_columns_that_are_not_filled_with_zeros(noisy):
    X, y = noisy[0][:100, :2], noisy[1].y[:100]
    frame = pd.DataFrame(X, columns=["a", "b"]).astype(pd.SparseDtype(float, np.nan))
    with pytest.raises(ValueError, match="other values than 0: 'a' .*to_dense"):
        LabelErrorDetector().fit(frame, y)


def test_a_random_state_is_used_up(noisy):
    """As scikit-learn's are: the next fit draws other numbers, an int the same ones."""
    X, y = noisy[0][:100], noisy[1].y[:100]
    for estimator in (
        LabelErrorDetector(),
        LabelCleaningClassifier(LogisticRegression()),
    ):
        rng = np.random.RandomState(0)
        estimator.set_params(random_state=rng).fit(X, y)
        assert rng.randint(2**31) != np.random.RandomState(0).randint(2**31)


def test_sparse_tables_of_many_columns(noisy, tmp_path):
    """Their singular vectors are judged, and no sample by its own label."""
    X, y, wrong = noisy[0][:300], noisy[1].y[:300], noisy[1].is_wrong[:300]
    wide = csr_matrix(np.hstack([X] * 5))
    detector = LabelErrorDetector(random_state=0).fit(wide, y)
    assert detection_average_precision(wrong, detector.label_quality_) > 0.9
    svd = detector.estimator_[0]
    assert svd.transform(wide).shape == (len(X), 256)
    by_hand = LabelErrorDetector(
        make_pipeline(clone(svd), NoisyRobustClassifier(random_state=0)), random_state=0
    ).fit(wide, y)
    np.testing.assert_array_equal(detector.pred_probs_, by_hand.pred_probs_)
    again = clone(detector).fit(wide, np.where(np.arange(len(y)) == 7, 1 - y[7] % 2, y))
    assert np.abs(again.pred_probs_[7] - detector.pred_probs_[7]).max() < 0.01
    detector.save(tmp_path / "detector")
    loaded = sknoisy.load(tmp_path / "detector", allow=["sklearn.*"])
    np.testing.assert_array_equal(
        loaded.estimator_.predict(wide), detector.estimator_.predict(wide)
    )
    assert len(detector.issues_)
    few = LabelErrorDetector(random_state=0).fit(wide[:90], y[:90])  # fewer than 256
    assert few.pred_probs_.shape == (90, 10)


def test_empty_columns_of_sparse_tables_do_not_count(noisy, tmp_path):
    """Hashed words fill a few of a million columns: they are judged as those few."""
    X, y = noisy[0][:400], noisy[1].y[:400]
    filled = np.flatnonzero(X.any(axis=0))
    rows, columns = np.nonzero(X)
    hashed = coo_array((X[rows, columns], (rows, 7 * columns + 2**19)), (400, 2**20))
    few = LabelErrorDetector(random_state=0).fit(csr_matrix(X[:, filled]), y)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        detector = LabelErrorDetector(random_state=0).fit(hashed, y)
    np.testing.assert_allclose(detector.pred_probs_, few.pred_probs_, atol=1e-6)
    detector.save(tmp_path / "detector")
    assert (tmp_path / "detector").stat().st_size < 2**21
    loaded = sknoisy.load(tmp_path / "detector")
    later = hashed + coo_array(([9.0], ([0], [5])), hashed.shape)
    np.testing.assert_array_equal(
        loaded.estimator_.predict(later), detector.estimator_.predict(hashed)
    )


def test_words_are_judged_without_a_classifier():
    words = [f"w{i}" for i in range(400)]
    rng = np.random.default_rng(0)
    right = np.arange(200) % 2
    texts = [" ".join(rng.choice(words[200 * c : 200 * c + 200], 20)) for c in right]
    noisy = symmetric_exclusive(right, rate=0.2, random_state=0)
    y, wrong = noisy.y, noisy.is_wrong
    X = TfidfVectorizer().fit_transform(texts)
    for settings in ({}, {"cv": 3}, {"cv": "dynamics"}, {"method": "knn_agreement"}):
        detector = LabelErrorDetector(random_state=0, **settings).fit(X, y)
        assert detection_average_precision(wrong, detector.label_quality_) > 0.8


def test_images_and_files(image_files, colour):
    X, y = colour
    y = y.copy()
    y[[3, 10]] = 1 - y[[3, 10]]
    settings = {"max_epochs": 5, "views": "none", "random_state": 0}
    clf = NoisyRobustClassifier("ce", "mlp", **settings)
    for inputs, size in ((X, None), (image_files[0], 4)):
        clf.set_params(image_size=size)
        detector = LabelErrorDetector(clf, cv=3, random_state=0).fit(inputs, y)
        assert set(detector.ranked()) == {3, 10}
    flat = LabelErrorDetector(clf, method="knn_agreement").fit(X.reshape(60, -1), y)
    images = LabelErrorDetector(clf, method="knn_agreement").fit(X, y)
    np.testing.assert_array_equal(images.label_quality_, flat.label_quality_)


def test_search_as_estimator_and_search_of_settings(noisy):
    X, labels = noisy
    search = GridSearchCV(LogisticRegression(max_iter=50), {"C": [1e-4, 1e-2]}, cv=2)
    detector = LabelErrorDetector(make_pipeline(StandardScaler(), search), cv=2)
    detector.set_params(random_state=0).fit(X[:600], labels.y[:600])
    quality = detector.label_quality_
    assert detection_average_precision(labels.is_wrong[:600], quality) > 0.8
    detector.set_params(method="confident_learning", method__prune="both")
    with pytest.raises(ValueError, match="prune='both' is not valid with max_false"):
        detector.fit(X, labels.y)
    assert detector.method.prune == "both"
    detector.set_params(estimator__gridsearchcv__cv=3)
    assert search.cv == 3


def test_prune_rules_and_quality_reach_the_functions(noisy):
    X, y = noisy[0][:500], noisy[1].y[:500]
    by_name = LabelErrorDetector(LOGISTIC, max_false_alarms=None, random_state=0)
    by_name.fit(X, y)
    for prune in ("prune_by_class", "both", "confident_learning"):
        method = ConfidentLearning(prune, quality="normalized_margin")
        detector = clone(by_name).set_params(method=method).fit(X, y)
        expected = find_label_errors(y, by_name.pred_probs_, rule=prune)
        np.testing.assert_array_equal(detector.label_errors_, expected)
        assert (detector.label_quality_ != by_name.label_quality_).any()


def test_clone_pickle_and_joblib(noisy, tmp_path):
    X, y = noisy[0][:300], noisy[1].y[:300]
    detector = LabelErrorDetector(LOGISTIC, method=LossGMM(0.4), random_state=0)
    detector.set_params(max_false_alarms=None).fit(X, y)
    joblib.dump(detector, tmp_path / "detector.joblib")
    copies = [
        pickle.loads(pickle.dumps(detector)),
        joblib.load(tmp_path / "detector.joblib"),
        clone(detector).fit(X, y),
    ]
    with joblib.parallel_config(backend="threading"):
        copies.append(clone(detector).set_params(n_jobs=2).fit(X, y))
    for copy in copies:
        for name in FITTED:
            np.testing.assert_array_equal(getattr(copy, name), getattr(detector, name))
        assert copy.report().equals(detector.report())


@pytest.mark.parametrize("pandas", [True, False])
def test_report(pandas, noisy, monkeypatch):
    X, y = noisy[0][:500], noisy[1].y[:500]
    detector = LabelErrorDetector(LOGISTIC, random_state=0).fit(X, y)
    if pandas:
        table = pytest.importorskip("pandas").DataFrame(detector.report())
    else:
        monkeypatch.setitem(__import__("sys").modules, "pandas", None)
        table = detector.report()
        assert isinstance(table, dict)
    errors = detector.label_errors_
    assert list(table["class"]) == list(range(10))
    np.testing.assert_array_equal(table["n_labels"], np.bincount(y))
    np.testing.assert_array_equal(
        table["n_errors"], np.bincount(y[errors], minlength=10)
    )
    changed = detector.suggested_labels_ != y
    missed = np.bincount(detector.suggested_labels_[changed], minlength=10)
    np.testing.assert_array_equal(table["missed"], missed)
    assert table["mean_quality"][4] == pytest.approx(
        detector.label_quality_[y == 4].mean()
    )
    for c in range(10):
        found = detector.suggested_labels_[changed & (y == c)]
        assert (table["suggested"][c] is None) == (len(found) == 0)
        assert len(found) == 0 or table["suggested"][c] in found


def test_report_says_what_is_confused():
    X, y = load_digits(return_X_y=True)
    flipped = pair_flip(y, 0.2, random_state=0)
    detector = LabelErrorDetector(RandomForestClassifier(30, random_state=0), cv=3)
    table = detector.set_params(random_state=0).fit(X, flipped.y).report()
    assert list(table["suggested"]) == [9, *range(9)]
    T = detector.transition_matrix_
    np.testing.assert_allclose(T, flipped.transition_matrix, atol=0.1)


def test_rare_class(noisy):
    X, y = noisy[0][:300], noisy[1].y[:300].copy()
    y[:3] = 77
    with pytest.warns(UserWarning, match="least populated class in y has only 3"):
        detector = LabelErrorDetector(LOGISTIC, random_state=0).fit(X, y)
    assert detector.confident_joint_[-1].sum() == 3
    y[:2] = 0
    with pytest.warns(UserWarning, match="1 sample of the class 77: "):
        LabelErrorDetector(LOGISTIC).fit(X, y)


class Odd(LogisticRegression):
    """Gives probabilities that are none."""

    def __init__(self, value=np.nan):
        super().__init__(max_iter=5000)
        self.value = value

    def predict_proba(self, X):
        return np.full((len(X), len(self.classes_)), self.value)


@pytest.mark.parametrize(
    "value, message", [(np.nan, "NaN"), (0.3, "sum to 3 to 3"), (-0.1, "sum to")]
)
def test_bad_probabilities(value, message, noisy):
    X, y = noisy[0][:200], noisy[1].y[:200]
    with pytest.raises(ValueError, match=f"pred_probs .*{message}"):
        LabelErrorDetector(Odd(value), cv=2).fit(X, y)


class Untrained(LogisticRegression):
    """Must not be fitted: everything is checked before."""

    def fit(self, X, y):
        raise AssertionError("fitted before the checks")


@pytest.mark.parametrize(
    "params, message",
    [
        ({"method": "loss"}, "method='loss' is not valid.*'loss_gmm'.*Did you mean"),
        ({"method": LossGMM}, "not a class"),
        ({"method": LossGMM(threshold=1)}, r"threshold=1 is not valid.*\(0, 1\)"),
        ({"method": ConfidentLearning("all")}, "prune='all' is not valid.*'both'"),
        ({"method": KNNAgreement(0)}, "n_neighbors=0 is not valid"),
        ({"method": KNNAgreement(50)}, "n_neighbors=50 is not valid.*40 samples"),
        (
            {"method": "area_under_margin", "cv": 5},
            "not valid with cv=5: .*cv='dynamics'",
        ),
        (
            {"method": "wrong_events", "cv": 3},
            "cv=3: it needs the wrong events",
        ),
        ({"method": WrongEvents(max_iter=0)}, "max_iter=0 is not valid"),
        ({"cv": "dynamics"}, "cv='dynamics' is not valid with estimator=Untrained"),
        ({"cv": "dynamics", "method": "self_confidence"}, "needs out-of-sample"),
        ({"cv": "loo"}, "cv='loo' is not valid: .*'prefit'"),
        ({"cv": [0]}, r"cv=\[0\] is not valid: it must be a number of folds"),
        ({"cv": np.array(0.5)}, r"cv=array.* is not valid: it must be a number"),
        ({"cv": []}, r"cv=\[\] is not valid: it has no folds"),
        ({"cv": [(range(40), range(40))]}, "trains on samples that it tests"),
        ({"cv": 1}, "cv=1 is not valid: .*>= 2"),
        ({"cv": None}, "cv=None is not valid"),
        ({"cv": 30}, "cv=30 is not valid: .*n_splits=30 cannot be greater"),
        ({"estimator": LinearSVC()}, r"LinearSVC\(\) is not valid: it must have pred"),
        ({"estimator": LinearRegression()}, r"must be a classifier, such as Random"),
        ({"estimator": LogisticRegression}, "must be a classifier, an object"),
        ({"estimator": "logistic"}, "estimator='logistic' is not valid"),
    ],
)
def test_bad_parameters(params, message):
    X, y = np.zeros((40, 2)), np.arange(40) % 2
    detector = LabelErrorDetector(Untrained()).set_params(**params)
    with pytest.raises(ValueError, match=f"(?s){message}"):
        detector.fit(X, y)


@pytest.mark.parametrize(
    "y, message",
    [
        (np.zeros(40), "only one class"),
        (np.arange(30) % 2, "inconsistent numbers of samples"),
        (np.r_[np.nan, np.arange(39) % 2], "1 missing label "),
        (np.linspace(0, 1, 40), "Unknown label type"),
        (None, "requires y to be passed"),
    ],
)
@pytest.mark.parametrize("method", ["auto", "knn_agreement"])
def test_bad_labels(y, message, method):
    with pytest.raises(ValueError, match=message):
        LabelErrorDetector(Untrained(), method=method).fit(np.zeros((40, 2)), y)


def test_unfitted():
    from sklearn.exceptions import NotFittedError

    detector = LabelErrorDetector(LogisticRegression())
    for call in (detector.ranked, detector.report):
        with pytest.raises(NotFittedError):
            call()
    with pytest.raises(NotFittedError):
        detector.set_params(cv="prefit").fit(np.zeros((4, 2)), [0, 1, 0, 1])


def test_clean_learning_takes_our_classifiers(noisy):
    """cleanlab's own wrapper, around a classifier of this package."""
    classification = pytest.importorskip("cleanlab.classification")
    X, y, wrong = noisy[0][:600], noisy[1].y[:600], noisy[1].is_wrong[:600]
    cleaner = classification.CleanLearning(OURS, cv_n_folds=2, seed=0)
    issues = cleaner.find_label_issues(X, y)
    assert detection_average_precision(wrong, issues["label_quality"]) > 0.9
    cleaner.fit(X, y, label_issues=issues)
    assert cleaner.predict(X[:5]).shape == (5,)


@pytest.mark.parametrize("labels", [[1, 2, 3], ["a", "b", "c"]])
def test_class_weights_by_label_reach_folds(labels):
    rng = np.random.default_rng(0)
    codes = np.arange(120) % 3
    X, y = rng.normal(size=(120, 2)), np.array(labels)[codes]
    weights = {labels[0]: 1000.0}
    plain, ours = (
        LabelErrorDetector(classifier, cv=2, random_state=0)
        for classifier in (
            LogisticRegression(class_weight=weights),
            NoisyRobustClassifier(
                class_weight=weights, lr=0.2, max_epochs=10, random_state=0
            ),
        )
    )
    for detector in (plain, ours):
        with pytest.warns(UserWarning):  # nothing can be learned from noise
            probs = detector.fit(X, y).pred_probs_.mean(axis=0)
        assert probs.argmax() == 0 and probs[0] > 0.9
    ours.estimator.set_params(
        class_weight={**weights, **dict.fromkeys(labels[1:], 1.0), "z": 2.0}
    )
    with pytest.warns(UserWarning):
        np.testing.assert_array_equal(ours.fit(X, y).pred_probs_.mean(axis=0), probs)
    strange = LogisticRegression(class_weight={"z": 2.0})
    with pytest.raises(ValueError, match="'z' are not among the classes"):
        LabelErrorDetector(strange, cv=2).fit(X, y)


def test_classes_that_lose_all_labels_are_named(noisy):
    X, labels = noisy
    y = labels.y.astype(object)
    y[y == 3] = 4
    y[[5, 9]] = "only two"
    y = y.astype(str)
    clf = NoisyRobustClassifier("ce", max_epochs=10, random_state=0)
    detector = LabelErrorDetector(clf, cv="dynamics", max_false_alarms=None)
    with pytest.warns(UserWarning, match="no suggested label is of .*'only two'"):
        detector.fit(X, y)
    assert "only two" not in detector.suggested_labels_


def test_classes_of_one_sample_are_all_named():
    y = np.repeat([0, 1, 2, 3], [10, 1, 10, 1])
    with pytest.warns(UserWarning, match="1 sample of each of the classes 1, 3: "):
        LabelErrorDetector(LogisticRegression()).fit(np.zeros((22, 2)), y)


def test_a_fitted_model_of_another_machine():
    X, y = np.random.default_rng(0).normal(size=(30, 2)), np.arange(30) % 2
    model = NoisyRobustClassifier("ce", max_epochs=1).fit(X, y)
    model.set_params(device="cuda:7")  # where it was trained
    with pytest.warns(UserWarning, match="the CPU is used"):
        LabelErrorDetector(model, cv="prefit").fit(X, y)


def test_mistakes_in_a_pipeline_come_before_its_training():
    class Never(SSLPretrainer):
        def fit(self, X, y=None):
            raise AssertionError("this trains")

    pipe = make_pipeline(Never(), NoisyRobustClassifier("erl"))
    X, y = np.zeros((20, 2)), np.arange(20) % 2
    for cv in ("dynamics", 2):
        with pytest.raises(ValueError, match="loss='erl' .* Did you mean 'elr'"):
            LabelErrorDetector(pipe, cv=cv).fit(X, y)
    with pytest.raises(ValueError, match="loss='erl'"):
        PseudoLabelRefiner(pipe).fit(X, y)


def test_published_masks_are_cleanlabs(noisy):
    filters = pytest.importorskip("cleanlab.filter")
    X, y = noisy[0], noisy[1].y
    detector = LabelErrorDetector(LOGISTIC, max_false_alarms=None, random_state=0)
    detector.fit(X, y)
    theirs = filters.find_label_issues(y, detector.pred_probs_)
    np.testing.assert_array_equal(detector.label_errors_, theirs)
    changed = detector.suggested_labels_ != y
    np.testing.assert_array_equal(changed, theirs)


@pytest.mark.parametrize(
    "settings",
    [{}, {"method": "knn_agreement"}, {"estimator": OURS, "cv": "dynamics"}],
    ids=["folds", "neighbours", "dynamics"],
)
def test_labels_do_not_get_worse(settings):
    """Nothing is found where nothing is wrong; suggestions never lose right labels."""
    X, y = (part[:900] for part in load_digits(return_X_y=True))
    for rate in (0, 0.05, 0.2, 0.4):
        noisy = symmetric_exclusive(y, rate, random_state=1).y if rate else y
        detector = LabelErrorDetector(LOGISTIC, random_state=0).set_params(**settings)
        detector.fit(X, noisy)
        errors, wrong = detector.label_errors_, noisy != y
        before, after = 1 - wrong.mean(), (detector.suggested_labels_ == y).mean()
        assert after >= before + rate / 3
        assert errors.mean() <= 0.01 if rate == 0 else wrong[errors].mean() >= 0.7
        low, high = detector.noise_rate_interval_
        assert low <= rate <= high


def test_fewer_false_alarms_fewer_errors(noisy):
    X, y = noisy[0], symmetric_exclusive(noisy[1].y, 0.2, random_state=0).y
    detector = LabelErrorDetector(LOGISTIC, cv=3, random_state=0)
    counts = [
        detector.set_params(max_false_alarms=limit).fit(X, y).label_errors_.sum()
        for limit in (0.01, 0.03, 0.3)
    ]
    assert counts == sorted(counts) and len(set(counts)) == 3
    with pytest.raises(ValueError, match="max_false_alarms=1.5 is not valid"):
        detector.set_params(max_false_alarms=1.5).fit(X, y)


@pytest.mark.parametrize("scale", [6, 10, 12])
def test_warns_where_errors_may_be_the_classifiers(scale, noisy):
    """Right labels, and predictions that agree with 76% to 49% of them."""
    X = noisy[0] + np.random.default_rng(0).normal(scale=scale, size=noisy[0].shape)
    y = load_digits(return_X_y=True)[1]
    detector = LabelErrorDetector(LOGISTIC, cv=3, random_state=0)
    with pytest.warns(UserWarning, match="the share of wrong labels may be"):
        detector.fit(X, y)
    assert detector.label_errors_.mean() <= 0.01
    assert (detector.suggested_labels_ != y).mean() <= 0.01
    assert detector.noise_rate_interval_[0] == 0


class Never(SSLPretrainer):
    """Must not be trained: everything is checked before."""

    def fit(self, X, y=None):
        raise AssertionError("this trains")


@pytest.mark.parametrize(
    "params, message",
    [
        ({"cv": GroupKFold(3)}, r"without groups: pass fit\(X, y, groups="),
        ({"cv": ShuffleSplit(3)}, "must test each sample once, but .* of 40"),
        ({"cv": [(range(20), range(20, 40))]}, "20 of 40 are tested never"),
        ({"cv": 30}, "n_splits=30 cannot be greater"),
        ({"method": KNNAgreement(40)}, "n_neighbors=40 is not valid.*40 samples"),
    ],
)
def test_folds_are_checked_before_pretraining(params, message):
    pipe = make_pipeline(Never(), LogisticRegression())
    X, y = np.zeros((40, 2)), np.arange(40) % 2
    with pytest.raises(ValueError, match=message):
        LabelErrorDetector(pipe).set_params(**params).fit(X, y)


def test_groups_stay_together(noisy):
    X, y = noisy[0][:400], noisy[1].y[:400]
    groups = np.arange(400) // 4
    X, y = np.repeat(X[::4], 4, axis=0), np.repeat(y[::4], 4)
    X = X + np.random.default_rng(0).normal(0, 0.01, X.shape)  # nearly copies
    settings = {"cv": 3, "random_state": 0}
    alone = LabelErrorDetector(LOGISTIC, **settings).fit(X, y)
    grouped = LabelErrorDetector(LOGISTIC, **settings).fit(X, y, groups=groups)
    assert grouped.agreement_ < alone.agreement_
    LabelErrorDetector(LOGISTIC, cv=GroupKFold(3)).fit(X, y, groups=groups)
    with pytest.raises(ValueError, match="groups is not valid without folds"):
        LabelErrorDetector(LOGISTIC, "knn_agreement").fit(X, y, groups=groups)
    with pytest.raises(ValueError, match=r"groups of shape \(5,\) is not valid"):
        LabelErrorDetector(LOGISTIC).fit(X, y, groups=groups[:5])


@pytest.mark.parametrize("gap", [np.nan, None, pd.NA])
def test_a_group_that_is_missing_is_refused(gap):
    X, y = np.zeros((40, 2)), np.arange(40) % 2
    groups = np.array(["a", "b", "c", "d"] * 10, dtype=object)
    groups[[6, 9]] = gap
    with pytest.raises(ValueError, match="holds 2 missing values, .* index 6"):
        LabelErrorDetector(LOGISTIC, cv=2).fit(X, y, groups=groups)


def test_groups_are_routed_through_pipelines(noisy):
    X, y = noisy[0][:400], noisy[1].y[:400]
    groups = np.arange(400) // 4
    X, y = np.repeat(X[::4], 4, axis=0), np.repeat(y[::4], 4)
    detector = LabelErrorDetector(LogisticRegression(C=0.1), cv=3, random_state=0)
    scaler = StandardScaler()
    expected = clone(detector).fit(scaler.fit_transform(X), y, groups=groups)
    with config_context(enable_metadata_routing=True):
        for settings in ({}, {"cv": GroupKFold(3)}):
            pipe = make_pipeline(scaler, clone(detector).set_params(**settings))
            pipe[-1].set_fit_request(groups=True)
            found = pipe.fit(X, y, groups=groups)[-1]
            assert settings or (found.pred_probs_ == expected.pred_probs_).all()
        pipe[-1].set_fit_request(groups=None)
        with pytest.raises(ValueError, match="groups"):  # nobody said where it goes
            pipe.fit(X, y, groups=groups)


class Outvoted(DetectionMethod):
    """A method of a user: no parameters, and its own decision."""

    needs = "features"

    def judge(self, evidence):
        own = np.exp(-evidence.losses)
        return own < 0.05, own


class Mistyped(Outvoted):
    needs = "feature"


def test_methods_of_users_decide(noisy):
    X, y = noisy[0][:400], noisy[1].y[:400]
    detector = LabelErrorDetector(LOGISTIC, method=Outvoted()).fit(X, y)
    errors = detector.label_errors_
    assert errors.any()
    np.testing.assert_array_equal(errors, detector.label_quality_ < 0.05)
    np.testing.assert_array_equal(errors, detector.suggested_labels_ != y)
    with pytest.raises(ValueError, match="needs of Mistyped='feature' is not valid"):
        LabelErrorDetector(LOGISTIC, method=Mistyped()).fit(X, y)


class Judging(DetectionMethod):
    """Says what it is told to say."""

    def __init__(self, judgement=None):
        self.judgement = judgement

    def judge(self, evidence):
        return self.judgement


EVEN = np.arange(60) % 2 == 0


@pytest.mark.parametrize(
    "judgement",
    [
        None,
        (EVEN, np.full(60, -3.0)),
        (EVEN, np.full(60, np.nan)),
        (np.full(60, 0.5), EVEN),
        (EVEN[:5], np.full(5, 0.5)),
        (EVEN, EVEN, EVEN),
    ],
    ids=["none", "negative", "nan", "swapped", "short", "three"],
)
def test_what_methods_of_users_say_is_checked(judgement, noisy):
    X, y = noisy[0][:60], np.arange(60) % 3
    detector = LabelErrorDetector(LOGISTIC, method=Judging(judgement), cv=2)
    with pytest.raises(ValueError, match=r"Judging.judge is not valid.*shape \(60,\)"):
        detector.fit(X, y)


def test_containers_are_named_first():
    from torch.utils.data import DataLoader

    with pytest.raises(ValueError, match="X is a DataLoader"):
        LabelErrorDetector(LOGISTIC).fit(DataLoader([1, 2]), [0, 1])


def test_report_says_none_of_a_class_without_labels(noisy):
    X, y = noisy[0], noisy[1].y
    model = clone(LOGISTIC).fit(X[:900], y[:900])
    some = y < 7
    table = LabelErrorDetector(model, cv="prefit").fit(X[some], y[some]).report()
    for name in ("noise_rate", "mean_quality", "suggested"):
        assert list(table[name])[9] is None


def test_few_wrong_labels_among_many_are_found():
    X, y = load_iris(return_X_y=True)
    y[5], y[70] = 2, 0
    clf = make_pipeline(StandardScaler(), LogisticRegression())
    detector = LabelErrorDetector(clf, random_state=0).fit(X, y)
    assert np.flatnonzero(detector.label_errors_).tolist() == [5, 70]
    assert 0 < detector.noise_rate_ < 0.03
    assert detector.noise_rate_interval_[0] == 0
