import numpy as np
import pytest
import torch

import sknoisy
from sknoisy import NoisyRobustClassifier
from sknoisy.data.given import Labels
from sknoisy.encoders.heads import Rescale, kernel
from sknoisy.kernels.choice import (
    Kernel,
    choose_kernel,
    mean_square_slopes,
    set_scale,
)
from sknoisy.kernels.ridge import KernelRidge
from sknoisy.noise import symmetric_exclusive


def generator():
    return torch.Generator().manual_seed(0)


def table(n=600, n_noise=12, seed=0):
    """Return a table of which only the first two columns decide."""
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(n, 2 + n_noise)).astype(np.float32)
    y = (X[:, 0] > X[:, 1] ** 2 - 1).astype(np.int64)
    return X, y


@pytest.mark.parametrize("power", [1, 2])
def test_slopes_are_those_of_automatic_differentiation(power):
    X = torch.randn(40, 3, generator=generator())
    ridge = KernelRidge(X, power, 1.0, 20, generator())
    ridge.fit(torch.stack([X[:, 0].sin(), X[:, 1]], dim=1))
    others = torch.randn(7, 3, generator=generator()) + 0.1
    expected = torch.zeros(3)
    for x in others:
        slopes = torch.autograd.functional.jacobian(
            lambda x: (
                kernel(x[None], ridge.landmarks, ridge.gamma, power)
                @ ridge.coefficients
            )[0],
            x,
        )
        expected += slopes.square().sum(dim=0) / len(others)
    torch.testing.assert_close(
        mean_square_slopes(ridge, others), expected, rtol=1e-3, atol=1e-5
    )


def test_columns_that_decide_count_most():
    X, y = table()
    labels = Labels(torch.from_numpy(y))
    chosen = choose_kernel(torch.from_numpy(X), labels, 2, generator())
    assert chosen.column
    assert chosen.relevance[:2].min() > 3 * chosen.relevance[2:].max()
    assert chosen.relevance.square().mean() == pytest.approx(1, rel=1e-4)


def test_without_structure_all_columns_count_alike():
    X, y = table()
    y = np.random.default_rng(1).permutation(y)
    labels = Labels(torch.from_numpy(y))
    chosen = choose_kernel(torch.from_numpy(X), labels, 2, generator())
    assert chosen.relevance is None


def test_a_column_is_clipped_before_it_is_weighed():
    X = torch.randn(100, 2, generator=generator())
    _, y = table(100)
    chosen = choose_kernel(X, Labels(torch.from_numpy(y)), 2, generator())
    chosen = chosen._replace(column=True, relevance=torch.tensor([0.5, 2.0]))
    rescale = Rescale(2)
    set_scale(rescale, X, chosen)
    std, mean = torch.std_mean(X, dim=0, correction=0)
    torch.testing.assert_close(
        rescale(mean + 3 * std), torch.tensor([1.5, 6.0]), rtol=1e-5, atol=1e-5
    )
    far = rescale(mean + 1e6 * std)
    torch.testing.assert_close(far, torch.tensor([5.0, 20.0]))


def scaled_by_column(X):
    rescale = Rescale(X.shape[1])
    set_scale(rescale, X, Kernel(True, 2, 1.0))
    return rescale(X)


def test_long_tails_are_drawn_in():
    normal = torch.randn(500, 2, generator=generator())
    tailed = torch.stack([(3 * normal[:, 0]).exp(), normal[:, 1]], dim=1)
    found = scaled_by_column(tailed)
    unit = (tailed[:, 0] - tailed[:, 0].median()).abs().quantile(0.75)
    expected = ((tailed[:, 0] - tailed[:, 0].median()) / unit).asinh()
    expected = expected / expected.std(correction=0)
    torch.testing.assert_close(found[:, 0], expected, rtol=0.01, atol=0.01)
    torch.testing.assert_close(found[:, 1], scaled_by_column(normal)[:, 1])


def test_the_longest_tails_are_drawn_in_too():
    found = scaled_by_column((5 * torch.randn(500, 1, generator=generator())).exp())
    middle = found.quantile(0.75) - found.quantile(0.25)
    assert middle > 0.1  # nearly 0 if they were scaled by their deviation


def test_columns_of_rare_values_stay_as_they_are():
    rare = (torch.arange(500) % 50 == 0).float()[:, None]
    found = scaled_by_column(rare)
    distance = found.max() - found.min()
    torch.testing.assert_close(distance, 1 / rare.std(correction=0))
    counts = torch.where(rare > 0, torch.arange(500.0)[:, None], 0.0)
    expected = (counts - counts.mean()) / counts.std(correction=0)
    torch.testing.assert_close(scaled_by_column(counts), expected.clamp(-10, 10))


