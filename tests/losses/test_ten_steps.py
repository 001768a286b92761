"""Losses with state over ten steps or more, against NumPy: value, gradient and state.

The references are written from the formulas of the official code, with gradients
derived by hand. Logits move from step to step as if a network were trained.
"""

import numpy as np
import pytest
import torch

from sknoisy import CORES, ELR, PENCIL, JointOptimization, TruncatedGCE

N, C, BATCH = 6, 4, 3
Y = np.random.default_rng(0).integers(C, size=N)


def softmax(z):
    e = np.exp(z - z.max(axis=1, keepdims=True))
    return e / e.sum(axis=1, keepdims=True)


def of_logits(p, of_p):
    """Return the gradient with respect to logits from that with respect to p."""
    return p * (of_p - (of_p * p).sum(axis=1, keepdims=True))


def doubled(loss):
    """Start a loss, with its state in double precision."""
    loss.start(N, C, "cpu")
    for name, tensor in loss.state_.items():
        loss.state_[name] = tensor.double()
    return loss


def epochs(n_epochs):
    """Yield the epoch, the samples of a batch, and its logits: two batches an epoch."""
    rng = np.random.default_rng(1)
    z = 2 * rng.normal(size=(N, C))
    for epoch in range(n_epochs):
        for rows in rng.permutation(N).reshape(-1, BATCH):
            z[rows] += rng.normal(size=(BATCH, C))
            yield epoch, rows, z[rows].copy()


def check(loss, rows, z, value, gradient):
    """Compare the losses of a batch and the gradient of their mean."""
    logits = torch.tensor(z, requires_grad=True)
    ours = loss(logits, torch.tensor(Y[rows]), torch.tensor(rows))
    np.testing.assert_allclose(ours.detach(), value, rtol=1e-6)
    slope = torch.autograd.grad(ours.mean(), logits)[0]
    np.testing.assert_allclose(slope, gradient / BATCH, rtol=1e-6, atol=1e-9)


def test_elr():
    loss, targets = doubled(ELR(lam=3.0, beta=0.7)), np.zeros((N, C))
    for _, rows, z in epochs(10):
        p, one_hot = softmax(z), np.eye(C)[Y[rows]]
        clamped = p.clip(1e-4, 1 - 1e-4)
        normal = clamped / clamped.sum(axis=1, keepdims=True)
        targets[rows] = 0.7 * targets[rows] + 0.3 * normal
        rest = 1 - (clamped * targets[rows]).sum(axis=1)
        value = -np.log((p * one_hot).sum(axis=1)) + 3 * np.log(rest)
        of_p = -3 * targets[rows] * (clamped == p) / rest[:, None]
        check(loss, rows, z, value, p - one_hot + of_logits(p, of_p))
        np.testing.assert_allclose(loss.state_["target"], targets, rtol=1e-6)


@pytest.mark.parametrize("labels", ["soft", "hard"])
def test_joint_optimization(labels):
    """Labels are updated from epoch 3 on, before a window of 10 epochs is full.

    The official code always divides by 10, which is the same once the window is full.
    """
    n_epochs, window = 15, 10
    loss = JointOptimization(1.2, 0.8, begin=3 / 15, retrain=0.2, labels=labels)
    doubled(loss)
    given = np.eye(C)[Y]
    history, current, now = np.zeros((N, window, C)), given.copy(), -1
    for epoch, rows, z in epochs(n_epochs):
        if epoch != now:  # an epoch begins
            now = epoch
            loss.on_epoch(epoch, n_epochs)
            official = history.mean(axis=1)
            if 3 <= epoch:
                current = official * window / min(epoch, window)
                np.testing.assert_allclose(current.sum(axis=1), 1)
                if labels == "hard":
                    current = np.eye(C)[official.argmax(axis=1)]
        p = softmax(z)
        value = -(current[rows] * np.log(p)).sum(axis=1)
        gradient = p - current[rows]
        if epoch < 12:  # then the second training, with cross-entropy alone
            history[rows, epoch % window] = p
            mean = p.mean(axis=0)
            entropy = -(p * np.log(p)).sum(axis=1)
            value += 1.2 * -np.log(mean).mean() + 0.8 * entropy
            gradient += 1.2 * of_logits(p, -1 / (C * mean) * np.ones_like(p))
            gradient += 0.8 * of_logits(p, -np.log(p))
        check(loss, rows, z, value, gradient)
        kept = loss.state_["probabilities"].reshape(N, window, C)
        np.testing.assert_allclose(kept, history, rtol=1e-6)


def test_pencil():
    """Six epochs of the second stage, then two of the third."""
    loss = doubled(PENCIL(0.4, 0.1, lam=40.0, K=5.0, begin=0.2, end=0.8))
    logits, now = np.zeros((N, C)), -1
    for epoch, rows, z in epochs(10):
        if epoch != now:
            now = epoch
            loss.on_epoch(epoch, 10)
        p, one_hot = softmax(z), np.eye(C)[Y[rows]]
        if epoch < 2:
            value = -np.log((p * one_hot).sum(axis=1))
            check(loss, rows, z, value, p - one_hot)
            continue
        if epoch == 2:
            logits[rows] = 5.0 * one_hot
        labels = softmax(logits[rows])
        ratio = np.log(p) - np.log(labels)
        value, of_p = (p * ratio).sum(axis=1), ratio + 1
        if epoch < 8:
            value = value - 0.1 * (p * np.log(p)).sum(axis=1)
            of_p = of_p - 0.1 * (np.log(p) + 1)
            # KL(p || labels) / C, and cross-entropy of the softmax of probabilities.
            of_labels = 0.4 * (softmax(labels) - one_hot)
            slope = (labels - p) / C + of_logits(labels, of_labels)
            logits[rows] -= 40.0 / BATCH * slope
        check(loss, rows, z, value, of_logits(p, of_p))
        np.testing.assert_allclose(
            loss.state_["label_logits"], logits, rtol=1e-6, atol=1e-9
        )


