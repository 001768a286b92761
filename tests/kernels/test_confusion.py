"""How labels are confused with classes, by hand."""

import pytest
import torch

from sknoisy.encoders.heads import simplex
from sknoisy.kernels.confusion import (
    agrees_less_than_chance,
    best_stretch,
    confusion,
    evened,
    sharpened,
    surer_agreement,
)


@pytest.mark.parametrize("n_classes, least", [(2, 1e-3), (10, 1e-3), (1000, 1e-5)])
def test_many_classes_leave_the_likeliest_what_it_has(n_classes, least):
    probs = simplex(torch.eye(n_classes)[:2])
    torch.testing.assert_close(probs.sum(dim=1), torch.ones(2))
    assert probs[0, 0] > 0.99
    assert float(probs.min()) == pytest.approx(least, rel=0.02)


@pytest.mark.parametrize(
    "predicted, weights, expected",
    [
        ([0, 0, 1, 1], [1, 1, 1, 1], False),  # half, as of independent ones
        ([0, 1, 0, 1], [1, 1, 1, 1], False),  # all
        ([1, 0, 1, 0], [1, 1, 1, 1], True),  # none
        ([0, 0, 0, 0], [3, 1, 1, 1], False),  # one class, as of independent ones
        ([0, 0, 1, 1], [2, 1, 1, 2], False),  # two thirds
        ([0, 0, 1, 1], [1, 2, 2, 1], True),  # a third
    ],
)
def test_agreement_less_than_chance(predicted, weights, expected):
    labels = torch.eye(2)[[0, 1, 0, 1]] * torch.tensor(weights)[:, None]
    assert agrees_less_than_chance(torch.eye(2)[predicted], labels) is expected


def test_evened_by_hand():
    T = torch.tensor([[0.9, 0.1, 0.0], [0.3, 0.4, 0.3], [0.2, 0.2, 0.6]])
    T = (T.double() + 1e-6) / (1 + 3e-6)
    # The mean is 0.65, and the variance of a sample 0.65 * 0.35 = 0.2275.
    sizes = torch.tensor([4.0, 4.0, 0.0], dtype=torch.float64)
    found = evened(T, sizes, 0.7)
    between = (4 * 2 * 0.25**2 - 2 * 0.2275) / (8 - 4)
    kept = 4 * between / (0.2275 + 4 * between)
    expected = [0.7 + kept * 0.2, 0.7 - kept * 0.3, 0.7]
    assert found.diagonal().tolist() == pytest.approx(expected, abs=1e-3)
    assert found.sum(dim=1).tolist() == pytest.approx([1, 1, 1])
    assert found[1, 0] == pytest.approx(float(found[1, 2]))


@pytest.mark.parametrize(
    "sureness, weights, expected",
    [
        ([9, 8, 7, 6, 9, 8], [1, 1, 1, 1, 1, 1], 3 / 3),  # 0 and 1, and of the other 4
        ([6, 7, 8, 9, 8, 9], [1, 1, 1, 1, 1, 1], 0 / 3),  # the others of each class
        ([9, 7, 7, 7, 9, 8], [1, 1, 1, 1, 1, 1], 3 / 5),  # of class 0 all as sure as 1
        ([9, 8, 7, 6, 9, 8], [1, 1, 1, 3, 1, 1], 3 / 4),  # two of six are not half
        ([9, 8, 7, 6, 9, 8], [0, 0, 2, 2, 1, 1], 3 / 3 - 2 / 3),  # 0 and 1 are absent
    ],
)
def test_the_surer_half_by_hand(sureness, weights, expected):
    """Four predictions of class 0 and two of 1; the first half of each is right."""
    probs = torch.eye(2)[[0, 0, 0, 0, 1, 1]] * torch.tensor(sureness)[:, None] / 10
    labels = torch.eye(2)[[0, 0, 1, 1, 1, 0]] * torch.tensor(weights)[:, None]
    assert float(surer_agreement(probs, labels)) == pytest.approx(expected)


