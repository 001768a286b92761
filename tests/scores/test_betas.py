import numpy as np
import pytest
from scipy import stats

from sknoisy.scores import (
    bmm_clean_probability,
    wrong_event_clean_probability,
)

RNG = np.random.default_rng(0)


@pytest.mark.parametrize("share, betas", [(0.6, (2, 8, 8, 2)), (0.5, (1, 12, 5, 3))])
def test_bmm_finds_two_known_betas(share, betas):
    from scipy.stats import beta

    rng = np.random.default_rng(0)
    right = rng.random(4000) < share
    x = np.where(right, rng.beta(*betas[:2], 4000), rng.beta(*betas[2:], 4000))
    low, high = share * beta.pdf(x, *betas[:2]), (1 - share) * beta.pdf(x, *betas[2:])
    clean = bmm_clean_probability(7 * x + 3, max_iter=50)
    assert np.abs(clean - low / (low + high)).mean() < 0.03
    assert ((clean > 0.5) == right).mean() > ((low > high) == right).mean() - 0.01
    np.testing.assert_allclose(bmm_clean_probability(x, max_iter=50), clean, atol=1e-9)
    assert ((bmm_clean_probability(x) > 0.5) == right).mean() > 0.9


def test_bmm_never_rises_with_the_loss():
    rng = np.random.default_rng(0)
    for betas in [(0.5, 20, 3, 3), (2, 5, 5, 2), (30, 90, 1, 1), (1, 3, 1, 2)]:
        x = np.r_[rng.beta(*betas[:2], 500), rng.beta(*betas[2:], 500)]
        clean = bmm_clean_probability(x)
        assert (np.diff(clean[np.argsort(x)]) <= 0).all()
        assert ((clean >= 0) & (clean <= 1)).all()


def test_bmm_degenerate():
    assert bmm_clean_probability([2.0] * 4).tolist() == [1] * 4
    for losses in ([1.0] * 3, [1.0, 2.0, 3.0, np.nan], np.ones((2, 2))):
        with pytest.raises(ValueError, match="at least 4"):
            bmm_clean_probability(losses)
    for bad in [(95, 5), (-1, 95), 5, (5, "95")]:
        with pytest.raises(ValueError, match="percentiles=.* is not valid"):
            bmm_clean_probability([0.0, 1.0, 2.0, 3.0], percentiles=bad)


def published_posterior(events):
    """The published steps, in a plain loop: Beta(1, 2) and Beta(2, 1), half each."""
    x = (events - events.min()) / np.ptp(events)
    x = x.clip(1e-3, 1 - 1e-3)
    shapes, weights = [[1.0, 2.0], [2.0, 1.0]], [0.5, 0.5]

    def posterior():
        low, high = (
            w * stats.beta.pdf(x, *s) for w, s in zip(weights, shapes, strict=True)
        )
        return low / (low + high)

    for _ in range(20):
        p = posterior()
        for k, share in enumerate((p, 1 - p)):
            mean = np.average(x, weights=share)
            variance = np.average((x - mean) ** 2, weights=share)
            both = mean * (1 - mean) / variance - 1
            shapes[k], weights[k] = [mean * both, (1 - mean) * both], share.mean()
        if shapes[0][1] < 1.02:
            shapes[0][1] = 1.1
        if shapes[1][0] < 1.02:
            shapes[1][0] = 1.1
    return posterior()


def test_wrong_events_in_each_class_by_the_published_steps():
    rng = np.random.default_rng(0)
    y = np.repeat([3, 5], 300)
    rates = np.where(np.arange(600) % 5 == 0, 0.8, np.where(y == 3, 0.1, 0.4))
    events = rng.binomial(40, rng.beta(20 * rates, 20 * (1 - rates)))
    clean = wrong_event_clean_probability(y, events)
    for label in (3, 5):
        own, found = events[y == label], clean[y == label]
        expected = published_posterior(own)
        between = (own > np.percentile(own, 30)) & (own < own.max())
        np.testing.assert_allclose(found[between], expected[between], atol=1e-3)
        assert (np.diff(found[np.argsort(own)]) <= 0).all()
        alone = wrong_event_clean_probability(np.zeros(300), own)
        np.testing.assert_array_equal(found, alone)


def test_wrong_events_degenerate():
    clean = wrong_event_clean_probability
    assert clean([0] * 4 + [1] * 4, [0] * 4 + [7] * 4).tolist() == [1] * 8
    y, events = ["a"] * 20 + ["b"] * 2, [*range(10), *range(30, 40), 5, 35]
    few = clean(y, events)[-2:]  # by the mixture of all
    np.testing.assert_array_equal(few, clean(["a"] * 22, events)[-2:])
    assert few[0] > 0.9 and few[1] < 0.1
    with pytest.raises(ValueError, match=r"wrong_events of shape \(3,\) are not valid"):
        clean([0] * 3, [1, 2, 3])
    with pytest.raises(ValueError, match="y has 5 labels, but there are 4 wrong"):
        clean([0] * 5, [1, 2, 3, 4])
    for labels in (["a", None, "a", "a"], [0, 0, np.nan, 1], ["a", 1, "a", "a"]):
        with pytest.raises(
            ValueError, match="^y (holds 1 missing label|mixes strings)"
        ):
            clean(labels, [1, 2, 3, 4])
    with pytest.raises(ValueError, match="max_iter=0"):
        clean([0] * 4, [1, 2, 3, 4], max_iter=0)


def test_a_few_outliers_among_equal_losses():
    clean = bmm_clean_probability([0.0] * 96 + [10.0] * 4)
    assert (clean[:96] > 0.5).all() and (clean[96:] < 0.5).all()
