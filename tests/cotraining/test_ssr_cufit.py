"""SSR and CUFIT: what they relabel, select and learn, by hand; and as classifiers."""

import numpy as np
import pytest
import torch
from nets import narrow
from sklearn.base import clone
from sklearn.datasets import load_digits
from sklearn.neighbors import NearestNeighbors
from torch import nn
from torch.nn import functional as F

from sknoisy import CUFIT, SSR, CoTrainingClassifier, NoisyRobustClassifier
from sknoisy.cotraining.cufit import cascade_loss
from sknoisy.cotraining.selected_batches import SelectedBatches
from sknoisy.cotraining.ssr import balanced_order, relabel
from sknoisy.cotraining.ssr_heads import ConsistentEnsemble
from sknoisy.data.batches import Batches
from sknoisy.data.spec import InputSpec
from sknoisy.encoders.networks import Identity
from sknoisy.noise import pair_flip, symmetric_exclusive
from sknoisy.packing import pack
from sknoisy.views import Views


def flat(shape):
    """The samples themselves as features."""
    return nn.Flatten()


def test_neighbours_are_searched_again_rather_than_kept_in_files():
    X = np.random.default_rng(0).normal(size=(300, 5)).astype(np.float32)
    clf = CoTrainingClassifier("ssr", max_epochs=2, random_state=0)
    clf.fit(X, np.arange(300) % 2)
    _, tensors = pack(clf._training.loss.checkpoint())
    # 200 neighbours of a sample alone would take 800 bytes or more.
    assert sum(len(data) for *_, data in tensors) < 100 * len(X)


# Formulas -----------------------------------------------------------------------------


def test_relabelling_begins_from_the_given_labels():
    probs = np.array([[0.95, 0.05], [0.90, 0.10], [0.02, 0.98]])
    assert relabel(probs, np.array([1, 1, 0]), 0.9).tolist() == [0, 1, 1]
    assert relabel(probs, np.array([1, 1, 0]), 0.99).tolist() == [1, 1, 0]


def test_classes_are_balanced_and_members_repeat_evenly():
    labels = torch.tensor([0] * 8 + [1] * 2 + [3] * 2)
    order = balanced_order(labels, torch.Generator().manual_seed(0))
    assert len(order) == 12
    drawn = labels[order]
    assert drawn.bincount().tolist() == [4, 4, 0, 4]
    counts = order.bincount(minlength=12)
    assert counts[8:].tolist() == [2, 2, 2, 2] and counts[:8].max() == 1
    order = balanced_order(labels, torch.Generator().manual_seed(0), size=30)
    assert labels[order].bincount().tolist() == [10, 10, 0, 10]
    counts = order.bincount(minlength=12)
    assert counts[8:].tolist() == [5, 5, 5, 5]
    assert sorted(counts[:8].tolist()) == [1] * 6 + [2] * 2


def test_cascade_by_hand():
    # Three heads, two samples; the label is 0. The first head is right about sample 0
    # only, the second about both: the second learns sample 0, the third both.
    p = np.array([[0.8, 0.6, 0.5], [0.3, 0.9, 0.4]])  # probability of the label
    logits = torch.tensor(np.stack([np.log(p), np.log(1 - p)], axis=2)).requires_grad_()
    loss = cascade_loss(logits, torch.tensor([0, 0]))
    expected = -np.log([0.8, 0.3]).mean() - np.log(0.6) / 2 - np.log([0.5, 0.4]).mean()
    assert loss.item() == pytest.approx(expected)
    loss.backward()
    moved = logits.grad.abs().sum(dim=2) > 0
    assert moved.tolist() == [[True, True, True], [True, False, True]]


