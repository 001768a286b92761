import pickle
import warnings

import numpy as np
import pytest
from scipy.sparse import csr_array
from sklearn import config_context
from sklearn.base import clone
from sklearn.datasets import load_digits, make_blobs
from sklearn.linear_model import LogisticRegression, RidgeClassifier
from sklearn.metrics import balanced_accuracy_score
from sklearn.model_selection import (
    GridSearchCV,
    cross_val_predict,
    cross_val_score,
    cross_validate,
    learning_curve,
)
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler

from sknoisy import SSLPretrainer
from sknoisy.metrics import (
    NoiseCorrectedScorer,
    detection_average_precision,
    detection_balanced_accuracy,
    detection_f1,
    neighbor_accuracy,
    noise_corrected_accuracy,
)
from sknoisy.metrics.counts import is_finite
from sknoisy.noise import add_noise, class_conditional, pair_flip
from sknoisy.scores import (
    knn_votes,
    label_votes,
    neighbor_label_votes,
    shrunk_transition_matrix,
)

WRONG = np.array([1, 1, 1, 0, 0, 0, 0, 0], dtype=bool)
FOUND = np.array([1, 1, 0, 1, 0, 0, 0, 0], dtype=bool)


def test_by_hand():
    """Two of three are found, with one false alarm among five right labels."""
    assert detection_f1(WRONG, FOUND) == pytest.approx(2 / 3)
    assert detection_balanced_accuracy(WRONG, FOUND) == pytest.approx((2 / 3 + 0.8) / 2)
    quality = [0.1, 0.3, 0.9, 0.2, 0.4, 0.5, 0.6, 0.7]
    expected = (1 / 1 + 2 / 3 + 3 / 8) / 3  # precision at ranks 1, 3 and 8
    assert detection_average_precision(WRONG, quality) == pytest.approx(expected)


def test_ends():
    assert detection_f1(WRONG, WRONG) == detection_balanced_accuracy(WRONG, WRONG) == 1
    assert detection_f1(WRONG, ~WRONG) == 0
    assert detection_f1(WRONG, np.zeros(8, bool)) == 0
    assert detection_balanced_accuracy(WRONG, np.zeros(8, bool)) == 0.5
    assert detection_average_precision(WRONG, ~WRONG) == 1
    assert detection_average_precision(WRONG, np.ones(8)) == pytest.approx(3 / 8)


def test_lists_and_numbers_are_masks():
    assert detection_f1([1, 0, 1], [True, False, True]) == 1


@pytest.mark.parametrize(
    "metric, wrong, found, message",
    [
        (detection_f1, WRONG, FOUND[:4], r"label_errors of shape \(4,\)"),
        (detection_f1, WRONG, np.arange(8), "label_errors of shape .* be a mask"),
        (detection_f1, [], [], "is_wrong of shape"),
        (detection_balanced_accuracy, np.zeros(8), FOUND, "is_wrong is False for all"),
        (detection_average_precision, np.ones(8), np.ones(8), "is_wrong is True for"),
        (detection_average_precision, WRONG, np.ones(3), r"label_quality of shape"),
        (detection_average_precision, WRONG, np.full(8, np.nan), "NaN"),
    ],
)
def test_errors(metric, wrong, found, message):
    with pytest.raises(ValueError, match=message):
        metric(wrong, found)


PAIR_FLIP = 0.6 * np.eye(5) + 0.4 * np.roll(np.eye(5), 1, axis=1)


class Fixed:
    """A classifier that was fitted long ago: X holds its predictions."""

    classes_ = np.arange(5)

    def predict(self, X):
        return X


def simulated(n, seed, shares=(0.2,) * 5):
    """Labels, and two classifiers' predictions: errors as the noise, and unlike it."""
    rng = np.random.default_rng(seed)
    y = rng.choice(5, p=shares, size=n)
    noisy = class_conditional(y, PAIR_FLIP, random_state=seed).y
    follows = np.where(rng.random(n) < 0.6, y, (y + 1) % 5)
    better = np.where(rng.random(n) < 0.8, y, (y + 2) % 5)
    return y, noisy, follows, better


