"""Frequencies of classes, and how far chance explains that they differ."""

import numpy as np
import pytest
import torch

from sknoisy.kernels.balance import balanced, evenness, evenness_of_means


def test_balancing_by_hand():
    labels = torch.tensor([[0.5, 0.5], [1.0, 0.0]])  # frequencies 0.75 and 0.25
    found = balanced(labels, 1.0)
    torch.testing.assert_close(found, torch.tensor([[0.25, 0.75], [1.0, 0.0]]))
    torch.testing.assert_close(balanced(labels, 0.0), labels)


def shares(*counts):
    """Return labels, of which classes have as many as are given."""
    counts = torch.as_tensor(counts)
    return torch.eye(len(counts)).double().repeat_interleave(counts, dim=0)


def test_chance_explains_the_frequencies_of_even_labels():
    rng = np.random.default_rng(0)
    for n_classes in (2, 10):
        even = rng.multinomial(1000, [1 / n_classes] * n_classes, size=500)
        spread = np.square(even / 1000 - 1 / n_classes).sum(axis=1) / (n_classes - 1)
        assert spread.mean() == pytest.approx(1 / (1000 * n_classes), rel=0.2)
        assert np.mean([evenness(shares(*row)).item() for row in even]) > 0.8
    # The variance 0.5 x 0.5 / 1000 by chance, over the squared difference of 0.2.
    assert evenness(shares(700, 300)).item() == pytest.approx(0.00025 / 0.04)
    assert evenness(shares(500, 500)) == 1


def test_the_means_of_two_classes_stay():
    assert evenness_of_means(shares(11, 9)) == 0 < evenness(shares(11, 9))
    assert evenness_of_means(shares(11, 9, 9)) == evenness(shares(11, 9, 9)) > 0


def test_equal_weights_of_any_size_tell_as_much():
    uneven = shares(70, 30)
    torch.testing.assert_close(evenness(uneven), evenness(5 * uneven))
    # Half of the samples hardly count, so chance explains twice as much.
    weights = torch.where(torch.arange(100) % 2 == 0, 1.0, 1e-9)[:, None]
    torch.testing.assert_close(evenness(uneven * weights), 2 * evenness(uneven))