def test_units_are_in_files_and_older_files_have_none():
    X = torch.randn(50, 2, generator=generator()).exp().pow(4)
    rescale, loaded = Rescale(2), Rescale(2)
    set_scale(rescale, X, Kernel(True, 2, 1.0))
    assert len(rescale.unit) == 2
    state = rescale.state_dict()
    loaded.load_state_dict(state)
    torch.testing.assert_close(loaded(X), rescale(X))
    del state["unit"]
    older = Rescale(2)
    older.load_state_dict(state)
    linear = (X - rescale.centre) / rescale.scale
    torch.testing.assert_close(older(X), linear.clamp(-10, 10))


def test_irrelevant_columns_cost_less_under_noise():
    X, y = table(1600, seed=1)
    noisy = symmetric_exclusive(y[:1000], rate=0.3, random_state=1).y
    clf = NoisyRobustClassifier(random_state=0).fit(X[:1000], noisy)
    assert clf.score(X[1000:], y[1000:]) > 0.9  # 0.87 if all columns count alike


def collinear(n, noise=0.0, seed=0):
    """Columns that are nearly equal; classes differ in the differences of two."""
    rng = np.random.default_rng(seed)
    common, own = rng.normal(size=(n, 1)), 0.02 * rng.normal(size=(n, 5))
    y = (own[:, 0] - own[:, 1] > 0).astype(int) + 2 * (own[:, 2] - own[:, 3] > 0)
    given = np.where(rng.random(n) < noise, rng.integers(4, size=n), y)
    return (10 * common + own).astype(np.float32), y, given


def test_differences_of_columns_that_are_nearly_equal_are_seen():
    X, y, _ = collinear(400)
    labels = Labels(torch.from_numpy(y))
    assert choose_kernel(torch.from_numpy(X), labels, 4, generator()).whitened
    X, y, given = collinear(900, noise=0.4)
    clf = NoisyRobustClassifier(random_state=0).fit(X[:400], given[:400])
    assert clf.score(X[400:], y[400:]) > 0.85


def test_axes_have_a_deviation_of_one_and_rounding_has_none():
    X, *_ = collinear(300)
    X = np.c_[X, X[:, :1]]  # the last axis is rounding alone
    rescale = Rescale(6)
    set_scale(rescale, torch.from_numpy(X), Kernel(True, 2, 0.25, None, True))
    turned = rescale(torch.from_numpy(X)).double()
    covariance = torch.cov(turned.T, correction=0)
    expected = torch.diag(torch.tensor([0.0, 1, 1, 1, 1, 1], dtype=torch.float64))
    torch.testing.assert_close(covariance, expected, rtol=0, atol=0.02)
    relevance = torch.tensor([1.0, 2, 1, 1, 1, 1])
    set_scale(rescale, torch.from_numpy(X), Kernel(True, 2, 0.25, relevance, True))
    torch.testing.assert_close(
        rescale(torch.from_numpy(X)).double(), turned * relevance, rtol=1e-4, atol=1e-3
    )


def test_turned_columns_are_in_files_and_modules(tmp_path):
    X, _, given = collinear(300, noise=0.2)
    clf = NoisyRobustClassifier(random_state=0).fit(X, given)
    clf.save(tmp_path / "model.safetensors")
    loaded = sknoisy.load(tmp_path / "model.safetensors")
    expected = clf.predict_proba(X)
    np.testing.assert_array_equal(loaded.predict_proba(X), expected)
    probs = clf.to_module()(torch.from_numpy(X)).numpy()
    np.testing.assert_allclose(probs, expected, atol=1e-5)


@pytest.mark.parametrize("share, chosen_by_them", [(0.02, False), (0.3, True)])
def test_trusted_labels_choose_the_kernel_where_others_tell_nothing(
    share, chosen_by_them
):
    """Unless they are too few: then it is the kernel that it is without them."""
    X, y = table()
    rng = np.random.default_rng(0)
    trusted = rng.random(600) < share
    noisy = np.where(trusted, y, rng.integers(2, size=600))
    X, codes = torch.from_numpy(X), torch.from_numpy(noisy)
    untold = choose_kernel(X, Labels(codes), 2, generator())
    trusted = torch.from_numpy(trusted)
    chosen = choose_kernel(X, Labels(codes, trusted=trusted), 2, generator())
    assert untold.relevance is None
    if chosen_by_them:
        assert chosen.relevance[:2].min() > 3 * chosen.relevance[2:].max()
    else:
        assert chosen == untold