def test_corrected_accuracy_by_hand():
    """The inverse of [[.8, .2], [.4, .6]] is [[1.5, -.5], [-1, 2]]."""
    T = [[0.8, 0.2], [0.4, 0.6]]
    assert noise_corrected_accuracy([0], [0], T, [0, 1]) == pytest.approx(1.5)
    assert noise_corrected_accuracy([0], [1], T, [0, 1]) == pytest.approx(-0.5)
    assert noise_corrected_accuracy([1], [0], T, [0, 1]) == pytest.approx(-1)
    assert noise_corrected_accuracy([1], [1], T, [0, 1]) == pytest.approx(2)
    mean = noise_corrected_accuracy(list("aabb"), list("abba"), T)
    assert mean == pytest.approx((1.5 - 0.5 + 2 - 1) / 4)
    # Labels that stand for 10 samples of each class; 8 and 6 are predicted right.
    noisy = np.repeat([0, 1, 0, 1, 0, 1, 0, 1], [32, 8, 8, 2, 8, 12, 12, 18])
    pred = np.repeat([0, 0, 1, 1, 0, 0, 1, 1], [32, 8, 8, 2, 8, 12, 12, 18])
    assert noise_corrected_accuracy(noisy, pred, T) == pytest.approx(0.7)
    balanced = noise_corrected_accuracy(noisy, pred, T, balanced=True)
    assert balanced == pytest.approx((0.8 + 0.6) / 2)


def test_without_noise_it_is_the_accuracy():
    y, _, pred, _ = simulated(500, 0, (0.6, 0.1, 0.1, 0.1, 0.1))
    eye = np.eye(5)
    assert noise_corrected_accuracy(y, pred, eye) == pytest.approx((y == pred).mean())
    balanced = noise_corrected_accuracy(y, pred, eye, balanced=True)
    assert balanced == pytest.approx(balanced_accuracy_score(y, pred))


@pytest.mark.parametrize("shares", [(0.2,) * 5, (0.5, 0.2, 0.1, 0.1, 0.1)])
def test_corrected_accuracy_is_unbiased(shares):
    """The noisy accuracy prefers the worse one, whose errors follow the noise."""
    errors, noisy_scores, wrong_order = [], [], 0
    for seed in range(200):
        y, noisy, follows, better = simulated(500, seed, shares)
        found = [
            noise_corrected_accuracy(noisy, pred, PAIR_FLIP, range(5))
            for pred in (follows, better)
        ]
        errors.append(
            [a - (y == p).mean() for a, p in zip(found, (follows, better), strict=True)]
        )
        noisy_scores.append([(noisy == p).mean() for p in (follows, better)])
        wrong_order += found[0] > found[1]
    mean, deviation = np.mean(errors, axis=0), np.std(errors, axis=0)
    assert (np.abs(mean) < 4 * deviation / np.sqrt(200)).all()
    np.testing.assert_allclose(np.mean(noisy_scores, axis=0), [0.52, 0.48], atol=0.01)
    assert wrong_order < 10


def test_balanced_of_unequal_classes():
    y, noisy, _, better = simulated(100_000, 0, (0.6, 0.1, 0.1, 0.1, 0.1))
    better = np.where(y == 0, 0, better)  # the largest class is always right
    true = balanced_accuracy_score(y, better)
    assert true < (y == better).mean() - 0.05
    scorer = NoiseCorrectedScorer(PAIR_FLIP, balanced=True)
    assert scorer(Fixed(), better, noisy) == pytest.approx(true, abs=0.02)


def test_balanced_leaves_out_classes_of_less_than_one_sample():
    """Of 99 labels, 20 are class 1: 19.8 of them by the noise of class 0 alone."""
    T, y = [[0.8, 0.2], [0.2, 0.8]], np.repeat([0, 1], [79, 20])
    predicted = np.repeat([0, 1, 0], [70, 9, 20])
    right, wrong = 0.8 * 70 - 0.2 * 20, 0.8 * 9  # of class 0, times 0.6
    score = noise_corrected_accuracy(y, predicted, T, balanced=True)
    assert score == pytest.approx(right / (right + wrong))


