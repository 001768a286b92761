"""Whatever state PyTorch, NumPy or Python is in, a fit gives the same."""

import warnings
from contextlib import contextmanager

import numpy as np
import pytest
import torch
from nets import narrow
from sklearn.base import clone
from sklearn.pipeline import Pipeline

from sknoisy import (
    ContrastiveFineTuner,
    CoTrainingClassifier,
    LabelCleaningClassifier,
    LabelErrorDetector,
    NoisyRobustClassifier,
    PretrainedEncoder,
    PseudoLabelRefiner,
    SSLPretrainer,
)
from sknoisy.cotraining import COTRAINING_METHODS
from sknoisy.losses import LOSSES, JointOptimization
from sknoisy.scores import (
    bmm_clean_probability,
    gmm_clean_probability,
    label_posterior,
)
from sknoisy.selfsup import METHODS

RNG = np.random.default_rng(0)
Y = np.arange(40) % 2
X = (RNG.normal(size=(40, 4)) + 2 * Y[:, None]).astype(np.float32)
IMAGES = (
    RNG.integers(0, 128, (40, 8, 8, 3), dtype=np.uint8)
    + 127 * Y.astype(np.uint8)[:, None, None, None]
)


def robust(loss="elr", **params):
    params = {"max_epochs": 3, "batch_size": 20, "random_state": 0} | params
    return NoisyRobustClassifier(loss, **params)


def pretrainer(method="simclr", **params):
    params = {"encoder": narrow, "max_epochs": 2, "random_state": 0} | params
    return SSLPretrainer(method, **params)


def with_small_heads(kind):
    known = kind().get_params(deep=False)
    widths = {"hidden_features": 32, "projection_features": 16}
    return kind(**{k: v for k, v in widths.items() if k in known})


def cotraining(method, **params):
    params = {"max_epochs": 6, "batch_size": 20, "random_state": 0} | params
    return CoTrainingClassifier(method, **params)


ESTIMATORS = {
    **{f"loss {name}": (robust(name), X) for name in LOSSES},
    **{f"co-training {name}": (cotraining(name), X) for name in COTRAINING_METHODS},
    "co-training kernel_posterior": (
        CoTrainingClassifier("kernel_posterior", random_state=0),
        X,
    ),
    **{
        f"pre-training {name}": (pretrainer(with_small_heads(kind)), IMAGES)
        for name, kind in METHODS.items()
    },
    "default on vectors": (NoisyRobustClassifier(random_state=0), X),
    "images": (robust(), IMAGES),
    "bfloat16": (robust(precision="bfloat16", encoder=narrow), IMAGES),
    "forest of views": (cotraining("ssr", max_epochs=3, encoder=narrow), IMAGES),
    "regularizers": (
        robust(regularizers=["clustering", "restoration"], encoder=narrow),
        IMAGES,
    ),
    "mlp head, adamw": (robust(head="mlp", optimizer="adamw"), X),
    "monitored": (pretrainer(monitor=1), IMAGES),
    "prior": (robust(JointOptimization(prior=[0.5, 0.5])), X),
    "lars": (robust(optimizer="lars", validation=0.25, class_weight="balanced"), X),
    "resnet": (robust(encoder="resnet18", max_epochs=1, batch_size=40), IMAGES),
    "torchvision": (
        robust(encoder="squeezenet1_1", max_epochs=1),
        IMAGES.repeat(4, 1).repeat(4, 2),
    ),
    "pipeline": (Pipeline([("ssl", pretrainer()), ("clf", robust())]), IMAGES),
    "published": (
        PretrainedEncoder(
            torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(192, 4))
        ),
        IMAGES,
    ),
    "refiner": (
        PseudoLabelRefiner(
            robust(encoder=narrow), 1, 1, first_stages=(1, 2), random_state=0
        ),
        IMAGES,
    ),
    "contrastive": (
        ContrastiveFineTuner(
            robust("ce", max_epochs=8, lr=0.1),
            pretrainer("supcon", encoder="auto"),
            random_state=0,
        ),
        X,
    ),
    "detector": (LabelErrorDetector(robust(), cv=2, random_state=0), X),
    "cleaning": (
        LabelCleaningClassifier(
            robust(), LabelErrorDetector(robust(), cv=2, random_state=0)
        ),
        X,
    ),
    "detector, dynamics": (LabelErrorDetector(robust(), cv="dynamics"), X),
    "detector, neighbours": (
        LabelErrorDetector(pretrainer(), "knn_agreement", random_state=0),
        IMAGES,
    ),
}


