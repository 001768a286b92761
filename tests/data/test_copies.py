import numpy as np
import pytest
import torch
from sklearn.datasets import load_wine
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LogisticRegression

from sknoisy import LabelErrorDetector, NoisyRobustClassifier
from sknoisy.data.copies import copies_of, totals
from sknoisy.kernels import nystroem
from sknoisy.kernels.ridge import KernelRidge
from sknoisy.noise import symmetric_exclusive


def generator():
    return torch.Generator().manual_seed(0)


X = torch.randn(12, 8, generator=generator())
GIVEN = torch.eye(3)[torch.arange(12) % 3]
ROWS = torch.tensor([*range(12), 4, 7, 4])  # the last ones are copies


def test_copies_are_equal_samples_with_equal_labels():
    assert copies_of(X, GIVEN) is None
    found = copies_of(X[ROWS], GIVEN[ROWS])
    assert found.tolist() == ROWS.tolist()
    values = torch.arange(15.0)
    sums = totals(values, found)
    assert sums[[4, 12, 14]].tolist() == [4 + 12 + 14] * 3
    assert sums[[7, 13]].tolist() == [7 + 13] * 2
    assert sums[:4].tolist() == [0, 1, 2, 3]


def test_zeros_have_no_sign():
    signed = torch.cat([X, X[:1]])
    signed[0, 0], signed[-1, 0] = 0.0, -0.0
    found = copies_of(signed, torch.cat([GIVEN, GIVEN[:1]]))
    assert found.tolist() == [*range(12), 0]


def test_equal_hashes_are_not_enough(monkeypatch):
    monkeypatch.setattr("sknoisy.data.copies._hashes", lambda X: X[:, 0].long())
    assert copies_of(X, GIVEN) is None


def test_samples_that_were_labelled_anew_are_no_copies():
    given = GIVEN[ROWS].clone()
    given[12] = given[12].roll(1)
    assert copies_of(X[ROWS], given) is None
    given[12] = 0  # without a label, nothing differs
    assert copies_of(X[ROWS], given).tolist() == ROWS.tolist()


def test_what_chance_makes_equal_are_no_copies():
    rng = np.random.default_rng(0)
    bits = torch.from_numpy(rng.integers(2, size=(200, 6)).astype(np.float32))
    label = bits[:, 0].long() ^ bits[:, 1].long()
    assert copies_of(bits, torch.eye(2)[label]) is None
    many = torch.from_numpy(rng.integers(2, size=(200, 60)).astype(np.float32))
    label = many[:, 0].long() ^ many[:, 1].long()
    twice = torch.cat([many, many]), torch.eye(2)[torch.cat([label, label])]
    assert copies_of(*twice).tolist() == [*range(200)] * 2


@pytest.mark.parametrize("kept", [True, False])
@pytest.mark.parametrize("weighted", [True, False])
def test_copies_are_left_out_together(monkeypatch, kept, weighted):
    if not kept:
        monkeypatch.setattr(nystroem, "LARGEST", 1)
    targets = torch.randn(12, 2, generator=generator())[ROWS]
    weights = torch.linspace(0.5, 1.5, 15) if weighted else None
    settings = {"power": 2, "width": 1.0, "n_landmarks": 15, "weights": weights}
    samples, originals = X[ROWS], ROWS
    ridge = KernelRidge(samples, generator=generator(), originals=ROWS, **settings)
    left_out = ridge.fit(targets)
    weight = torch.ones(15) if weights is None else weights
    # As PRESS: with the intercept and the centring of the whole fit.
    features = ridge._features
    values = nystroem.kernel(samples, *features._kernel)
    coefficients, constant = features.coefficients(torch.eye(15))
    A = (values @ coefficients - constant).double()
    A = torch.cat([torch.ones(15, 1, dtype=A.dtype), A], dim=1)
    mean = (weight[:, None] * targets).sum(0) / weight.sum()
    penalty = torch.full((A.shape[1],), ridge.penalty, dtype=A.dtype)
    penalty[0] = 0
    for i in range(15):
        rest = (originals != originals[i]).double() * weight.double()
        gram = A.T @ (rest[:, None] * A) + penalty.diag()
        w = torch.linalg.solve(gram, A.T @ (rest[:, None] * (targets - mean).double()))
        expected = (A[i] @ w).float() + mean
        torch.testing.assert_close(left_out[i], expected, atol=2e-3, rtol=2e-3)


@pytest.mark.parametrize("forest", [False, True])
def test_copied_wrong_labels_are_found(forest):
    X, y = load_wine(return_X_y=True)
    noisy = symmetric_exclusive(y, 0.2, random_state=0).y
    clf = RandomForestClassifier(50, random_state=0) if forest else None
    once = LabelErrorDetector(clf, random_state=0).fit(X, noisy)
    rows = np.r_[: len(X), : len(X)]
    twice = LabelErrorDetector(clf, random_state=0).fit(X[rows], noisy[rows])
    wrong = noisy != y
    assert once.label_errors_[wrong].mean() > 0.6
    assert twice.label_errors_[wrong[rows]].mean() > 0.6
    assert twice.noise_rate_ == pytest.approx(once.noise_rate_, abs=0.05)


def test_a_class_of_copies_alone_is_in_several_folds():
    X = np.r_[np.random.default_rng(0).normal(size=(20, 9)), np.ones((2, 9))]
    y = np.r_[[0, 1] * 10, 2, 2]
    detector = LabelErrorDetector(LogisticRegression(), cv=2, random_state=0)
    assert detector.fit(X, y).pred_probs_.shape == (22, 3)


def test_few_samples_that_are_copied_are_in_as_many_folds_as_asked_for():
    X = np.repeat(np.random.default_rng(0).normal(size=(8, 9)), 3, axis=0)
    y = np.repeat([0, 1] * 4, 3)
    detector = LabelErrorDetector(LogisticRegression(), cv=5, random_state=0)
    assert "5 folds" in detector.fit(X, y)._source


def test_equal_samples_of_few_values_are_learned_from():
    X = np.array([[0, 0], [0, 1], [1, 0], [1, 1]] * 30)
    y = X[:, 0] ^ X[:, 1]
    clf = NoisyRobustClassifier(random_state=0).fit(X, y)
    assert clf.score(X, y) == 1
    np.testing.assert_array_equal(clf.loss_state_["left_out"].argmax(axis=1), y)
