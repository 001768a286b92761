"""Losses against NumPy transcriptions in float64, hand-worked cases and limits."""

import pickle

import numpy as np
import pandas as pd
import pytest
import torch
from nets import narrow

from sknoisy import (
    ALF,
    ANL,
    APL,
    CORES,
    ELR,
    GCE,
    IMAE,
    JS,
    MAE,
    PENCIL,
    SCE,
    SOP,
    Backward,
    CrossEntropy,
    Focal,
    Forward,
    HardBootstrap,
    JointOptimization,
    LabelSmoothing,
    NoiseLayer,
    NoisyRobustClassifier,
    PHuber,
    ProgressiveBootstrap,
    SoftBootstrap,
    TruncatedGCE,
    VolMinNet,
)
from sknoisy.losses import LOSSES
from sknoisy.losses.elr import CLAMP
from sknoisy.losses.js import jensen_shannon
from sknoisy.noise import class_conditional, symmetric_exclusive


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
    mae = np.abs(q - p).sum(axis=1) / 2
    focal = -((1 - p) ** 0.5) * np.log(p)
    nfl = (q * focal).sum(axis=1) / focal.sum(axis=1)
    nce = (q * np.log(p)).sum(axis=1) / np.log(p).sum(axis=1)
    p_y = (q * p).sum(axis=1)
    norms = np.exp(8 * p_y * (1 - p_y))
    entropy = -(p * np.log(p)).sum(axis=1)
    largest = 0.9999999**0.5 * np.log(1e7)
    nnce = 1 - (q * (np.log(1e7) + np.log(p))).sum(axis=1) / (
        np.log(1e7) + np.log(p)
    ).sum(axis=1)
    nnfl = 1 - (q * (largest - focal)).sum(axis=1) / (largest - focal).sum(axis=1)
    agce = (7**1.5 - (6 + p_y) ** 1.5) / 1.5
    aul = ((6.3 - p_y) ** 1.5 - 5.3**1.5) / 1.5
    return {
        "ael": np.exp(-p_y / 2.5),
        "agce": (1.6**0.6 - (0.6 + p_y) ** 0.6) / 0.6,
        "aul": ((5.5 - p_y) ** 3 - 4.5**3) / 3,
        "anl_ce": 5 * nce + 5 * nnce,
        "anl_fl": 5 * nfl + 5 * nnfl,
        "backward": ce,  # before the transition matrix is estimated
        "forward": ce,
        "bootstrap_hard": 0.8 * ce - 0.2 * np.log(p.max(axis=1)),
        "bootstrap_progressive": ce,  # in the first epoch
        "bootstrap_soft": 0.95 * ce + 0.05 * entropy,
        "cores": ce,  # before the regulariser has a weight
        "focal": (1 - p_y) ** 2 * ce,
        "gce_truncated": (1 - p_y**0.7) / 0.7,  # before the first pruning
        "imae": ce * norms / norms.mean() / (2 * (1 - p_y)),
        "js": js_reference(p, q),
        "label_smoothing": -((0.9 * q + 0.1 / q.shape[1]) * np.log(p)).sum(axis=1),
        "nce": nce,
        "nce_ael": nce + 4 * np.exp(-p_y / 5),
        "nce_agce": nce + 4 * agce,
        "nce_aul": nce + 4 * aul,
        "nce_mae": nce + mae,
        "nce_rce": nce + rce,
        "nfl": nfl,
        "phuber": np.where(p_y > 1 / 2, ce, 1 + np.log(2) - 2 * p_y),
        "nfl_mae": nfl + mae,
        "rce": rce,
        "ce": ce,
        "mae": mae,
        "gce": (1 - (q * p).sum(axis=1) ** 0.7) / 0.7,
        "sce": 0.1 * ce + rce,
        "nfl_rce": nfl + rce,
        "elr": elr_reference(p, ce),
        "joint_optimization": ce - 1.2 * np.log(p.mean(axis=0)).mean() + 0.8 * entropy,
        "noise_layer": ce,  # before the matrix is learned
        "pencil": ce,  # in the first stage
        "sop": ce,  # before u and v have grown
        "volminnet": volminnet_reference(p, q),
    }[name]


def elr_reference(p, ce):
    """First call: the target is 0.3 times the normalised, clamped prediction."""
    p = p.clip(CLAMP, 1 - CLAMP)
    t = 0.3 * p / p.sum(axis=1, keepdims=True)
    return ce + 3.0 * np.log(1 - (p * t).sum(axis=1))


def js_reference(p, q, pi=0.7):
    """Divergences from the mean m of label and prediction, where q is one-hot."""
    m = pi * q + (1 - pi) * p
    of_label = -np.log((q * m).sum(axis=1))
    of_prediction = (p * np.log(p / m)).sum(axis=1)
    Z = -(1 - pi) * np.log(1 - pi)
    return (pi * of_label + (1 - pi) * of_prediction) / Z


def volminnet_reference(p, q):
    """First call: sigmoid(-2) beside 1, before rows are normalised."""
    eye = np.eye(p.shape[1])
    rows = eye + (1 - eye) / (1 + np.exp(2))
    T = rows / rows.sum(axis=1, keepdims=True)
    return -np.log((q * (p @ T)).sum(axis=1))


def batch(n=6, n_classes=4, scale=3.0, dtype=torch.float64):
    rng = np.random.default_rng(0)
    z = scale * rng.normal(size=(n, n_classes))
    y = rng.integers(n_classes, size=n)
    return torch.tensor(z, dtype=dtype), torch.tensor(y), torch.arange(n)


def started(loss, n=6, n_classes=4):
    loss.start(n, n_classes, "cpu")
    for name, tensor in loss.state_.items():
        loss.state_[name] = tensor.double() if tensor.is_floating_point() else tensor
    return loss


@pytest.mark.parametrize("name", LOSSES)
def test_value_is_the_formula(name):
    z, y, index = batch()
    value = started(LOSSES[name]())(z, y, index)
    np.testing.assert_allclose(value, reference(name, z.numpy(), y.numpy()), atol=1e-6)


