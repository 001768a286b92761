"""SELF: its averages, its filter and its loss, by hand and over a training."""

import numpy as np
import pytest
import torch

from sknoisy import SELF, CoTrainingClassifier
from sknoisy.cotraining.rampup import sigmoid_rampup
from sknoisy.cotraining.self_ensemble import consistency

RNG = np.random.default_rng(0)
X = RNG.normal(size=(60, 4)).astype(np.float32)
Y = (X[:, 0] > 0).astype(int)
NOISY = np.where(np.arange(60) % 4 == 0, 1 - Y, Y)


def softmax(z):
    e = np.exp(z - z.max(axis=1, keepdims=True))
    return e / e.sum(axis=1, keepdims=True)


def test_consistency_against_numpy():
    z, average = RNG.normal(size=(5, 3)), RNG.normal(size=(5, 3))
    logits = torch.tensor(z, requires_grad=True)
    other = torch.tensor(average, requires_grad=True)
    distance = consistency(logits, other)
    p, q = softmax(z), softmax(average)
    np.testing.assert_allclose(distance.detach(), ((p - q) ** 2).mean(axis=1))
    slope = torch.autograd.grad(distance.sum(), [logits, other], allow_unused=True)
    of_p = 2 * (p - q) / 3
    expected = p * (of_p - (of_p * p).sum(axis=1, keepdims=True))
    np.testing.assert_allclose(slope[0], expected)
    assert slope[1] is None


def test_sigmoid_rampup():
    assert sigmoid_rampup(0.0) == pytest.approx(np.exp(-5))
    assert sigmoid_rampup(0.4) == pytest.approx(np.exp(-1.8))
    assert sigmoid_rampup(1.0) == sigmoid_rampup(10.0) == 1.0


def test_averages_and_filter_by_hand():
    """The label 1 is given up when the average turns, and is taken back later."""
    method = SELF(momentum=0.5)
    method.start(3, 2, "cpu")
    index, target = torch.tensor([2]), torch.tensor([1])
    found = []
    for p in (0.2, 0.6, 0.9):  # probability of class 1
        probs = torch.tensor([[1 - p, p]])
        method._record(index, probs, target, None)
        row = method.state_["predictions"][2].tolist()
        found.append((row, method.state_["kept"][2].item()))
        share = method.state_["clean_proba"][2].item()
        assert share == pytest.approx(row[1] / sum(row))
    rows = [[0.4, 0.1], [0.4, 0.35], [0.25, 0.625]]
    np.testing.assert_allclose([row for row, _ in found], rows, rtol=1e-6)
    assert [kept for _, kept in found] == [0, 0, 1]
    assert method.state_["kept"][:2].tolist() == [1, 1]
    method._record(index, torch.tensor([[1.0, 0.0]]), target, torch.tensor([True]))
    assert method.state_["kept"][2] == method.state_["clean_proba"][2] == 1


class Watched(SELF):
    """Keeps what it saw: losses by hand beside its own, and weights before steps."""

    def batch_loss(self, net, index, batch):
        student, average = net.module_.networks
        with torch.no_grad():
            z, e = (network(batch).double() for network in (student, average))
        kept = self.state_["kept"][index].numpy().astype(bool)
        y = net.data_.codes[index].numpy()
        if self.is_warmup:
            kept = np.ones(len(y), bool)
        p, q = softmax(z.numpy()), softmax(e.numpy())
        by_hand = 0.0
        if kept.any():
            by_hand = -np.log(p[np.arange(len(y)), y])[kept].mean()
        weight = self.consistency * np.exp(-5 * (1 - min(1, self.epoch / 5)) ** 2)
        by_hand += weight * ((p - q) ** 2).mean()
        loss = super().batch_loss(net, index, batch)
        self.losses.append((loss.item(), by_hand, kept.mean()))
        return loss

    def after_step(self, net, progress):
        student, average = net.module_.networks
        before = [p.clone() for p in average.parameters()]
        done = len(self.losses) - 1
        super().after_step(net, progress)
        decay = min(self.decay, done / (done + 1))
        pairs = zip(before, average.parameters(), student.parameters(), strict=True)
        for old, new, weights in pairs:
            torch.testing.assert_close(new, old.lerp(weights.detach(), 1 - decay))


