"""Parts of a user's own that break their contract are refused, by name."""

from collections import Counter

import numpy as np
import pytest
import torch
from sklearn.datasets import load_digits
from torch import nn

from sknoisy import (
    Checkpoint,
    CoTrainingClassifier,
    NoisyRobustClassifier,
    SimCLR,
    SSLPretrainer,
)
from sknoisy.cotraining import CoTraining, given_losses
from sknoisy.losses import Loss
from sknoisy.losses.cross_entropy import cross_entropy
from sknoisy.selfsup import SelfSupervised
from sknoisy.views import Views

X, Y = load_digits(return_X_y=True)
IMAGES, X, Y = X[:60].reshape(-1, 8, 8), X[:60], Y[:60]


def made(base, name="Mine", **members):
    """An instance of a class of one's own."""
    return type(name, (base,), members)()


VIEWS = {
    "in place": (lambda self, batch, g: batch.mul_(0.5), r"Mine\(\) changed the batch"),
    "cropped": (
        lambda self, batch, g: batch[..., :4],
        r"returned a tensor of shape .*4",
    ),
    "fewer": (lambda self, batch, g: batch[:-1], "returned a tensor of shape"),
    "float64": (lambda self, batch, g: batch.double(), "and torch.float64 for a batch"),
    "int": (lambda self, batch, g: batch.int(), "and torch.int32 for a batch"),
    "none": (lambda self, batch, g: None, "returned an object of type NoneType"),
}


@pytest.mark.parametrize("call, message", VIEWS.values(), ids=VIEWS)
def test_views(call, message):
    views = made(Views, __call__=call)
    for fit in (
        NoisyRobustClassifier("ce", views=views, max_epochs=1).fit,
        CoTrainingClassifier("coteaching", views=views, max_epochs=1).fit,
        SSLPretrainer(SimCLR(views=views), max_epochs=1).fit,
    ):
        with pytest.raises(ValueError, match=message):
            fit(IMAGES, Y)


LOSSES = {
    "number": (lambda self, z, t, i: 1.0, "returned an object of type float"),
    "array": (lambda self, z, t, i: np.ones(len(z)), "returned an object of type nd"),
    "mean": (lambda self, z, t, i: z.mean(), r"returned a tensor of shape \(\) and"),
}


@pytest.mark.parametrize("call, message", LOSSES.values(), ids=LOSSES)
def test_losses(call, message):
    clf = NoisyRobustClassifier(made(Loss, __call__=call), "mlp", max_epochs=1)
    with pytest.raises(ValueError, match=f"Mine {message}.*one for each sample"):
        clf.fit(X, Y)


def agreeing(self, net, index, batch):
    """The plain loss of all networks."""
    logits = net.observed_logits(index, batch)
    return given_losses(logits, net.targets(index)).mean()


COTRAINING = {
    "heads": ({"heads": ("mlp",)}, r"Mine.heads=\('mlp',\) is not valid.*=2 networks"),
    "predicting": ({"predicting": (7,)}, r"Mine.predicting=\(7,\) is not valid"),
    "none": ({"n_networks": 0}, "Mine.n_networks=0 is not valid"),
    "start": (
        {"start": lambda self, *args: setattr(self, "state_", {})},
        r"Mine.start left out state_\[.noise.\].*super\(\).start",
    ),
    "loss": (
        {"loss": lambda self, *args: 1.0},
        "Mine returned an object of type float",
    ),
}


@pytest.mark.parametrize("members, message", COTRAINING.values(), ids=COTRAINING)
def test_cotraining(members, message):
    method = made(CoTraining, **({"loss": agreeing} | members))
    with pytest.raises(ValueError, match=message):
        CoTrainingClassifier(method, max_epochs=5).fit(X, Y)


def apart(self, networks, first, second):
    """How far the features of two views are apart."""
    first, second = networks["encoder"](first), networks["encoder"](second)
    return (first - second).square().mean()


SELFSUP = {
    "list": ({"build": lambda s, e: [nn.Linear(2, 2)]}, r"build returned \[Linear"),
    "none": (
        {"build": lambda s, e: None},
        "build returned None: it must return a dict",
    ),
    "encoder": (
        {"build": lambda s, e: {"encoder": nn.Identity()}},
        "build .* none of them called",
    ),
    "views": ({"make_views": lambda s, spec: SimCLR()}, "make_views returned SimCLR"),
}


@pytest.mark.parametrize("members, message", SELFSUP.values(), ids=SELFSUP)
def test_selfsupervised(members, message):
    members = {"build": lambda self, encoder: {}, "loss": apart} | members
    with pytest.raises(ValueError, match=f"Mine.{message}"):
        SSLPretrainer(made(SelfSupervised, **members), max_epochs=1).fit(IMAGES)


class Positions(Loss):
    """Cross-entropy that keeps which of the given samples it saw."""

    def start(self, n_samples, n_classes, device):
        self.state_ = {"seen": torch.full((n_samples,), -1)}

    def __call__(self, logits, target, index):
        self.state_["seen"][index] = self.positions_[index]
        return cross_entropy(logits, target)


def test_a_loss_knows_which_samples_it_is_trained_on():
    clf = NoisyRobustClassifier(Positions(), "mlp", max_epochs=1, batch_size=7)
    clf.fit(X, Y)
    np.testing.assert_array_equal(clf.loss_state_["seen"], np.arange(60))
    weights = np.arange(60) % 3
    clf.fit(X, Y, sample_weight=weights)
    np.testing.assert_array_equal(clf.loss_state_["seen"], np.flatnonzero(weights))


class Counting(Positions):
    """Counts what it saw."""

    def start(self, *args):
        super().start(*args)
        self.counts = Counter()


def test_a_checkpoint_refuses_what_it_could_not_restore(tmp_path):
    clf = NoisyRobustClassifier(Counting(), "mlp", max_epochs=1)
    with pytest.raises(ValueError, match="its attribute counts is a Counter"):
        clf.set_params(callbacks=[Checkpoint(tmp_path)]).fit(X, Y)