def test_the_more_leverage_the_more_the_surer_half_counts():
    """Of 80 predictions of eight classes the surer half is right, and five others."""
    true = torch.arange(80) % 8
    sure = torch.arange(80) < 40
    predicted = torch.where(sure, true, (true + 1 + torch.arange(80) // 8) % 8)
    probs = torch.eye(8)[predicted] * torch.where(sure, 0.9, 0.3)[:, None]
    labels = torch.eye(8)[true]
    few, half, most = (confusion(probs, labels, None, p) for p in (0.0, 0.5, 1.0))
    for T, right in ((few, 0.55), (half, 0.77), (most, 0.999)):
        torch.testing.assert_close(
            T.diagonal(), torch.full((8,), right), atol=0.05, rtol=0
        )
        torch.testing.assert_close(T.sum(dim=1), torch.ones(8))


@pytest.mark.parametrize(
    "n, rates", [(30, [0.5, 0.5, 0.5, 0.5]), (3000, [0.9, 0.5, 0.9, 0.5])]
)
def test_chance_is_evened_and_real_differences_stay(n, rates):
    generator = torch.Generator().manual_seed(0)
    true, rates = torch.arange(4 * n) % 4, torch.tensor(rates)
    right = torch.rand(len(true), generator=generator) < rates[true]
    labels = torch.eye(4)[torch.where(right, true, (true + 1) % 4)]
    T = confusion(torch.eye(4)[true], labels, None, 0.0)
    assert (T.diagonal().std() - rates.std()).abs() < 0.03
    assert (T[0, 1] > 0.9 * (1 - T[0, 0])).all()


def test_confusion_where_a_class_is_never_predicted():
    T = confusion(torch.eye(3)[[0, 0, 0, 0]], torch.eye(3)[[0, 0, 0, 1]], None, 0.0)
    torch.testing.assert_close(T.diagonal(), T[0, 0].expand(3))
    assert 0.6 < T[0, 0] < 0.75


def test_the_difference_of_two_classes_stays():
    true = torch.tensor([0, 0, 0, 1, 1, 1])
    T = confusion(torch.eye(2)[true], torch.eye(2)[[0, 0, 0, 1, 1, 0]], None, 0.0)
    torch.testing.assert_close(T[0, 0], torch.tensor(3.1 / 3.2))
    torch.testing.assert_close(T[1, 1], torch.tensor(2.1 / 3.2))


def test_confusion_of_very_many_labels():
    labels = torch.eye(3)[[0, 0, 1, 1, 2, 2]]
    T = confusion(labels, 1e9 * labels, None, 0.0)
    torch.testing.assert_close(T, torch.eye(3))


def test_weights_count_in_the_confusion():
    true = torch.arange(90) % 3
    labels = torch.eye(3)[(true + (torch.arange(90) % 4 == 0) * (true < 2)) % 3]
    probs, half = torch.eye(3)[true], torch.arange(90) < 45
    found = confusion(probs, half[:, None] * labels, None, 0.0)
    torch.testing.assert_close(found, confusion(probs[half], labels[half], None, 0.0))


def test_sharpening_makes_the_median_sure_and_keeps_the_order():
    probs = torch.tensor([[0.4, 0.3, 0.3], [0.2, 0.5, 0.3], [0.1, 0.3, 0.6]])
    found = sharpened(probs)
    assert found.argmax(dim=1).equal(probs.argmax(dim=1))
    torch.testing.assert_close(found[1, 1], torch.tensor(1.0))
    torch.testing.assert_close(found.sum(dim=1), torch.ones(3))
    sure = torch.eye(3)
    torch.testing.assert_close(sharpened(sure), sure)
    assert (simplex(found) > 0).all()


def test_best_stretch():
    generator = torch.Generator().manual_seed(0)
    true = torch.rand(2000, 1, generator=generator)
    true = torch.cat([true, 1 - true], dim=1)
    right = torch.rand(2000, generator=generator) > true[:, 0]
    labels = torch.eye(2)[right.long()]
    shrunk = 0.5 + (true - 0.5) / 2
    assert best_stretch(shrunk, labels) == pytest.approx(2, rel=0.2)
    assert best_stretch(true, labels) == 1
    assert best_stretch(shrunk[:3], labels[:3]) == 1  # too few to tell