def result(estimator, X):
    """Fit; return what is made of X."""
    estimator = clone(estimator).fit(X, Y)
    if hasattr(estimator, "suggestion_confidence_"):
        return estimator.error_probability_
    if hasattr(estimator, "predict_proba"):
        return estimator.predict_proba(X)
    return np.asarray(estimator.transform(X))


# One of each kind, for states in which all methods of a kind fare alike.
SOME = [
    "loss elr",
    "loss sop",
    "co-training dividemix",
    "co-training kernel_posterior",
    "co-training ssr",
    "pre-training barlow_twins",
    "pre-training moco",
    "lars",
    "bfloat16",
    "pipeline",
    "published",
    "refiner",
    "contrastive",
    "detector",
    "detector, dynamics",
    "detector, neighbours",
]


@contextmanager
def defaults():
    """Another default dtype; and what is not told where to be has no values."""
    torch.set_default_dtype(torch.float64)
    torch.set_default_device("meta")
    try:
        yield
    finally:
        torch.set_default_device(None)
        torch.set_default_dtype(torch.float32)


@contextmanager
def deterministic():
    torch.use_deterministic_algorithms(True)
    try:
        yield
    finally:
        torch.use_deterministic_algorithms(False)


@contextmanager
def strict():
    """NumPy's floating-point errors are errors, and warnings but those of the data."""
    with np.errstate(all="raise"), warnings.catch_warnings():
        warnings.simplefilter("error")
        warnings.filterwarnings("ignore", "the network learned the labels")
        yield


def autocast():
    return torch.autocast("cpu", torch.bfloat16)


STATES = {
    "inference mode": torch.inference_mode,
    "no grad": torch.no_grad,
    "autocast": autocast,
    "deterministic": deterministic,
    "strict": strict,
}


@pytest.fixture(scope="module")
def plain():
    """What each estimator gives in no special state, computed once."""
    known = {}

    def of(name):
        if name not in known:
            known[name] = result(*ESTIMATORS[name])
        return known[name]

    return of


def counts_on_the_default_device():
    """Whether AdamW, as in older PyTorch, counts its steps where tensors go by default.

    On the device "meta" it cannot be used then, by anyone.
    """
    weight = torch.nn.Parameter(torch.ones(1))
    weight.grad = torch.ones(1)
    optimizer = torch.optim.AdamW([weight])
    try:
        with torch.device("meta"):
            optimizer.step()
    except RuntimeError:
        return True
    return False


@pytest.mark.parametrize("name", ESTIMATORS)
def test_defaults_of_pytorch(name, plain):
    if "adamw" in name and counts_on_the_default_device():
        pytest.skip("a fault of this version of PyTorch")
    expected = plain(name)
    with defaults():
        found = result(*ESTIMATORS[name])
    np.testing.assert_array_equal(expected, found)


@pytest.mark.parametrize("name", SOME)
@pytest.mark.parametrize("state", STATES)
def test_states(state, name, plain):
    expected = plain(name)
    with STATES[state]():
        found = result(*ESTIMATORS[name])
    np.testing.assert_array_equal(expected, found)


def test_a_disabled_autocast_around_it_keeps_no_weights(plain):
    with torch.autocast("cpu", enabled=False):
        found = result(*ESTIMATORS["bfloat16"])
    np.testing.assert_array_equal(plain("bfloat16"), found)


def test_numbers_that_are_too_small_are_no_errors():
    probs = np.array([[1.0, 0.0], [1e-300, 1.0], [0.5, 0.5], [1.0, 1e-30]] * 10)
    y = np.array([0, 1, 0, 1] * 10)
    losses = np.array([0.0, 1e-200, 1e-30, 3.0, 700.0] * 8)
    with strict():
        assert np.isfinite(label_posterior(y, probs).given).all()
        assert np.isfinite(gmm_clean_probability(losses)).all()
        assert np.isfinite(bmm_clean_probability(losses)).all()
