"""DISC: its sets, thresholds and losses, by hand and over a training."""

import copy

import numpy as np
import pytest
import torch
from nets import narrow
from sklearn.datasets import load_digits
from torch import nn
from torch.nn import functional as F

from sknoisy import DISC, CoTrainingClassifier, SSLPretrainer
from sknoisy.cotraining.disc import set_losses, split
from sknoisy.noise import symmetric_exclusive
from sknoisy.views import Views

RNG = np.random.default_rng(0)
Y = np.arange(60) % 3
X = (RNG.normal(size=(60, 4)) + 2 * np.eye(3, 4)[Y]).astype(np.float32)
NOISY = np.where(np.arange(60) % 3 == np.arange(60) // 20, (Y + 1) % 3, Y)
SETTINGS = {"batch_size": 16, "lr": 0.1, "random_state": 0}


def softmax(logits):
    powers = np.exp(logits - logits.max(axis=-1, keepdims=True))
    return powers / powers.sum(axis=-1, keepdims=True)


def test_sets_by_hand():
    """One sample of each set; the thresholds are 0.4 and 0.6."""
    views = [
        ([0.5, 0.3, 0.2], [0.7, 0.2, 0.1]),  # clean
        ([0.5, 0.3, 0.2], [0.6, 0.2, 0.2]),  # hard: equal is not above
        ([0.3, 0.7, 0.0], [0.8, 0.1, 0.1]),  # hard, by the strong view alone
        ([0.1, 0.9, 0.0], [0.2, 0.8, 0.0]),  # purified: 0.85 > 0.5 + 0.3
        ([0.3, 0.7, 0.0], [0.2, 0.8, 0.0]),  # none: 0.75
        ([0.9, 0.1, 0.0], [0.9, 0.1, 0.0]),  # without a label, as a wrong one: 0.9
    ]
    codes = torch.tensor([0, 0, 0, 0, 0, -1])
    thresholds = torch.tensor([0.4, 0.6]).expand(6, 2)
    found = split(torch.tensor(views), codes, thresholds, sigma=0.3)
    clean, hard, purified = (members.nonzero()[:, 0].tolist() for members in found)
    assert (clean, hard, purified) == ([0], [1, 2], [3, 5])


def test_nine_tenths_are_always_sure():
    sure = torch.tensor([[[0.05, 0.95], [0.05, 0.95]], [[0.15, 0.85], [0.15, 0.85]]])
    thresholds = torch.full((2, 2), 0.8)
    for sigma in (0.5, 5.0):
        *_, purified = split(sure, torch.tensor([0, 0]), thresholds, sigma)
        assert purified.tolist() == [True, False]


def test_losses_of_sets_against_numpy():
    logits, y = RNG.normal(size=(6, 2, 4)), np.array([0, 1, 2, 3, 0, 1])
    clean, hard = np.arange(6) < 2, (np.arange(6) >= 2) & (np.arange(6) < 5)
    p = softmax(logits)[np.arange(6), :, y]
    robust = (1 - p**0.7) / 0.7
    expected = np.where(clean, -np.log(p).sum(axis=1), 0.2 * robust.sum(axis=1))
    expected[5] = 0
    given = [torch.tensor(values) for values in (logits, y, clean, hard)]
    np.testing.assert_allclose(set_losses(*given, lambda_h=0.2), expected)
    given[1] = F.one_hot(given[1], 4).double()
    np.testing.assert_allclose(set_losses(*given, lambda_h=0.2), expected)


def test_settings_follow_the_estimated_noise_and_the_number_of_epochs():
    method = DISC()
    method.start(10, 3, "cpu")
    for n_epochs in (200, 100, 20):
        method.plan(n_epochs, head_epochs=0)
        for rate, concentration, slow, lambda_h in [
            (np.nan, np.nan, 0.99, 1.0),
            (0.4, 0.0, 0.99, 1.0),
            (0.4, 0.5, 0.95, 1.0),
            (0.6, 0.0, 0.95, 0.2),
        ]:
            method.noise_rate, method.noise_concentration = rate, concentration
            found = method.resolved()
            assert found["momentum"] ** n_epochs == pytest.approx(slow**200)
            assert found["lambda_h"] == lambda_h
    method.momentum, method.lambda_h = 0.9, 0.7
    assert method.resolved() == {"momentum": 0.9, "lambda_h": 0.7}


# A training ---------------------------------------------------------------------------


def small(shape):
    net = nn.Sequential(nn.Linear(*shape, 8), nn.BatchNorm1d(8), nn.Tanh())
    net.n_features = 8
    return net


class Dimmed(Views):
    """A strong view without randomness."""

    def __call__(self, batch, generator):
        return 0.6 * batch + 0.2


class Watched(DISC):
    """Keeps what each step begins with: samples, networks and random numbers."""

    def batch_loss(self, net, index, batch):
        generator = torch.Generator().set_state(net.generator.get_state())
        randomness = copy.deepcopy(self.rng), generator
        if not self.steps:
            self.networks.append(copy.deepcopy(net.module_))
        learned = self.state_["half"][index] == 0 if self.in_halves else index >= 0
        self.steps.append((self.epoch, index, batch.clone(), learned, randomness))
        return super().batch_loss(net, index, batch)


def mixed(view, labels, alpha, rng, generator):
    """Return a view whose samples are mixed in pairs, and their labels."""
    lam = rng.beta(alpha, alpha)
    lam, other = max(lam, 1 - lam), torch.randperm(len(view), generator=generator)
    rows = F.one_hot(labels, 3).float()
    pairs = (lam * part + (1 - lam) * part[other] for part in (view, rows))
    return tuple(pairs)


def loss_of_sets(network, views, logits, given, sets, method, randomness):
    """Return the loss of a batch after the warm-up, term by term."""
    clean, hard, chosen, labels = sets
    loss, n = 0.0, len(given)
    for z in logits:
        if clean.any():
            share = clean.sum() / n
            loss = loss + share * F.cross_entropy(z[clean], given[clean])
        if hard.any():
            p = z[hard].softmax(dim=1).gather(1, given[hard][:, None])
            robust = ((1 - p**0.7) / 0.7).mean()
            loss = loss + method.lambda_h * hard.sum() / n * robust
    pairs = [
        mixed(view[chosen], labels[chosen], method.alpha, *randomness) for view in views
    ]
    together = network(torch.cat([inputs for inputs, _ in pairs]))[:, 0]
    for z, (_, rows) in zip(together.chunk(2), pairs, strict=True):
        loss = loss + F.cross_entropy(z, rows)
    return loss


def by_the_official_steps(network, steps, y, method, lr):
    """Train as the official code does, which finds the sets at the end of an epoch.

    Return the tables that decide about the next epoch, and how large the sets were.
    """
    n, optimizer = len(y), torch.optim.SGD(network.parameters(), lr=lr)
    probs = torch.zeros(2, n, 3)  # of the weak and of the strong view
    before = torch.full((2, n), 1 / n)
    sets, sizes = None, []
    for epoch in sorted({epoch for epoch, *_ in steps}):
        for _, index, weak, learned, randomness in (s for s in steps if s[0] == epoch):
            views, given = (weak, 0.6 * weak + 0.2), y[index]
            logits = network(torch.cat(views))[:, 0].chunk(2)
            if epoch < method.warmup_epochs:
                loss = sum(F.cross_entropy(z[learned], given[learned]) for z in logits)
            else:
                of_batch = [table[index] for table in sets]
                loss = loss_of_sets(
                    network, views, logits, given, of_batch, method, randomness
                )
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            probs[:, index] = torch.stack(logits).detach().softmax(dim=2)
        weak, strong = probs[:, torch.arange(n), y] > before
        clean, hard = weak & strong, weak ^ strong
        bound = (before[0] + before[1]) / 2 + method.sigma
        sure, best = ((probs[0] + probs[1]) / 2).max(dim=1)
        purified = (sure > bound.clamp(max=0.9)) & ~weak & ~strong
        labels = torch.where(purified, best, y)
        sets = clean, hard, clean | hard | purified, labels
        before = method.momentum * before
        before += (1 - method.momentum) * probs.max(dim=2).values
        sizes.append([s.sum().item() for s in (clean, hard, purified)])
    tables = {"clean": clean, "hard": hard, "purified": purified, "labels": labels}
    return tables | {"thresholds": before.T}, np.array(sizes)


def test_a_short_training_is_the_official_codes():
    Watched.steps, Watched.networks = steps, networks = [], []
    method = Watched(
        momentum=0.5,
        sigma=0.1,
        lambda_h=0.4,
        alpha=2.0,
        views=Dimmed(),
        warmup_epochs=6,  # of five, one half of the samples is learned
    )
    plain = {"optimizer": "momentum", "momentum": 0.0, "schedule": "constant"}
    clf = CoTrainingClassifier(
        method, small, max_epochs=13, weight_decay=0.0, **plain, **SETTINGS
    ).fit(X, NOISY)
    network, y = networks[0], torch.from_numpy(NOISY)
    tables, sizes = by_the_official_steps(network, steps, y, method, lr=0.1)
    assert (sizes[6:].max(axis=0) > 5).all() and sizes[6:].sum(axis=1).min() < 60
    for name, values in tables.items():
        found = clf.loss_state_[name]
        np.testing.assert_allclose(found, values, rtol=1e-4, err_msg=name)
    ours = clf._network.state_dict()
    for name, values in network.state_dict().items():
        np.testing.assert_allclose(ours[name], values, rtol=1e-3, atol=1e-5)


def test_if_all_labels_are_above_their_thresholds_it_is_cross_entropy():
    """Four times: of two views that are the same, each once more as mixed with none."""
    seen = []

    class Lowest(DISC):
        def batch_loss(self, net, index, batch):
            loss = super().batch_loss(net, index, batch)
            with torch.no_grad():
                plain = F.cross_entropy(net.module_(batch)[:, 0], net.targets(index))
            seen.append((loss.item(), 4 * plain.item()))
            return loss

    def linear(shape):
        net = nn.Linear(*shape, 6)
        net.n_features = 6
        return net

    method = Lowest(1.0, lambda_h=1.0, alpha=0.0, views="none", warmup_epochs=0)
    clf = CoTrainingClassifier(method, linear, max_epochs=3, **SETTINGS | {"lr": 0.01})
    state = clf.fit(X, NOISY).loss_state_
    assert state["clean"].all() and (state["thresholds"] == np.float32(1 / 60)).all()
    ours, plain = np.transpose(seen)
    np.testing.assert_allclose(ours, plain, rtol=1e-5)


# As a classifier ----------------------------------------------------------------------


def test_wrong_labels_are_left_out_or_corrected():
    inputs, y = load_digits(return_X_y=True)
    noisy = symmetric_exclusive(y[:900], rate=0.4, random_state=0)
    clf = CoTrainingClassifier("disc", random_state=0).fit(inputs[:900], noisy.y)
    state = clf.loss_state_
    selected, purified = state["clean"] | state["hard"], state["purified"]
    assert noisy.is_wrong[state["clean"]].mean() < 0.1 < state["clean"].mean()
    assert noisy.is_wrong[selected].mean() < noisy.is_wrong[state["hard"]].mean()
    assert purified.any() and not (selected & purified).any()
    assert (state["labels"][purified] == y[:900][purified]).mean() > 0.9
    np.testing.assert_array_equal(state["labels"][~purified], noisy.y[~purified])


def test_trusted_labels_are_clean():
    trusted = NOISY != Y
    method = DISC(momentum=0.5, sigma=0.0, warmup_epochs=2)
    clf = CoTrainingClassifier(method, max_epochs=10, **SETTINGS)
    state = clf.fit(X, NOISY, trusted=trusted).loss_state_
    assert state["clean"][trusted].all()
    assert not (state["hard"] | state["purified"])[trusted].any()
    assert not clf.fit(X, NOISY).loss_state_["clean"][trusted].all()


def test_labels_that_become_trusted_are_learned_at_once():
    wrong, learned = NOISY != Y, []

    class Watched(DISC):
        def _of_last_epoch(self, net, index):
            clean, *others = super()._of_last_epoch(net, index)
            learned.extend(index[clean].tolist())
            return clean, *others

    method = Watched(momentum=0.5, sigma=0.0, warmup_epochs=2)
    clf = CoTrainingClassifier(method, max_epochs=12, **SETTINGS)
    for _ in range(8):
        learned.clear()
        clf.partial_fit(X, NOISY)
    assert not set(np.flatnonzero(wrong)) <= set(learned)
    learned.clear()
    clf.partial_fit(X, NOISY, trusted=wrong)
    assert set(np.flatnonzero(wrong)) <= set(learned)


def test_samples_without_a_label_are_learned_once_they_are_purified():
    known = np.arange(60) % 4 == 0
    table = np.where(known[:, None], np.eye(3)[Y], np.nan)
    apart = X + 3 * np.eye(3, 4, dtype=np.float32)[Y]
    method = DISC(momentum=0.9, sigma=0.3)
    clf = CoTrainingClassifier(method, classes=range(3), max_epochs=20, **SETTINGS)
    state = clf.fit(apart, table).loss_state_
    assert not (state["clean"] | state["hard"])[~known].any()
    purified = state["purified"] & ~known
    assert purified.sum() > 10
    assert (state["labels"][purified] == Y[purified]).mean() > 0.9
    assert (state["labels"][~known & ~purified] == -1).all()


def test_images_get_strong_views_and_pretrained_encoders_heads_first(colour):
    images, y = colour[0][:, ::2, ::2], colour[1]
    ssl = SSLPretrainer(encoder=narrow, max_epochs=1, random_state=0)
    features = ssl.fit_transform(images)
    clf = CoTrainingClassifier("disc", head_epochs=2, max_epochs=3, random_state=0)
    clf.fit(features, y)
    assert clf.predict_proba(features).shape == (60, 2)
    assert clf._training.loss.warmup_epochs_ == 2
    weak, strong = clf.loss_state_["thresholds"].T
    assert not np.array_equal(weak, strong)
    clf = clf.set_params(method__views="none", views="none").fit(features, y)
    weak, strong = clf.loss_state_["thresholds"].T
    np.testing.assert_allclose(weak, strong, rtol=1e-5)
    assert not clf.loss_state_["hard"].any()
