"""TAkS: what it chooses, by hand, and a training against the algorithm."""

import pickle

import numpy as np
import pytest
import torch

from sknoisy import CoTrainingClassifier, TAkS
from sknoisy.cotraining.taks import perturbed_leaders

RNG = np.random.default_rng(0)
Y = np.arange(60) % 3
X = (RNG.normal(size=(60, 4)) + 2 * np.eye(3, 4)[Y]).astype(np.float32)
NOISY = np.where(np.arange(60) < 15, (Y + 1) % 3, Y)
SETTINGS = {"batch_size": 8, "lr": 0.1, "random_state": 0}


def softmax(logits):
    powers = np.exp(logits - logits.max(axis=1, keepdims=True))
    return powers / powers.sum(axis=1, keepdims=True)


def test_leaders_by_hand():
    total = torch.tensor([0.5, 3.0, 0.1, 2.0, 0.2])
    assert perturbed_leaders(total, 2, 0.0).nonzero()[:, 0].tolist() == [2, 4]
    assert perturbed_leaders(total, 9, 0.0).all()
    assert perturbed_leaders(torch.zeros(5), 2, 0.0).sum() == 2  # ties
    generator = torch.Generator().manual_seed(0)
    draws = [perturbed_leaders(total, 2, 0.2, generator) for _ in range(2000)]
    shares = torch.stack(draws).float().mean(dim=0)
    assert shares.sum() == pytest.approx(2)
    assert shares[2] > shares[4] > shares[0] > 0 and shares[1] == 0


class Watched(TAkS):
    """Keeps the losses before each epoch, and the samples of each batch."""

    def before_epoch(self, net):
        with torch.no_grad():
            logits = net.module_.eval()(torch.from_numpy(X))[:, 0].double().numpy()
        super().before_epoch(net)
        self.losses.append(-np.log(softmax(logits)[np.arange(60), NOISY]))
        self.batches_.append([])

    def loss(self, net, index, batch):
        self.batches_[-1].append(index.tolist())
        with torch.no_grad():
            logits = net.module_(batch)[:, 0].double().numpy()
        by_hand = -np.log(softmax(logits)[np.arange(len(index)), NOISY[index]]).mean()
        loss = super().loss(net, index, batch)
        assert loss.item() == pytest.approx(by_hand, rel=1e-4, abs=1e-6)
        return loss


def test_a_short_training_is_the_algorithm():
    """Without a warm-up: losses are added up, the smallest 18 sums are trained on."""
    losses, batches = Watched.losses, Watched.batches_ = [], []
    method = Watched(share=0.3, perturbation=0.0, per_class=False, warmup_epochs=0)
    clf = CoTrainingClassifier(method, max_epochs=6, **SETTINGS).fit(X, NOISY)
    totals = np.cumsum(losses, axis=0)
    assert len(batches) == 6
    for total, steps in zip(totals, batches, strict=True):
        assert [len(step) for step in steps] == [6, 6, 6]
        assert sorted(sum(steps, [])) == sorted(total.argsort()[:18])
    np.testing.assert_allclose(
        clf.loss_state_["total_loss"], totals[-1], rtol=1e-4, atol=1e-5
    )
    assert np.flatnonzero(clf.loss_state_["chosen"]).tolist() == sorted(
        sum(batches[-1], [])
    )


def test_the_noise_grows_with_the_number_of_epochs():
    """Sums within about its deviation change places, those far apart do not."""

    def order_of(perturbation, n_epochs):
        chosen = []

        class Fixed(TAkS):
            def before_epoch(self, net):
                super().before_epoch(net)
                chosen.append(self.order.sort().values.tolist())

        method = Fixed(share=0.5, perturbation=perturbation, warmup_epochs=0)
        CoTrainingClassifier(method, max_epochs=n_epochs, **SETTINGS).fit(X, NOISY)
        return chosen[0]

    plain = order_of(0.0, 4)
    assert order_of(0.0, 10) == plain
    moved = [len({*plain} - {*order_of(0.05, n)}) for n in (1, 100)]
    assert moved[0] < moved[1]


