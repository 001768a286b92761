"""What holds of noisy labels for any classes, class sizes, rate and seed."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sknoisy.noise import (
    NOISES,
    add_noise,
    class_conditional,
    instance_dependent,
    pair_flip,
    symmetric_exclusive,
    symmetric_inclusive,
)
from sknoisy.noise.cifar import CIFAR10_CONFUSIONS, CIFAR100_SUPERCLASSES

quick = settings(max_examples=60, derandomize=True, database=None, deadline=None)
NAMES = np.array(["ape", "bee", "cat", "dog", "eel", "fox"])
FREE = [symmetric_exclusive, symmetric_inclusive, pair_flip]  # of any classes

seeds = st.integers(0, 2**32 - 1)
rates = st.floats(0, 1, exclude_max=True)


@st.composite
def labels(draw):
    """Draw labels of 2 to 6 classes: strings, floats, or integers with gaps."""
    sizes = draw(st.lists(st.integers(1, 30), min_size=2, max_size=6))
    classes = draw(
        st.sampled_from([NAMES, np.arange(6.0), np.array([-7, 0, 3, 4, 90, 2**40])])
    )
    y = np.repeat(classes[: len(sizes)], sizes)
    return np.random.default_rng(draw(seeds)).permutation(y)


def chosen(y, rate):
    """Return the number of samples that a protocol picks, by class."""
    sizes = np.unique(y, return_counts=True)[1]
    return np.array([round(rate * size) for size in sizes]), sizes


def wrong_by_class(y, noisy):
    return np.array([(noisy.y[y == c] != c).sum() for c in np.unique(y)])


def check_report(y, noisy):
    """The report is what happened: labels, mask, rate, and shares of each class."""
    classes = np.unique(y)
    assert noisy.y.dtype == y.dtype and noisy.y.shape == y.shape
    np.testing.assert_array_equal(noisy.classes, classes)
    assert np.isin(noisy.y, classes).all()
    np.testing.assert_array_equal(noisy.is_wrong, noisy.y != y)
    assert noisy.rate == np.mean(noisy.y != y)
    T = noisy.transition_matrix
    assert T.shape == (len(classes), len(classes)) and T.min() >= 0
    np.testing.assert_allclose(T.sum(axis=1), 1)
    for row, true in zip(T, classes, strict=True):
        shares = (noisy.y[y == true][:, None] == classes).mean(axis=0)
        np.testing.assert_allclose(row, shares)


@quick
@given(labels(), rates, seeds, st.sampled_from(FREE))
def test_reports_are_true_and_y_is_untouched(y, rate, seed, noise):
    before = y.copy()
    noisy = noise(y, rate, random_state=seed)
    check_report(y, noisy)
    np.testing.assert_array_equal(y, before)
    np.testing.assert_array_equal(noisy.y, noise(y, rate, random_state=seed).y)


@quick
@given(labels(), rates, seeds)
def test_exclusive_noise_never_draws_the_true_class(y, rate, seed):
    """Every sample that is picked becomes wrong, so the rates are exact."""
    noisy = symmetric_exclusive(y, rate, random_state=seed)
    picked, sizes = chosen(y, rate)
    np.testing.assert_array_equal(wrong_by_class(y, noisy), picked)
    np.testing.assert_allclose(1 - noisy.transition_matrix.diagonal(), picked / sizes)


@quick
@given(labels(), rates, seeds)
def test_inclusive_noise_is_at_most_the_rate(y, rate, seed):
    noisy = symmetric_inclusive(y, rate, random_state=seed)
    assert (wrong_by_class(y, noisy) <= chosen(y, rate)[0]).all()


@quick
@given(st.integers(2, 8), st.floats(0.1, 0.95), seeds)
def test_inclusive_noise_is_right_by_chance_in_one_of_its_classes(k, rate, seed):
    n = 3000
    noisy = symmetric_inclusive(np.arange(n) % k, rate, random_state=seed)
    share = (k - 1) / k
    picked = rate * n
    deviation = np.sqrt(picked * share * (1 - share)) / n
    assert abs(noisy.rate - rate * share) < 5 * deviation + k / n


@quick
@given(labels(), rates, seeds)
def test_pair_flips_give_the_next_class(y, rate, seed):
    noisy = pair_flip(y, rate, random_state=seed)
    classes, codes = np.unique(y, return_inverse=True)
    following = classes[(codes + 1) % len(classes)]
    assert ((noisy.y == y) | (noisy.y == following)).all()
    np.testing.assert_array_equal(wrong_by_class(y, noisy), chosen(y, rate)[0])


@quick
@given(labels(), seeds, seeds)
def test_class_conditional_noise_draws_nothing_impossible(y, seed, matrix_seed):
    k, rng = len(np.unique(y)), np.random.default_rng(matrix_seed)
    T = rng.random((k, k)) * (rng.random((k, k)) < 0.5) + 1e-3 * np.eye(k)
    T /= T.sum(axis=1, keepdims=True)
    noisy = class_conditional(y, T, random_state=seed)
    check_report(y, noisy)
    assert (noisy.transition_matrix[T == 0] == 0).all()


@quick
@given(labels(), rates, seeds, st.floats(0, 255))
def test_instance_dependent_noise_stays_among_the_classes(y, rate, seed, scale):
    X = scale * np.random.default_rng(seed).random((len(y), 3))
    noisy = instance_dependent(y, rate, X, random_state=seed)
    check_report(y, noisy)
    np.testing.assert_array_equal(noisy.y, instance_dependent(y, rate, X, seed).y)


@quick
@given(st.floats(0.2, 0.8), seeds)
def test_instance_dependent_noise_has_its_rate_on_average(rate, seed):
    n = 2000
    X = np.random.default_rng(seed).random((n, 3))
    noisy = instance_dependent(np.arange(n) % 4, rate, X, random_state=seed)
    # The flip rates of the samples have mean `rate`, or at most 0.003 from it.
    deviation = np.sqrt(rate * (1 - rate) / n)
    assert abs(noisy.rate - rate) < 5 * deviation + 0.004


def allowed(noise):
    """Return which labels (columns) a protocol may give each CIFAR class (row)."""
    if noise == "asymmetric_cifar10":
        matrix = np.zeros((10, 10), dtype=bool)
        for true, label in CIFAR10_CONFUSIONS.items():
            matrix[true, label] = True
        return matrix
    fives = np.arange(100) // 5
    groups = fives if noise.endswith("consecutive") else CIFAR100_SUPERCLASSES
    matrix = groups[:, None] == groups
    np.fill_diagonal(matrix, False)
    return matrix


@pytest.mark.parametrize("noise", [name for name in NOISES if "cifar" in name])
@settings(quick, max_examples=8)
@given(rates, seeds, st.integers(1, 6))
def test_cifar_protocols_confuse_their_classes_only(noise, rate, seed, size):
    matrix = allowed(noise)
    y = np.repeat(np.arange(len(matrix)), size)
    noisy = add_noise(y, noise, rate, random_state=seed)
    check_report(y, noisy)
    found = noisy.transition_matrix > 0
    np.fill_diagonal(found, False)
    assert not (found & ~matrix).any()
    confused = matrix.any(axis=1)
    np.testing.assert_array_equal(
        wrong_by_class(y, noisy), np.where(confused, round(rate * size), 0)
    )
    if not noise.endswith("sibling"):  # one label for the wrong ones of a class
        assert found.sum(axis=1).max() <= 1
