"""Soft labels and samples without a label: in losses, methods and estimators."""

import numpy as np
import pandas as pd
import pytest
import torch
from sklearn.base import clone
from sklearn.datasets import load_digits
from sklearn.model_selection import cross_val_predict

from sknoisy import (
    ContrastiveFineTuner,
    CoTrainingClassifier,
    LabelErrorDetector,
    NoisyRobustClassifier,
    PseudoLabelRefiner,
    SSLPretrainer,
)
from sknoisy.cotraining import COTRAINING_METHODS, given_losses
from sknoisy.cotraining.kernel_posterior import posterior
from sknoisy.data.given import Labels
from sknoisy.losses import LOSSES, Loss
from sknoisy.training.run import TrainingData

X, Y = load_digits(return_X_y=True)
X, Y = X[:120].astype(np.float32), Y[:120]
# Their sums are in another order, or powers of one class are rounded otherwise than
# those of all.
ROUNDED = {"forward", "label_smoothing", "noise_layer", "volminnet"}
ROUNDED |= {"agce", "aul", "nce_agce", "nce_aul"}
EXACT = sorted(set(LOSSES) - ROUNDED)
SOFT = np.random.default_rng(0).dirichlet(np.full(10, 0.3), size=120)
SOFT = 0.5 * np.eye(10)[Y] + 0.5 * SOFT
SEMI = np.where(np.arange(120)[:, None] % 3 > 0, np.eye(10)[Y], np.nan)
LABELLED = np.arange(120) % 3 > 0
SOFT_METHODS = [k for k, v in COTRAINING_METHODS.items() if v.soft_labels]
SEMI_METHODS = [k for k, v in COTRAINING_METHODS.items() if v.unlabelled]


def clf(loss="ce", **params):
    params = {"batch_size": 60, "max_epochs": 3, "random_state": 0} | params
    return NoisyRobustClassifier(loss, "mlp", classes=range(10), **params)


def co(method, **params):
    if method != "kernel_posterior":  # which trains no network
        params = {"batch_size": 40, "max_epochs": 4} | params
    params = {"classes": range(10), "random_state": 0} | params
    return CoTrainingClassifier(method, **params)


def assert_same_weights(one, other):
    assert one.state_dict_.keys() == other.state_dict_.keys()
    for name, values in one.state_dict_.items():
        np.testing.assert_array_equal(other.state_dict_[name], values)


# ---------------------------------------------------------------- losses


def started(name, n=8):
    loss = LOSSES[name]()
    loss.start(n, 10, "cpu")
    return loss


def steps(name, target):
    """Return losses, gradients and the state after some epochs of two batches each."""
    loss, generator = started(name), torch.Generator().manual_seed(0)
    out = []
    for epoch in range(8):
        loss.on_epoch(epoch, 8)
        for index in (torch.arange(4), torch.arange(4, 8)):
            logits = torch.randn(4, 10, generator=generator, requires_grad=True)
            losses = loss(logits, target[index], index)
            (gradient,) = torch.autograd.grad(losses.mean(), logits)
            out += [losses.detach(), gradient]
    return out + [*loss.state_.values()]


@pytest.mark.parametrize("name", LOSSES)
def test_one_hot_rows_give_the_losses_of_codes(name):
    codes = torch.tensor([3, 1, 4, 1, 5, 9, 2, 6])
    hard = steps(name, codes)
    soft = steps(name, torch.nn.functional.one_hot(codes, 10).float())
    exact = {"rtol": 0, "atol": 0} if name in EXACT else {"rtol": 1e-5, "atol": 1e-6}
    for one, other in zip(hard, soft, strict=True):
        torch.testing.assert_close(other, one, **exact)


# The mean over the classes of the loss of each, where none has a form of its own.
EXPECTED = [
    "ael", "agce", "aul", "backward", "bootstrap_hard", "bootstrap_progressive",
    "bootstrap_soft", "ce", "cores", "elr", "focal", "forward", "gce", "gce_truncated",
    "joint_optimization", "label_smoothing", "nce", "nce_ael", "nce_agce", "nce_aul",
    "nfl", "noise_layer", "pencil", "phuber", "volminnet",
]  # fmt: skip


@pytest.mark.parametrize("name", EXPECTED)
def test_soft_labels_have_the_expected_loss(name):
    """In the first epoch, before any state depends on the label."""
    generator = torch.Generator().manual_seed(0)
    logits, index = torch.randn(8, 10, generator=generator), torch.arange(8)
    soft = torch.rand(8, 10, generator=generator)
    soft /= soft.sum(dim=1, keepdim=True)
    by_class = [started(name)(logits, torch.full((8,), c), index) for c in range(10)]
    expected = (soft * torch.stack(by_class, dim=1)).sum(dim=1)
    torch.testing.assert_close(started(name)(logits, soft, index), expected)


