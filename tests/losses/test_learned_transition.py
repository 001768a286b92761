"""Losses that learn the transition matrix, against NumPy, and what they learn."""

import numpy as np
import pytest
import torch
from sklearn.base import clone
from sklearn.datasets import load_digits

from sknoisy import NoiseLayer, NoisyRobustClassifier, VolMinNet
from sknoisy.losses.learned_transition import adam_step, dominant_transition
from sknoisy.noise import class_conditional, symmetric_exclusive

N, C, BATCH = 6, 3, 4
Y = np.array([0, 1, 2, 2, 1, 0])
T3 = np.array([[0.7, 0.2, 0.1], [0.0, 0.9, 0.1], [0.3, 0.0, 0.7]])


def softmax(z):
    e = np.exp(z - z.max(axis=1, keepdims=True))
    return e / e.sum(axis=1, keepdims=True)


def sigmoid(z):
    return 1 / (1 + np.exp(-z))


def doubled(loss, n=N, n_classes=C):
    """Start a loss, with its state in double precision."""
    loss.start(n, n_classes, "cpu")
    for name, tensor in loss.state_.items():
        loss.state_[name] = tensor.double()
    return loss


class Adam:
    """Adam as its paper writes it, on an array."""

    def __init__(self, weights, lr):
        self.weights, self.lr, self.t = weights.astype(float), lr, 0
        self.m = self.v = np.zeros_like(self.weights)

    def step(self, gradient):
        self.t += 1
        self.m = 0.9 * self.m + 0.1 * gradient
        self.v = 0.999 * self.v + 0.001 * gradient**2
        m, v = self.m / (1 - 0.9**self.t), self.v / (1 - 0.999**self.t)
        self.weights = self.weights - self.lr * m / (np.sqrt(v) + 1e-8)


def of_softmax_layer(weights):
    T = softmax(weights)
    return T, lambda of_T: T * (of_T - (of_T * T).sum(axis=1, keepdims=True))


def of_dominant(weights, volume):
    beside = sigmoid(weights) * (1 - np.eye(C))
    rows = np.eye(C) + beside
    total = rows.sum(axis=1, keepdims=True)
    T = rows / total

    def gradient(of_T):
        of_T = of_T + volume * np.linalg.inv(T).T  # of log |det T|
        of_rows = (of_T - (of_T * T).sum(axis=1, keepdims=True)) / total
        return of_rows * beside * (1 - beside)

    return T, gradient


@pytest.mark.parametrize(
    "loss, layer, first",
    [
        (
            NoiseLayer(lr=0.05, transition_matrix=T3),
            of_softmax_layer,
            np.log(0.99 * T3 + 0.01 / 3),
        ),
        (
            VolMinNet(volume=0.3, lr=0.05, init=1.5),
            lambda w: of_dominant(w, 0.3),
            np.full((C, C), -1.5),
        ),
    ],
    ids=["noise_layer", "volminnet"],
)
def test_twenty_steps(loss, layer, first):
    """Value, gradient of the logits, and matrix; derivatives are worked by hand."""
    loss, adam = doubled(loss), Adam(first, 0.05)
    rng = np.random.default_rng(0)
    for _ in range(20):
        rows = rng.permutation(N)[:BATCH]
        z = 2 * rng.normal(size=(BATCH, C))
        T, gradient_by = layer(adam.weights)
        p, y = softmax(z), Y[rows]
        q = (p @ T)[np.arange(BATCH), y]
        logits = torch.tensor(z, requires_grad=True)
        ours = loss(logits, torch.tensor(y), torch.tensor(rows))
        np.testing.assert_allclose(ours.detach(), -np.log(q), rtol=1e-6)
        of_p = -T[:, y].T / q[:, None]
        of_z = p * (of_p - (of_p * p).sum(axis=1, keepdims=True))
        slope = torch.autograd.grad(ours.sum(), logits)[0]
        np.testing.assert_allclose(slope, of_z, rtol=1e-5, atol=1e-8)
        adam.step(gradient_by(-(p / q[:, None]).T @ np.eye(C)[y] / BATCH))
        T, _ = layer(adam.weights)
        found = loss.state_["transition_matrix"]
        np.testing.assert_allclose(found, T, rtol=1e-5, atol=1e-8)