# Those with factors that are constants of the gradient, or that change with every
# call, have tests of their own.
DETACHED = {"anl_fl", "elr", "imae", "nfl", "nfl_mae", "nfl_rce", "sop", "volminnet"}


@pytest.mark.parametrize("name", sorted(set(LOSSES) - DETACHED))
def test_gradient_is_the_values(name):
    z, y, index = batch()
    loss = started(LOSSES[name]())
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
    weights = torch.linspace(-1, 2, len(z), dtype=torch.float64)
    for logits in (z, (20 * z.detach()).requires_grad_()):  # the latter is clamped
        elr.state_["target"] = target.clone()
        ours = torch.autograd.grad(elr(logits, y, index), logits, weights)[0]
        theirs = torch.autograd.grad(with_constant_target(logits), logits, weights)[0]
        torch.testing.assert_close(ours, theirs)


def test_focal_factors_have_no_gradient():
    z, y, index = batch()
    z.requires_grad_()
    factor = (1 - z.detach().softmax(dim=1)) ** 0.5
    focal = -factor * z.log_softmax(dim=1)
    nfl = focal.gather(1, y[:, None])[:, 0] / focal.sum(dim=1)
    theirs = torch.autograd.grad(nfl.sum(), z, retain_graph=True)[0]
    ours = torch.autograd.grad(APL("nfl", None)(z, y, index).sum(), z)[0]
    torch.testing.assert_close(ours, theirs)
    below = (1 - 1e-7) ** 0.5 * np.log(1e7) - focal
    anl = nfl + 2 - 2 * below.gather(1, y[:, None])[:, 0] / below.sum(dim=1)
    theirs = torch.autograd.grad(anl.sum(), z)[0]
    ours = torch.autograd.grad(ANL(1, 2, gamma=0.5)(z, y, index).sum(), z)[0]
    torch.testing.assert_close(ours, theirs)


def test_a_least_probability_that_all_classes_may_have_is_refused():
    with pytest.raises(ValueError, match="min_prob=0.25 is not valid with 4 classes"):
        ANL(min_prob=0.25).start(6, 4, "cpu")


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
    assert value(APL("nfl", None, gamma=0.0)) == pytest.approx(nce)
    assert value(APL("nce", "mae", 2.0, 3.0)) == pytest.approx(2 * nce + 3 * 0.75)
    nnce = 1 - np.log(4) / (2 * np.log(16) - np.log(4) - np.log(4 / 3))
    anl = ANL(2.0, 3.0, min_prob=1 / 16)
    assert value(anl) == pytest.approx(2 * nce + 3 * nnce)
    assert value(PHuber(tau=2.0)) == pytest.approx(1 + np.log(2) - 2 / 4)
    assert value(PHuber(tau=5.0)) == pytest.approx(np.log(4))
    # m = (3/8, 5/8): log 8/5 from the label; log 2 and log 2/5 from the prediction
    divergence = np.log(8 / 5) / 2 + (3 / 4 * np.log(2) + 1 / 4 * np.log(2 / 5)) / 2
    assert value(JS(pi=0.5)) == pytest.approx(divergence / (np.log(2) / 2))
    assert value(Focal(gamma=2.0)) == pytest.approx(0.75**2 * np.log(4))
    half = 0.5 * np.log(4) + 0.5 * np.log(4 / 3)
    assert value(HardBootstrap(beta=0.5)) == pytest.approx(half)
    assert value(LabelSmoothing(smoothing=1.0)) == pytest.approx(half)
    entropy = 0.75 * np.log(4 / 3) + 0.25 * np.log(4)
    assert value(SoftBootstrap(beta=0.0)) == pytest.approx(entropy)
    # alone in its batch, its gradient has an L1 norm of 1: the weight is 1 / 1.5
    assert value(IMAE()) == pytest.approx(np.log(4) / 1.5)
    # target after one step: 0.3 * (3/4, 1/4); inner product 0.3 * (9/16 + 1/16)
    assert value(ELR(lam=1.0)) == pytest.approx(np.log(4) + np.log(1 - 0.3 * 10 / 16))


def test_limits():
    z, y, index = batch()
    ce = CrossEntropy()(z, y, index)
    torch.testing.assert_close(GCE(q=1e-9)(z, y, index), ce)
    torch.testing.assert_close(GCE(q=1.0)(z, y, index), MAE()(z, y, index))
    torch.testing.assert_close(SCE(alpha=1.0, beta=0.0)(z, y, index), ce)
    torch.testing.assert_close(PHuber(tau=1.0)(z, y, index), MAE()(z, y, index))
    torch.testing.assert_close(PHuber(tau=1e9)(z, y, index), ce)
    torch.testing.assert_close(JS(pi=1e-8)(z, y, index), ce)
    for loss in (
        Backward(np.eye(4)),
        Forward(np.eye(4)),
        ELR(lam=0.0),
        Focal(gamma=0.0),
        HardBootstrap(beta=1.0),
        LabelSmoothing(smoothing=0.0),
        JointOptimization(alpha=0.0, beta=0.0),
        ProgressiveBootstrap(),
        SoftBootstrap(beta=1.0),
    ):
        torch.testing.assert_close(started(loss)(z, y, index), ce)
    nfl = APL("nfl", None, gamma=0.0)(z, y, index)
    torch.testing.assert_close(nfl, APL("nce", None)(z, y, index))
    gce = started(TruncatedGCE())(z, y, index)
    torch.testing.assert_close(gce, GCE()(z, y, index))


def test_normalised_losses_sum_to_one_over_the_labels():
    z, _, index = batch()
    for active in ("nce", "nfl"):
        loss = APL(active, None)
        total = sum(loss(z, torch.full((6,), y), index) for y in range(4))
        torch.testing.assert_close(total, torch.ones_like(total))


