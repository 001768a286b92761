"""Nearest neighbours by all products, as a GPU finds them."""

import numpy as np
import pytest
import torch

from sknoisy.cotraining.neighbors import nearest, neighbors_on
from sknoisy.scores import neighbor_index
from sknoisy.scores.neighbors import directions

FEATURES = np.random.default_rng(0).normal(size=(50, 20)).astype(np.float32)


@pytest.mark.parametrize("include_self", [True, False])
@pytest.mark.parametrize("products", [1, 120, 2**20])
def test_they_are_those_of_the_cpu(include_self, products):
    expected = neighbor_index(FEATURES, 7, include_self)
    found = nearest(torch.from_numpy(directions(FEATURES)), 7, include_self, products)
    np.testing.assert_array_equal(found, expected)
    assert found.dtype == expected.dtype
    other = neighbors_on(torch.device("cpu"), FEATURES, 7, include_self)
    np.testing.assert_array_equal(other, expected)


def test_a_sample_is_no_neighbour_of_itself_beside_copies():
    features = torch.from_numpy(directions(np.repeat(FEATURES[:5], 4, axis=0)))
    own = np.arange(20)
    assert (nearest(features, 4, include_self=True)[:, 0] == own).all()
    others = nearest(features, 3)
    assert (others != own[:, None]).all() and (others // 4 == own[:, None] // 4).all()


def test_all_samples_are_neighbours_of_features_that_are_zero():
    zeros = torch.zeros(6, 3)
    found = np.sort(nearest(zeros, 6, include_self=True), axis=1)
    np.testing.assert_array_equal(found, np.tile(np.arange(6), (6, 1)))
