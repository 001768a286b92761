"""Any classifier, trained on labels that a detector cleaned."""

import pickle
import warnings

import numpy as np
import pandas as pd
import pytest
from nets import narrow
from scipy.sparse import csr_matrix
from sklearn import config_context
from sklearn.base import clone
from sklearn.calibration import CalibratedClassifierCV
from sklearn.cluster import KMeans
from sklearn.compose import make_column_transformer
from sklearn.datasets import load_digits, load_wine, make_classification
from sklearn.dummy import DummyClassifier
from sklearn.ensemble import (
    HistGradientBoostingClassifier,
    RandomForestClassifier,
    StackingClassifier,
    VotingClassifier,
)
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.frozen import FrozenEstimator
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.model_selection import (
    GridSearchCV,
    TunedThresholdClassifierCV,
    cross_val_score,
)
from sklearn.multiclass import OneVsRestClassifier
from sklearn.naive_bayes import GaussianNB
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import (
    MaxAbsScaler,
    MinMaxScaler,
    OneHotEncoder,
    RobustScaler,
    StandardScaler,
    TargetEncoder,
)
from sklearn.svm import LinearSVC
from sklearn.tree import DecisionTreeClassifier
from sklearn.utils.estimator_checks import parametrize_with_checks

import sknoisy
from sknoisy import (
    LabelCleaningClassifier,
    LabelErrorDetector,
    NoisyRobustClassifier,
    SSLPretrainer,
)
from sknoisy.detection.judging import better_judge, lead
from sknoisy.estimators.soft_training import weighted_copies
from sknoisy.noise import symmetric_exclusive
from sknoisy.scores import soft_labels

LOGISTIC = make_pipeline(StandardScaler(), LogisticRegression(C=0.1))
FOREST = RandomForestClassifier(30, random_state=0)
TREE = DecisionTreeClassifier(random_state=0)


def failing(estimator):
    """Folds hold samples, of whatever weight: two are not one of 2."""
    if estimator.detector is None:  # these 15 samples tell it nothing, so labels stay
        return {}
    name = "check_sample_weight_equivalence_on_{}_data"
    return dict.fromkeys(map(name.format, ("dense", "sparse")), failing.__doc__)


@parametrize_with_checks(
    [
        LabelCleaningClassifier(LogisticRegression()),
        LabelCleaningClassifier(
            LogisticRegression(),
            LabelErrorDetector(LogisticRegression(), cv=2, random_state=0),
        ),
    ],
    expected_failed_checks=failing,
)
def test_scikit_learn(estimator, check):
    check(estimator)


@pytest.fixture(scope="module")
def noisy():
    """400 digits, labels of which 40% are wrong, and the right ones."""
    X, y = load_digits(return_X_y=True)
    X, y = X[:400], y[:400]
    return X, symmetric_exclusive(y, rate=0.4, random_state=0).y, y


@pytest.fixture(scope="module")
def few(noisy):
    """150 of them, where it is not asked what is gained."""
    return tuple(part[:150] for part in noisy)


@pytest.fixture(scope="module")
def others():
    X, y = load_digits(return_X_y=True)
    return X[900:], y[900:]


def cleaning(estimator, **settings):
    return LabelCleaningClassifier(estimator, random_state=0, **settings)


@pytest.mark.parametrize(
    "estimator, gain",
    [
        (FOREST, 0.03),
        (
            HistGradientBoostingClassifier(max_iter=10, max_bins=17, random_state=0),
            0.05,
        ),
        (LOGISTIC, 0.05),
        (KNeighborsClassifier(3), 0.1),
        (LinearSVC(random_state=0), 0.1),
        (NoisyRobustClassifier("ce", max_epochs=15, random_state=0), 0.02),
    ],
    ids=lambda value: type(value).__name__,
)
def test_it_gains(estimator, gain, noisy, others):
    X, y, right = noisy
    clf = cleaning(estimator).fit(X, y)
    assert (clf.labels_ == right).mean() > 0.9
    plain = clone(estimator).fit(X, y).score(*others)
    assert clf.score(*others) > plain + gain