def test_robust_losses_are_symmetric():
    """Summed over all labels they are constant: symmetric noise only scales them."""
    z, _, index = batch()
    for name in ("mae", "rce", "nce", "nfl", "nce_rce", "nfl_mae", "anl_ce", "anl_fl"):
        loss = LOSSES[name]()
        total = sum(loss(z, torch.full((6,), y), index) for y in range(4))
        assert total.std() < 1e-6, name


@pytest.mark.parametrize(
    ("loss", "r"),
    [
        (ALF("agce", a=1.0, q=0.5), 2**0.5),
        (ALF("agce", a=0.5, q=2.0), 1.0),
        (ALF("aul", a=2.0, q=3.0), 4.0),
        (ALF("aul", a=2.0, q=0.5), 1.0),
        (ALF("ael", a=0.5), np.exp(2)),
    ],
)
def test_asymmetric_losses_are_robust_to_labels_that_are_rare_enough(loss, r):
    """Whatever is predicted, the most frequent label alone has the least mean loss."""
    z, _, index = batch(n=500)
    certain = torch.tensor([[50.0, 0, 0, 0]], dtype=torch.float64)

    def mean_loss(logits, others):  # label 0 is 1, the others so many times as frequent
        shares = torch.tensor([1.0, *others], dtype=torch.float64)
        labels = [torch.full((len(logits),), y) for y in range(4)]
        losses = [loss(logits, y, index) for y in labels]
        return sum(map(torch.mul, shares, losses))

    rare = 0.99 / r
    assert (mean_loss(z, [rare] * 3) > mean_loss(certain, [rare] * 3)).all()
    if r > 1:  # the bound is sharp: from there, a second label gets a probability
        near = torch.tensor([[1 - 1e-4, 1e-4, 0, 0]], dtype=torch.float64)
        near, often = near.clamp(min=1e-30).log(), [1.01 / r, 0, 0]
        assert mean_loss(near, often) < mean_loss(certain, often)


def test_js_comes_near_to_mae():
    """As pi comes near to 1, the difference falls like 1 / -log(1 - pi)."""
    z, y, index = batch(n=500)
    mae = MAE()(z, y, index)
    for rest in (1e-3, 1e-6, 1e-12):
        difference = JS(pi=1 - rest)(z, y, index) - mae
        assert difference.min() >= 0 and difference.max() < 1.01 / -np.log(rest)


@pytest.mark.parametrize("pi", [0.1, 0.5, 0.9])
def test_sums_of_js_over_the_labels_are_bounded(pi):
    """Least where all classes are equally probable, largest where one is certain."""
    z, _, index = batch(n=500)
    even = torch.zeros(1, 4, dtype=torch.float64)
    certain = torch.tensor([[900.0, 0, 0, 0]], dtype=torch.float64)
    loss = JS(pi)
    least, sums, most = (
        sum(loss(logits, torch.full((len(logits),), y), index) for y in range(4))
        for logits in (even, z, certain)
    )
    assert least < sums.min() and sums.max() < most
    entropy = -pi * np.log(pi) - (1 - pi) * np.log(1 - pi)  # of distinct classes
    assert most.item() == pytest.approx(3 * entropy / ((pi - 1) * np.log(1 - pi)))


def test_js_of_soft_labels_is_the_divergence_of_distributions():
    z, _, index = batch()
    q = torch.tensor(np.random.default_rng(2).dirichlet(np.ones(4), size=6))
    p = z.softmax(dim=1)
    torch.testing.assert_close(JS()(q.log(), q, index), torch.zeros(6).double())
    kl = torch.nn.functional.kl_div
    log_m = (0.3 * q + 0.7 * p).log()
    parts = [kl(log_m, a, reduction="none").sum(dim=1) for a in (q, p)]
    expected = (0.3 * parts[0] + 0.7 * parts[1]) / (-0.7 * np.log(0.7))
    torch.testing.assert_close(JS(pi=0.3)(z, q, index), expected)


def test_divergence_of_two_views_is_that_of_their_mean_and_between_them():
    """As in the paper; equal views are one."""
    z, y, _ = batch()
    two = torch.stack([z, z.flip(0)], dim=1)
    found = jensen_shannon(two, y, 0.3)
    p, q = two.softmax(dim=2).numpy(), np.eye(4)[y]
    mean = p.mean(axis=1)
    between = (p * np.log(p / mean[:, None])).sum(axis=2).mean(axis=1)
    expected = js_reference(mean, q, 0.3) + between / -np.log(0.7)
    np.testing.assert_allclose(found, expected)
    one = jensen_shannon(z[:, None], y, 0.3)
    torch.testing.assert_close(jensen_shannon(two[:, [0, 0]], y, 0.3), one)


@pytest.mark.parametrize("tau", [1.0, 2.0, 10.0])
def test_phuber_is_bounded_and_no_steeper_than_tau(tau):
    """With respect to the probability of the label, at which it is convex."""
    p = torch.linspace(1e-6, 1 - 1e-6, 1001, dtype=torch.float64, requires_grad=True)
    z = torch.stack([p, 1 - p], dim=1).log()
    loss = PHuber(tau)(z, torch.zeros(1001, dtype=torch.int64), None)
    (slope,) = torch.autograd.grad(loss.sum(), p)
    assert loss.max() < 1 + np.log(tau)
    assert slope.min() >= -tau - 1e-6 and (slope.diff() > -1e-6).all()


def test_phuber_of_any_tau_has_a_gradient():
    z, y, index = batch(dtype=torch.float32)
    z.requires_grad_()
    for loss in (CrossEntropy(), PHuber(tau=1e60)):  # tau has no float32
        (gradient,) = torch.autograd.grad(loss(z, y, index).sum(), z)
        expected = z.detach().softmax(dim=1) - torch.eye(4)[y]
        torch.testing.assert_close(gradient, expected)


