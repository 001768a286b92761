"""Optimisers and schedules against NumPy, alone and through an estimator."""

import numpy as np
import pytest
import torch
from torch import nn

from sknoisy import NoisyRobustClassifier
from sknoisy.training.optim import LARS, OPTIMIZERS, SCHEDULES, Idle

MOMENTUM, DECAY, TRUST = 0.8, 0.3, 0.02


class Nesterov:
    """Reference: SGD with Nesterov momentum, as PyTorch's documentation writes it."""

    def __init__(self, decay=DECAY):
        self.velocity, self.decay = 0.0, decay

    def step(self, w, gradient, lr):
        gradient = gradient + self.decay * w
        self.velocity = MOMENTUM * self.velocity + gradient
        return w - lr * (gradient + MOMENTUM * self.velocity)


class HeavyBall(Nesterov):
    def step(self, w, gradient, lr):
        self.velocity = MOMENTUM * self.velocity + gradient + self.decay * w
        return w - lr * self.velocity


class Lars(Nesterov):
    def step(self, w, gradient, lr):
        if w.ndim > 1:
            gradient = gradient + self.decay * w
            ratio = TRUST * np.linalg.norm(w) / np.linalg.norm(gradient)
            gradient = min(ratio, 1.0) * gradient
        self.velocity = MOMENTUM * self.velocity + gradient
        return w - lr * self.velocity


class AdamW:
    def __init__(self, decay=DECAY):
        self.t, self.mean, self.square, self.decay = 0, 0.0, 0.0, decay

    def step(self, w, gradient, lr):
        self.t += 1
        self.mean = MOMENTUM * self.mean + (1 - MOMENTUM) * gradient
        self.square = 0.999 * self.square + 0.001 * gradient**2
        mean = self.mean / (1 - MOMENTUM**self.t)
        square = self.square / (1 - 0.999**self.t)
        return w - lr * self.decay * w - lr * mean / (np.sqrt(square) + 1e-8)


REFERENCES = {"adamw": AdamW, "lars": Lars, "momentum": HeavyBall, "sgd": Nesterov}

# For three steps: their progress is 0, 1/3 and 2/3.
FACTORS = {
    "constant": [1.0, 1.0, 1.0],
    "cosine": [1.0, 0.01 + 0.99 * 0.75, 0.01 + 0.99 * 0.25],
    "steps": [1.0, 1.0, 0.1],
}


def test_every_optimiser_and_schedule_has_a_reference():
    assert REFERENCES.keys() == OPTIMIZERS.keys()
    assert FACTORS.keys() == SCHEDULES.keys()


# Near the minimum and without decay, gradients are so small that LARS caps its ratio.
@pytest.mark.parametrize("decay, distance", [(DECAY, 1.0), (0.0, 1e-3)])
@pytest.mark.parametrize("name", OPTIMIZERS)
def test_three_steps_of_linear_regression(name, decay, distance):
    rng = np.random.default_rng(0)
    parts = [rng.normal(size=(2, 3)), rng.normal(size=2)]
    X, noise = rng.normal(size=(8, 3)), rng.normal(size=(8, 2))
    y = X @ parts[0].T + parts[1] + distance * noise
    params = [nn.Parameter(torch.tensor(part)) for part in parts]
    settings = {"momentum": MOMENTUM, "weight_decay": decay}
    optimizer = OPTIMIZERS[name](params, lr=0.1, **settings)
    references = [REFERENCES[name](decay), REFERENCES[name](decay)]
    for lr in (0.1, 0.05, 0.2):
        for group in optimizer.param_groups:
            group["lr"] = lr
        optimizer.zero_grad()
        output = torch.tensor(X) @ params[0].T + params[1]
        ((output - torch.tensor(y)) ** 2).sum().div(2 * len(X)).backward()
        optimizer.step()
        error = (X @ parts[0].T + parts[1] - y) / len(X)
        gradients = error.T @ X, error.sum(axis=0)
        for i in range(2):
            parts[i] = references[i].step(parts[i], gradients[i], lr)
            ours = params[i].detach()
            np.testing.assert_allclose(ours, parts[i], rtol=1e-6, atol=1e-12)


class Plain(nn.Identity):
    """An encoder without parameters: the classifier is softmax regression."""


@pytest.mark.parametrize("schedule", SCHEDULES)
@pytest.mark.parametrize("name", OPTIMIZERS)
def test_three_steps_of_a_classifier(name, schedule):
    """Three epochs of one batch; samples are standardised already."""
    rng = np.random.default_rng(0)
    X, y = rng.normal(size=(40, 3)), np.arange(40) % 4
    X = (X - X.mean(axis=0)) / X.std(axis=0)
    clf = NoisyRobustClassifier(
        "ce",
        encoder=Plain,
        max_epochs=3,
        batch_size=40,
        momentum=MOMENTUM,
        weight_decay=DECAY,
        optimizer=name,
        schedule=schedule,
        views="none",
        random_state=0,
    )
    first = clf.set_params(lr=1e-30).fit(X, y).state_dict_
    parts = [np.float64(first[f"head.{part}"]) for part in ("weight", "bias")]
    trained = clf.set_params(lr=0.1).fit(X, y).state_dict_
    references = [REFERENCES[name](), REFERENCES[name]()]
    for factor in FACTORS[schedule]:
        scores = np.exp(X @ parts[0].T + parts[1])
        error = scores / scores.sum(axis=1, keepdims=True) - np.eye(4)[y]
        gradients = error.T @ X / len(X), error.mean(axis=0)
        for i in range(2):
            parts[i] = references[i].step(parts[i], gradients[i], factor * 0.1)
    for name, part in zip(("weight", "bias"), parts, strict=True):
        np.testing.assert_allclose(trained[f"head.{name}"], part, rtol=1e-3, atol=1e-5)