def test_all_samples_may_be_chosen():
    seen = []

    class Every(TAkS):
        def loss(self, net, index, batch):
            seen.extend(index.tolist())
            return super().loss(net, index, batch)

    method = Every(share=1.0, warmup_epochs=0)
    CoTrainingClassifier(method, max_epochs=3, **SETTINGS).fit(X, NOISY)
    for epoch in range(3):
        assert sorted(seen[60 * epoch : 60 * (epoch + 1)]) == list(range(60))


def test_each_class_keeps_its_share():
    y = np.where(np.arange(120) < 108, 0, 1)  # the rare class is hard
    rows = np.random.default_rng(0).normal(size=(120, 4)).astype(np.float32)

    def of_each(per_class):
        method = TAkS(share=0.5, per_class=per_class, warmup_epochs=0)
        clf = CoTrainingClassifier(method, max_epochs=8, **SETTINGS).fit(rows, y)
        chosen = clf.loss_state_["chosen"] > 0
        return np.bincount(y[chosen], minlength=2).tolist()

    assert of_each(True) == [54, 6]
    assert of_each(False)[1] < 6


def test_the_share_follows_the_estimated_noise():
    method = TAkS()
    method.noise_rate = 0.4
    assert method.resolved() == {"share": pytest.approx(0.6)}
    method.noise_rate = 0.95  # as for other methods, at most 80% count as wrong
    assert method.resolved() == {"share": pytest.approx(0.2)}
    method.noise_rate = float("nan")
    assert method.resolved() == {"share": 1.0}
    clf = CoTrainingClassifier("taks", max_epochs=10, **SETTINGS).fit(X, NOISY)
    share = 1 - min(clf.noise_rate_, 0.8)
    assert clf.method_params_["share"] == pytest.approx(share)
    each = [int(share * n + 1e-9) for n in np.bincount(NOISY)]
    assert clf.loss_state_["chosen"].sum() == sum(each)


def test_trusted_labels_are_chosen_besides_the_share():
    trusted = np.arange(60) < 15  # of the wrong ones
    method = TAkS(share=0.4, warmup_epochs=0)
    clf = CoTrainingClassifier(method, max_epochs=4, **SETTINGS)
    clf.fit(X, NOISY, trusted=trusted)
    chosen = clf.loss_state_["chosen"]
    assert (chosen[trusted] == 1).all()
    assert chosen[~trusted].sum() == 3 * int(0.4 * 15)


def test_a_class_of_few_samples_keeps_one_and_no_more():
    y = np.r_[np.arange(40) % 2, 2 + np.arange(20) // 2]  # ten classes of two samples
    method = TAkS(share=0.2, warmup_epochs=0)
    clf = CoTrainingClassifier(method, max_epochs=2, **SETTINGS).fit(X, y)
    chosen = clf.loss_state_["chosen"] > 0
    assert np.bincount(y[chosen]).tolist() == [4, 4] + 10 * [1]


@pytest.mark.parametrize("stored", [False, True])
def test_a_label_that_changes_is_judged_anew(stored):
    """The losses of the label that it was count no longer."""
    method = TAkS(share=0.8, perturbation=0.0, warmup_epochs=0)
    clf = CoTrainingClassifier(method, max_epochs=20, **SETTINGS)
    for _ in range(8):
        clf.partial_fit(X, NOISY)
    corrected = NOISY != Y
    assert clf.loss_state_["chosen"][corrected].mean() < 0.5
    if stored:
        clf = pickle.loads(pickle.dumps(clf))
    before = clf.loss_state_["total_loss"].copy()
    clf.partial_fit(X, Y)
    after, chosen = clf.loss_state_["total_loss"], clf.loss_state_["chosen"]
    assert (after[~corrected] >= before[~corrected]).all()
    assert after[corrected].mean() < before[corrected].mean()
    assert chosen[corrected].mean() > 0.6
    assert clf.loss_state_["rounds"][0] == 9


def test_a_warm_up_is_on_all_samples():
    counts = [0, 0, 0, 0]

    class Counting(TAkS):
        def batch_loss(self, net, index, batch):
            counts[self.epoch] += len(index)
            return super().batch_loss(net, index, batch)

    method = Counting(share=0.3, warmup_epochs=2)
    CoTrainingClassifier(method, max_epochs=4, **SETTINGS).fit(X, NOISY)
    assert counts == [60, 60, 18, 18]