def test_selection_against_the_formula():
    """Labels, votes and selection of the first epoch, with an untrained head."""
    rng = np.random.default_rng(0)
    X = np.r_[rng.normal(size=(60, 2)), rng.normal(size=(30, 2)) + 3].astype(np.float32)
    y = (np.arange(90) >= 60).astype(int)
    y[::7] = 1 - y[::7]
    method = SSR(relabel_threshold=1.0, n_neighbors=9)  # no prediction is surer
    clf = CoTrainingClassifier(method, encoder=flat, max_epochs=1, random_state=0)
    state = clf.fit(X, y).loss_state_
    scaled = (X - X.mean(axis=0)) / X.std(axis=0)
    search = NearestNeighbors(n_neighbors=9, metric="cosine").fit(scaled)
    near = search.kneighbors(scaled, return_distance=False)
    votes = np.stack([(y[near] == c).mean(axis=1) for c in (0, 1)], axis=1)
    votes = votes / np.bincount(y) * 90
    expected = votes[np.arange(90), y] / votes.max(axis=1)
    np.testing.assert_array_equal(state["labels"], y)
    np.testing.assert_allclose(state["clean_proba"], expected, rtol=1e-5)
    assert clf.noise_rate_ == pytest.approx((expected < 1).mean())


def test_neighbours_are_at_most_two_fifths_of_a_class():
    X, y = load_digits(return_X_y=True)
    settings = {"encoder": flat, "max_epochs": 1, "random_state": 0}
    first, same, other = (
        CoTrainingClassifier(SSR(n_neighbors=n_neighbors), **settings)
        .fit(X[:600], y[:600])
        .loss_state_["clean_proba"]
        for n_neighbors in ("auto", 24, 200)  # of ten classes
    )
    np.testing.assert_array_equal(first, same)
    assert not np.array_equal(first, other)


def test_consistency_by_hand():
    encoder = nn.Linear(3, 4)
    encoder.n_features = 4
    network = nn.Module()
    network.encoder = encoder
    generator = torch.Generator().manual_seed(0)
    module = ConsistentEnsemble([network], 1.0, generator).eval()
    first, second = torch.randn(5, 3), torch.randn(5, 3)
    loss = module.consistency(first, second)
    projected = module.projector(encoder(first)).detach()
    predicted = module.predictor(module.projector(encoder(second)))
    cosine = (F.normalize(predicted) * F.normalize(projected)).sum(dim=1)
    torch.testing.assert_close(loss, -cosine.mean())
    loss.backward()
    with_target = encoder.weight.grad.clone()
    encoder.weight.grad = None
    (
        -F.cosine_similarity(
            module.predictor(module.projector(encoder(second))), projected
        ).mean()
    ).backward()
    torch.testing.assert_close(encoder.weight.grad, with_target)


def test_batches_hold_the_selected_and_any_others():
    X = np.arange(10, dtype=np.float32)[:, None]
    store = InputSpec.learn(X).open(X)
    order = torch.tensor([3, 1, 4, 1, 5])
    whole = Batches(store, 4, torch.Generator().manual_seed(0), "cpu")
    batches = SelectedBatches(order, whole, 2, with_others=True)
    seen = [*batches]
    assert len(seen) == len(batches) == 2 and batches.n_samples == 5
    assert torch.cat([index for index, *_ in seen]).tolist() == [3, 1, 4, 1, 5]
    for index, batch, others in seen:
        assert batch[:, 0].tolist() == index.tolist() and len(others) == len(index)
    assert len([*SelectedBatches(order, whole, 2, with_others=False)][0]) == 2


# As classifiers -----------------------------------------------------------------------


@pytest.fixture(scope="module")
def noisy_digits():
    X, y = load_digits(return_X_y=True)
    return (X / 16).astype(np.float32), y


@pytest.mark.parametrize("make_noise", [symmetric_exclusive, pair_flip])
def test_ssr_finds_the_true_labels(noisy_digits, make_noise):
    X, y = noisy_digits
    rate = 0.6 if make_noise is symmetric_exclusive else 0.4
    noisy = make_noise(y[:1200], rate=rate, random_state=0)
    ssr = CoTrainingClassifier(
        SSR(n_neighbors=20),
        encoder=flat,
        head="mlp",
        max_epochs=30,
        lr=0.05,
        random_state=0,
    ).fit(X[:1200], noisy.y)
    plain = NoisyRobustClassifier("ce", encoder=flat, max_epochs=30, random_state=0)
    plain.fit(X[:1200], noisy.y)
    assert ssr.score(X[1200:], y[1200:]) > plain.score(X[1200:], y[1200:]) + 0.05
    learned = ssr.classes_[ssr.loss_state_["labels"]]
    assert (learned == y[:1200]).mean() > (noisy.y == y[:1200]).mean() + 0.2
    wrong = ssr.clean_proba_ < 1
    assert (wrong == noisy.is_wrong).mean() > 0.85