def test_published_forms_by_hand():
    """Half the distance of MAE, and SCE's cross-entropy with both swapped."""
    p, q = np.array([0.5, 0.25, 0.25]), np.array([0.6, 0.4, 0.0])
    logits, target = torch.tensor(np.log(p))[None], torch.tensor(q)[None]
    assert LOSSES["mae"]()(logits, target, None).item() == pytest.approx(
        np.abs(p - q).sum() / 2
    )
    swapped = -(p * np.array([np.log(0.6), np.log(0.4), -4.0])).sum()
    assert LOSSES["rce"]()(logits, target, None).item() == pytest.approx(swapped)
    ce = -(q * np.log(p)).sum()
    found = LOSSES["sce"]()(logits, target, None).item()
    assert found == pytest.approx(0.1 * ce + swapped)
    # IMAE: weights of classes, with norms that are averaged over the label.
    norms = np.exp(8 * p * (1 - p))
    weights = norms / (q * norms).sum() / (2 * (1 - p))
    found = LOSSES["imae"]()(logits, target, None).item()
    assert found == pytest.approx(-(q * weights * np.log(p)).sum())


def test_losses_learn_soft_labels_as_they_are():
    """Cross-entropy and MAE are least where the prediction is the label."""
    target = torch.tensor([[0.7, 0.2, 0.1]])
    near = torch.tensor([[0.6, 0.3, 0.1]]).log()
    for name in ("ce", "mae", "rce"):
        loss = LOSSES[name]()
        if name != "rce":
            assert loss(target.log(), target, None) < loss(near, target, None)


# ------------------------------------------------------------ estimators


@pytest.mark.parametrize("name", LOSSES)
def test_one_hot_is_hard(name):
    """The same weights after a fit, and the same fitted attributes."""
    hard, soft = clf(name).fit(X, Y), clf(name).fit(X, np.eye(10)[Y])
    assert_same_weights(hard, soft)
    np.testing.assert_array_equal(hard.label_quality_, soft.label_quality_)


def test_one_hot_rows_beside_soft_ones_are_hard_too():
    """Where no shortcut is taken, since another sample's label is soft."""
    y = np.eye(10)[Y]
    y[0] = np.full(10, 0.1)
    rows = np.arange(120)[1:]
    weights = np.r_[1e-6, np.ones(119)]
    soft, hard = clf().fit(X, y, weights), clf().fit(X, np.eye(10)[Y], weights)
    for name, values in hard.state_dict_.items():
        np.testing.assert_allclose(soft.state_dict_[name], values, atol=1e-4)
    np.testing.assert_allclose(
        soft.label_quality_[rows], hard.label_quality_[rows], atol=1e-4
    )


@pytest.mark.parametrize("name", LOSSES)
def test_every_loss_learns_soft_labels(name):
    model = clf(name, lr=0.1).fit(X, SOFT)
    assert model.classes_.tolist() == list(range(10))
    assert np.isfinite(model.predict_proba(X)).all()
    assert np.isfinite(model.label_quality_).all()


@pytest.mark.parametrize("name", ["auto", *SOFT_METHODS])
def test_every_method_learns_soft_labels(name):
    params = {"classes": range(10), "random_state": 0}
    if name == "auto":
        model = NoisyRobustClassifier(**params)
    else:
        model = CoTrainingClassifier(name, **params)
    if name not in ("auto", "kernel_posterior"):
        model.set_params(max_epochs=15, batch_size=20)
    model.fit(X, SOFT)
    assert model.score(X, Y) > 0.6
    assert np.isfinite(getattr(model, "clean_proba_", np.ones(1))).all()


@pytest.mark.parametrize("loss", ["ce", "elr", "sop", "pencil"])
def test_soft_labels_are_learned_as_soft(loss):
    """Two classes of one blob, 70 to 30 in all labels: so are the predictions."""
    soft = np.tile([0.7, 0.3], (120, 1))
    model = NoisyRobustClassifier(
        loss, "identity", classes=[0, 1], max_epochs=60, lr=0.05, random_state=0
    )
    found = model.fit(np.random.default_rng(0).normal(size=(120, 2)), soft)
    probs = found.predict_proba(np.zeros((1, 2), np.float32))[0, 0]
    assert probs > 0.65 if loss != "ce" else abs(probs - 0.7) < 0.03