def test_imae_weighs_gradients():
    z, y, index = batch()
    z.requires_grad_()
    p = z.detach().softmax(dim=1).gather(1, y[:, None])[:, 0]
    gradient = torch.autograd.grad(IMAE(T=5.0)(z, y, index).sum(), z)[0]
    norms = gradient.abs().sum(dim=1)
    expected = (5 * p * (1 - p)).exp()
    torch.testing.assert_close(norms, expected / expected.mean())
    ce = torch.nn.functional.cross_entropy(z, y, reduction="none")
    direction = torch.autograd.grad(ce.sum(), z)[0]
    cosine = torch.nn.functional.cosine_similarity(gradient, direction)
    torch.testing.assert_close(cosine, torch.ones_like(cosine))


def test_truncated_gce_prunes_on_schedule_and_takes_back():
    """Labels of probability 0.9, 0.5 and 0.1: only the first is above k."""
    p = torch.tensor([0.9, 0.5, 0.1], dtype=torch.float64)
    z = torch.stack([p, 1 - p], dim=1).log().requires_grad_()
    y, index = torch.zeros(3, dtype=torch.int64), torch.arange(3)
    loss = TruncatedGCE(begin=0.5, every=2)
    started(loss, 3, 2)
    kept = []
    for epoch in range(8):
        loss.on_epoch(epoch, n_epochs=8)
        kept.append(loss.state_["kept"].tolist())
        flipped = z.flip(1) if epoch >= 4 else z
        gradient = torch.autograd.grad(loss(flipped, y, index).sum(), z)[0]
        assert (gradient.abs().sum(dim=1) > 0).double().tolist() == kept[-1]
    assert kept[:4] == [[1, 1, 1]] * 4
    assert kept[4:6] == [[1, 0, 0]] * 2  # not again in between
    assert kept[6:] == [[0, 0, 1]] * 2


def test_truncated_gce_is_cut_off_where_gce_is_at_k():
    z, y, index = batch()
    loss = started(TruncatedGCE(q=0.5, k=0.25))
    loss.state_["kept"].zero_()
    np.testing.assert_allclose(loss(z, y, index), (1 - 0.5) / 0.5)


T3 = np.array([[0.7, 0.2, 0.1], [0.0, 0.9, 0.1], [0.3, 0.0, 0.7]])


def test_corrections_are_the_papers():
    z, y, index = batch(n=8, n_classes=3)
    p, rows = softmax(z.numpy()), np.arange(8)
    forward = started(Forward(T3), 8, 3)(z, y, index)
    np.testing.assert_allclose(forward, -np.log((p @ T3)[rows, y]), atol=1e-6)
    backward = started(Backward(T3), 8, 3)(z, y, index)
    expected = (-np.log(p) @ np.linalg.inv(T3).T)[rows, y]
    np.testing.assert_allclose(backward, expected, atol=1e-5)


def test_gradients_of_corrections_by_hand():
    z, y, index = batch(n=8, n_classes=3)
    p, rows = softmax(z.numpy()), np.arange(8)
    # d log p_j / d z_k = (j = k) - p_k
    given = T3.T[y] * p  # of each true class, that it has the label
    forward = p - given / given.sum(axis=1, keepdims=True)
    weights = np.linalg.inv(T3)[y]  # of -log p
    backward = weights.sum(axis=1, keepdims=True) * p - weights
    for cls, expected in ((Forward, forward), (Backward, backward)):
        logits = z.clone().requires_grad_()
        started(cls(T3), 8, 3)(logits, y, index)[rows].sum().backward()
        np.testing.assert_allclose(logits.grad, expected, atol=1e-5)


def test_backward_correction_is_unbiased():
    """Its mean over the labels of a true class is the cross-entropy of that class."""
    z, _, index = batch(n=3, n_classes=3)
    loss = started(Backward(T3), 3, 3)
    by_label = [loss(z, torch.full((3,), y), index).numpy() for y in range(3)]
    for true in range(3):
        mean = sum(T3[true, y] * by_label[y] for y in range(3))
        np.testing.assert_allclose(
            mean, -np.log(softmax(z.numpy()))[:, true], atol=1e-5
        )


def test_backward_correction_counts_small_probabilities_as_1e_7():
    """As in the official code; the probabilities here are 1e-4 and 1e-9."""
    z = torch.tensor([[0.0, np.log(1e-4), np.log(1e-9)]])
    log_p = np.log([1 / (1 + 1e-4), 1e-4 / (1 + 1e-4), 1e-7])
    for y in range(3):
        value = started(Backward(T3), 1, 3)(z, torch.tensor([y]), torch.tensor([0]))
        expected = -np.linalg.inv(T3)[y] @ log_p
        np.testing.assert_allclose(value, [expected], rtol=1e-5)


def test_gradient_of_forward_with_impossible_labels_is_finite():
    z = torch.zeros(2, 3, requires_grad=True)
    loss = Forward(T3)
    loss.start(2, 3, "cpu")
    loss(z, torch.tensor([0, 1]), None).sum().backward()
    assert z.grad.isfinite().all()


def test_labels_that_no_class_changes_into_teach_forward_nothing():
    z = torch.tensor([[1.0, 2.0, 3.0]], requires_grad=True)
    loss = Forward([[1.0, 0.0, 0.0], [1.0, 0.0, 0.0], [0.0, 0.0, 1.0]])
    loss.start(1, 3, "cpu")
    value = loss(z, torch.tensor([1]), None)
    value.sum().backward()
    assert value.isfinite().all() and z.grad.abs().max() < 1e-5


def test_a_matrix_that_is_the_identity_is_estimated_once():
    """Later, when wrong labels are memorised, it would say what is not so."""
    y, index = torch.arange(300) % 3, torch.arange(300)
    sure = 9.0 * torch.nn.functional.one_hot(y, 3).float()
    loss = Forward(begin=0.2)
    loss.start(300, 3, "cpu")
    for epoch, logits in enumerate([sure, sure, sure, sure.roll(1, dims=1), sure]):
        loss.on_epoch(epoch, 10)
        assert bool(loss.state_["is_estimated"]) == (epoch >= 2)
        loss(logits, y, index)
    torch.testing.assert_close(loss.state_["transition_matrix"], torch.eye(3))