def test_error_bar_is_the_spread_of_scores():
    scorer = NoiseCorrectedScorer(PAIR_FLIP)
    scores = []
    for seed in range(300):
        _, noisy, _, better = simulated(400, seed)
        scores.append(scorer(Fixed(), better, noisy))
    result = scorer.evaluate(Fixed(), better, noisy, random_state=0)
    assert result.score == scores[-1]
    assert result.standard_error == pytest.approx(np.std(scores), rel=0.2)
    assert result.noisy_score == pytest.approx((better == noisy).mean())
    assert result.is_corrected
    again = scorer.evaluate(Fixed(), better, noisy, random_state=0)
    assert again.standard_error == result.standard_error


def singular(entry):
    """Return a matrix of labels that tell nothing, one number of which may be off."""
    T = np.full((5, 5), 0.2)
    T[0, 0] = entry
    return T


@pytest.mark.parametrize("balanced", [False, True])
def test_ill_conditioned_is_not_corrected(balanced):
    _, noisy, _, better = simulated(400, 0)
    T = np.full((5, 5), 0.19) + 0.05 * np.eye(5)
    score = (noisy == better).mean()
    if balanced:
        score = balanced_accuracy_score(noisy, better)
    for matrix in (T, np.full((5, 5), 0.2)):
        scorer = NoiseCorrectedScorer(matrix, balanced=balanced)
        with pytest.warns(UserWarning, match="condition number .*not corrected"):
            assert scorer(Fixed(), better, noisy) == pytest.approx(score)
    # Rounding makes singular values 0 or tiny, by the version of LAPACK.
    for entry in (0.2, np.nextafter(0.2, 1)):
        scorer = NoiseCorrectedScorer(singular(entry), max_condition=np.inf)
        with pytest.warns(UserWarning, match="condition number inf.*not corrected"):
            assert not scorer.evaluate(Fixed(), better, noisy).is_corrected
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        NoiseCorrectedScorer(T, max_condition=50)(Fixed(), better, noisy)
    for entry in (0.2, np.nextafter(0.2, 1)):
        with pytest.raises(ValueError, match="transition_matrix is singular"):
            noise_corrected_accuracy(noisy, better, singular(entry))


def blobs():
    centers = [[1.0, 4.3], [2.1, 0.9], [-1.5, 2.9]]  # drawn ones may overlap
    X, y = make_blobs(3000, centers=centers, cluster_std=0.6, random_state=0)
    noisy = pair_flip(y, 0.3, random_state=0)
    return X, y, np.array(["ant", "bee", "cat"])[noisy.y], noisy.transition_matrix


@pytest.mark.filterwarnings("ignore:The transition matrix has condition")
@pytest.mark.parametrize("matrix", ["auto", "votes", "true"])
def test_in_scikit_learn(matrix):
    X, y, noisy, T = blobs()
    scorer = NoiseCorrectedScorer(T if matrix == "true" else matrix)
    clf = LogisticRegression()
    true = (cross_val_predict(clf, X, noisy) == np.unique(noisy)[y]).mean()
    found = cross_val_score(clf, X, noisy, scoring=scorer, error_score="raise").mean()
    assert found == pytest.approx(true, abs=0.05)
    candidates = {"class_weight": [None, {"ant": 100}]}
    search = GridSearchCV(clf, candidates, scoring=scorer, error_score="raise")
    assert search.fit(X, noisy).best_params_ == {"class_weight": None}
    _, _, scores = learning_curve(
        clf, X, noisy, train_sizes=[0.5, 1.0], scoring=scorer, error_score="raise"
    )
    assert np.isfinite(scores).all()


@pytest.mark.parametrize("method", ["auto", "hoc", "confident_joint"])
def test_from_samples(method):
    X, y, noisy, T = blobs()
    estimator = LogisticRegression() if method == "confident_joint" else None
    scorer = NoiseCorrectedScorer.from_samples(
        X, noisy, method=method, estimator=estimator, balanced=True
    )
    assert np.abs(scorer.transition_matrix - T).mean() < 0.1
    assert [*scorer.classes] == ["ant", "bee", "cat"]
    assert scorer.balanced
    few = noisy != "cat"
    clf = LogisticRegression().fit(X[few], noisy[few])
    assert np.isfinite(scorer(clf, X[few], noisy[few]))