def test_adam_is_pytorchs():
    weights = torch.randn(3, 3, generator=torch.Generator().manual_seed(0))
    theirs = weights.clone().requires_grad_()
    optimizer = torch.optim.Adam([theirs], lr=0.1)
    state = {"weights": weights, "steps": torch.zeros(1)}
    state |= {name: torch.zeros(3, 3) for name in ("mean", "square")}
    for k in range(10):
        theirs.grad = torch.full((3, 3), k - 3.0) + torch.arange(3.0)
        adam_step(state, theirs.grad, 0.1)
        optimizer.step()
        torch.testing.assert_close(state["weights"], theirs.detach())


def test_without_a_rate_the_layer_is_forward_correction():
    """A given matrix stays, but for the share that is spread."""
    loss = doubled(NoiseLayer(lr=0.0, transition_matrix=T3))
    z = torch.randn(N, C, generator=torch.Generator().manual_seed(0)).double()
    for _ in range(2):
        value = loss(z, torch.tensor(Y), torch.arange(N))
        T = 0.99 * T3 + 0.01 / 3
        q = (softmax(z.numpy()) @ T)[np.arange(N), Y]
        np.testing.assert_allclose(value, -np.log(q), rtol=1e-6)


def test_the_first_matrix_is_the_networks_confusions():
    """Counted by hand in the last epoch before; class 2 is never predicted."""
    z = torch.tensor([[2.0, 0, 0], [2, 0, 0], [0, 2, 0], [0, 2, 0], [0, 2, 0]])
    y = torch.tensor([0, 2, 1, 1, 0])
    loss = NoiseLayer(begin=0.5)
    loss.start(5, 3, "cpu")
    for epoch in range(2):
        loss.on_epoch(epoch, n_epochs=4)
        value = loss(z, y, torch.arange(5))
        ce = torch.nn.functional.cross_entropy(z, y, reduction="none")
        torch.testing.assert_close(value, ce)
    assert loss.state_["counts"].tolist() == [[1, 0, 1], [1, 2, 0], [0, 0, 0]]
    loss.on_epoch(2, n_epochs=4)
    T = np.array([[1 / 2, 0, 1 / 2], [1 / 3, 2 / 3, 0], [0, 0, 1]])
    first = loss.state_["transition_matrix"].clone()
    np.testing.assert_allclose(first, 0.99 * T + 0.01 / 3, rtol=1e-5)
    loss(z, y, torch.arange(5))
    loss.on_epoch(3, n_epochs=4)  # and is not counted again
    assert loss.state_["steps"].item() == 1
    assert not torch.equal(loss.state_["transition_matrix"], first)


@pytest.mark.parametrize(
    "n_classes, init, within", [(2, 2.0, 1e-6), (10, 2.0, 0.05), (100, 4.5, 0.05)]
)
def test_the_first_matrix_of_volminnet(n_classes, init, within):
    """The official code begins with sigmoid(-2), for 100 classes with sigmoid(-4.5)."""
    loss = VolMinNet()
    loss.start(1, n_classes, "cpu")
    T = loss.state_["transition_matrix"].numpy()
    np.testing.assert_allclose(T.sum(axis=1), 1, rtol=1e-5)
    np.testing.assert_allclose(T.diagonal(), T[0, 0], rtol=1e-5)
    official = 1 / (1 + (n_classes - 1) * sigmoid(-init))
    assert T[0, 0] == pytest.approx(official, abs=within)


def test_the_diagonal_dominates_whatever_the_weights():
    weights = 30 * torch.randn(8, 8, generator=torch.Generator().manual_seed(0))
    T = dominant_transition(weights).exp()
    torch.testing.assert_close(T.sum(dim=1), torch.ones(8))
    torch.testing.assert_close(T.amax(dim=1), T.diagonal())