@pytest.mark.parametrize("kind", [Forward, Backward])
def test_transition_matrix_is_estimated_on_time(kind):
    """The estimate is made at a third of the epochs, here from the true classes."""

    clean = np.arange(600) % 3
    y = torch.from_numpy(class_conditional(clean, T3, random_state=0).y)
    z = torch.from_numpy(4.0 * np.eye(3)[clean]).float()
    loss = kind(method="confident_joint", begin=1 / 3)
    loss.start(600, 3, "cpu")
    found = []
    for epoch in range(6):
        loss.on_epoch(epoch, n_epochs=6)
        found.append(loss.state_["transition_matrix"].numpy().copy())
        loss(z, y, torch.arange(600))
    np.testing.assert_array_equal(found[1], np.eye(3))
    np.testing.assert_allclose(found[2], T3, atol=0.06)
    np.testing.assert_array_equal(found[2], found[5])


def test_transition_matrix_is_estimated_again_for_other_samples(digits):
    """The estimate is due after two epochs, and waits until all samples occurred."""
    X, y = digits
    loss = Forward(method="confident_joint", begin=1 / 3)
    clf = NoisyRobustClassifier(loss, max_epochs=6, random_state=0)
    known = []
    for n in (300, 300, 200, 200, 200):  # due after two epochs
        clf.partial_fit(X[:n], y[:n])
        T = clf.loss_state_["transition_matrix"]
        known.append(bool((T != np.eye(10)).any()))
    assert known == [False, False, False, True, True]


def test_a_matrix_that_changes_between_epochs():
    """NumPy abbreviates the repr of more than 1000 numbers."""
    y = np.arange(200) % 40
    X = np.eye(40)[y]
    first, second = np.eye(40), np.eye(40)[np.r_[:20, 21:40, 20]]
    clf = NoisyRobustClassifier(Forward(first), max_epochs=9, batch_size=4)
    for _ in range(8):
        clf.partial_fit(X, y)
    clf.set_params(loss__transition_matrix=second).partial_fit(X, y)
    before, after = (row["train_loss"] for row in clf.history_[-2:])
    assert after > before + 1  # half of the labels have become improbable


def test_the_given_matrix_must_fit_the_classes(digits):
    with pytest.raises(ValueError, match="shape .3, 3. is not valid.*10 classes"):
        NoisyRobustClassifier(Forward(T3), max_epochs=1).fit(*digits)


def test_the_estimated_matrix_is_exposed(digits):
    X, y = digits[0].reshape(300, -1), digits[1]
    noisy = symmetric_exclusive(y, 0.3, random_state=0).y
    clf = NoisyRobustClassifier("forward", max_epochs=6, random_state=0).fit(X, noisy)
    T = clf.loss_state_["transition_matrix"]
    assert T.shape == (10, 10) and (T != np.eye(10)).any()
    np.testing.assert_allclose(T.sum(axis=1), 1, atol=1e-5)


def test_progressive_bootstrap_ends_with_the_network():
    loss = started(ProgressiveBootstrap())
    z, y, index = batch()
    alphas = []
    for epoch in range(4):
        loss.on_epoch(epoch, n_epochs=4)
        alphas.append(loss.alpha_)
        own = -z.log_softmax(dim=1).amax(dim=1)
        ce = torch.nn.functional.cross_entropy(z, y, reduction="none")
        expected = loss.alpha_ * ce + (1 - loss.alpha_) * own
        torch.testing.assert_close(loss(z, y, index), expected)
    assert alphas == [1.0, 0.75, 0.5, 0.25]
    heard = []

    class Listening(ProgressiveBootstrap):
        def on_epoch(self, epoch, n_epochs):
            super().on_epoch(epoch, n_epochs)
            heard.append(self.alpha_)

    NoisyRobustClassifier(Listening(), max_epochs=5).fit([[0.0], [1.0]], [0, 1])
    np.testing.assert_allclose(heard, [1.0, 0.8, 0.6, 0.4, 0.2])


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
        (ANL(min_prob=1.0), "min_prob"),
        (APL(gamma=float("nan")), "gamma"),
        (APL(active="ce"), "active"),
        (APL(active=None, passive=None), "active"),
        (Focal(gamma=-1), "gamma"),
        (HardBootstrap(beta=2), "beta"),
        (SoftBootstrap(beta=-1), "beta"),
        (ProgressiveBootstrap(power=0), "power"),
        (LabelSmoothing(smoothing=1.5), "smoothing"),
        (TruncatedGCE(k=1.0), "k"),
        (TruncatedGCE(every=0), "every"),
        (IMAE(T=-1), "T"),
        (PHuber(tau=0.9), "tau"),
        (JS(pi=0.0), "pi"),
        (JS(pi=1.0), "pi"),
        (CORES(beta=-1), "beta"),
        (CORES(begin=0.5, end=0.4), "end"),
        (CORES(sieve=1.1), "sieve"),
        (Forward("estimate"), "transition_matrix"),
        (Forward(begin=0.0), "begin"),
        (Backward(method="guess"), "method"),
        (Forward(storage=0), "storage"),
        (ELR(storage="int8"), "storage"),
        (PENCIL(lam=-1), "lam"),
        (PENCIL(begin=0.5, end=0.4), "end"),
        (PENCIL(reduction="none"), "reduction"),
        (PENCIL(storage=3), "storage"),
        (JointOptimization(window=0), "window"),
        (JointOptimization(retrain=1.0), "retrain"),
        (JointOptimization(labels="one-hot"), "labels"),
        (JointOptimization(prior=[0.5, 0.2]), "prior"),
        (JointOptimization(prior="auto"), "prior"),
        (NoiseLayer(lr=-1), "lr"),
        (NoiseLayer(transition_matrix="none"), "transition_matrix"),
        (NoiseLayer(begin=0.0), "begin"),
        (VolMinNet(volume=-1), "volume"),
        (VolMinNet(init="small"), "init"),
        (SOP(lr_u=-1), "lr_u"),
        (SOP(lr_v="fast"), "lr_v"),
    ],
)
def test_bad_parameters_are_named(loss, parameter):
    with pytest.raises(ValueError, match=f"{parameter}=.*(is not valid|no loss)"):
        loss.check()


