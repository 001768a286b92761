import numpy as np
import pytest
from scipy.linalg import inv, sqrtm

from sknoisy.scores import lidar, rankme

RNG = np.random.default_rng(0)


@pytest.mark.parametrize("shape", [(50, 8), (8, 50)])
def test_rankme_is_the_papers_formula(shape):
    Z = RNG.normal(size=shape) * np.arange(1, shape[1] + 1)
    sigma = np.linalg.svd(Z, compute_uv=False)
    p = sigma / np.abs(sigma).sum() + 1e-7
    assert rankme(Z) == pytest.approx(np.exp(-(p * np.log(p)).sum()))


def test_rankme_by_hand():
    """Singular values 3 and 1: shares 3/4 and 1/4."""
    expected = (4 / 3) ** 0.75 * 4**0.25
    assert rankme([[3.0, 0.0], [0.0, 1.0]]) == pytest.approx(expected, rel=1e-5)
    assert rankme(np.outer(np.arange(1, 20), [1.0, 2.0, 3.0])) == pytest.approx(
        1, abs=1e-3
    )


@pytest.mark.parametrize("scale", [1e-200, 1e200])
def test_rankme_of_any_scale(scale):
    features = np.random.default_rng(0).normal(size=(9, 4))
    assert rankme(scale * features) == pytest.approx(rankme(features))


def test_lidar_is_the_papers_formula():
    """With the square roots of matrices that the paper writes."""
    Z = RNG.normal(size=(40, 1, 5)) * [5, 3, 1, 1, 0.1]
    Z = Z + RNG.normal(size=(40, 6, 5))
    means = Z.mean(axis=1)
    centred = means - means.mean(axis=0)
    between = sum(np.outer(m, m) for m in centred) / 40
    inside = [
        np.outer(v - m, v - m) for m, vs in zip(means, Z, strict=True) for v in vs
    ]
    within = sum(inside) / len(inside) + 1e-4 * np.eye(5)
    root = inv(sqrtm(within))
    values = np.linalg.eigvalsh(root @ between @ root)
    p = values / values.sum() + 1e-7
    assert lidar(Z) == pytest.approx(np.exp(-(p * np.log(p)).sum()))


def test_lidar_does_not_count_what_views_change():
    samples = RNG.normal(size=(400, 1, 6))
    steady = samples + 0.01 * RNG.normal(size=(400, 4, 6))
    half = steady + [0, 0, 0, 30, 30, 30] * RNG.normal(size=(400, 4, 6))
    assert lidar(steady) == pytest.approx(6, abs=0.1)
    assert lidar(half) == pytest.approx(3, abs=0.1)
    assert rankme(half.reshape(-1, 6)) < rankme(steady.reshape(-1, 6))


@pytest.mark.parametrize("scale", [1e4, 1e6, 1e8, 1e10])
def test_lidar_of_large_columns_that_depend_on_each_other(scale):
    """Columns that repeat others add no dimension, and no rounding that looks so."""
    rng = np.random.default_rng(0)
    Z = rng.normal(size=(40, 1, 3)) + 0.3 * rng.normal(size=(40, 4, 3))
    repeated = np.concatenate([Z, Z, Z @ rng.normal(size=(3, 9))], axis=2)
    expected = lidar(Z, delta=1e-12)
    assert lidar(scale * repeated) == pytest.approx(expected, rel=1e-3)
    assert lidar(1e200 * Z) == pytest.approx(expected, rel=1e-3)


@pytest.mark.parametrize(
    "score, features, message",
    [
        (rankme, np.zeros((3, 2)), "are zero"),
        (rankme, [[np.nan, 1.0]], "NaN"),
        (lidar, np.ones((3, 2)), "n_views"),
        (lidar, np.ones((3, 1, 2)), "two samples and views"),
        (lidar, np.ones((3, 2, 2)), "do not differ"),
    ],
    ids=["zero", "NaN", "no views", "one view", "equal"],
)
def test_errors(score, features, message):
    with pytest.raises(ValueError, match=message):
        score(features)


@pytest.mark.parametrize("wrong", ["x", [["a", "b"]], 1j, {"a": 1}])
@pytest.mark.parametrize("score", [rankme, lidar], ids=["rankme", "lidar"])
def test_features_that_are_no_numbers(score, wrong):
    with pytest.raises(ValueError, match="^features is not valid"):
        score(wrong)