def test_from_samples_of_images_and_lazy_features():
    X, _, noisy, T = blobs()
    clf = make_pipeline(FunctionTransformer(flat), LogisticRegression())
    images = X[:, :, None]
    with pytest.raises(ValueError, match="'neighbors': X must be .*two dimensions"):
        NoiseCorrectedScorer.from_samples(images, noisy)
    with pytest.raises(ValueError, match="method='votes' needs an estimator"):
        NoiseCorrectedScorer.from_samples(X, noisy, method="votes")
    with pytest.raises(ValueError, match="RidgeClassifier.* is not valid"):
        NoiseCorrectedScorer.from_samples(X, noisy, estimator=RidgeClassifier())
    scorer = NoiseCorrectedScorer.from_samples(images, noisy, estimator=clf)
    np.testing.assert_allclose(scorer.transition_matrix, T, atol=0.1)
    features = SSLPretrainer(max_epochs=1, random_state=0).fit_transform(X[:300])
    lazy = NoiseCorrectedScorer.from_samples(features, noisy[:300])
    plain = NoiseCorrectedScorer.from_samples(np.asarray(features), noisy[:300])
    np.testing.assert_array_equal(lazy.transition_matrix, plain.transition_matrix)


def test_a_nested_search_keeps_the_matrix():
    X, _, noisy, _ = blobs()
    scorer = NoiseCorrectedScorer.from_samples(X, noisy)
    search = GridSearchCV(LogisticRegression(), {"C": [0.1, 1]}, scoring=scorer, cv=2)
    copy = clone(search).scoring
    np.testing.assert_array_equal(copy.transition_matrix, scorer.transition_matrix)
    scores = cross_val_score(search, X, noisy, scoring=scorer, error_score="raise")
    assert scores.mean() > 0.8


def test_scorer_is_a_scikit_learn_object():
    scorer = NoiseCorrectedScorer(PAIR_FLIP, classes=range(5))
    _, noisy, _, better = simulated(100, 0)
    for copy in (clone(scorer), pickle.loads(pickle.dumps(scorer))):
        assert copy(Fixed(), better, noisy) == scorer(Fixed(), better, noisy)
    assert repr(NoiseCorrectedScorer(balanced=True)) == (
        "NoiseCorrectedScorer(balanced=True)"
    )
    assert set(scorer.get_params()) == {
        "transition_matrix",
        "classes",
        "balanced",
        "max_condition",
    }


@pytest.mark.parametrize("noise", ["symmetric_exclusive", "pair_flip"])
def test_right_classes_score_one(noise):
    """As perfect predictions should."""
    X, y = load_digits(return_X_y=True)
    X, y = X[:1000], y[:1000]
    scores = []
    for seed in range(3):
        noisy = add_noise(y, noise, 0.4, random_state=seed).y
        T = NoiseCorrectedScorer.from_samples(X, noisy).transition_matrix
        scores.append(noise_corrected_accuracy(noisy, y, T))
    assert np.mean(scores) == pytest.approx(1, abs=0.05)


def test_of_few_samples_thirty_vote_for_each_class():
    X, y = make_blobs(200, centers=3, cluster_std=2.0, random_state=0)
    noisy = pair_flip(y, 0.3, random_state=0).y
    clf = LogisticRegression().fit(X, noisy)
    votes = label_votes(noisy, clf.predict_proba(X), share=30 / (200 / 3))
    assert votes.sum(axis=1).tolist() == [30, 30, 30]
    found = NoiseCorrectedScorer("votes").evaluate(clf, X, noisy, n_bootstrap=2)
    np.testing.assert_array_equal(
        found.transition_matrix, shrunk_transition_matrix(votes)
    )