def test_schedules_step_by_step():
    """Eight steps, of which the first two are the warm-up."""
    cosines = [(1 + np.cos(np.pi * k / 6)) / 2 for k in range(6)]
    expected = {
        "constant": [0.01, 0.5, 1, 1, 1, 1, 1, 1],
        "cosine": [0.01, 0.5, *(0.01 + 0.99 * c for c in cosines)],
        "steps": [0.01, 0.5, 1, 1, 0.1, 0.1, 0.01, 0.01],
    }
    for name, schedule in SCHEDULES.items():
        factors = [schedule(step / 8, 0.25) for step in range(8)]
        np.testing.assert_allclose(factors, expected[name], err_msg=name)
    ends = {name: schedule(1.5, 0.25) for name, schedule in SCHEDULES.items()}
    assert ends == pytest.approx({"constant": 1.0, "cosine": 0.01, "steps": 0.01})
    assert SCHEDULES["cosine"](1.0, 1.0) == pytest.approx(0.01)


@pytest.mark.parametrize("kind", [np.float64, np.float32, np.int64, int])
@pytest.mark.parametrize("name", OPTIMIZERS)
def test_numbers_may_be_numpys(name, kind):
    """Kernels of PyTorch take Python floats only."""
    ends = []
    for number in (kind, float):
        weight = nn.Parameter(torch.ones(2, 2))
        weight.grad = torch.full((2, 2), 0.5)
        optimizer = OPTIMIZERS[name](
            [weight],
            lr=number(1),
            momentum=number(kind(0.9)),
            weight_decay=number(kind(0.1)),
        )
        for _ in range(2):
            optimizer.step()
        ends.append(weight.detach())
        numbers = [
            value
            for group in optimizer.param_groups
            for key in ("lr", "momentum", "weight_decay", "betas")
            for value in np.atleast_1d(np.array(group.get(key, 0.0), dtype=object))
        ]
        assert {type(value) for value in numbers} == {float}
    assert ends[0].equal(ends[1])


def test_momentum_may_lengthen_a_step_of_lars_beyond_its_bound():
    """Equal gradients: the momentum sums up to 1 / (1 - 0.9) of them."""
    weight = nn.Parameter(torch.full((2, 2), 100.0))
    optimizer = LARS([weight], lr=1e-3, momentum=0.9, trust=0.1)
    lengths = []
    for _ in range(100):
        weight.grad = torch.full((2, 2), 1e4)
        before = weight.detach().clone()
        optimizer.step()
        step = (before - weight.detach()).norm() / before.norm()
        lengths.append(step.item() / (1e-3 * 0.1))
    assert lengths[0] == pytest.approx(1.0, rel=1e-2)
    assert 9.5 < lengths[-1] <= 10.1


def test_lars_leaves_weights_without_a_norm_to_sgd():
    weight = nn.Parameter(torch.zeros(2, 2))
    weight.grad = torch.ones(2, 2)
    LARS([weight], lr=0.1).step()
    assert weight.detach().equal(torch.full((2, 2), -0.1))


def test_lars_waits_for_gradients():
    weight = nn.Parameter(torch.ones(2, 2))
    LARS([weight], lr=0.1).step()
    assert weight.detach().equal(torch.ones(2, 2))


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_by_default_there_is_momentum_and_no_decay(name):
    default, explicit = (nn.Parameter(torch.ones(2, 2)) for _ in range(2))
    settings = {"momentum": 0.9, "weight_decay": 0.0}
    one, other = (
        OPTIMIZERS[name]([default], 0.1),
        OPTIMIZERS[name]([explicit], 0.1, **settings),
    )
    for factor in (1.0, -2.0):
        for parameter in (default, explicit):
            parameter.grad = factor * torch.eye(2)
        one.step()
        other.step()
    assert default.equal(explicit)


@pytest.mark.parametrize("name", ["momentum", "sgd"])
def test_one_kernel_where_there_is_one_and_no_memory_without_momentum(name):
    here = nn.Parameter(torch.ones(2))
    elsewhere = nn.Parameter(torch.ones(2, device="meta"))
    assert OPTIMIZERS[name]([here], 0.1).param_groups[0]["fused"]
    assert not OPTIMIZERS[name]([here, elsewhere], 0.1).param_groups[0]["fused"]
    assert not OPTIMIZERS[name]([here], 0.1, momentum=0.0).state


def test_the_rate_of_what_has_no_weights_is_kept():
    one, other = Idle(0.3), Idle(0.1)
    state = one.state_dict()
    one.param_groups[0]["lr"] = 0.2
    other.load_state_dict(state)
    assert other.param_groups[0]["lr"] == 0.3


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_a_gradient_may_begin_later_than_others(name):
    early, late = (nn.Parameter(torch.ones(2, 2)) for _ in range(2))
    alone = nn.Parameter(torch.ones(2, 2))
    both, one = OPTIMIZERS[name]([early, late], 0.1), OPTIMIZERS[name]([alone], 0.1)
    early.grad = torch.ones(2, 2)
    both.step()
    for parameter in (late, alone):
        parameter.grad = torch.full((2, 2), 2.0)
    both.step()
    one.step()
    torch.testing.assert_close(late, alone)
