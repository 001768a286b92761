import tracemalloc
from statistics import NormalDist

import numpy as np
import pytest

from sknoisy.noise import (
    NOISES,
    add_noise,
    asymmetric_cifar10,
    class_conditional,
    instance_dependent,
    pair_flip,
    symmetric_exclusive,
    symmetric_inclusive,
)
from sknoisy.noise.cifar import CIFAR100_SUPERCLASSES

Y = np.repeat(np.arange(10), 500)
Y100 = np.repeat(np.arange(100), 50)
X = np.random.default_rng(0).random((len(Y), 12))


def labels_for(noise):
    return Y100 if "cifar100" in noise else Y


@pytest.mark.parametrize("noise", NOISES)
def test_what_is_reported_is_what_happened(noise):
    y = labels_for(noise)
    noisy = add_noise(y, noise, 0.3, X=X, random_state=0)
    np.testing.assert_array_equal(noisy.is_wrong, noisy.y != y)
    assert noisy.rate == pytest.approx((noisy.y != y).mean())
    for c in range(len(noisy.classes)):
        labels = noisy.y[y == c]
        shares = np.bincount(labels, minlength=len(noisy.classes)) / len(labels)
        np.testing.assert_allclose(noisy.transition_matrix[c], shares)


@pytest.mark.parametrize("noise", NOISES)
def test_same_seed_same_labels_and_clean_ones_stay(noise):
    clean = labels_for(noise)
    y = clean.copy()
    a = add_noise(y, noise, 0.3, X=X, random_state=1).y
    np.testing.assert_array_equal(a, add_noise(y, noise, 0.3, X=X, random_state=1).y)
    assert (a != add_noise(y, noise, 0.3, X=X, random_state=2).y).any()
    np.testing.assert_array_equal(y, clean)


# The rates of instance-dependent noise scatter around their mean.
@pytest.mark.parametrize("noise", sorted(set(NOISES) - {"instance_dependent"}))
def test_rate_zero_changes_nothing(noise):
    assert add_noise(labels_for(noise), noise, 0.0).rate == 0


def test_symmetric_exclusive():
    T = symmetric_exclusive(Y, 0.6, random_state=0).transition_matrix
    np.testing.assert_allclose(T.diagonal(), 0.4)
    np.testing.assert_allclose(T[~np.eye(10, dtype=bool)], 0.6 / 9, atol=0.04)


def test_symmetric_inclusive_may_redraw_the_true_class():
    T = symmetric_inclusive(Y, 0.8, random_state=0).transition_matrix
    np.testing.assert_allclose(T.diagonal(), 0.28, atol=0.04)


def test_pair_flip_goes_round():
    T = pair_flip(Y, 0.25, random_state=0).transition_matrix
    np.testing.assert_allclose(
        T, 0.75 * np.eye(10) + 0.25 * np.eye(10)[:, range(-1, 9)]
    )


@pytest.mark.parametrize("rate, n_wrong", [(0.29, 29), (0.57, 57), (0.996, 100)])
def test_the_number_of_wrong_labels_is_rounded(rate, n_wrong):
    """Of 100 labels of a class; in floating point 0.29 times 100 is below 29."""
    y = np.repeat([0, 1, 2], 100)
    is_wrong = pair_flip(y, rate, random_state=0).is_wrong
    assert np.bincount(y[is_wrong]).tolist() == [n_wrong] * 3


def test_asymmetric_cifar10_on_names():
    names = np.array(
        "airplane automobile bird cat deer dog frog horse ship truck".split()
    )
    noisy = asymmetric_cifar10(names[Y], 0.4, random_state=0)
    changed = {(a, b) for a, b in zip(names[Y], noisy.y, strict=True) if a != b}
    assert changed == {
        ("truck", "automobile"),
        ("bird", "airplane"),
        ("cat", "dog"),
        ("dog", "cat"),
        ("deer", "horse"),
    }
    assert noisy.rate == pytest.approx(0.2)


def test_superclasses_are_those_of_cifar100():
    """Codes are those of the sorted names, and superclasses are in this order."""
    groups = [
        group.split()
        for group in """
        beaver dolphin otter seal whale
        aquarium_fish flatfish ray shark trout
        orchid poppy rose sunflower tulip
        bottle bowl can cup plate
        apple mushroom orange pear sweet_pepper
        clock keyboard lamp telephone television
        bed chair couch table wardrobe
        bee beetle butterfly caterpillar cockroach
        bear leopard lion tiger wolf
        bridge castle house road skyscraper
        cloud forest mountain plain sea
        camel cattle chimpanzee elephant kangaroo
        fox porcupine possum raccoon skunk
        crab lobster snail spider worm
        baby boy girl man woman
        crocodile dinosaur lizard snake turtle
        hamster mouse rabbit shrew squirrel
        maple_tree oak_tree palm_tree pine_tree willow_tree
        bicycle bus motorcycle pickup_truck train
        lawn_mower rocket streetcar tank tractor
        """.strip().splitlines()
    ]
    group_of = {name: i for i, group in enumerate(groups) for name in group}
    expected = [group_of[name] for name in sorted(group_of)]
    np.testing.assert_array_equal(CIFAR100_SUPERCLASSES, expected)