@pytest.mark.parametrize("n, n_neighbors", [(40, 5), (120, 10), (900, 50)])
def test_of_few_samples_few_neighbors_count(n, n_neighbors):
    """A quarter of the samples of a class, from 5 to 50, in columns of one scale."""
    X, y = make_blobs(n, centers=3, random_state=0)
    X, noisy = X * [1, 1000], pair_flip(y, 0.3, random_state=0).y
    scaled = (X - X.mean(axis=0)) / X.std(axis=0)
    votes = neighbor_label_votes(noisy, scaled, n_neighbors=n_neighbors)
    found = NoiseCorrectedScorer.from_samples(X, noisy).transition_matrix
    np.testing.assert_allclose(found, shrunk_transition_matrix(votes), atol=1e-3)


@pytest.mark.parametrize("method", ["neighbors", "votes"])
def test_labels_of_classes_that_are_not_there_count_as_right(method):
    X, y = make_blobs(300, centers=3, random_state=0)
    clf = LogisticRegression().fit(X, y)
    scorer = NoiseCorrectedScorer(method, classes=[0, 1, 2, 3])
    T = scorer.evaluate(clf, X, y, n_bootstrap=2).transition_matrix
    np.testing.assert_array_equal(T[3], [0, 0, 0, 1])


def test_matrix_of_many_samples_is_that_of_the_surest():
    X, y = make_blobs(3000, centers=3, cluster_std=0.6, random_state=0)
    noisy = pair_flip(y, 0.3, random_state=0).y
    votes = label_votes(noisy, knn_votes(noisy, StandardScaler().fit_transform(X), 50))
    found = NoiseCorrectedScorer.from_samples(X, noisy).transition_matrix
    np.testing.assert_array_equal(found, shrunk_transition_matrix(votes))


def test_auto_does_not_believe_the_scored_classifier():
    """It is wrong about a third of the samples, and sure of it."""
    X, y, noisy, _ = blobs()

    class Sure(Fixed):
        classes_ = np.unique(noisy)

        def predict(self, X):
            return self.classes_[np.where(X[:, 0].astype(float) > 1, 0, y)]

        def predict_proba(self, X):
            return (self.predict(X)[:, None] == self.classes_).astype(float)

    true = (Sure().predict(X) == np.unique(noisy)[y]).mean()
    assert 0.5 < true < 0.8
    auto = NoiseCorrectedScorer()
    assert auto(Sure(), X, noisy) == pytest.approx(true, abs=0.15)
    assert NoiseCorrectedScorer("confident_joint")(Sure(), X, noisy) > true + 0.25
    with pytest.raises(ValueError, match="two dimensions"):
        NoiseCorrectedScorer("neighbors")(Sure(), X[:, :1].astype(str), noisy)


@pytest.mark.parametrize("kind", ["frame", "sparse", "images", "gaps"])
def test_auto_takes_what_classifiers_take(kind):
    X, y, noisy, T = blobs()
    given = X[:, :, None] if kind == "images" else X
    if kind == "frame":
        given = pytest.importorskip("pandas").DataFrame(X, columns=["a", "b"])
    elif kind == "sparse":
        given = csr_array(X)
    elif kind == "gaps":
        given = np.c_[X, np.where(y == 1, np.nan, 0)]
    clf = make_pipeline(FunctionTransformer(flat), LogisticRegression())
    result = NoiseCorrectedScorer().evaluate(clf.fit(given, noisy), given, noisy)
    assert np.abs(result.transition_matrix - T).mean() < 0.1


def flat(X):
    if isinstance(X, np.ndarray):
        return np.nan_to_num(X.reshape(len(X), -1), nan=1.0)
    return X


@pytest.mark.filterwarnings("ignore:The transition matrix has condition")
def test_classes_missing_in_a_fold():
    X, _, noisy, T = blobs()
    few = noisy != "cat"
    clf = LogisticRegression().fit(X[few], noisy[few])
    for scorer in (
        NoiseCorrectedScorer(),
        NoiseCorrectedScorer(T),
    ):  # cat in the labels
        assert np.isfinite(scorer(clf, X, noisy))
    with pytest.raises(ValueError, match=r"shape \(3, 3\).*2 classes.*pass all as"):
        NoiseCorrectedScorer(T)(clf, X[few], noisy[few])
    scorer = NoiseCorrectedScorer(T, classes=["ant", "bee", "cat"])
    assert np.isfinite(scorer(clf, X[few], noisy[few]))


