"""The kernel machine that vectors get by default: how it is asked for, and tuned."""

import pickle
import warnings

import numpy as np
import pytest
import torch
from sklearn.base import clone
from sklearn.datasets import load_iris
from sklearn.model_selection import GridSearchCV
from torch.overrides import TorchFunctionMode

import sknoisy
from sknoisy import (
    ELR,
    CoTrainingClassifier,
    DivideMix,
    KernelPosterior,
    NoisyRobustClassifier,
    PretrainedEncoder,
)

X, Y = load_iris(return_X_y=True)


@pytest.mark.parametrize("loss", ["kernel_posterior", KernelPosterior()])
def test_it_can_be_asked_for(loss, tmp_path):
    default = NoisyRobustClassifier(random_state=0).fit(X, Y)
    asked = clone(NoisyRobustClassifier(loss, random_state=0)).fit(X, Y)
    expected = default.predict_proba(X)
    np.testing.assert_array_equal(asked.predict_proba(X), expected)
    assert asked.method_params_ == {"n_landmarks": 150}
    asked.save(tmp_path / "clf.sknoisy")
    loaded = sknoisy.load(tmp_path / "clf.sknoisy")
    np.testing.assert_array_equal(loaded.predict_proba(X), expected)


def test_the_default_can_be_tuned():
    clf = NoisyRobustClassifier(random_state=0)
    search = GridSearchCV(clf, {"loss__n_rounds": [0, 2]}, cv=2).fit(X, Y)
    assert search.best_score_ > 0.9
    assert isinstance(search.best_estimator_.loss, KernelPosterior)
    assert clone(clf).set_params(loss__lam=1.0).loss == ELR(lam=1.0)
    assert clone(clf).set_params(loss="elr", loss__lam=1.0).loss == ELR(lam=1.0)


def test_parameters_of_networks_are_not_ignored_silently():
    clf = NoisyRobustClassifier(max_epochs=3, lr=5.0, batch_size=16)
    with pytest.warns(UserWarning, match="lr=5.0, max_epochs=3 changes") as caught:
        clf.fit(X, Y)
    assert [w for w in caught if "batch_size=16" in str(w.message)] == [*caught]
    clf = NoisyRobustClassifier("kernel_posterior", head="mlp", schedule="constant")
    with pytest.warns(UserWarning, match="head='mlp', schedule='constant' changes"):
        clf.fit(X, Y)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        NoisyRobustClassifier(max_epochs=1).fit(X, Y)  # what it is anyway
        NoisyRobustClassifier("ce", max_epochs=2, lr=0.1).fit(X, Y)
        CoTrainingClassifier("kernel_posterior").fit(X, Y)
    clf = CoTrainingClassifier("kernel_posterior", head_epochs=3, lr=5.0)
    with pytest.warns(UserWarning, match="head_epochs=3, lr=5.0 changes nothing"):
        clf.fit(X, Y)


@pytest.mark.parametrize("freeze", [False, True])
def test_an_encoder_with_random_weights_is_an_encoder(freeze):
    features = PretrainedEncoder("mlp", weights=None).fit_transform(X)
    clf = NoisyRobustClassifier(freeze_encoder=freeze, random_state=0)
    clf.fit(features, Y)
    assert clf._method_for(features).leaves_out == freeze
    assert hasattr(clf, "clean_proba_") == freeze
    assert clf.predict_proba(X).shape == (150, 3)
    clf.partial_fit(features, Y)
    pickle.loads(pickle.dumps(clf)).partial_fit(features, Y)


def test_what_it_is_not_for():
    with pytest.raises(ValueError, match="encoder that is trained"):
        NoisyRobustClassifier("kernel_posterior", encoder="mlp").fit(X, Y)
    clf = NoisyRobustClassifier("kernel_posterior", regularizers=["clustering"])
    with pytest.raises(ValueError, match=r"KernelPosterior\(\): they train"):
        clf.fit(X, Y)
    with pytest.raises(ValueError, match="none is memorised"):
        NoisyRobustClassifier("kernel_posterior", stopping="label_wave").fit(X, Y)


@pytest.mark.parametrize("given", ["dividemix", DivideMix()], ids=["name", "object"])
def test_a_method_given_as_a_loss(given):
    with pytest.raises(ValueError, match="a method: use CoTrainingClassifier"):
        NoisyRobustClassifier(given).fit(X, Y)


@pytest.mark.parametrize("given", ["elr", ELR()], ids=["name", "object"])
def test_a_loss_given_as_a_method(given):
    with pytest.raises(ValueError, match="a loss: use NoisyRobustClassifier"):
        CoTrainingClassifier(given).fit(X, Y)


class _Rounding(TorchFunctionMode):
    """Rounds factors of products to 11 bits, as GPUs do if a user allows TF32."""

    def __torch_function__(self, function, types, args=(), kwargs=None):
        if "matmul" in function.__name__ and args[0].dtype == torch.float32:
            args = [
                ((factor.contiguous().view(torch.int32) + 0x1000) & ~0x1FFF).view(
                    torch.float32
                )
                for factor in args
            ]
        return function(*args, **(kwargs or {}))


def test_rounded_products_leave_the_kernel_definite():
    with _Rounding():
        coarse = NoisyRobustClassifier(random_state=0).fit(X, Y)
    assert coarse.score(X, Y) > 0.9


def zeros_and_counts(rng, shape):
    return np.where(rng.random(shape) < 0.1, rng.integers(1, 1000, shape), 0)


def long_tails(rng, shape):
    return np.exp(3 * rng.normal(size=shape))


@pytest.mark.parametrize("skewed", [zeros_and_counts, long_tails])
@pytest.mark.parametrize("d", [1, 2])
def test_columns_that_are_far_from_normal(skewed, d):
    rng, n = np.random.default_rng(0), 300
    tables = [np.c_[skewed(rng, (n, d)), rng.normal(size=n)] for _ in range(2)]
    y, y_test = [(table[:, -1] > 0).astype(int) for table in tables]
    clf = NoisyRobustClassifier(random_state=0).fit(tables[0], y)
    assert clf.score(tables[1], y_test) > 0.85