@pytest.mark.parametrize("loss", [NoiseLayer(transition_matrix=np.eye(3)), VolMinNet()])
def test_sure_networks_teach_the_matrix_of_the_noise(loss):
    """If the network knows the true classes, T is the share of each label."""
    clean = np.arange(3000) % 3
    y = torch.from_numpy(class_conditional(clean, T3, random_state=0).y)
    z = torch.from_numpy(20.0 * np.eye(3)[clean]).float()
    loss.set_params(lr=0.05)
    loss.start(3000, 3, "cpu")
    for _ in range(300):
        loss(z, y, torch.arange(3000))
    T = loss.state_["transition_matrix"].numpy()
    np.testing.assert_allclose(T, T3, atol=0.03)


def test_volume_pulls_towards_a_smaller_determinant():
    """Labels that say nothing leave the choice of T to the volume."""
    found = []
    for volume in (0.0, 0.1):
        loss = VolMinNet(volume=volume, lr=0.05)
        loss.start(3, 3, "cpu")
        for _ in range(50):
            loss(torch.zeros(3, 3), torch.arange(3), torch.arange(3))
        T = loss.state_["transition_matrix"].numpy()
        found.append(abs(np.linalg.det(T)))
    assert found[1] < 0.5 * found[0]


def test_a_singular_matrix_is_survived():
    loss = VolMinNet(volume=1.0, lr=0.1)
    loss.start(4, 4, "cpu")
    loss.state_["weights"].fill_(100.0)  # all entries are equal
    value = loss(torch.randn(4, 4), torch.arange(4), torch.arange(4))
    assert value.isfinite().all()
    assert all(tensor.isfinite().all() for tensor in loss.state_.values())


@pytest.mark.parametrize("soft", [False, True])
def test_labels_of_hardly_any_class_have_a_finite_loss(soft):
    loss = NoiseLayer(transition_matrix=np.eye(3), lr=1000.0)
    loss.start(3, 3, "cpu")
    z, target = 5 * torch.eye(3), torch.eye(3) if soft else torch.arange(3)
    for _ in range(3):
        value = loss(z, target, torch.arange(3))
    assert value.isfinite().all()
    value = loss(z.roll(1, dims=0), target, torch.arange(3))
    assert value.isfinite().all() and loss.state_["weights"].isfinite().all()


@pytest.mark.parametrize("make", [NoiseLayer, VolMinNet])
def test_trusted_samples_do_not_move_the_matrix(make):
    z = torch.randn(4, 3, generator=torch.Generator().manual_seed(0))
    y, index = torch.tensor([0, 1, 2, 0]), torch.arange(4)
    states = []
    for rows in (index, index[:2]):
        loss = make()
        loss.start(4, 3, "cpu")
        loss.trust(torch.tensor([False, False, True, True]))
        for epoch in range(4):
            loss.on_epoch(epoch, n_epochs=4)
            loss(z[rows], y[rows], rows)
        states.append(loss.state_)
    for name, tensor in states[0].items():
        torch.testing.assert_close(tensor, states[1][name])


@pytest.mark.parametrize("name", ["noise_layer", "volminnet"])
def test_they_go_on_where_they_were(name, digits):
    """Epoch by epoch, and with other samples: the matrix is not of the samples."""
    X, y = digits[0][:60], digits[1][:60]
    clf = NoisyRobustClassifier(name, max_epochs=3, batch_size=20, random_state=0)
    steps = clone(clf)
    whole = clf.fit(X, y).loss_state_
    for _ in range(3):
        steps.partial_fit(X, y)
    for key, values in whole.items():
        np.testing.assert_array_equal(values, steps.loss_state_[key])
    before = steps.loss_state_["steps"][0]
    steps.partial_fit(X[:40], y[:40])
    assert steps.loss_state_["steps"][0] == before + 2


@pytest.mark.parametrize("name", ["noise_layer", "volminnet"])
def test_they_beat_cross_entropy(name):
    X, y = load_digits(return_X_y=True)
    X = (X / 16).astype(np.float32)
    noisy = symmetric_exclusive(y[:1200], rate=0.5, random_state=0).y
    scores = []
    for loss in ("ce", name):
        clf = NoisyRobustClassifier(loss, max_epochs=25, random_state=0)
        clf.fit(X[:1200], noisy)
        scores.append(clf.score(X[1200:], y[1200:]))
    assert scores[1] > scores[0] + 0.03