def test_three_meanings_of_asymmetric_cifar100():
    meanings = {
        name: NOISES[f"asymmetric_cifar100_{name}"](Y100, 0.4, random_state=0)
        for name in ("consecutive", "circular", "sibling")
    }
    for noisy in meanings.values():
        assert noisy.rate == pytest.approx(0.4)
    wrong_of_apple = {
        name: set(np.flatnonzero(noisy.transition_matrix[0])) - {0}
        for name, noisy in meanings.items()
    }
    assert wrong_of_apple == {
        "consecutive": {1},
        "circular": {51},
        "sibling": {51, 53, 57, 83},
    }
    T = meanings["circular"].transition_matrix
    assert T[83, 0] == pytest.approx(0.4)  # sweet pepper, the last, becomes apple
    assert meanings["consecutive"].transition_matrix[9, 5] == pytest.approx(0.4)


def test_class_conditional_realises_any_matrix():
    T = np.random.default_rng(0).dirichlet(np.ones(10), size=10)
    noisy = class_conditional(Y, T, random_state=0)
    np.testing.assert_allclose(noisy.transition_matrix, T, atol=0.08)
    identity = class_conditional(Y, np.eye(10), random_state=0)
    assert identity.rate == 0


@pytest.mark.parametrize(
    "T", [np.eye(9), np.full((10, 10), 0.2), 2 * np.eye(10) - 0.1, np.zeros((10, 10))]
)
def test_bad_transition_matrix(T):
    with pytest.raises(ValueError, match="transition_matrix.* is not valid"):
        class_conditional(Y, T)


def test_instance_dependent_noise_depends_on_the_sample():
    """With a saturated softmax, equal samples of a class get the same wrong label."""
    y = np.repeat([0, 1, 2, 3], 300)
    same = np.repeat(np.random.default_rng(0).random((4, 50)) * 255, 300, axis=0)
    noisy = instance_dependent(y, 0.4, same, random_state=0)
    assert noisy.rate == pytest.approx(0.4, abs=0.04)
    assert [len(set(noisy.y[y == c])) for c in range(4)] == [2, 2, 2, 2]
    softer = instance_dependent(y, 0.4, same / 2550, random_state=0)
    assert min(len(set(softer.y[y == c])) for c in range(4)) == 4


@pytest.mark.parametrize("rate, share", [(0.0, 0.08), (0.1, 0.13), (0.99, 0.92)])
def test_truncation_changes_the_rates_of_instance_dependent_noise(rate, share):
    """The shares are means of a normal distribution, of deviation 0.1, in [0, 1]."""
    normal = NormalDist(rate, 0.1)
    inside = normal.cdf(1) - normal.cdf(0)
    mean = rate + 0.1**2 * (normal.pdf(0) - normal.pdf(1)) / inside
    assert mean == pytest.approx(share, abs=0.01)
    y = np.arange(20_000) % 4
    noisy = instance_dependent(y, rate, np.zeros((20_000, 1)), random_state=0)
    assert noisy.rate == pytest.approx(mean, abs=0.008)


def test_string_labels_keep_their_dtype():
    y = np.array(["a", "b"] * 10)
    assert symmetric_exclusive(y, 0.2, random_state=0).y.dtype == y.dtype


@pytest.mark.parametrize("rate", [-0.1, 1.0, float("nan"), "high"])
def test_bad_rate(rate):
    with pytest.raises(ValueError, match=r"rate=.* is not valid.*\[0, 1\)"):
        symmetric_exclusive(Y, rate)


def test_unknown_noise_suggests():
    with pytest.raises(ValueError, match="Did you mean 'pair_flip'"):
        add_noise(Y, "pairflip", 0.2)


def test_instance_dependent_needs_X():
    with pytest.raises(ValueError, match="X=None"):
        add_noise(Y, "instance_dependent", 0.2)


def test_instance_dependent_noise_needs_numbers():
    gaps = X.copy()
    gaps[3, 2] = np.nan
    with pytest.raises(ValueError, match="^X is not valid: it holds NaN"):
        instance_dependent(Y, 0.4, gaps, random_state=0)


def test_memory_of_a_drawn_matrix_does_not_grow_with_the_samples():
    y, T = np.arange(40_000) % 100, np.full((100, 100), 0.01)
    tracemalloc.start()
    noisy = class_conditional(y, T, random_state=0)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 0.6 * 8 * len(y) * 100  # of a row of the matrix for each
    draws = np.random.RandomState(0).random_sample(len(y))
    np.testing.assert_array_equal(noisy.y, (100 * draws).astype(int))