def test_messages_name_auto_where_it_is_allowed():
    for loss in (PENCIL(lam="Auto"), SOP(lr_u="Auto")):
        with pytest.raises(ValueError, match=r"in \[0, inf\), or 'auto'\."):
            loss.check()
    with pytest.raises(ValueError, match="head_epochs=-1.*>= 0, or 'auto'"):
        NoisyRobustClassifier(head_epochs=-1).fit([[0.0], [1.0]], [0, 1])


def test_a_matrix_that_is_none_is_refused():
    with pytest.raises(ValueError, match="transition_matrix .*is not valid"):
        Forward([[0.5, 0.5], [1.0]]).check()


def test_parameters_of_a_name_that_does_not_exist():
    with pytest.raises(ValueError, match="loss__lam is not valid with loss='erl'"):
        NoisyRobustClassifier("erl").set_params(loss__lam=1.0)


# Losses that train labels or noise terms of their own.


def test_pencil_trains_labels_with_the_papers_gradient():
    """One step in stage 2, the gradient by finite differences of the formula."""
    z, y, index = batch()
    for double_softmax in (True, False):
        loss = started(PENCIL(lam=12.0, begin=0.0, double_softmax=double_softmax))
        loss.on_epoch(epoch=1, n_epochs=10)
        value = loss(z, y, index)
        p, one_hot = softmax(z.numpy()), np.eye(4)[y]

        def total(rows, p=p, one_hot=one_hot, twice=double_softmax):
            labels = softmax(rows)
            kl = (p * np.log(p / labels)).sum(axis=1)
            scores = softmax(labels) if twice else labels
            compatibility = -np.log((scores * one_hot).sum(axis=1))
            return (kl / 4 + 0.4 * compatibility).sum()

        rows = 10.0 * one_hot
        gradient = np.zeros_like(rows)
        for cell in np.ndindex(rows.shape):
            step = np.zeros_like(rows)
            step[cell] = 1e-5
            gradient[cell] = (total(rows + step) - total(rows - step)) / 2e-5
        expected = rows - 12.0 / 6 * gradient
        np.testing.assert_allclose(loss.state_["label_logits"], expected, atol=1e-6)
        kl = (p * np.log(p / softmax(rows))).sum(axis=1)
        entropy = -(p * np.log(p)).sum(axis=1)
        np.testing.assert_allclose(value, kl + 0.1 * entropy)


def test_gradient_of_pencil_holds_the_labels_constant():
    z, y, index = batch()
    loss = started(PENCIL(lam=0.0))
    for epoch in (4, 9):  # stages 2 and 3 of 10 epochs
        loss.on_epoch(epoch, n_epochs=10)
        assert torch.autograd.gradcheck(lambda z: loss(z, y, index), z.requires_grad_())


def test_pencil_has_three_stages():
    z, y, index = batch()
    loss = started(PENCIL(reduction="mean"))
    states, values = [], []
    for epoch in range(16):
        loss.on_epoch(epoch, n_epochs=16)
        values.append(loss(z, y, index))
        states.append(loss.state_["label_logits"].clone())
    # 70/320 and 200/320 of 16 epochs are 3.5 and 10
    assert not any(state.any() for state in states[:4])
    assert not any(a.equal(b) for a, b in zip(states[4:9], states[5:10], strict=True))
    assert all(state.equal(states[9]) for state in states[10:])
    ce = torch.nn.functional.cross_entropy(z, y, reduction="none")
    torch.testing.assert_close(values[3], ce)
    log_p, labels = z.log_softmax(dim=1), states[9].log_softmax(dim=1)
    kl = (log_p.exp() * (log_p - labels)).sum(dim=1)
    torch.testing.assert_close(values[12], kl / 4)


def test_pencil_corrects_a_label_that_the_network_denies():
    z = torch.tensor([[6.0, 0.0, 0.0]])
    loss = PENCIL(begin=0.0, end=1.0)
    loss.start(1, 3, "cpu")
    for epoch in range(1, 20):
        loss.on_epoch(epoch, n_epochs=20)
        loss(z, torch.tensor([2]), torch.tensor([0]))
    assert loss.state_["label_logits"].argmax() == 0


@pytest.mark.parametrize("n_classes", [3, 100])
def test_pencil_corrects_in_whatever_time_there_is(n_classes):
    """The network always contradicts the label: it changes in any number of epochs."""
    z = torch.zeros(1, n_classes)
    z[0, 0] = 12.0
    for n_epochs in (5, 40, 320):
        loss = PENCIL(alpha=0.0, begin=0.0, end=1.0)
        loss.start(1, n_classes, "cpu")
        for epoch in range(1, n_epochs):
            loss.on_epoch(epoch, n_epochs)
            loss(z, torch.tensor([2]), torch.tensor([0]))
        assert loss.state_["label_logits"].argmax() == 0, n_epochs


def test_pencil_moves_labels_that_are_far_off():
    """At a gap of 100 between logits the gradient is still that of the formula."""
    z, index = torch.tensor([[6.0, 0.0, 0.0]]), torch.tensor([0])
    loss = PENCIL(lam=3.0, alpha=0.0, begin=0.0)
    loss.start(1, 3, "cpu")
    loss.state_["label_logits"][0] = torch.tensor([-50.0, 0.0, 50.0])
    loss.on_epoch(epoch=1, n_epochs=10)
    loss(z, torch.tensor([2]), index)
    p = z.softmax(dim=1)
    labels = torch.tensor([[0.0, 0.0, 1.0]])
    expected = torch.tensor([[-50.0, 0.0, 50.0]]) - (labels - p)
    torch.testing.assert_close(loss.state_["label_logits"], expected)