def test_columns_of_a_data_frame_are_the_classes():
    names = np.array([f"digit {i}" for i in range(10)])
    order = np.random.default_rng(0).permutation(10)
    frame = pd.DataFrame(SOFT[:, order], columns=names[order])
    model = clone(clf()).set_params(classes=None).fit(X, frame)
    assert model.classes_.tolist() == names.tolist()
    given = clone(clf()).set_params(classes=names[order]).fit(X, SOFT[:, order])
    assert_same_weights(model, given)
    np.testing.assert_array_equal(
        model.predict_proba(X), clf().fit(X, SOFT).predict_proba(X)
    )
    semi = np.where(LABELLED[:, None], SOFT, np.nan)[:, order]
    nullable = pd.DataFrame(semi, columns=names[order]).convert_dtypes()
    model = clone(clf()).set_params(classes=None).fit(X, nullable)
    np.testing.assert_array_equal(np.isnan(model.label_quality_), ~LABELLED)


def test_classes_of_hard_labels_may_be_more_than_are_there():
    few = Y < 7
    model = clf().fit(X[few], Y[few])
    assert model.predict_proba(X).shape == (120, 10)
    cv = [(np.flatnonzero(Y != c), np.flatnonzero(Y == c)) for c in range(10)]
    probs = cross_val_predict(clf(), X, Y, cv=cv, method="predict_proba")
    assert probs.shape == (120, 10)


def test_tiny_deviations_are_rounding_errors():
    rounded = clf().fit(X, SOFT.round(3)).predict_proba(X)
    np.testing.assert_allclose(rounded, clf().fit(X, SOFT).predict_proba(X), atol=0.05)


def changed(at, values):
    y = SOFT.copy()
    y[at] = values
    return y


@pytest.mark.parametrize(
    ("y", "message"),
    [
        (changed(3, np.r_[np.nan, SOFT[3, 1:]]), "at index 3, of which a part is NaN"),
        (changed(3, np.r_[-0.5, 1.5, np.zeros(8)]), r"at index 3, not in \[0, 1\]"),
        (changed(3, 0.2), "at index 3, which sums to 2"),
        (changed(3, np.inf), "at index 3, not in"),
        (np.full((120, 10), np.nan), "holds no label"),
        (SOFT[:, :4], "it must have a column for each of the 10 classes"),
        (SOFT[:5], "inconsistent numbers of samples"),
        (np.full((120, 10), "a"), "soft labels must be numbers"),
        (
            pd.DataFrame(SOFT, columns=list("abcdefghij")),
            "the columns of y are 'a', 'b",
        ),
    ],
)
@pytest.mark.parametrize("make", [clf, lambda: co("dividemix")])
def test_bad_soft_labels(make, y, message):
    with pytest.raises(ValueError, match=message):
        make().fit(X, y)


@pytest.mark.parametrize("classes", [[1], [1, 1], "ab", [1, "a"], [1, None], 5])
def test_bad_classes(classes):
    with pytest.raises(ValueError, match="classes=.* is not valid"):
        NoisyRobustClassifier(classes=classes).fit(X, Y)


class Brier(Loss):
    def __call__(self, logits, target, index):
        one_hot = torch.nn.functional.one_hot(target, logits.shape[1])
        return (logits.softmax(dim=1) - one_hot).square().sum(dim=1)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: co("ssr"), "soft labels, which SSR does not take"),
        (lambda: clf(Brier()), "soft labels, which Brier does not take"),
        (lambda: PseudoLabelRefiner(clf()), "NoisyRobustClassifier and CoTraining"),
        (lambda: ContrastiveFineTuner(clf()), "NoisyRobustClassifier and CoTraining"),
        (lambda: LabelErrorDetector(clf()), "NoisyRobustClassifier and CoTraining"),
        (lambda: SSLPretrainer("supcon"), "NoisyRobustClassifier and CoTraining"),
    ],
)
def test_what_takes_no_soft_labels_says_what_does(make, message):
    with pytest.raises(ValueError, match=message):
        make().fit(X, SOFT)


def test_divergence_of_soft_labels_is_0_where_they_are_predicted():
    q = torch.tensor([[0.7, 0.2, 0.1]])
    assert given_losses(q.log()[:, None], q).abs().item() < 1e-6


def test_posterior_of_soft_labels_is_that_of_the_mean_likelihood():
    T = torch.tensor([[0.6, 0.4], [0.1, 0.9]])
    probs, soft = torch.tensor([[0.5, 0.5]]), torch.tensor([[0.25, 0.75]])
    likelihood = 0.25 * T[:, 0] + 0.75 * T[:, 1]
    expected = likelihood / likelihood.sum()
    torch.testing.assert_close(posterior(probs, T, soft)[0], expected)
    nothing = posterior(torch.tensor([[0.3, 0.7]]), T, torch.ones(1, 2))
    torch.testing.assert_close(nothing, torch.tensor([[0.3, 0.7]]))


