"""BYOL and MoCo for three steps, against NumPy: losses, moving averages, queues."""

import numpy as np
import pytest
import torch
from torch import nn

from sknoisy import BYOL, MoCo, SSLPretrainer

N, WIDTH = 6, 4
SMALL = {"hidden_features": 5, "projection_features": 3}
FOLLOWERS = [(BYOL, "target_encoder"), (MoCo, "key_encoder")]


class Linear(nn.Linear):
    """An encoder of vectors that NumPy can follow."""

    def __init__(self, shape=(WIDTH,)):
        super().__init__(*shape, 3)
        self.n_features = 3


def weights(network):
    return [p.detach().double().numpy().copy() for p in network.parameters()]


def average(target, online, momentum):
    return [
        momentum * t + (1 - momentum) * o for t, o in zip(target, online, strict=True)
    ]


def assert_equal(network, expected):
    for ours, theirs in zip(weights(network), expected, strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-5, atol=1e-6)


def rising(base, final, n_steps):
    """Half a cosine, at the share of steps that are done after each step."""
    done = np.arange(1, n_steps + 1) / n_steps
    return final - (final - base) * (np.cos(np.pi * done) + 1) / 2


def started(method, n_samples):
    torch.manual_seed(0)
    encoder = Linear()
    networks = nn.ModuleDict({"encoder": encoder, **method.build(encoder)})
    method.start(networks, n_samples, torch.Generator().manual_seed(0))
    return networks


def trained(networks):
    return [p for p in networks.parameters() if p.requires_grad]


def normalised(z):
    return z / np.linalg.norm(z, axis=1, keepdims=True)


def batch_normalised_mlp(x, first, gain, shift, last):
    h = x @ first.T
    h = gain * (h - h.mean(axis=0)) / np.sqrt(h.var(axis=0) + 1e-5) + shift
    return np.maximum(h, 0) @ last.T


def byol_reference(online, predictor, target, first, second):
    """Return the loss; weights are lists of those of encoder and projector."""
    loss = 0.0
    for seen, other in ((first, second), (second, first)):
        (w, b), head = online[:2], online[2:]
        prediction = batch_normalised_mlp(seen @ w.T + b, *head)
        prediction = normalised(batch_normalised_mlp(prediction, *predictor))
        (w, b), head = target[:2], target[2:]
        goal = normalised(batch_normalised_mlp(other @ w.T + b, *head))
        loss += ((prediction - goal) ** 2).sum(axis=1).mean()
    return loss


def test_three_steps_of_byol():
    method = BYOL(base_momentum=0.6, **SMALL)
    networks = started(method, N)
    optimizer = torch.optim.SGD(trained(networks), lr=0.5)
    target = weights(networks["encoder"]) + weights(networks["projector"])
    momenta = rising(0.6, 1.0, 3)
    np.testing.assert_allclose(momenta, [0.7, 0.9, 1.0])
    rng = np.random.default_rng(0)
    for step, momentum in enumerate(momenta):
        first, second = rng.normal(size=(2, N, WIDTH))
        online = weights(networks["encoder"]) + weights(networks["projector"])
        predictor = weights(networks["predictor"])
        views = (torch.tensor(view).float() for view in (first, second))
        loss = method.loss(networks, *views)
        expected = byol_reference(online, predictor, target, first, second)
        assert loss.item() == pytest.approx(expected, rel=1e-4)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        method.after_step(networks, (step + 1) / 3)
        online = weights(networks["encoder"]) + weights(networks["projector"])
        target = average(target, online, momentum)
        assert_equal(networks["target_encoder"], target[:2])
        assert_equal(networks["target_projector"], target[2:])


def mlp(x, encoder, head):
    (w, b), (w1, b1, w2, b2) = encoder, head
    return np.maximum((x @ w.T + b) @ w1.T + b1, 0) @ w2.T + b2


def contrast(query, key, queue, temperature):
    """Return the mean of -log softmax of each query's own key among all."""
    losses = []
    for q, k in zip(normalised(query), normalised(key), strict=True):
        scores = np.exp(np.r_[q @ k, queue @ q] / temperature)
        losses.append(-np.log(scores[0] / scores.sum()))
    return np.mean(losses)


@pytest.mark.parametrize("symmetric", [True, False])
def test_three_steps_of_moco(symmetric):
    """Queues of 10 keys and batches of 6: the second one runs over the end."""
    method = MoCo(
        base_momentum=0.6,
        final_momentum=0.8,
        queue_size=10,
        symmetric=symmetric,
        temperature=0.5,
        **SMALL,
    )
    networks = started(method, 100)
    optimizer = torch.optim.SGD(trained(networks), lr=0.5)
    encoder, head = weights(networks["encoder"]), weights(networks["projector"])
    # For each way: the queue's name, the keys it holds, the next place.
    ways = ["second_queue", "first_queue"] if symmetric else ["second_queue"]
    queues = {name: networks[name].keys.double().numpy().copy() for name in ways}
    place = 0
    rng = np.random.default_rng(0)
    for step, momentum in enumerate(rising(0.6, 0.8, 3)):
        views = rng.normal(size=(2, N, WIDTH))
        online = weights(networks["encoder"]), weights(networks["projector"])
        losses = []
        for name, (seen, other) in zip(ways, (views, views[::-1]), strict=False):
            key = mlp(other, encoder, head)
            query = mlp(seen, *online)
            losses.append(contrast(query, key, queues[name], 0.5))
            queues[name][np.arange(place, place + N) % 10] = normalised(key)
        place = (place + N) % 10
        loss = method.loss(networks, *torch.tensor(views).float())
        assert loss.item() == pytest.approx(np.mean(losses), rel=1e-4)
        for name, keys in queues.items():
            np.testing.assert_allclose(networks[name].keys, keys, atol=1e-5)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        method.after_step(networks, (step + 1) / 3)
        encoder = average(encoder, weights(networks["encoder"]), momentum)
        head = average(head, weights(networks["projector"]), momentum)
        assert_equal(networks["key_encoder"], encoder)
        assert_equal(networks["key_projector"], head)


@pytest.mark.parametrize("method, follower", FOLLOWERS)
def test_three_steps_of_a_pretrainer(method, follower):
    """Three epochs of one batch: the momentum rises as the training goes on."""
    steps = []

    class Watched(method):
        def start(self, networks, n_samples, generator):
            super().start(networks, n_samples, generator)
            steps.append((0.0, None, weights(networks["encoder"])))

        def after_step(self, networks, progress):
            super().after_step(networks, progress)
            pair = networks["encoder"], networks[follower]
            steps.append((progress, *map(weights, pair)))

    X = np.random.default_rng(0).normal(size=(40, WIDTH))
    learner = Watched(base_momentum=0.6, final_momentum=1.0, **SMALL)
    SSLPretrainer(
        learner, encoder=Linear, max_epochs=3, batch_size=40, random_state=0
    ).fit(X)
    assert [step[0] for step in steps] == pytest.approx([0, 1 / 3, 2 / 3, 1])
    momenta = rising(0.6, 1.0, 3)
    for k, momentum in enumerate(momenta):
        (_, _, before), (_, online, after) = steps[k : k + 2]
        expected = average(before, online, momentum)
        for ours, theirs in zip(after, expected, strict=True):
            np.testing.assert_allclose(ours, theirs, rtol=1e-5, atol=1e-7)
    moved = np.abs(steps[1][2][0] - steps[0][2][0]).max()
    assert moved > 1e-4 and momenta[-1] == 1.0