def test_labels_are_left_out_after_a_fifth_of_the_epochs():
    for n_epochs, head_epochs, expected in [(100, 0, 20), (100, 10, 30), (2, 0, 2)]:
        method = SELF()
        method.plan(n_epochs, head_epochs)
        assert method.warmup_epochs_ == expected


def test_a_short_training_is_the_formula():
    losses = Watched.losses = []
    method = Watched(decay=0.8, momentum=0.5, warmup_epochs=2)
    settings = {"max_epochs": 12, "batch_size": 20, "lr": 0.1, "random_state": 0}
    clf = CoTrainingClassifier(method, **settings).fit(X, NOISY)
    ours, by_hand, kept = np.array(losses).T
    np.testing.assert_allclose(ours, by_hand, rtol=1e-4, atol=1e-7)
    assert len(ours) == 36 and (kept[:6] == 1).all() and kept[6:].min() < 1
    average = clf._network.eval().networks[1]
    with torch.no_grad():
        expected = average(torch.from_numpy(X)).softmax(dim=1)
    np.testing.assert_allclose(clf.predict_proba(X), expected, atol=1e-5)
    assert clf.loss_state_["steps"][0] == 36


def test_without_consistency_only_kept_labels_are_learned():
    """Samples that are filtered have no gradient."""
    seen = []

    class OneLabel(SELF):
        def before_epoch(self, net):
            super().before_epoch(net)
            self.state_["kept"].zero_()
            self.state_["kept"][7] = 1

        def batch_loss(self, net, index, batch):
            loss = super().batch_loss(net, index, batch)
            seen.append((7 in index.tolist(), loss.item() > 0))
            return loss

    method = OneLabel(consistency=0.0, warmup_epochs=0)
    CoTrainingClassifier(method, max_epochs=2, batch_size=20).fit(X, NOISY)
    assert all(has == learns for has, learns in seen) and sum(h for h, _ in seen) == 2


def test_the_average_goes_on_after_a_file(tmp_path):
    from sknoisy import load, save

    clf = CoTrainingClassifier(SELF(), max_epochs=6, random_state=0)
    clf.partial_fit(X, NOISY).partial_fit(X, NOISY)
    save(clf, tmp_path / "model")
    loaded = load(tmp_path / "model")
    assert loaded.loss_state_["steps"][0] == clf.loss_state_["steps"][0] == 2
    assert loaded.partial_fit(X, NOISY).loss_state_["steps"][0] == 3
    fewer = loaded.partial_fit(X[:40], NOISY[:40])
    assert fewer.loss_state_["steps"][0] == 4 and fewer.clean_proba_.shape == (40,)


def test_labels_that_become_trusted_are_learned_at_once():
    """With all of them and no consistency, the loss is cross-entropy."""
    same = []

    class Watched(SELF):
        def batch_loss(self, net, index, batch):
            with torch.no_grad():
                logits = net.module_.networks[0](batch)
            loss = super().batch_loss(net, index, batch)
            expected = torch.nn.functional.cross_entropy(logits, net.targets(index))
            same.append(torch.isclose(loss, expected, rtol=1e-4).item())
            return loss

    method = Watched(consistency=0.0, warmup_epochs=2, momentum=0.5)
    clf = CoTrainingClassifier(method, max_epochs=12, batch_size=20, random_state=0)
    for _ in range(8):
        clf.partial_fit(X, NOISY)
    assert not all(same[-3:])
    clf.partial_fit(X, NOISY, trusted=np.ones(60, bool))
    assert all(same[-3:])
