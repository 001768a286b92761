import numpy as np
import pytest
from sklearn.datasets import load_digits
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import cross_val_predict
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from sknoisy.noise import pair_flip, symmetric_exclusive
from sknoisy.scores import label_posterior, limit_false_alarms


def simulated(rate, n_samples=6000, n_classes=5, accuracy=1.5, seed=0):
    """Labels drawn from probabilities that are calibrated, then made wrong."""
    rng = np.random.default_rng(seed)
    logits = accuracy * rng.normal(size=(n_samples, n_classes)) * 2
    probs = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    true = (rng.random((n_samples, 1)) > probs.cumsum(axis=1)).sum(axis=1)
    true = true.clip(max=n_classes - 1)
    noisy = symmetric_exclusive(true, rate, random_state=seed).y if rate else true
    return true, noisy, probs


@pytest.mark.parametrize("power", [0.5, 1.0, 2.0])  # how badly it is calibrated
@pytest.mark.parametrize("rate", [0.05, 0.2, 0.4])
@pytest.mark.parametrize("accuracy", [1.0, 2.0])
def test_probabilities_promise_no_more_than_they_keep(accuracy, rate, power):
    """Errors are injected: of those at each probability, that share or more is wrong.

    More, because the surest predictions of these ideal classifiers are hardly ever
    wrong, and an allowance is made for those that are.
    """
    true, noisy, probs = simulated(rate, accuracy=accuracy)
    probs = probs**power / (probs**power).sum(axis=1, keepdims=True)
    found = label_posterior(noisy, probs)
    low, high = found.noise_rate_interval
    assert low <= rate <= high
    assert found.own_error == pytest.approx(np.mean(probs.argmax(1) != true), abs=0.08)
    wrong, probability = noisy != true, 1 - found.given
    bins = np.digitize(probability, [0.2, 0.4, 0.6, 0.8])
    for b in np.unique(bins):
        some = bins == b
        if some.sum() >= 200:
            kept = wrong[some].mean() - probability[some].mean()
            assert -0.15 <= kept <= 0.35
    errors = limit_false_alarms(probability, 0.2)
    assert errors.sum() < 20 or wrong[errors].mean() >= 0.7
    suggested = np.where(found.other > found.given, found.others, noisy)
    assert (suggested == true).mean() >= (noisy == true).mean()


@pytest.mark.parametrize("rate", [0.05, 0.2, 0.4])
@pytest.mark.parametrize("accuracy", [0.5, 0.75])
def test_labels_do_not_get_worse_where_classes_overlap(accuracy, rate):
    """A classifier that is wrong for 4 of 10 samples must not spoil the labels."""
    true, noisy, probs = simulated(rate, accuracy=accuracy)
    found = label_posterior(noisy, probs)
    suggested = np.where(found.other > found.given, found.others, noisy)
    assert (suggested == true).mean() >= (noisy == true).mean() - 0.001


@pytest.mark.parametrize("accuracy", [0.5, 1.0, 2.0])
@pytest.mark.parametrize("seed", range(3))
def test_nothing_is_found_where_nothing_is_wrong(accuracy, seed):
    true, _, probs = simulated(0, accuracy=accuracy, seed=seed)
    found = label_posterior(true, probs)
    assert limit_false_alarms(1 - found.given).mean() <= 0.01
    assert (found.other > found.given).mean() <= 0.01
    low, high = found.noise_rate_interval
    assert low == 0 and found.noise_rate < 0.1


def test_few_wrong_labels_show_where_the_surest_predictions_are_hardly_ever_wrong():
    """Wrong predictions are many, but not among the surest; labels are, everywhere."""
    true, noisy, probs = simulated(0.03, n_samples=20_000)
    found = label_posterior(noisy, probs)
    errors = limit_false_alarms(1 - found.given)
    assert found.own_error > 0.2
    assert 0.005 < found.noise_rate < 0.03  # and not 0.0005
    assert errors.sum() > 100 and np.mean((noisy != true)[errors]) > 0.8


def test_transition_matrix_of_pairs():
    X, y = load_digits(return_X_y=True)
    labels = pair_flip(y, 0.2, random_state=0)
    clf = make_pipeline(StandardScaler(), LogisticRegression(C=0.1))
    probs = cross_val_predict(clf, X, labels.y, cv=3, method="predict_proba")
    T = label_posterior(labels.y, probs).transition_matrix
    np.testing.assert_allclose(T.sum(axis=1), 1)
    np.testing.assert_allclose(T, labels.transition_matrix, atol=0.15)