def test_ssr_plus_on_images(colour):
    X, y = colour
    settings = {"encoder": narrow, "max_epochs": 3, "random_state": 0}
    clf = CoTrainingClassifier(SSR(n_neighbors=10), **settings).fit(X, y)
    module = clf._training._nets[clf._training.phases[0]].module_
    assert isinstance(module, ConsistentEnsemble)
    assert clf.predict_proba(X).shape == (60, 2)
    without = clf.set_params(method__consistency=0.0).fit(X, y)
    module = without._training._nets[without._training.phases[0]].module_
    assert not isinstance(module, ConsistentEnsemble)


class Recorded(Views):
    """Keeps the means of the batches that it gets, and multiplies them."""

    seen = {}  # by factor: trainings work on copies

    def __init__(self, factor):
        self.factor = factor

    def __call__(self, batch, generator):
        of_this = self.seen.setdefault(self.factor, [])
        of_this.append((len(batch), round(batch.mean().item(), 3)))
        return self.factor * batch


def test_strong_views_are_made_of_weak_ones():
    X, y = np.full((12, 16, 16, 3), 0.25, np.float32), np.arange(12) % 2
    Recorded.seen.clear()
    weak, strong = Recorded(2.0), Recorded(1.5)
    CoTrainingClassifier(
        SSR(n_neighbors=3, views=strong), views=weak, max_epochs=1, random_state=0
    ).fit(X, y)
    # Two strong views of the selected samples, a weak and a strong one of any; each
    # strong one is made of a weak one.
    (n_weak, scale), (n_strong, mean) = *Recorded.seen[2.0], *Recorded.seen[1.5]
    assert (n_weak, n_strong) == (4 * 12, 3 * 12)
    assert mean == pytest.approx(2 * scale)


@pytest.mark.parametrize("epoch_size", ["all", "selected"])
def test_an_epoch_is_all_samples_or_the_selected(noisy_digits, epoch_size):
    X, y = noisy_digits
    noisy = symmetric_exclusive(y[:600], rate=0.6, random_state=0).y
    clf = CoTrainingClassifier(
        SSR(n_neighbors=20, epoch_size=epoch_size), max_epochs=2, random_state=0
    ).fit(X[:600], noisy)
    method, state = clf._training.loss, clf.loss_state_
    selected = method.order.unique()
    assert len(selected) < 500
    if epoch_size == "all":
        assert len(method.order) == 600
        shares = np.bincount(state["labels"][method.order])
        assert shares.tolist() == [60] * 10
    else:
        assert (state["clean_proba"] >= 1).sum() == len(method.order)


def test_cufit_predicts_by_its_last_head(noisy_digits):
    X, y = noisy_digits
    clf = CoTrainingClassifier(CUFIT(), encoder=flat, max_epochs=20, random_state=0)
    clf.fit(X[:1200], y[:1200])
    plain = clone(clf).set_params(encoder="auto").fit(X[:1200], y[:1200])
    assert isinstance(plain._network.networks[0].encoder[1], Identity)
    first, second, third = clf._network.networks
    assert isinstance(first.head, nn.Linear)
    assert isinstance(second.head, nn.Sequential)
    with torch.no_grad():
        probs = third.eval()(torch.from_numpy(X[1200:])).softmax(dim=1)
        module = clf.to_module()(torch.from_numpy(X[1200:]))
    np.testing.assert_allclose(clf.predict_proba(X[1200:]), probs, atol=1e-5)
    np.testing.assert_allclose(module, probs, atol=1e-5)
    assert clf.score(X[1200:], y[1200:]) > 0.85