def test_right_labels_cost_nothing(others):
    X, y = (part[:500] for part in load_digits(return_X_y=True))
    clf = cleaning(FOREST).fit(X, y)
    assert (clf.labels_ == y).mean() > 0.99
    assert clf.score(*others) > clone(FOREST).fit(X, y).score(*others) - 0.01


def test_it_trains_on_weighted_copies(few):
    X, y, _ = few
    clf = cleaning(FOREST).fit(X, y)
    detector = LabelErrorDetector(random_state=0).fit(X, y)
    soft = soft_labels(y, detector.pred_probs_)
    np.testing.assert_array_equal(clf.soft_labels_, soft)
    np.testing.assert_array_equal(clf.labels_, soft.argmax(axis=1))
    rows, codes, weights = weighted_copies(soft)
    plain = clone(FOREST).fit(X[rows], codes, weights)
    np.testing.assert_array_equal(clf.predict_proba(X), plain.predict_proba(X))


def test_classifiers_without_weights_get_labels(few):
    X, y, _ = few
    clf = cleaning(KNeighborsClassifier()).fit(X, y)
    plain = KNeighborsClassifier().fit(X, clf.labels_)
    np.testing.assert_array_equal(clf.predict(X), plain.predict(X))


def test_ours_learn_the_soft_labels(few):
    X, y, _ = few
    ours = NoisyRobustClassifier("ce", max_epochs=2, random_state=0)
    clf = cleaning(ours).fit(X, y)
    ours.set_params(classes=clf.classes_).fit(X, clf.soft_labels_)
    np.testing.assert_array_equal(clf.predict_proba(X), ours.predict_proba(X))


def test_a_detector_of_ones_own(noisy):
    X, y, _ = noisy
    detector = LabelErrorDetector(LOGISTIC, cv=3, random_state=0)
    clf = cleaning(FOREST, detector=detector).fit(X, y)
    assert not hasattr(detector, "label_errors_")  # it is cloned
    found = detector.fit(X, y)
    np.testing.assert_array_equal(clf.detector_.label_errors_, found.label_errors_)
    np.testing.assert_array_equal(clf.soft_labels_, found.soft_labels_)


@pytest.mark.parametrize(
    "settings",
    [{"cv": "dynamics"}, {"method": "knn_agreement"}, {"method": "loss_gmm", "cv": 2}],
)
def test_detectors_without_probabilities(settings, noisy):
    X, y, right = noisy
    network = NoisyRobustClassifier("elr", max_epochs=15, random_state=0)
    detector = LabelErrorDetector(network, random_state=0).set_params(**settings)
    clf = cleaning(FOREST, detector=detector).fit(X, y)
    np.testing.assert_allclose(clf.soft_labels_.sum(axis=1), 1)
    assert (clf.labels_ == right).mean() > 0.75


def test_who_judges_what(few):
    """Tables, dense or sparse: the kernel machine. All else: the classifier itself."""
    X, y, _ = few
    frame = pd.DataFrame(X).rename(columns=str)
    for table in (X, frame, X.tolist()):
        judge = cleaning(FOREST).fit(table, y).detector_.estimator
        assert isinstance(judge, NoisyRobustClassifier)
    missing = X.copy()
    missing[0, 3] = np.nan
    boosting = HistGradientBoostingClassifier(max_iter=2)
    judge = cleaning(boosting).fit(missing, y).detector_.estimator
    assert type(judge) is type(boosting)
    sparse = cleaning(LOGISTIC[-1]).fit(csr_matrix(X), y)
    dense = cleaning(LOGISTIC[-1]).fit(X, y)
    np.testing.assert_allclose(sparse.soft_labels_, dense.soft_labels_, atol=1e-6)
    columns = pd.DataFrame.sparse.from_spmatrix(csr_matrix(X)).rename(columns=str)
    frame = cleaning(LOGISTIC[-1]).fit(columns, y)
    np.testing.assert_allclose(frame.soft_labels_, dense.soft_labels_, atol=1e-6)


def checkerboard(n=800):
    """Four by four fields of two columns, beside eight that tell nothing."""
    X = np.random.default_rng(0).uniform(-1, 1, size=(n, 10))
    fields = np.floor(2 * X[:, :2]).astype(int)
    return X, np.array(["black", "white"])[fields.sum(axis=1) % 2]