@pytest.mark.parametrize(
    "settings, message",
    [
        ({"transition_matrix": "vote"}, "transition_matrix='vote' is not valid"),
        ({"transition_matrix": 2 * np.eye(3)}, "rows sum to 2 to 2"),
        ({"transition_matrix": "votes"}, "RidgeClassifier has no predict_proba"),
        ({"classes": ["cat", "bee", "ant"]}, "sorted and distinct"),
        ({"max_condition": 0.5}, "max_condition=0.5 is not valid"),
    ],
)
def test_scorer_errors(settings, message):
    X, _, noisy, T = blobs()
    clf = RidgeClassifier().fit(X, noisy)
    with pytest.raises(ValueError, match=message):
        NoiseCorrectedScorer(**{"transition_matrix": T} | settings)(clf, X, noisy)


@pytest.mark.parametrize("routing", [False, True])
def test_beside_other_scorers(routing):
    X, _, noisy, T = blobs()
    scoring = {"noisy": "accuracy", "corrected": NoiseCorrectedScorer(T)}
    with config_context(enable_metadata_routing=routing):
        scores = cross_validate(LogisticRegression(), X, noisy, scoring=scoring)
    assert (scores["test_corrected"] > scores["test_noisy"]).all()


def test_neighbor_accuracy_ranks_features_by_the_true_classes():
    """Features whose errors follow the noise look better until it is corrected."""
    rng = np.random.default_rng(0)
    y = rng.integers(5, size=4000)
    # Of the same seed, the noise would follow the classes.
    noisy = class_conditional(y, PAIR_FLIP, random_state=50).y
    places = np.eye(5)[y]
    follows = 0.1 * rng.normal(size=(4000, 5)) + np.where(
        rng.random((4000, 1)) < 0.7, places, np.eye(5)[(y + 1) % 5]
    )
    better = 0.1 * rng.normal(size=(4000, 5)) + np.where(
        rng.random((4000, 1)) < 0.8, places, np.eye(5)[(y + 2) % 5]
    )
    uncorrected = [neighbor_accuracy(noisy, f, 200) for f in (follows, better)]
    assert uncorrected == pytest.approx([0.54, 0.48], abs=0.03)
    found = [neighbor_accuracy(noisy, f, 200, PAIR_FLIP) for f in (follows, better)]
    assert found == pytest.approx([0.7, 0.8], abs=0.05)
    assert neighbor_accuracy(y, places + 0.01 * better, 5) > 0.99
    names = np.array(list("abcde"))
    assert neighbor_accuracy(names[noisy], better, 200, PAIR_FLIP) == found[1]


def test_tables_of_pandas_own_numbers():
    pd = pytest.importorskip("pandas")
    X, y, noisy, T = blobs()
    clf = LogisticRegression().fit(X, noisy)
    frame = pd.DataFrame(X).astype("Float64")
    scorer = NoiseCorrectedScorer()
    assert scorer(clf, frame, noisy) == pytest.approx(scorer(clf, X, noisy))
    frame.iloc[0, 0] = pd.NA
    assert not is_finite(frame)


def test_classes_that_the_classifier_knows_besides():
    X, _, noisy, _ = blobs()
    clf, few = LogisticRegression().fit(X, noisy), noisy != "cat"
    few &= clf.predict(X) != "cat"
    with pytest.raises(ValueError, match="the classifier knows 'cat', too"):
        NoiseCorrectedScorer("votes", ["ant", "bee"])(clf, X[few], noisy[few])


def test_of_one_sample_or_none():
    X, _, noisy, T = blobs()
    clf = LogisticRegression().fit(X, noisy)
    with pytest.raises(ValueError, match="by 'neighbors' from 1 sample: pass a matrix"):
        NoiseCorrectedScorer()(clf, X[:1], noisy[:1])
    with pytest.raises(ValueError, match="y has 0 labels, and there are 0 predictions"):
        noise_corrected_accuracy([], [], np.eye(2), classes=[0, 1])