def test_joint_optimization_is_the_papers_sum():
    z, y, index = batch()
    prior = [0.1, 0.2, 0.3, 0.4]
    loss = started(JointOptimization(alpha=2.0, beta=3.0, prior=prior))
    p = softmax(z.numpy())
    ce = -np.log(p[np.arange(6), y])
    term = -(np.array(prior) * np.log(p.mean(axis=0))).sum()
    entropy = -(p * np.log(p)).sum(axis=1)
    expected = ce + 2 * term + 3 * entropy
    np.testing.assert_allclose(loss(z, y, index), expected, rtol=1e-6)
    named = JointOptimization(prior=pd.Series(prior, index=["a", "b", "c", "d"]))
    torch.testing.assert_close(started(named)._prior, loss._prior)


@pytest.mark.parametrize("labels", ["soft", "hard"])
def test_joint_optimization_averages_the_last_epochs(labels):
    """Window 2: in epoch 3 the labels are the mean of epochs 1 and 2."""
    _, y, index = batch()
    rng = np.random.default_rng(1)
    epochs = torch.tensor(rng.normal(size=(4, 6, 4)))
    loss = JointOptimization(0.0, 0.0, begin=0.5, retrain=0, window=2, labels=labels)
    started(loss)
    for epoch, z in enumerate(epochs):
        loss.on_epoch(epoch, n_epochs=4)
        value = loss(z, y, index)
    target = epochs[1:3].softmax(dim=2).mean(dim=0)
    if labels == "hard":
        target = torch.nn.functional.one_hot(target.argmax(dim=1), 4)
    expected = -(target * epochs[3].log_softmax(dim=1)).sum(dim=1)
    torch.testing.assert_close(value, expected)
    # a sample that was never met before keeps its label
    loss.state_["probabilities"][2:4] = 0
    value = loss(epochs[3], y, index)[1]
    torch.testing.assert_close(value, -epochs[3].log_softmax(dim=1)[1, y[1]])


def test_joint_optimization_trains_anew_from_the_first_weights(digits):
    """Without learning in the second training, the network is what it was."""
    X, y = digits

    class Still(JointOptimization):
        def __call__(self, logits, target, index):
            loss = super().__call__(logits, target, index)
            return 0 * loss if self._retraining else loss

    settings = {"max_epochs": 8, "random_state": 0, "weight_decay": 0.0}
    settings["encoder"] = narrow
    start = NoisyRobustClassifier("ce", **settings | {"lr": 1e-30}).fit(X, y)
    whole = NoisyRobustClassifier(Still(), **settings).fit(X, y)
    assert [row["phase"] for row in whole.history_] == ["all"] * 5 + ["anew"] * 3
    for name, weights in start.state_dict_.items():
        if name.endswith("weight") or name.endswith("bias"):
            np.testing.assert_allclose(weights, whole.state_dict_[name], atol=1e-20)


def test_training_anew_survives_a_file_in_between(digits):
    """From a file, the second training starts from the same weights, too."""
    X, y = digits[0].reshape(300, -1), digits[1]
    settings = {"max_epochs": 4, "random_state": 0, "loss": "joint_optimization"}
    clf = NoisyRobustClassifier(**settings)
    for _ in range(2):
        clf.partial_fit(X, y)
    loaded = pickle.loads(pickle.dumps(clf))
    start = NoisyRobustClassifier("ce", max_epochs=1, lr=1e-30, random_state=0)
    first = start.fit(X, y).state_dict_
    for one in (clf, loaded):
        # Nearly nothing is learned: the weights are those that it began with again.
        one.set_params(lr=1e-30).partial_fit(X, y)
        assert [row["phase"] for row in one.history_] == ["all", "all", "anew"]
        for name, weights in one.state_dict_.items():
            if name.endswith(("weight", "bias")):
                np.testing.assert_allclose(weights, first[name], atol=1e-20)


def test_training_anew_comes_late_where_fewer_epochs_are_planned_now(digits):
    X, y = digits[0].reshape(300, -1), digits[1]
    clf = NoisyRobustClassifier("joint_optimization", max_epochs=9, random_state=0)
    for _ in range(4):
        clf.partial_fit(X, y)
    first = clf._first_weights
    clf.set_params(max_epochs=4, lr=1e-30, weight_decay=0.0).partial_fit(X, y)
    assert [row["phase"] for row in clf.history_] == ["all"] * 4 + ["anew"]
    assert clf._first_weights is None
    for name in ("head.weight", "encoder.1.1.weight"):
        np.testing.assert_allclose(clf.state_dict_[name], first[name], atol=1e-20)


def test_joint_optimization_without_a_second_training_never_freezes_labels():
    loss = started(JointOptimization(retrain=0.0))
    loss.on_epoch(epoch=7, n_epochs=5)
    assert loss._updating and not loss._retraining


def sop_reference(p, y, u, v):
    """Return value, and derivatives by p, u and v, of the official code's formula.

    Hand-derived: cross-entropy of (p + u^2 - v^2) / sum, clamped from below, where v is
    a constant; plus the squared error of predicted class + u^2 - v^2 for u and v.
    """
    n, n_classes = p.shape
    one_hot, predicted = np.eye(n_classes)[y], np.eye(n_classes)[p.argmax(axis=1)]
    added = np.minimum(u[:, None] ** 2 * one_hot, 1)
    removed = np.minimum(v**2 * (1 - one_hot), 1)
    raw = p + added - removed
    q, free = raw.clip(1e-4), raw > 1e-4
    total, own = q.sum(axis=1), (q * one_hot).sum(axis=1)
    is_free = own / total > 1e-4
    value = -np.log((own / total).clip(1e-4))
    slope = (is_free / total)[:, None] - one_hot * (is_free / own)[:, None]
    slope = slope * free
    error = predicted + added - removed - one_hot
    of_u = 2 * u * ((slope + 2 * error) * one_hot).sum(axis=1) * (u**2 <= 1)
    of_v = -4 * v * error * (1 - one_hot) * (v**2 <= 1)
    return value, slope, of_u, of_v