# ------------------------------------------------------ samples without a label


@pytest.mark.parametrize("name", ["ce", "elr", "sop", "forward"])
def test_plain_losses_leave_them_out(name):
    """The weights are those without them, bit for bit."""
    model, alone = clf(name).fit(X, SEMI), clf(name).fit(X[LABELLED], Y[LABELLED])
    assert_same_weights(model, alone)
    np.testing.assert_array_equal(np.isnan(model.label_quality_), ~LABELLED)


@pytest.mark.parametrize("name", LOSSES)
def test_beside_regularisers_they_leave_the_state_of_losses(name):
    model = clf(name, regularizers=["clustering"]).fit(X, SEMI)
    assert np.isfinite(model.predict_proba(X)).all()
    fresh = LOSSES[name]()
    fresh.start(120, 10, "cpu")
    for key, values in model.loss_state_.items():
        if len(values) % 120:
            continue  # these are not of samples
        rows = values.reshape(120, -1), fresh.state_[key].numpy().reshape(120, -1)
        np.testing.assert_array_equal(rows[0][~LABELLED], rows[1][~LABELLED])


def test_regularisers_learn_from_them():
    plain = clf(regularizers=["clustering"]).fit(X[LABELLED], Y[LABELLED])
    semi = clf(regularizers=["clustering"]).fit(X, SEMI)
    assert not np.allclose(plain.predict_proba(X), semi.predict_proba(X), atol=1e-4)


@pytest.mark.parametrize("name", COTRAINING_METHODS)
def test_methods_use_them_or_leave_them_out(name):
    model = co(name).fit(X, SEMI)
    np.testing.assert_array_equal(np.isnan(model.clean_proba_), ~LABELLED)
    np.testing.assert_array_equal(np.isnan(model.label_quality_), ~LABELLED)
    assert 0 <= model.noise_rate_ <= 1
    if name not in SEMI_METHODS:
        assert_same_weights(model, co(name).fit(X[LABELLED], Y[LABELLED]))


@pytest.mark.parametrize("name", SEMI_METHODS)
def test_samples_without_a_label_are_no_wrong_events(name):
    semi = np.where(LABELLED[:, None], np.eye(10)[Y], np.nan)
    model = co(name).fit(X, semi)
    shares = [row.get("wrong_events", 0) for row in model.history_]
    events = model.wrong_events_
    assert np.isnan(events).tolist() == (~LABELLED).tolist()
    assert sum(shares) * LABELLED.sum() == pytest.approx(np.nansum(events))


@pytest.mark.parametrize("name", SEMI_METHODS)
def test_ten_labels_of_a_class_and_many_without(name):
    inputs, y = load_digits(return_X_y=True)
    inputs, y = inputs[:900], y[:900]
    semi = np.where(np.arange(900)[:, None] < 100, np.eye(10)[y], np.nan)
    model = CoTrainingClassifier(name, classes=range(10), random_state=0)
    if name != "kernel_posterior":
        model.set_params(max_epochs=15)
    alone = clone(model).fit(inputs[:100], y[:100]).score(inputs[100:], y[100:])
    score = model.fit(inputs, semi).score(inputs[100:], y[100:])
    assert score > alone - 0.02


def test_by_epochs_and_held_out():
    model = clf(validation=0.2)
    model.partial_fit(X, SEMI).partial_fit(X, SEMI)
    assert LABELLED[model._held_rows].all() and len(model._held_rows) == 16
    row = clf(validation=(X, SOFT)).fit(X, Y).history_[-1]
    assert row["valid_loss"] > 0 and 0 <= row["valid_acc"] <= 1
    with pytest.raises(ValueError, match="NaN, which cannot be scored"):
        clf(validation=(X, SEMI)).fit(X, Y)


def test_labels_of_a_batch():
    labels = Labels(np.array([1, -1, 0]), labelled=np.array([True, False, True]))
    rows = labels.to("cpu").distributions(2)
    assert rows.tolist() == [[0, 1], [0, 0], [1, 0]]
    assert labels.used(True).all() and labels.used(False).tolist() == [1, 0, 1]
    assert labels.only(np.array([0, 2])).labelled is None
    data = TrainingData(range(3), labels.to("cpu"), torch.tensor([2.0, 3.0]))
    assert data.loss_weights[[0, 2]].tolist() == [3, 2]


def test_scores_are_of_hard_labels():
    model = clf(max_epochs=1).fit(X, SOFT)
    assert model.score(X, Y) == (model.predict(X) == Y).mean()
    with pytest.raises(ValueError, match="score takes hard labels"):
        model.score(X, SOFT)
