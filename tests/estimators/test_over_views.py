"""Predictions averaged over views."""

import numpy as np
import pytest
from nets import narrow
from scipy.special import softmax
from sklearn.ensemble import VotingClassifier

from sknoisy import CoTrainingClassifier, NoisyRobustClassifier, SSLPretrainer
from sknoisy.views import Views


class Mirrored(Views):
    """The mirror image of every sample."""

    def __call__(self, batch, generator):
        return batch.flip(3)


@pytest.mark.parametrize(
    "make",
    [
        lambda **kw: NoisyRobustClassifier("ce", **kw),
        lambda **kw: CoTrainingClassifier("coteaching", **kw),
        lambda **kw: CoTrainingClassifier("self", **kw),  # one of whose two predicts
    ],
    ids=["one", "two", "the average"],
)
def test_the_prediction_is_the_mean_over_a_sample_and_its_views(make, colour):
    X, y = colour
    settings = {"encoder": narrow, "max_epochs": 2, "random_state": 0}
    clf = make(views=Mirrored(), **settings).fit(X, y)
    mirrored = X[:, :, ::-1].copy()
    both = [clf.predict_proba(x) for x in (X, mirrored)]
    assert not np.allclose(*both, atol=1e-3)
    logs = clf.predict_log_proba(X)
    np.testing.assert_allclose(softmax(logs, axis=1), both[0], atol=1e-6)
    clf.set_params(n_test_views=1)
    expected = np.mean(both, axis=0)
    np.testing.assert_allclose(clf.predict_proba(X), expected, atol=1e-5)
    np.testing.assert_allclose(clf.predict_proba(mirrored), expected, atol=1e-5)
    clf.set_params(n_test_views=3)  # three mirror images
    expected = (both[0] + 3 * both[1]) / 4
    np.testing.assert_allclose(clf.predict_proba(X), expected, atol=1e-5)


def test_random_views_are_the_same_in_every_call(colour):
    X, y = colour
    clf = NoisyRobustClassifier("ce", n_test_views=2, max_epochs=2, random_state=0)
    found = clf.fit(X, y).predict_proba(X)
    np.testing.assert_array_equal(found, clf.predict_proba(X))
    np.testing.assert_allclose(found.sum(axis=1), 1, rtol=1e-5)
    plain = clf.set_params(n_test_views=0).predict_proba(X)
    assert not np.allclose(found, plain, atol=1e-4)


def test_an_ensemble_shares_one_pre_training(colour):
    X, y = colour
    features = SSLPretrainer(max_epochs=1, random_state=0).fit_transform(X)
    members = [
        (str(seed), NoisyRobustClassifier("ce", max_epochs=1, random_state=seed))
        for seed in (0, 1)
    ]
    ensemble = VotingClassifier(members, voting="soft").fit(features, y)
    each = [member.predict_proba(X) for member in ensemble.estimators_]
    assert not np.allclose(*each, atol=1e-3)
    np.testing.assert_allclose(ensemble.predict_proba(X), np.mean(each, axis=0))
    # Each of them has trained the encoder.
    before = features.encoder.state
    name = next(name for name, values in before.items() if name.endswith("weight"))
    for member in ensemble.estimators_:
        assert not np.array_equal(before[name], member.encoder_.state[name])


def test_vectors_have_no_views():
    X, y = np.random.default_rng(0).normal(size=(30, 4)), np.arange(30) % 2
    clf = NoisyRobustClassifier("ce", max_epochs=2, random_state=0).fit(X, y)
    plain = clf.predict_proba(X)
    found = clf.set_params(n_test_views=4).predict_proba(X)
    np.testing.assert_array_equal(found, plain)


def test_their_number_is_checked_before_training():
    with pytest.raises(ValueError, match="n_test_views=-1"):
        NoisyRobustClassifier(n_test_views=-1).fit([[0.0], [1.0]], [0, 1])
