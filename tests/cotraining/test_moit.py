"""MOIT: what it compares, finds right and learns, by hand; and as a classifier."""

from collections import OrderedDict

import numpy as np
import pytest
import torch
from nets import narrow
from sklearn.metrics import roc_auc_score
from skorch.callbacks import Callback
from torch import nn

from sknoisy import DISC, MOIT, SSR, CoTrainingClassifier, NoisyRobustClassifier
from sknoisy.cotraining.moit import (
    balanced_clean,
    corrected_votes,
    interpolated_contrastive,
)
from sknoisy.cotraining.moit_heads import InterpolatedEnsemble
from sknoisy.noise import symmetric_exclusive
from sknoisy.views import ImageViews, VectorViews


def ensemble(size):
    parts = {"encoder": nn.Linear(3, 4), "head": nn.Linear(4, 2)}
    network = nn.Sequential(OrderedDict(parts))
    return InterpolatedEnsemble([network], 4, size, torch.Generator().manual_seed(0))


# Formulas -----------------------------------------------------------------------------


def test_neighbours_vote_twice():
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 3, 30)
    index = np.array(
        [rng.permutation([j for j in range(30) if j != i])[:7] for i in range(30)]
    )
    # Nobody is corrected by a tie: the first of the most voted classes counts.
    once = [np.bincount(labels[near], minlength=3).argmax() for near in index]
    expected = [np.bincount(np.take(once, near), minlength=3) / 7 for near in index]
    np.testing.assert_allclose(corrected_votes(index, labels, 3), expected, rtol=1e-6)


def test_each_class_keeps_the_median_number_of_labels():
    votes = np.array(
        [
            [0.9, 0.1, 0.0],  # of class 0, three agree
            [0.8, 0.1, 0.1],
            [0.6, 0.2, 0.2],
            [0.3, 0.5, 0.2],  # of class 1, two, the better of whom come first
            [0.1, 0.9, 0.0],
            [0.7, 0.2, 0.1],
            [0.4, 0.5, 0.1],  # of class 2, none
            [0.6, 0.1, 0.3],
        ]
    )
    labels = np.array([0, 0, 0, 1, 1, 1, 2, 2])
    found = balanced_clean(votes, labels)
    expected = [True, True, False, True, True, False, True, True]
    assert found.tolist() == expected
    # A class that has fewer labels keeps them all.
    assert balanced_clean(votes[:7], labels[:7])[6]


def by_hand(projections, labels, minor, lam, others, other_labels, own, temperature):
    """The loss of each mixed sample, term by term."""
    n = len(labels) // 2
    losses = []
    for i, z in enumerate(projections):
        counted = [j for j in range(len(others)) if j != own[i]]
        scores = {j: z @ others[j] / temperature for j in counted}
        total = np.log(sum(np.exp(s) for s in scores.values()))
        both = []
        for label, itself in ((labels[i], None), (labels[minor[i]], minor[i])):
            places = [] if itself is None else [own[itself], own[itself + n]]
            weights = {
                j: float(other_labels[j] == label) + float(j in places) for j in counted
            }
            terms = sum(w * (total - scores[j]) for j, w in weights.items())
            both.append(terms / sum(weights.values()))
        losses.append(lam[i] * both[0] + (1 - lam[i]) * both[1])
    return np.array(losses)


def test_the_contrastive_loss_is_mixed_as_the_samples():
    generator = torch.Generator().manual_seed(0)
    n, codes = 5, torch.tensor([0, 1, 0, 2, 1])
    projections = nn.functional.normalize(torch.randn(10, 128, generator=generator))
    orders = [torch.randperm(n, generator=generator) for _ in range(2)]
    lam = torch.cat([torch.full((n,), 0.8), torch.full((n,), 0.6)])
    module, method = ensemble(size=16), MOIT(temperature=0.5)
    module.keep(projections[[2, 6]].roll(1, dims=1), torch.tensor([2, 0]))
    given = (x.numpy() for x in (projections, codes.repeat(2), torch.cat(orders), lam))
    given = tuple(given)
    in_batch = by_hand(*given, given[0], given[1], np.arange(10), 0.5)

    method.epoch = 2  # the memory fills, and is not compared with yet
    found = method._contrast(module, projections, codes, orders, lam)
    np.testing.assert_allclose(found, in_batch, rtol=1e-5)

    module = ensemble(size=16)
    module.keep(projections[[2, 6]].roll(1, dims=1), torch.tensor([2, 0]))
    method.epoch = 3
    found = method._contrast(module, projections, codes, orders, lam)
    memory, labels = module.memory[:12].numpy(), module.memory_labels[:12].numpy()
    in_memory = by_hand(*given, memory, labels, np.arange(2, 12), 0.5)
    np.testing.assert_allclose(found, in_batch + in_memory, rtol=1e-5)


def test_unmixed_it_is_supervised_contrastive_learning():
    similarity = torch.tensor([[5.0, 1.0, 2.0, 0.5]])
    own = torch.tensor([[True, False, False, False]])
    major = torch.tensor([[1.0, 1.0, 0.0, 1.0]])
    found = interpolated_contrastive(
        similarity, own, major, torch.ones(1, 4), torch.ones(1)
    )
    total = np.log(np.exp([1.0, 2.0, 0.5]).sum())
    assert found.item() == pytest.approx(((total - 1.0) + (total - 0.5)) / 2)