def test_where_the_classifier_predicts_better_it_judges():
    X, y = checkerboard()
    trees = HistGradientBoostingClassifier(max_iter=20, max_bins=20, random_state=0)
    pipe = make_pipeline(StandardScaler(), trees)
    clf = cleaning(pipe).fit(X, y)
    assert type(clf.detector_.estimator[-1]) is type(trees)
    assert (clf.labels_ == y).mean() > 0.9
    by_kernel = cleaning(trees, detector=LabelErrorDetector(random_state=0)).fit(X, y)
    assert (by_kernel.labels_ == y).mean() < (clf.labels_ == y).mean() - 0.05
    given = {"groups": np.arange(800) // 2, "sample_weight": np.linspace(0.5, 1, 800)}
    clf = cleaning(pipe).fit(X, y, **given)
    assert type(clf.detector_.estimator[-1]) is type(trees)
    judge = cleaning(LOGISTIC).fit(X, y).detector_.estimator
    assert isinstance(judge, NoisyRobustClassifier)


def test_a_classifier_that_four_fifths_are_too_few_for():
    X, y = checkerboard(200)
    clf = cleaning(KNeighborsClassifier(180)).fit(X, y)
    assert isinstance(clf.detector_.estimator, NoisyRobustClassifier)


def stripes(n=300):
    """Twenty stripes of one column, of which the kernel machine learns nothing."""
    X = np.random.default_rng(0).uniform(-1, 1, size=(n, 10))
    return X, np.floor(10 * (X[:, 0] + 1)).astype(int) % 2


class FewFail(DecisionTreeClassifier):
    """Of an error that no other library knows."""

    def fit(self, X, y, sample_weight=None):
        if len(X) < 300:
            raise RuntimeError("too few")
        return super().fit(X, y, sample_weight)


@pytest.mark.filterwarnings("ignore:out-of-sample", "ignore:The least", "ignore:Number")
def test_a_classifier_whose_folds_cannot_judge(caplog):
    caplog.set_level("DEBUG", "sknoisy")
    X, y = stripes()
    rare = np.where(np.arange(300) < 2, 2, y)
    first = np.where(np.arange(300) < 4, 2, y)
    one_group = np.where(first == 2, 4, np.arange(300) % 4)
    for clf, labels, groups in (
        (FewFail(), y, None),
        (CalibratedClassifierCV(TREE, cv=2), rare, None),  # a fold has one of them
        (TREE, first, one_group),  # four groups without the rare class
    ):
        caplog.clear()
        fitted = cleaning(clf).fit(X, labels, groups=groups)
        assert isinstance(fitted.detector_.estimator, NoisyRobustClassifier)
        assert f"folds of {type(clf).__name__} cannot judge" in caplog.text


def test_warnings_are_of_the_detector_that_is_kept():
    X, y = stripes()
    with pytest.warns(UserWarning, match="may be chance"):
        LabelErrorDetector(random_state=0).fit(X, y)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        judge = cleaning(TREE).fit(X, y).detector_.estimator
    assert isinstance(judge, DecisionTreeClassifier)


@pytest.mark.filterwarnings("ignore:out-of-sample")
def test_a_tree_that_is_too_sure_does_not_judge():
    """It agrees with more labels, but where it is wrong, it has no doubt."""
    X, y = stripes()
    noisy = symmetric_exclusive(y, 0.1, random_state=0).y
    clf = cleaning(TREE).fit(X, noisy)
    assert isinstance(clf.detector_.estimator, NoisyRobustClassifier)


def test_predictions_that_may_be_chance_judge_nothing():
    X, y = (part[:20] for part in checkerboard())
    with pytest.warns(UserWarning, match="may be chance") as caught:
        clf = cleaning(DecisionTreeClassifier(max_depth=8, random_state=0)).fit(X, y)
    assert isinstance(clf.detector_.estimator, NoisyRobustClassifier)
    assert len(caught) == 1


@pytest.mark.filterwarnings("ignore:out-of-sample")
def test_networks_inside_are_not_trained_for_folds():
    X, y = stripes()
    network = NoisyRobustClassifier("ce", max_epochs=1, random_state=0)
    for judges, inside in ((True, GaussianNB()), (False, network)):
        parts = [("tree", TREE), ("inside", inside)]
        clf = VotingClassifier(parts, voting="soft", weights=[1, 0])
        judge = cleaning(clf).fit(X, y).detector_.estimator
        assert isinstance(judge, VotingClassifier) == judges


def test_lead():
    """Of discordant pairs: their difference over the root of their number."""
    right = np.array([True, True, True, False, True, False])
    others = np.array([False, False, False, True, True, False])
    assert lead(right, others) == pytest.approx((3 - 1) / np.sqrt(4))
    assert lead(others, right) == -lead(right, others)
    assert lead(right, right) == 0


@pytest.mark.filterwarnings("ignore:the share of wrong labels")
@pytest.mark.parametrize("seed, is_better", [(8, False), (9, True)])
def test_a_lead_that_may_be_chance_changes_no_judge(seed, is_better):
    """Both classifiers lead in predictions: by less and by more than two errors."""
    X, y = make_classification(300, 10, n_informative=4, flip_y=0.2, random_state=seed)
    detector, other = (
        LabelErrorDetector(LogisticRegression(C=C), random_state=0).fit(X, y)
        for C in (0.001, 0.01)
    )
    right = [d.pred_probs_.argmax(axis=1) == y for d in (detector, other)]
    gained, lost = (right[1] & ~right[0]).sum(), (right[0] & ~right[1]).sum()
    assert ((gained - lost) / np.sqrt(gained + lost) > 2) == is_better
    assert gained > lost
    judge = better_judge(detector, LogisticRegression(C=0.01), X, y)
    assert (judge is not detector) == is_better


def test_scalers_are_for_the_classifier_alone(few):
    """The kernel machine chooses scales by itself: scaled ones are no choice."""
    X, y, _ = few
    X = X * np.linspace(1, 20, X.shape[1])
    alone = cleaning(LOGISTIC[-1]).fit(X, y)
    for scalers in ([MinMaxScaler()], [StandardScaler(), RobustScaler()]):
        clf = cleaning(make_pipeline(*scalers, LOGISTIC[-1])).fit(X, y)
        np.testing.assert_array_equal(clf.soft_labels_, alone.soft_labels_)
        rows = make_pipeline(*scalers).fit_transform(X)
        assert clf.estimator_[-1].score(rows, y) == clf.score(X, y)
    missing = X.copy()
    missing[0, 3] = np.nan  # what the classifier judges by itself, it gets scaled
    boosting = HistGradientBoostingClassifier(max_iter=2)
    clf = cleaning(make_pipeline(StandardScaler(), boosting)).fit(missing, y)
    assert type(clf.detector_.estimator[-1]) is type(boosting)
    assert abs(np.nanmean(clf.detector_._inputs)) < 0.1
    dummy = make_pipeline(MaxAbsScaler(), DummyClassifier())
    clf = cleaning(dummy).fit(csr_matrix(missing), y)
    assert np.nanmax(clf.detector_._inputs.data) == 1


@pytest.mark.parametrize("dtype", ["str", "category", "datetime64[ns]"])
def test_columns_that_only_look_like_numbers(dtype, noisy):
    """Forests take them, the kernel machine does not."""
    X, y, _ = noisy
    frame = pd.DataFrame(X[:, 18:22].astype(int), columns=list("abcd")).astype(dtype)
    clf = cleaning(RandomForestClassifier(5, random_state=0)).fit(frame, y)
    assert isinstance(clf.detector_.estimator, RandomForestClassifier)


def test_images_are_judged_by_the_classifier(digits):
    images, y = digits[0][:100], digits[1][:100]
    network = NoisyRobustClassifier("ce", narrow, max_epochs=1, random_state=0)
    clf = cleaning(network).fit(images, y)
    assert clf.detector_.estimator.get_params()["loss"] == "ce"
    assert clf.predict_proba(images).shape == (len(images), 10)


def test_lazy_features_are_judged_as_they_are(digits):
    images, y = digits
    ssl = SSLPretrainer(encoder=narrow, max_epochs=1, random_state=0)
    features = ssl.fit_transform(images)
    lazy = cleaning(LogisticRegression(max_iter=500)).fit(features, y)
    table = clone(lazy).fit(np.asarray(features), y)
    np.testing.assert_allclose(lazy.soft_labels_, table.soft_labels_, atol=1e-4)


def test_bad_labels_are_noticed_before_pre_training(digits, counting):
    X, y = digits[0].reshape(300, -1), digits[1]
    clf = cleaning(make_pipeline(counting, LogisticRegression()))
    with pytest.raises(ValueError, match="one class"):
        clf.fit(X, np.zeros(300))
    with pytest.raises(ValueError, match="trusted"):
        clf.fit(X, y, trusted=[True])
    with pytest.raises(ValueError, match="groups"):
        clf.fit(X, y, groups=[1])
    assert counting.log == []


def test_pipelines_stay_as_they_are(few, tmp_path):
    X, y, _ = few
    steps = [("scale", StandardScaler()), ("clf", LogisticRegression(C=0.1))]
    pipe = Pipeline(steps, memory=str(tmp_path), verbose=True)
    clf = cleaning(pipe).fit(X, y)
    assert (clf.estimator_.memory, clf.estimator_.verbose) == (str(tmp_path), True)
    assert [*clf.estimator_.named_steps] == ["scale", "clf"]


def test_samplers_in_a_pipeline(noisy):
    """They get the hard labels, and no weights, which what they make has not."""
    pipeline = pytest.importorskip("imblearn.pipeline")
    under = pytest.importorskip("imblearn.under_sampling").RandomUnderSampler
    X, y, right = noisy
    pipe = pipeline.make_pipeline(StandardScaler(), under(random_state=0), FOREST)
    clf = cleaning(pipe).fit(X, y)
    assert isinstance(clf.detector_.estimator, NoisyRobustClassifier)
    assert type(clf.estimator_) is pipeline.Pipeline
    assert clf.score(X, right) > 0.9
    plain = clone(pipe).fit(X, clf.labels_)
    np.testing.assert_array_equal(clf.predict_proba(X), plain.predict_proba(X))
    with pytest.raises(ValueError, match="sampler"):
        clf.fit(X, y, sample_weight=np.arange(len(y)))


def test_leading_steps_are_fitted_once(digits, counting):
    X, y = digits[0].reshape(300, -1), digits[1]
    inner = LogisticRegression(max_iter=500)
    clf = cleaning(make_pipeline(counting, inner)).fit(X, y)
    assert counting.log == [300]
    features = clf.estimator_[0].transform(X)
    outside = cleaning(inner).fit(features, y)
    np.testing.assert_allclose(clf.predict_proba(X), outside.predict_proba(features))
    assert not hasattr(counting, "encoder_")  # the user's own is not fitted


def test_a_table_of_words_and_numbers(noisy):
    X, y, right = noisy
    frame = pd.DataFrame(X).rename(columns=str)
    frame["word"] = np.array(["even", "odd"])[right % 2]
    coded = make_column_transformer(
        (OneHotEncoder(sparse_output=False), ["word"]), remainder="passthrough"
    )
    clf = cleaning(make_pipeline(coded, FOREST)).fit(frame, y)
    assert isinstance(clf.detector_.estimator, NoisyRobustClassifier)
    assert clf.feature_names_in_[-1] == "word"
    assert clf.score(frame, right) > 0.9
    learned = make_column_transformer(
        (TargetEncoder(), ["word"]), remainder="passthrough"
    )  # from labels: not fitted to those that are judged
    pipe = make_pipeline(learned, FOREST)
    clf = cleaning(pipe).fit(frame, y)
    assert str(clf.detector_.estimator) == str(pipe)
    assert clf.score(frame, right) > 0.9


def test_labels_of_any_kind(few):
    X, y, _ = few
    expected = cleaning(LOGISTIC).fit(X, y)
    words = np.array([f"digit {c}" for c in range(10)])
    named = cleaning(LOGISTIC).fit(X, words[y])
    assert named.classes_.tolist() == words.tolist()
    np.testing.assert_array_equal(named.labels_, words[expected.labels_])
    np.testing.assert_array_equal(named.predict(X), words[expected.predict(X)])


def test_a_class_of_which_no_label_is_left():
    """It keeps its column, even if the classifier never heard of it."""
    X, y = load_digits(return_X_y=True)
    X, y = X[y < 3], y[y < 3]
    y[:4] = 7
    detector = LabelErrorDetector(method="knn_agreement")
    clf = cleaning(KNeighborsClassifier(), detector=detector)
    with pytest.warns(UserWarning, match="no suggested label is of the classes 7"):
        clf.fit(X, y)
    assert 7 not in clf.labels_
    assert clf.classes_.tolist() == [0, 1, 2, 7]
    probs = clf.predict_proba(X)
    assert probs.shape == (len(X), 4)
    assert (probs[:, 3] == 0).all()


@pytest.mark.parametrize(
    "detector", [None, LabelErrorDetector(LOGISTIC, cv=3, random_state=0)]
)
def test_a_label_that_no_other_has_is_kept(detector, noisy):
    X, y, right = noisy
    y = y.copy()
    y[[3, 300]] = -1, 13
    groups = None if detector is None else np.arange(400) // 2
    clf = cleaning(FOREST, detector=detector).fit(X, y, groups=groups)
    np.testing.assert_array_equal(clf.labels_[[3, 300]], y[[3, 300]])
    np.testing.assert_array_equal(clf.predict(X[[3, 300]]), y[[3, 300]])
    assert (clf.labels_ == right).mean() > 0.8
    assert not clf.detector_.label_errors_[[3, 300]].any()
    with pytest.raises(ValueError, match="fewer than two classes of 2 samples"):
        cleaning(FOREST).fit(X, np.where(np.arange(400) > 0, 4, 13))


def test_by_chance_labels_stay():
    rng = np.random.default_rng(2)
    X, y = rng.normal(size=(300, 5)), rng.integers(3, size=300)
    with pytest.warns(UserWarning, match="chance"):
        clf = cleaning(FOREST).fit(X, y)
    np.testing.assert_array_equal(clf.labels_, y)
    plain = clone(FOREST).fit(X, y)
    np.testing.assert_array_equal(clf.predict_proba(X), plain.predict_proba(X))


def test_a_detector_that_was_fitted_before(noisy):
    """It stays so only if cloning leaves it, and it may know more classes."""
    X, y, right = noisy
    others = load_digits(return_X_y=True)
    before = LogisticRegression(max_iter=500).fit(others[0][900:], others[1][900:])
    rows = np.isin(y, [1, 4, 8])
    frozen = LabelErrorDetector(FrozenEstimator(before), cv="prefit")
    clf = cleaning(FOREST, detector=frozen).fit(X[rows], y[rows])
    assert clf.classes_.tolist() == [*range(10)]
    assert clf.soft_labels_.shape == clf.predict_proba(X[rows]).shape
    assert (clf.labels_ == right[rows]).mean() > 0.75
    with pytest.raises(ValueError, match="FrozenEstimator"):
        cleaning(FOREST, detector=LabelErrorDetector(before, cv="prefit")).fit(X, y)


def test_methods_that_a_classifier_has_when_it_is_fitted(noisy):
    X, y, right = noisy
    stack = StackingClassifier([("a", LOGISTIC), ("b", GaussianNB())], cv=2)
    clf = cleaning(stack).fit(X, y)
    assert clf.score(X, right) > 0.9
    assert clf.predict_proba(X).shape == (400, 10)


def test_scores_of_a_classifier_without_probabilities(few):
    X, y, _ = few
    clf = cleaning(LinearSVC()).fit(X, y)
    scores = clf.decision_function(X)
    np.testing.assert_array_equal(scores, clf.estimator_.decision_function(X))
    assert not hasattr(cleaning(FOREST).fit(X, y), "decision_function")
    tuned = TunedThresholdClassifierCV(cleaning(LinearSVC()), cv=2).fit(X, y > 4)
    assert tuned.score(X, y > 4) > 0.5


def test_who_judges_is_not_who_is_trained(digits):
    X, y = digits[0][:100], digits[1][:100]
    network = NoisyRobustClassifier("ce", narrow, max_epochs=1, random_state=0)
    clf = cleaning(network).fit(X, y)
    assert clf.detector_.estimator is not clf.estimator_
    assert clf.detector_.estimator.classes is None
    assert not hasattr(clf.detector_.estimator, "classes_")


def test_texts():
    """Words are a sparse table, which needs no probabilities of the classifier."""
    X, right = texts(600)
    y = symmetric_exclusive(right, rate=0.4, random_state=0).y
    pipe = make_pipeline(TfidfVectorizer(), LinearSVC())
    clf = cleaning(pipe).fit(X, y)
    assert (clf.labels_ == right).mean() > 0.85
    plain = clone(pipe).fit(X, y)
    others, of_others = texts(300, seed=1)
    assert clf.score(others, of_others) > plain.score(others, of_others) + 0.1


@pytest.mark.parametrize("kind", [list, pd.Series])
def test_texts_that_a_search_reads(kind):
    """The detector is given the texts themselves."""
    X, y = texts(80)
    pipe = make_pipeline(TfidfVectorizer(), LogisticRegression())
    search = GridSearchCV(pipe, {"logisticregression__C": [1, 10]}, cv=2)
    clf = cleaning(search).fit(kind(X), y)
    assert clf.score(kind(X), y) > 0.9
    with pytest.raises(ValueError, match="image_size"):
        LabelErrorDetector().fit(kind(X), y)


def texts(n, seed=0):
    """Texts of eight words, half of them from the 30 words of one of four topics."""
    rng = np.random.default_rng(seed)
    y = np.arange(n) % 4
    of_topic = 30 * y[:, None] + rng.integers(30, size=(n, 4))
    words = np.hstack([of_topic, rng.integers(120, size=(n, 4))])
    return [" ".join(f"word{i}" for i in row) for row in words], y


def test_without_probabilities_nobody_can_judge_what_is_no_table():
    X, y = load_wine(return_X_y=True)
    X[0, 0] = np.nan
    pipe = make_pipeline(SimpleImputer(), LinearSVC())
    assert cleaning(pipe).fit(X, y).score(X, y) > 0.5  # a table, after the first step
    inside = OneVsRestClassifier(pipe)
    with pytest.raises(ValueError, match="no predict_proba.*CalibratedClassifier"):
        cleaning(inside).fit(X, y)
    detector = LabelErrorDetector(HistGradientBoostingClassifier(max_iter=2))
    assert cleaning(inside, detector=detector).fit(X, y).score(X, y) > 0.5


def test_no_advice_on_suggestions_that_nobody_sees():
    """Where much is open, a detector warns; a classifier is trained in any case."""
    X, y = load_wine(return_X_y=True)
    noisy = symmetric_exclusive(y, rate=0.4, random_state=0).y
    with pytest.warns(UserWarning, match="the share of wrong labels may be anything"):
        LabelErrorDetector(random_state=0).fit(X, noisy)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        clf = cleaning(FOREST).fit(X, noisy)
    with pytest.warns(UserWarning, match="the share of wrong labels may be anything"):
        clf.detector_.fit(X, noisy)


def test_trusted_labels_are_kept(few):
    X, y, _ = few
    wrong = np.flatnonzero(cleaning(FOREST).fit(X, y).labels_ != y)[:10]
    trusted = np.zeros(len(y), dtype=bool)
    trusted[wrong] = True
    clf = cleaning(FOREST).fit(X, y, trusted=trusted)
    np.testing.assert_array_equal(clf.labels_[wrong], y[wrong])
    np.testing.assert_array_equal(clf.soft_labels_[wrong, y[wrong]], 1)
    everything = cleaning(FOREST).fit(X, y, trusted=np.ones(len(y), dtype=bool))
    plain = clone(FOREST).fit(X, y)
    np.testing.assert_array_equal(everything.predict(X), plain.predict(X))


def test_weights_reach_both(few):
    X, y, _ = few
    weights = np.linspace(0, 2, len(y))
    clf = cleaning(FOREST).fit(X, y, sample_weight=weights)
    detector = LabelErrorDetector(random_state=0).fit(X, y, sample_weight=weights)
    np.testing.assert_array_equal(clf.soft_labels_, detector.soft_labels_)
    rows, codes, shares = weighted_copies(clf.soft_labels_)
    plain = clone(FOREST).fit(X[rows], codes, shares * weights[rows])
    np.testing.assert_array_equal(clf.predict_proba(X), plain.predict_proba(X))


def test_groups(few):
    X, y, _ = few
    groups = np.arange(len(y)) // 3
    detector = LabelErrorDetector(LOGISTIC, cv=3, random_state=0)
    clf = cleaning(LOGISTIC, detector=detector).fit(X, y, groups=groups)
    expected = clone(detector).fit(X, y, groups=groups)
    np.testing.assert_array_equal(clf.detector_.pred_probs_, expected.pred_probs_)
    with config_context(enable_metadata_routing=True):
        asking = clone(clf).set_fit_request(groups=True)
        routed = make_pipeline("passthrough", asking).fit(X, y, groups=groups)
    np.testing.assert_array_equal(routed[-1].soft_labels_, clf.soft_labels_)


def test_search_and_cross_validation(few):
    X, y, _ = few
    grid = {
        "estimator__n_neighbors": [1, 5],
        "detector": [None, LabelErrorDetector(LOGISTIC, cv=2, random_state=0)],
    }
    search = GridSearchCV(cleaning(KNeighborsClassifier()), grid, cv=2).fit(X, y)
    assert search.best_estimator_.labels_.shape == y.shape
    assert (cross_val_score(cleaning(LOGISTIC), X, y, cv=2) > 0.3).all()


def test_pickle_and_files(few, tmp_path):
    X, y, _ = few
    ours = NoisyRobustClassifier("ce", max_epochs=2, random_state=0)
    clf = cleaning(ours).fit(X, y)
    expected = clf.predict_proba(X)
    loaded = pickle.loads(pickle.dumps(clf))
    np.testing.assert_array_equal(loaded.predict_proba(X), expected)
    np.testing.assert_array_equal(loaded.detector_.soft_labels_, clf.soft_labels_)
    clf.save(tmp_path / "model.safetensors")
    loaded = sknoisy.load(tmp_path / "model.safetensors")
    np.testing.assert_array_equal(loaded.predict_proba(X), expected)
    np.testing.assert_array_equal(loaded.detector_.soft_labels_, clf.soft_labels_)


def test_what_it_found(noisy):
    X, y, _ = noisy
    clf = cleaning(KNeighborsClassifier())
    assert "Labels that" not in clf._repr_html_()
    found = clf.fit(X, y)._repr_html_()
    assert f"{(clf.labels_ != y).sum()} of 400" in found


@pytest.mark.parametrize(
    "params, message",
    [
        ({"estimator": None}, "estimator=None is not valid"),
        ({"estimator": LogisticRegression}, "estimator=<class .* is not valid"),
        ({"estimator": StandardScaler()}, "estimator=StandardScaler.* is not valid"),
        ({"estimator": LinearRegression()}, "must be a classifier"),
        ({"estimator": make_pipeline(StandardScaler(), KMeans())}, "be a classifier"),
        ({"estimator": NoisyRobustClassifier("erl")}, "loss='erl'"),
        ({"detector": LOGISTIC}, "must be a LabelErrorDetector or None"),
        ({"detector": LabelErrorDetector(cv=1)}, "cv=1 is not valid"),
        ({"random_state": "x"}, "random_state='x'"),
    ],
)
def test_bad_parameters(params, message, noisy):
    clf = cleaning(FOREST).set_params(**params)
    with pytest.raises(ValueError, match=message):
        clf.fit(*noisy[:2])


def test_bad_input(noisy):
    X, y, _ = noisy
    with pytest.raises(ValueError, match="inconsistent numbers of samples"):
        cleaning(FOREST).fit(X, y[1:])
    with pytest.raises(TypeError, match="X is not valid"):
        cleaning(FOREST).fit(3, y)
    with pytest.raises(ValueError, match="one class"):
        cleaning(FOREST).fit(X, np.ones(len(y)))
    with pytest.raises(ValueError, match="sample_weight is not valid"):
        cleaning(KNeighborsClassifier()).fit(X, y, sample_weight=np.arange(400))
    assert not hasattr(cleaning(LinearSVC()).fit(X, y), "predict_proba")


def test_a_fit_that_fails_leaves_it_as_it_was(noisy):
    X, y, _ = noisy
    clf = cleaning(KNeighborsClassifier()).fit(X, y)
    labels = clf.labels_
    with pytest.raises(ValueError, match="inconsistent"):
        clf.fit(X[:, :5], y[1:])
    assert clf.n_features_in_ == 64
    np.testing.assert_array_equal(clf.labels_, labels)