@pytest.mark.parametrize("rates", [(0.3, 0.5), (60.0, 90.0)])  # the latter overshoots
def test_ten_steps_of_sop_are_the_official_codes(rates):
    """Value, gradient and state, with batches of 3 of 6 samples and moving logits."""
    z, y, index = batch()
    rng = np.random.default_rng(1)
    loss = started(SOP(*rates))
    u, v = np.full(6, 0.2), np.full((6, 4), 0.1)
    loss.state_["u"].fill_(0.2 * 2**15)
    loss.state_["v"].fill_(0.1 * 2**15)
    for _ in range(10):
        rows = rng.permutation(6)[:3]
        logits = z[rows] + torch.tensor(rng.normal(size=(3, 4)))
        logits.requires_grad_()
        value = loss(logits, y[rows], index[rows])
        gradient = torch.autograd.grad(value.mean(), logits)[0]
        p = softmax(logits.detach().numpy())
        expected, of_p, of_u, of_v = sop_reference(p, y.numpy()[rows], u[rows], v[rows])
        np.testing.assert_allclose(value.detach(), expected, rtol=1e-9)
        of_logits = p * (of_p - (of_p * p).sum(axis=1, keepdims=True)) / 3
        np.testing.assert_allclose(gradient, of_logits, rtol=1e-6, atol=1e-10)
        u[rows] -= rates[0] * of_u / 3
        v[rows] -= rates[1] * of_v / 3
        # Beyond 1 they have no gradient any more, and how far is not stored.
        for ours, theirs in ((loss.state_["u"][:, 0], u), (loss.state_["v"], v)):
            ours = ours.numpy() / 2**15
            limited = theirs.clip(-1.5, 1.5)
            np.testing.assert_allclose(ours, limited, rtol=1e-6, atol=1e-10)
    overshot = (abs(u) > 1).any() and (abs(v) > 1).any()
    assert overshot == (rates[0] == 60.0)


def test_u_of_sop_settles_where_the_label_is_predicted():
    """At p_y = 1/2 of 2 classes its square s solves s (1 + s) (1 + 2 s) = 1/2."""
    z, y, index = torch.zeros(1, 2), torch.tensor([0]), torch.tensor([0])
    loss = SOP(lr_u=0.5, lr_v=0.0)
    loss.start(1, 2, "cpu")
    loss.state_["u"].fill_(0.1 * 2**15)
    for _ in range(200):
        loss(z, y, index)
    s = (loss.state_["u"].item() / 2**15) ** 2
    assert s * (1 + s) * (1 + 2 * s) == pytest.approx(0.5, abs=1e-4)


def test_sop_takes_up_noise():
    """The network is sure of three samples, one of which has a wrong label."""
    z = torch.tensor([[5.0, 0.0, 0.0]]).repeat(3, 1)
    y, index = torch.tensor([0, 0, 1]), torch.arange(3)
    loss = SOP()
    loss.start(3, 3, "cpu")
    for epoch in range(60):
        loss.on_epoch(epoch, n_epochs=60)
        value = loss(z, y, index)
    u, v = (loss.state_[name] / 2**15 for name in ("u", "v"))
    assert u[2] ** 2 > 0.9 and v[2, 0] ** 2 > 0.9 and value[2] < 0.1
    assert (u[:2] ** 2 < 1e-3).all() and (v[:2] ** 2 < 1e-3).all()


STORED = {
    "elr": lambda storage: ELR(storage=storage),
    "forward": lambda storage: Forward(storage=storage),
    "joint_optimization": lambda storage: JointOptimization(storage=storage),
    "pencil": lambda storage: PENCIL(storage=storage),
    "sop": lambda storage: SOP(storage=storage),
}


@pytest.mark.parametrize("name", STORED)
def test_half_precision_trains_alike(name):
    """The loss after a few epochs is that of full precision, at half the memory."""
    z, y, index = batch(n=8, n_classes=5, scale=1.0, dtype=torch.float32)
    values, size = [], []
    for storage in ("float32", "float16"):
        loss = STORED[name](storage)
        loss.start(8, 5, "cpu")
        for epoch in range(10):
            loss.on_epoch(epoch, n_epochs=10)
            value = loss(z, y, index)
        values.append(value)
        floats = [v for v in loss.state_.values() if v.is_floating_point()]
        size.append(sum(v.nbytes for v in floats if len(v) >= 8))
    torch.testing.assert_close(*values, rtol=2e-2, atol=5e-3)
    assert size[1] == size[0] / 2


def test_the_largest_classes_stand_for_all():
    """With k = n_classes nothing is lost; with fewer, the loss changes little."""
    z, y, index = batch(n=8, n_classes=5, dtype=torch.float32)
    values = {}
    for storage in ("float16", 5, 2):
        loss = ELR(storage=storage)
        loss.start(8, 5, "cpu")
        for _ in range(5):
            values[storage] = loss(z, y, index)
    torch.testing.assert_close(values[5], values["float16"])
    assert (values[2] - values["float16"]).abs().max() < 0.2
    # 1,000,000 samples of 1,000 classes: 40 MB
    loss = ELR(storage=10)
    loss.start(1000, 1000, "cpu")
    assert sum(v.nbytes for v in loss.state_.values()) == 1000 * 10 * 4


def test_a_thousand_classes():
    z, y, index = batch(n=4, n_classes=1000, scale=10.0, dtype=torch.float32)
    for make in LOSSES.values():
        loss = make()
        loss.start(4, 1000, "cpu")
        z.grad = None
        value = loss(z.requires_grad_(), y, index)
        value.sum().backward()
        assert value.isfinite().all() and z.grad.isfinite().all(), loss