def test_truncated_gce():
    """Pruned before epochs 4, 7 and 10, by the probabilities of the last epoch."""
    q, k = 0.7, 0.03
    loss = doubled(TruncatedGCE(q, k, begin=4 / 13, every=3))
    kept, seen, now, prunings = np.ones(N), np.ones(N), -1, []
    for epoch, rows, z in epochs(13):
        if epoch != now:
            now = epoch
            loss.on_epoch(epoch, 13)
            if epoch in (4, 7, 10):
                kept = (seen > k).astype(float)
                prunings.append(kept)
        p, one_hot = softmax(z), np.eye(C)[Y[rows]]
        own = (p * one_hot).sum(axis=1)
        value = np.where(kept[rows] > 0, (1 - own**q) / q, (1 - k**q) / q)
        of_p = -one_hot * (kept[rows] * own ** (q - 1))[:, None]
        check(loss, rows, z, value, of_logits(p, of_p))
        seen[rows] = own
        np.testing.assert_allclose(loss.state_["probability"], seen, rtol=1e-6)
        np.testing.assert_array_equal(loss.state_["kept"], kept)
    changes = np.diff(prunings, axis=0)
    assert (changes < 0).any() and (changes > 0).any()  # pruned, and taken back


def test_cores():
    """Of 10 epochs, beta grows in those from 2 to 5, and the sieve begins in 4."""
    loss = doubled(CORES(beta=1.5, begin=0.2, end=0.6, sieve=0.4))
    shares = np.bincount(Y, minlength=C) / N
    prior, left_out, now, all_left_out = np.full(C, 1 / C), np.zeros(C), -1, 0
    for epoch, rows, z in epochs(10):
        if epoch != now:
            if epoch > 0:
                prior = shares * N - left_out
                prior, left_out = prior / prior.sum(), np.zeros(C)
            now = epoch
            loss.on_epoch(epoch, 10)
            np.testing.assert_allclose(loss.state_["prior"], prior)
        beta = np.r_[0, 0, np.linspace(0, 1.5, 4), 1.5, 1.5, 1.5, 1.5][epoch]
        p, one_hot = softmax(z), np.eye(C)[Y[rows]]
        of_any = -np.log(p + 1e-8)
        ce = -np.log((p * one_hot).sum(axis=1))
        keeps = (ce - of_any.mean(axis=1) <= 0) | (epoch < 4)
        weights = keeps / max(1, keeps.sum()) * BATCH / (1 + beta)
        left_out += (one_hot * ~keeps[:, None]).sum(axis=0)
        all_left_out += (~keeps).sum()
        value = weights * (ce - beta * (of_any * prior).sum(axis=1))
        slope = p - one_hot + beta * of_logits(p, prior / (p + 1e-8))
        check(loss, rows, z, value, weights[:, None] * slope)
    assert all_left_out > 5


def test_cores_has_the_official_schedule():
    loss, found = doubled(CORES()), []
    for epoch in range(100):
        loss.on_epoch(epoch, 100)
        found.append(loss.beta_)
    official = np.zeros(10), np.linspace(0, 2, 30), np.full(60, 2)
    np.testing.assert_allclose(found, np.concatenate(official))


def test_cores_counts_soft_labels_by_their_shares():
    loss = doubled(CORES())
    soft = np.random.default_rng(0).dirichlet(np.ones(C), N)
    loss.on_epoch(0, 10)
    loss(torch.zeros(N, C), torch.tensor(soft), torch.arange(N))
    loss.on_epoch(1, 10)
    np.testing.assert_allclose(loss.state_["prior"], soft.mean(axis=0), rtol=1e-5)


def test_cores_without_a_sieve():
    """Nothing is left out, however long the training goes on."""
    loss = doubled(CORES(beta=0.0, sieve=1.0))
    logits = torch.tensor(-9.0 * np.eye(C)[Y])
    for epoch in (0, 9, 10, 20):
        loss.on_epoch(epoch, 10)
        assert loss(logits, torch.tensor(Y), torch.arange(N)).all()


def test_cores_where_everything_is_left_out():
    """Nothing is learned, and the shares of the classes stay as they were."""
    loss = doubled(CORES(sieve=0.1))
    logits = torch.tensor(-9.0 * np.eye(C)[Y], requires_grad=True)
    for epoch in range(3):
        loss.on_epoch(epoch, 10)
        losses = loss(logits, torch.tensor(Y), torch.arange(N))
    assert not losses.any()
    assert not torch.autograd.grad(losses.sum(), logits)[0].any()
    loss.on_epoch(3, 10)
    np.testing.assert_allclose(loss.state_["prior"], np.bincount(Y, minlength=C) / N)