def test_probabilities_are_those_of_a_class():
    _, noisy, probs = simulated(0.2, n_samples=500)
    found = label_posterior(noisy, probs)
    assert (found.others != noisy).all()
    assert ((found.given >= 0) & (found.given + found.other <= 1 + 1e-9)).all()
    np.testing.assert_array_equal(found.of(noisy, noisy), found.given)
    np.testing.assert_array_equal(found.of(noisy, found.others), found.other)


@pytest.mark.parametrize("n_samples", [2, 3, 10])
def test_few_samples_and_certain_ones(n_samples):
    y = np.arange(n_samples) % 2
    for probs in (np.eye(2)[y], np.eye(2)[1 - y], np.full((n_samples, 2), 0.5)):
        found = label_posterior(y, probs)
        assert np.isfinite(found.given).all() and np.isfinite(found.other).all()
        low, high = found.noise_rate_interval
        assert 0 <= low <= found.noise_rate <= high <= 1


def test_classes_without_labels():
    y, probs = np.arange(90) % 3, np.full((90, 5), 0.025)
    probs[np.arange(90), y] = 0.9
    found = label_posterior(y, probs, classes=range(5))
    assert found.transition_matrix.shape == (5, 5)
    assert not limit_false_alarms(1 - found.given).any()


def test_false_alarms():
    p = np.array([0.95, 0.2, 0.9, 0.5, 0.0])
    for limit, n in ((0.0, 0), (0.05, 1), (0.1, 2), (0.3, 3), (0.9, 3)):
        errors = limit_false_alarms(p, limit)
        assert errors.sum() == n
        assert n == 0 or 1 - p[errors].mean() <= limit + 1e-9
    assert not limit_false_alarms(np.zeros(0)).any()
    with pytest.raises(ValueError, match="max_false_alarms=1 is not valid"):
        limit_false_alarms(p, 1)


def test_what_is_probably_right_is_not_called_wrong():
    """Ninety sure errors would leave room for thirty right labels."""
    p = np.repeat([0.999, 0.51, 0.49, 0.1], [90, 5, 5, 100])
    np.testing.assert_array_equal(limit_false_alarms(p, 0.3), p > 0.5)


def test_one_class_is_refused():
    with pytest.raises(ValueError, match="y holds only one class, 0: at least 2"):
        label_posterior([0, 0, 0], [[1.0]] * 3)


@pytest.mark.parametrize("n_wrong", [0, 20])
def test_classes_of_few_samples_beside_large_ones(n_wrong):
    """Each class has more voters than some of them have samples."""
    rng = np.random.default_rng(0)
    y = np.repeat(np.arange(10), [100, 5] * 5)
    noisy, wrong = y.copy(), rng.permutation(len(y))[:n_wrong]
    noisy[wrong] = (y[wrong] + rng.integers(1, 10, n_wrong)) % 10
    probs = 0.7 * np.eye(10)[y] + 0.3 * rng.dirichlet(np.ones(10), len(y))
    found = label_posterior(noisy, probs)
    assert abs(found.noise_rate - n_wrong / len(y)) < 0.02
    assert np.sum(found.given[wrong] < 0.5) >= 0.8 * n_wrong
    assert np.mean(found.given < 0.5) <= n_wrong / len(y)


def test_a_rare_class_counts_by_its_size():
    """Most of the surest samples of a rare class are of another one."""
    rng = np.random.default_rng(0)
    y = np.where(np.arange(600) < 20, 1, 0)
    noisy = np.where(rng.random(600) < 0.2, 1 - y, y)
    p = np.where(y == 1, 0.4, rng.uniform(0.05, 0.3, 600))  # one class is predicted
    found = label_posterior(noisy, np.stack([1 - p, p], axis=1))
    assert abs(found.noise_rate - (noisy != y).mean()) < 0.06
    low, high = found.noise_rate_interval
    assert low < 0.2 < high
    called = limit_false_alarms(1 - found.given, 0.2)
    wrong = noisy != y
    assert called[wrong].mean() >= 0.8 and wrong[called].mean() > 0.8
