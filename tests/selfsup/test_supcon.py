"""Supervised contrastive learning: the loss, and how y and weights reach it."""

from itertools import product

import numpy as np
import pytest
import sklearn
import torch
from sklearn.base import clone
from sklearn.linear_model import LogisticRegression
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline

from sknoisy import SimCLR, SSLPretrainer, SupCon
from sknoisy.detection.label_free import fit_pretrainers
from sknoisy.selfsup.simclr import nt_xent
from sknoisy.selfsup.supcon import (
    FORMS,
    WEIGHTINGS,
    pair_weights,
    supervised_contrastive,
)

RNG = np.random.default_rng(0)
KINDS = [*product(FORMS, WEIGHTINGS)]


def supcon(z, target, weight, temperature=1.0, *kind):
    first, second = torch.tensor(z).chunk(2)
    weight = torch.tensor(weight, dtype=torch.float32)
    target = torch.tensor(target)
    return supervised_contrastive(first, second, target, weight, temperature, *kind)


def reference(z, target, weight, temperature, form, weighting):
    """Loop over anchors and positives, as the papers write it."""
    z = z / np.linalg.norm(z, axis=1, keepdims=True)
    m = len(z)
    y, w, losses = np.tile(target, 2), np.tile(weight, 2), []
    for i in range(m):
        j = (i + m // 2) % m
        A = [a for a in range(m) if a != i]
        P = [p for p in A if y[p] == y[i]]
        s = sum(np.exp(z[i] @ z[a] / temperature) for a in A)
        share = {p: np.exp(z[i] @ z[p] / temperature) / s for p in P}
        factor = {p: w[i] if weighting == "anchor" else w[p] for p in P} | {j: 1.0}
        total = sum(factor.values())
        if form == "mean_of_log":
            losses.append(-sum(factor[p] * np.log(share[p]) for p in P) / total)
        else:
            losses.append(-np.log(sum(factor[p] * share[p] for p in P) / total))
    return np.mean(losses)


@pytest.mark.parametrize("form, weighting", KINDS)
def test_the_loss_is_the_papers_loop(form, weighting):
    z, weight = RNG.normal(size=(12, 3)), RNG.uniform(size=6)
    target = [0, 1, 0, 2, 1, 0]
    expected = reference(z, target, weight, 0.5, form, weighting)
    ours = supcon(z, target, weight, 0.5, form, weighting).item()
    assert ours == pytest.approx(expected, rel=1e-5)


E = np.e
FOUR = [[1.0, 0.0], [0.0, 1.0]] * 2  # two views each of two orthogonal samples


@pytest.mark.parametrize(
    "form, weight, expected",
    [
        # An anchor's own other view has similarity 1, the views of the other sample 0.
        ("mean_of_log", 1.0, np.log(E + 2) - 1 / 3),
        ("mean_of_log", 0.5, np.log(E + 2) - 1 / 2),
        ("mean_of_log", 0.0, np.log(E + 2) - 1),
        ("log_of_mean", 1.0, np.log(E + 2) - np.log((E + 2) / 3)),
        ("log_of_mean", 0.5, np.log(E + 2) - np.log((E + 1) / 2)),
        ("log_of_mean", 0.0, np.log(E + 2) - np.log(E)),
    ],
)
def test_four_points_of_one_class_by_hand(form, weight, expected):
    for weighting in WEIGHTINGS:
        loss = supcon(FOUR, [5, 5], [weight] * 2, 1.0, form, weighting)
        assert loss.item() == pytest.approx(expected, rel=1e-5)


def test_readings_of_the_weight_by_hand():
    """Three orthogonal samples of one class, only the first of them trusted."""
    z = np.tile(np.eye(3), (2, 1))
    # As anchor, the first has 5 positives, the others only their own other view.
    anchor = np.log(E + 4) - (1 / 5 + 1 + 1) / 3
    # As positive, it attracts both others with its 2 views, and is attracted by none.
    positive = np.log(E + 4) - (1 + 1 / 3 + 1 / 3) / 3
    for weighting, expected in [("anchor", anchor), ("positive", positive)]:
        loss = supcon(z, [0, 0, 0], [1, 0, 0], 1.0, "mean_of_log", weighting)
        assert loss.item() == pytest.approx(expected, rel=1e-5)


def test_pair_weights_by_hand():
    target, weight = torch.tensor([7, 7, 3]), torch.tensor([0.2, 0.6, 0.9])
    a, b = 0.2, 0.6
    rows = [
        [0, a, 0, 1, a, 0],
        [b, 0, 0, b, 1, 0],
        [0, 0, 0, 0, 0, 1],
    ]
    expected = torch.tensor(rows + [row[3:] + row[:3] for row in rows])
    torch.testing.assert_close(pair_weights(target, weight, "anchor"), expected)
    torch.testing.assert_close(pair_weights(target, weight, "positive"), expected.mT)


@pytest.mark.parametrize("form, weighting", KINDS)
def test_untrusted_labels_leave_simclr(form, weighting):
    z, target = RNG.normal(size=(12, 3)), [0, 1, 0, 2, 1, 0]
    expected = nt_xent(*torch.tensor(z).chunk(2), 0.3)
    ours = supcon(z, target, np.zeros(6), 0.3, form, weighting)
    torch.testing.assert_close(ours, expected)


@pytest.mark.parametrize("form, weighting", KINDS)
def test_trusted_labels_make_it_supcon(form, weighting):
    """With weights of 1, both weightings are the published loss without weights."""
    z, target = RNG.normal(size=(12, 3)), [0, 1, 0, 2, 1, 0]
    u = z / np.linalg.norm(z, axis=1, keepdims=True)
    y, losses = np.tile(target, 2), []
    for i in range(12):
        logits = np.delete(u[i] @ u.T / 0.3, i)
        same = np.delete(y == y[i], i)
        log_p = logits - np.log(np.exp(logits).sum())
        mean_of_log = log_p[same].mean()
        log_of_mean = np.log(np.exp(log_p[same]).mean())
        losses.append(-(mean_of_log if form == "mean_of_log" else log_of_mean))
    ours = supcon(z, target, np.ones(6), 0.3, form, weighting).item()
    assert ours == pytest.approx(np.mean(losses), rel=1e-5)


@pytest.mark.parametrize("form, weighting", KINDS)
def test_distinct_labels_leave_simclr_and_gradients_are_finite(form, weighting):
    z = torch.tensor(RNG.normal(size=(8, 3)), requires_grad=True)
    other = z.detach().clone().requires_grad_()
    args = torch.arange(4), torch.ones(4), 0.3, form, weighting
    supervised_contrastive(*z.chunk(2), *args).backward()
    nt_xent(*other.chunk(2), 0.3).backward()
    torch.testing.assert_close(z.grad, other.grad)


# Through SSLPretrainer ----------------------------------------------------------------


def pretrainer(method="supcon", **params):
    settings = {"max_epochs": 2, "batch_size": 50, "random_state": 0}
    return SSLPretrainer(method, **settings | params)


def features(ssl, *args, **weights):
    return np.asarray(ssl.fit(*args, **weights).transform(args[0]))


@pytest.fixture(scope="module")
def data(digits):
    return digits[0].reshape(300, -1), digits[1]


def test_labels_bring_classes_together(data):
    X, y = data
    scores = []
    for method in ("simclr", "supcon"):
        z = features(pretrainer(method, max_epochs=15), X[:200], y[:200])
        knn = KNeighborsClassifier(metric="cosine").fit(z[:100], y[:100])
        scores.append(knn.score(z[100:], y[100:200]))
    assert scores[1] > scores[0] + 0.05


def test_weights_of_zero_train_as_simclr_does(data):
    X, y = data
    expected = features(pretrainer(SimCLR(temperature=0.1)), X)
    ours = features(pretrainer(), X, y, sample_weight=np.zeros(300))
    np.testing.assert_allclose(ours, expected, atol=1e-3)
    assert np.abs(features(pretrainer(), X, y) - expected).max() > 0.1


def test_weights_of_one_are_none(data):
    X, y = data
    names = np.array([f"digit {i}" for i in range(10)])[y]
    without = features(pretrainer(), X, y)
    ones = features(pretrainer(), X, names, sample_weight=[1] * 300)
    np.testing.assert_array_equal(without, ones)
    half = features(pretrainer(), X, y, sample_weight=np.full(300, 0.5))
    assert (half != without).any()


RUNS = []


class Counting(SSLPretrainer):
    """Counts the trainings that really run."""

    def _pretrain(self, *args, **kwargs):
        RUNS.append(self.method)
        return super()._pretrain(*args, **kwargs)


def test_the_cache_keys_on_labels_only_where_they_are_used(data, tmp_path):
    X, y = data
    RUNS.clear()

    def fit(method, *args, **weights):
        ssl = Counting(method, max_epochs=1, memory=str(tmp_path), random_state=0)
        ssl.fit(X, *args, **weights)
        return len(RUNS)

    assert fit("simclr") == fit("simclr", y) == 1
    assert fit("simclr", y[::-1], sample_weight=np.zeros(300)) == 1
    assert fit("supcon", y) == fit("supcon", y) == 2
    assert fit("supcon", [f"class {label}" for label in y]) == 2  # the same partition
    assert fit("supcon", y, sample_weight=np.ones(300)) == 2
    assert fit("supcon", y, sample_weight=np.zeros(300)) == 3
    assert fit("supcon", y[::-1]) == 4


def test_the_cache_keys_on_what_random_state_draws(data, tmp_path):
    X, _ = data
    RUNS.clear()

    def fit(random_state):
        ssl = Counting(max_epochs=1, random_state=random_state)
        alone = ssl.set_params(memory=None).fit(X).encoder_.state
        RUNS.clear()
        return ssl.set_params(memory=str(tmp_path)).fit(X).encoder_.state, alone

    same, alone = fit(0)
    assert RUNS and all(np.array_equal(same[k], alone[k]) for k in same)
    assert fit(0) and not RUNS and fit(1) and RUNS
    # An object that goes on gives another training each time.
    drawing = np.random.RandomState(0)
    ssl = Counting(max_epochs=1, random_state=drawing, memory=str(tmp_path))
    first, second = ssl.fit(X).encoder_.state, ssl.fit(X).encoder_.state
    assert not all(np.array_equal(first[k], second[k]) for k in first)
    # Without any, an equal training will do.
    fit(None)
    assert fit(None) and not RUNS


def test_pipelines_pass_labels_and_weights(data):
    X, y = data
    weight = np.linspace(0, 1, 300)
    expected = features(pretrainer(), X, y, sample_weight=weight)
    pipe = make_pipeline(pretrainer(), LogisticRegression())
    pipe.fit(X, y, sslpretrainer__sample_weight=weight)
    np.testing.assert_array_equal(pipe[0].transform(X), expected)
    with sklearn.config_context(enable_metadata_routing=True):
        routed = clone(pipe).set_params(
            sslpretrainer=pretrainer().set_fit_request(sample_weight=True),
            logisticregression=LogisticRegression().set_fit_request(
                sample_weight=False
            ),
        )
        routed.fit(X, y, sample_weight=weight)
    np.testing.assert_array_equal(routed[0].transform(X), expected)


@pytest.mark.parametrize(
    "weight, message",
    [
        (np.ones(299), r"sample_weight of shape \(299,\) is not valid"),
        (np.full(300, 1.5), "sample_weight holds 1.5 at index 0"),
        (np.r_[np.ones(299), np.nan], "sample_weight holds nan at index 299"),
    ],
)
def test_bad_weights_are_named(data, weight, message):
    with pytest.raises(ValueError, match=message):
        pretrainer().fit(*data, sample_weight=weight)
    pretrainer("simclr", max_epochs=1).fit(*data, sample_weight=weight)  # ignored


def test_labels_are_required_and_checked(data):
    X, y = data
    with pytest.raises(ValueError, match="requires y to be passed"):
        pretrainer().fit(X)
    with pytest.raises(ValueError, match="inconsistent numbers of samples"):
        pretrainer().fit(X, y[:-1])
    with pytest.raises(TypeError, match="weights"):
        pretrainer("simclr").fit(X, y, weights=y)
    for method in (SupCon(form="mean"), SupCon(weighting="both")):
        with pytest.raises(ValueError, match="is not valid"):
            pretrainer(method).fit(X, y)


def test_the_detector_fits_it_within_each_fold(data):
    """Only pre-trainers that see no labels are fitted once, on all samples."""
    X, _ = data
    pipe = make_pipeline(pretrainer(), LogisticRegression())
    assert fit_pretrainers(pipe, X)[0] is pipe
    rest, _ = fit_pretrainers(clone(pipe).set_params(sslpretrainer__method="simclr"), X)
    assert len(rest) == 1