def test_the_memory_is_a_ring():
    module = ensemble(size=5)
    rows = torch.arange(7.0)[:, None].expand(-1, 128)
    assert module.keep(rows[:3], torch.tensor([0, 1, 0])).tolist() == [0, 1, 2]
    assert module.memory_labels.tolist() == [0, 1, 0, -1, -1]
    assert module.keep(rows[3:], torch.tensor([1, 1, 0, 1])).tolist() == [3, 4, 0, 1]
    assert module.memory[:, 0].tolist() == [5, 6, 2, 3, 4]
    assert module.memory_labels.tolist() == [0, 1, 0, 1, 1]
    assert set(module.state_dict()) >= {"memory", "memory_labels", "next_place"}


def test_projections_have_unit_length():
    module, batch = ensemble(size=5), torch.randn(6, 3)
    both = module.both(batch)
    torch.testing.assert_close(both[:, :2], module(batch)[:, 0])
    torch.testing.assert_close(both[:, 2:].norm(dim=1), torch.ones(6))


# As a classifier ----------------------------------------------------------------------


@pytest.fixture(scope="module")
def noisy_digits():
    from sklearn.datasets import load_digits

    X, y = load_digits(return_X_y=True)
    noisy = symmetric_exclusive(y[:1200], rate=0.5, random_state=0)
    return (X / 16).astype(np.float32), y, noisy.y, noisy.is_wrong


def test_beats_cross_entropy_and_knows_wrong_labels(noisy_digits):
    X, y, noisy, is_wrong = noisy_digits
    method = MOIT(n_neighbors=30)
    clf = CoTrainingClassifier(method, max_epochs=15, random_state=0)
    clf.fit(X[:1200], noisy)
    plain = NoisyRobustClassifier("ce", max_epochs=15, random_state=0)
    plain.fit(X[:1200], noisy)
    assert clf.score(X[1200:], y[1200:]) > plain.score(X[1200:], y[1200:]) + 0.1
    assert roc_auc_score(is_wrong, -clf.clean_proba_) > 0.9
    clean = clf.loss_state_["clean"] == 1
    assert is_wrong[clean].mean() < 0.1
    assert clf.noise_rate_ == pytest.approx(1 - clean.mean(), abs=1e-6)
    assert clf.noise_rate_ == pytest.approx(0.5, abs=0.15)


def test_labels_are_corrected_from_a_share_of_the_epochs_on(noisy_digits):
    X, y, noisy, _ = noisy_digits
    found = {}
    for correction in (0.5, 1.0):
        clf = CoTrainingClassifier(
            MOIT(correction=correction, n_neighbors=20), max_epochs=4, random_state=0
        )
        probs = []
        for _ in range(4):
            probs.append(clf.partial_fit(X[:600], noisy[:600]).predict_proba(X[:600]))
        found[correction] = probs
        clean = clf.loss_state_["clean"]
        assert np.isnan(clean).all() == (correction == 1.0)
        assert clf.clean_proba_.shape == (600,) and 0 <= clf.noise_rate_ <= 1
    same = [np.array_equal(*pair) for pair in zip(found[0.5], found[1.0], strict=True)]
    assert same == [True, True, False, False]


def test_images_get_strong_views_and_pretrained_encoders_heads_first(colour):
    from sknoisy import SSLPretrainer

    X, y = colour
    ssl = SSLPretrainer(encoder=narrow, max_epochs=1, random_state=0)
    features = ssl.fit_transform(X)
    method = MOIT(n_neighbors=5, memory=40, correction=0.0)
    clf = CoTrainingClassifier(method, head_epochs=1, max_epochs=5, random_state=0)
    clf.fit(features, y)
    assert clf.predict_proba(features).shape == (60, 2)
    frozen = clf.set_params(freeze_encoder=True, head_epochs="auto").fit(features, y)
    assert frozen.predict(features).shape == (60,)


def test_trusted_labels_and_weights(noisy_digits):
    X, y, noisy, is_wrong = noisy_digits
    rows = slice(300)
    clf = CoTrainingClassifier(
        MOIT(n_neighbors=10, correction=0.0), max_epochs=2, random_state=0
    )
    weights = np.random.default_rng(0).uniform(0.5, 1.5, 300)
    clf.fit(X[rows], noisy[rows], sample_weight=weights, trusted=is_wrong[rows])
    assert (clf.loss_state_["clean"][is_wrong[rows]] == 1).all()
    other = clf.predict_proba(X[rows])
    clf.fit(X[rows], noisy[rows], trusted=is_wrong[rows])
    assert not np.allclose(other, clf.predict_proba(X[rows]))


@pytest.mark.parametrize(
    "method",
    [
        MOIT(n_neighbors=0),
        MOIT(correction=1.5),
        MOIT(temperature=0.0),
        MOIT(alpha=0.0),
        MOIT(memory=-1),
        MOIT(views="strong"),
    ],
)
def test_bad_parameters_are_named(method):
    plain = MOIT().get_params()
    (name,) = (k for k, v in method.get_params().items() if v != plain[k])
    with pytest.raises(ValueError, match=f"{name}="):
        CoTrainingClassifier(method).fit([[0.0], [1.0]], [0, 1])


class Untrained(Callback):
    """Must not be called: everything is checked before."""

    def on_epoch_begin(self, net, **kwargs):
        raise AssertionError("trained before the checks")


@pytest.mark.parametrize("method", [DISC, MOIT, SSR])
@pytest.mark.parametrize(
    "views", [None, "x", ["auto"], ImageViews(), VectorViews(noise=-1)], ids=str
)
def test_views_are_checked_before_the_warm_up(method, views):
    X, y = np.random.default_rng(0).normal(size=(20, 3)), np.arange(20) % 2
    clf = CoTrainingClassifier(
        method(views=views), max_epochs=3, callbacks=[Untrained()]
    )
    with pytest.raises(ValueError, match="(views|noise)=.* is not valid"):
        clf.fit(X, y)
