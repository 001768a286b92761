"""Losses against NumPy transcriptions in float64, hand-worked cases and limits."""

import numpy as np
import pytest
import torch

from sknoisy import ELR, GCE, MAE, NFLRCE, SCE, CrossEntropy
from sknoisy.losses import LOSSES
from sknoisy.losses.elr import CLAMP


def softmax(z):
    e = np.exp(z - z.max(axis=1, keepdims=True))
    return e / e.sum(axis=1, keepdims=True)


def reference(name, z, y, A=-4.0):
    """Transcribe the formula of each default loss."""
    p = softmax(z)
    q = np.eye(z.shape[1])[y]
    log_q = np.where(q > 0, 0.0, A)
    ce = -(q * np.log(p)).sum(axis=1)
    rce = -(p * log_q).sum(axis=1)
    focal = -((1 - p) ** 0.5) * np.log(p)
    nfl = (q * focal).sum(axis=1) / focal.sum(axis=1)
    return {
        "ce": ce,
        "mae": np.abs(q - p).sum(axis=1) / 2,
        "gce": (1 - (q * p).sum(axis=1) ** 0.7) / 0.7,
        "sce": 0.1 * ce + rce,
        "nfl_rce": nfl + rce,
        "elr": elr_reference(p, ce),
    }[name]


def elr_reference(p, ce):
    """First call: the target is 0.3 times the normalised, clamped prediction."""
    p = p.clip(CLAMP, 1 - CLAMP)
    t = 0.3 * p / p.sum(axis=1, keepdims=True)
    return ce + 3.0 * np.log(1 - (p * t).sum(axis=1))


def batch(n=6, n_classes=4, scale=3.0, dtype=torch.float64):
    rng = np.random.default_rng(0)
    z = scale * rng.normal(size=(n, n_classes))
    y = rng.integers(n_classes, size=n)
    return torch.tensor(z, dtype=dtype), torch.tensor(y), torch.arange(n)


def started(loss, n=6, n_classes=4):
    loss.start(n, n_classes, "cpu")
    loss.state_ = {k: v.double() for k, v in loss.state_.items()}
    return loss


@pytest.mark.parametrize("name", LOSSES)
def test_value_is_the_formula(name):
    z, y, index = batch()
    value = started(LOSSES[name]())(z, y, index)
    np.testing.assert_allclose(value, reference(name, z.numpy(), y.numpy()), atol=1e-6)


@pytest.mark.parametrize("name", sorted(set(LOSSES) - {"elr", "nfl_rce"}))
def test_gradient_of_stateless_losses(name):
    z, y, index = batch()
    loss = LOSSES[name]()
    assert torch.autograd.gradcheck(lambda z: loss(z, y, index), z.requires_grad_())


def test_gradient_of_elr_holds_the_target_constant():
    z, y, index = batch()
    target = torch.full((6, 4), 0.2, dtype=torch.float64)

    def with_constant_target(z):
        loss = started(ELR(beta=0.0))
        p = z.softmax(dim=1).clamp(CLAMP, 1 - CLAMP)
        loss.state_["target"] = target
        ce = torch.nn.functional.cross_entropy(z, y, reduction="none")
        return ce + loss.lam * (1 - (p * target).sum(dim=1)).log()

    assert torch.autograd.gradcheck(with_constant_target, z.requires_grad_())
    # beta = 1 - tiny keeps the target where it is, so both gradients must agree.
    elr = started(ELR(beta=1 - 1e-12))
    elr.state_["target"] = target.clone()
    ours = torch.autograd.grad(elr(z, y, index).sum(), z)[0]
    theirs = torch.autograd.grad(with_constant_target(z).sum(), z)[0]
    torch.testing.assert_close(ours, theirs)


def test_gradient_of_nfl_detaches_the_focal_factor():
    z, y, index = batch()
    z.requires_grad_()
    factor = (1 - z.detach().softmax(dim=1)) ** 0.5
    focal = -factor * z.log_softmax(dim=1)
    nfl = focal.gather(1, y[:, None])[:, 0] / focal.sum(dim=1)
    theirs = torch.autograd.grad(nfl.sum(), z)[0]
    ours = torch.autograd.grad(NFLRCE(beta=0.0)(z, y, index).sum(), z)[0]
    torch.testing.assert_close(ours, theirs)


def test_by_hand():
    """p = (3/4, 1/4), label 1: p_y = 1/4."""
    z = torch.tensor([[np.log(3.0), 0.0]])
    y, index = torch.tensor([1]), torch.tensor([0])

    def value(loss):
        return started(loss, 1, 2)(z.double(), y, index).item()

    assert value(CrossEntropy()) == pytest.approx(np.log(4))
    assert value(MAE()) == pytest.approx(0.75)
    assert value(GCE(q=0.5)) == pytest.approx((1 - 0.5) / 0.5)
    assert value(SCE(alpha=1.0, beta=1.0)) == pytest.approx(np.log(4) + 4 * 0.75)
    assert value(SCE(alpha=0.0, beta=1.0, A=-2.0)) == pytest.approx(1.5)
    nce = np.log(4) / (np.log(4) + np.log(4 / 3))
    assert value(NFLRCE(gamma=0.0, beta=0.0)) == pytest.approx(nce)
    # target after one step: 0.3 * (3/4, 1/4); inner product 0.3 * (9/16 + 1/16)
    assert value(ELR(lam=1.0)) == pytest.approx(np.log(4) + np.log(1 - 0.3 * 10 / 16))


def test_limits():
    z, y, index = batch()
    ce = CrossEntropy()(z, y, index)
    torch.testing.assert_close(GCE(q=1e-9)(z, y, index), ce)
    torch.testing.assert_close(GCE(q=1.0)(z, y, index), MAE()(z, y, index))
    torch.testing.assert_close(SCE(alpha=1.0, beta=0.0)(z, y, index), ce)
    torch.testing.assert_close(started(ELR(lam=0.0))(z, y, index), ce)


def test_elr_targets_follow_samples_whatever_the_batch():
    z, y, index = batch()
    together, apart = started(ELR()), started(ELR())
    together(z, y, index)
    for rows in ([5, 0, 2], [1, 4, 3]):
        apart(z[rows], y[rows], index[rows])
    torch.testing.assert_close(together.state_["target"], apart.state_["target"])


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("name", LOSSES)
def test_extreme_logits_are_finite(name, dtype):
    z = torch.tensor([[1e4, -1e4, 0.0], [-1e4, 1e4, 0.0]], dtype=dtype)
    y, index = torch.tensor([0, 0]), torch.tensor([0, 1])
    loss = LOSSES[name]()
    loss.start(2, 3, "cpu")
    z.requires_grad_()
    value = loss(z.float(), y, index)
    value.sum().backward()
    assert torch.isfinite(value).all() and torch.isfinite(z.grad).all()


@pytest.mark.parametrize(
    "loss, parameter",
    [
        (ELR(lam=-1), "lam"),
        (ELR(beta=1.0), "beta"),
        (GCE(q=0.0), "q"),
        (SCE(A=1.0), "A"),
        (NFLRCE(gamma=float("nan")), "gamma"),
    ],
)
def test_bad_parameters_are_named(loss, parameter):
    with pytest.raises(ValueError, match=f"{parameter}=.* is not valid"):
        loss.check()
