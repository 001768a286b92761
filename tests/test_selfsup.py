import numpy as np
import pytest
import torch

from sknoisy import SSLPretrainer
from sknoisy.selfsup import METHODS, BarlowTwins, SimCLR
from sknoisy.selfsup.barlow_twins import cross_correlation, redundancy_reduction
from sknoisy.selfsup.base import off_diagonal
from sknoisy.selfsup.simclr import nt_xent


def nt_xent_reference(a, b, temperature):
    """Loop over all views, as the paper writes it."""
    z = np.concatenate([a, b])
    z = z / np.linalg.norm(z, axis=1, keepdims=True)
    n, losses = len(a), []
    for i in range(2 * n):
        j = (i + n) % (2 * n)
        others = [k for k in range(2 * n) if k != i]
        s = np.exp(z[i] @ z[others].T / temperature).sum()
        losses.append(-np.log(np.exp(z[i] @ z[j] / temperature) / s))
    return np.mean(losses)


def test_nt_xent_is_the_papers_loop():
    rng = np.random.default_rng(0)
    a, b = rng.normal(size=(2, 5, 3))
    ours = nt_xent(torch.tensor(a), torch.tensor(b), 0.5).item()
    assert ours == pytest.approx(nt_xent_reference(a, b, 0.5), rel=1e-5)


def test_nt_xent_by_hand():
    """Two orthogonal samples, equal views: logits 1/t, 0, 0 for every view."""
    eye = torch.eye(2)
    expected = -np.log(np.exp(2) / (np.exp(2) + 2))
    assert nt_xent(eye, eye, 0.5).item() == pytest.approx(expected)


def test_losses_keep_full_precision_where_networks_do_not():
    a, b = torch.randn(2, 64, 32, generator=torch.Generator().manual_seed(0))
    whole = nt_xent(a, b, 0.2), cross_correlation(a, b)
    with torch.autocast("cpu", torch.bfloat16):
        mixed = nt_xent(a, b, 0.2), cross_correlation(a, b)
    torch.testing.assert_close(whole, mixed, atol=0, rtol=0)


def test_cross_correlation_of_equal_views_is_the_features_correlation():
    z = torch.randn(50, 4, generator=torch.Generator().manual_seed(0))
    expected = np.corrcoef(z.numpy().T)
    np.testing.assert_allclose(cross_correlation(z, z), expected, atol=1e-4)


def test_redundancy_by_hand():
    c = torch.tensor([[0.5, 2.0], [1.0, 1.0]])
    assert redundancy_reduction(c, 0.1).item() == pytest.approx(0.25 + 0.1 * 5)


def test_off_diagonal():
    m = torch.arange(9).view(3, 3)
    assert sorted(off_diagonal(m).flatten().tolist()) == [1, 2, 3, 5, 6, 7]


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize(
    "optimizer, lr", [("lars", 0.4), ("sgd", 0.05), ("adamw", 1e-3)]
)
def test_every_method_learns(method, optimizer, lr, digits):
    ssl = SSLPretrainer(
        method, max_epochs=6, batch_size=100, optimizer=optimizer, lr=lr, random_state=0
    )
    losses = [row["train_loss"] for row in ssl.fit(digits[0]).history_]
    assert losses[-1] < 0.98 * losses[0]


def test_nothing_of_y_enters(digits):
    X, y = digits
    ssl = SSLPretrainer(max_epochs=1, random_state=0)
    without = np.asarray(ssl.fit_transform(X))
    np.testing.assert_array_equal(without, np.asarray(ssl.fit_transform(X, y)))


@pytest.mark.parametrize(
    "method, parameter",
    [
        (SimCLR(temperature=0.0), "temperature"),
        (SimCLR(hidden_features=0), "hidden_features"),
        (BarlowTwins(lambd=-1), "lambd"),
    ],
)
def test_bad_parameters_are_named(method, parameter, digits):
    with pytest.raises(ValueError, match=f"{parameter}=.* is not valid"):
        SSLPretrainer(method).fit(digits[0])
