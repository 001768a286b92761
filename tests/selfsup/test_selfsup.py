from copy import deepcopy

import numpy as np
import pytest
import torch
from nets import narrow
from sklearn.base import clone
from sklearn.datasets import load_digits, load_sample_images
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from torch import nn

from sknoisy import SSLPretrainer
from sknoisy.data.spec import InputSpec
from sknoisy.encoders.blueprint import Blueprint
from sknoisy.encoders.ema import ema_update
from sknoisy.encoders.encoding import encode
from sknoisy.encoders.initialization import build
from sknoisy.encoders.named import build_encoder
from sknoisy.regularizers import RestorationRegularizer
from sknoisy.selfsup import (
    BYOL,
    METHODS,
    BarlowTwins,
    MoCo,
    Restoration,
    SimCLR,
    VICReg,
)
from sknoisy.selfsup.barlow_twins import cross_correlation, redundancy_reduction
from sknoisy.selfsup.base import off_diagonal
from sknoisy.selfsup.byol import prediction_error
from sknoisy.selfsup.moco import Queue, info_nce
from sknoisy.selfsup.momentum import rising_momentum
from sknoisy.selfsup.simclr import nt_xent
from sknoisy.selfsup.vicreg import covariance, invariance, variance


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


# VICReg ------------------------------------------------------------------------------


def test_vicreg_terms_are_the_papers_loops():
    rng = np.random.default_rng(0)
    a, b = rng.normal(size=(2, 6, 3))
    n, d = a.shape
    mean = a.mean(axis=0)
    same = sum(np.sum((a[i] - b[i]) ** 2) for i in range(n)) / n / d
    spread = 0.0
    for j in range(d):
        var = sum((a[i, j] - mean[j]) ** 2 for i in range(n)) / (n - 1)
        spread += max(0, 1 - np.sqrt(var + 1e-4)) / d
    c = sum(np.outer(a[i] - mean, a[i] - mean) for i in range(n)) / (n - 1)
    apart = sum(c[i, j] ** 2 for i in range(d) for j in range(d) if i != j) / d
    a, b = torch.tensor(a), torch.tensor(b)
    assert invariance(a, b).item() == pytest.approx(same)
    assert variance(a).item() == pytest.approx(spread)
    assert covariance(a).item() == pytest.approx(apart)


def test_vicreg_by_hand():
    """Features 0, 2 and 0, 4: standard deviations root 2 and root 8, covariance 4."""
    z = torch.tensor([[0.0, 0.0], [2.0, 4.0]])
    assert variance(z).item() == 0
    assert covariance(z).item() == pytest.approx((4**2 + 4**2) / 2)
    assert variance(z / 4).item() == pytest.approx(1 - 3 * 2**0.5 / 8, abs=1e-3)


# Moving averages ---------------------------------------------------------------------


def test_moving_averages_by_hand():
    online, target = nn.Linear(1, 1), nn.Linear(1, 1)
    for network, value in ((online, 1.0), (target, 5.0)):
        nn.init.constant_(network.weight, value)
        nn.init.constant_(network.bias, -value)
    ema_update(target, online, 0.75)
    assert target.weight.item() == 4.0 and target.bias.item() == -4.0
    ema_update(target, online, 1.0)
    assert target.weight.item() == 4.0
    ema_update(target, online, 0.0)
    assert target.weight.item() == 1.0 and online.weight.item() == 1.0


def test_rising_momentum_by_hand():
    values = [rising_momentum(p, 0.9, 1.0) for p in (0.0, 1 / 3, 0.5, 1.0)]
    assert values == pytest.approx([0.9, 0.925, 0.95, 1.0])


# BYOL and MoCo -----------------------------------------------------------------------


def test_prediction_error_is_the_papers_loop():
    """The squared distance of the two vectors, each over its norm."""
    rng = np.random.default_rng(0)
    q, z = rng.normal(size=(2, 5, 3))
    distances = [
        np.sum((a / np.linalg.norm(a) - b / np.linalg.norm(b)) ** 2)
        for a, b in zip(q, z, strict=True)
    ]
    ours = prediction_error(torch.tensor(q), torch.tensor(z)).item()
    assert ours == pytest.approx(np.mean(distances), rel=1e-5)


def info_nce_reference(q, k, queue, temperature):
    """Loop over the queries, as the paper writes it."""
    losses = []
    for query, key in zip(q, k, strict=True):
        query, key = query / np.linalg.norm(query), key / np.linalg.norm(key)
        own = np.exp(query @ key / temperature)
        others = sum(np.exp(query @ other / temperature) for other in queue)
        losses.append(-np.log(own / (own + others)))
    return np.mean(losses)


def test_info_nce_is_the_papers_loop():
    rng = np.random.default_rng(0)
    q, k, queue = rng.normal(size=(3, 5, 3))
    queue = queue / np.linalg.norm(queue, axis=1, keepdims=True)
    ours = info_nce(*map(torch.tensor, (q, k)), torch.tensor(queue).float(), 0.2)
    assert ours.item() == pytest.approx(info_nce_reference(q, k, queue, 0.2), rel=1e-5)


@pytest.mark.parametrize("loss", [prediction_error, info_nce])
def test_no_gradient_flows_into_targets(loss):
    generator = torch.Generator().manual_seed(0)
    online, target = torch.randn(2, 4, 3, generator=generator).requires_grad_()
    online.retain_grad(), target.retain_grad()
    args = (torch.eye(3), 0.2) if loss is info_nce else ()
    loss(online, target, *args).backward()
    assert online.grad.abs().sum() > 0 and target.grad is None


def test_queue_drops_the_oldest():
    queue = Queue(3, 2, torch.Generator().manual_seed(0))
    torch.testing.assert_close(queue.keys.norm(dim=1), torch.ones(3))
    random = queue.keys[2].clone()
    one, two, three, four = torch.tensor([[1, 0], [0, 1], [-1, 0], [0, -1.0]])
    queue.push(torch.stack([5 * one, two]))  # keys are normalised
    assert queue.keys.equal(torch.stack([one, two, random]))
    queue.push(torch.stack([three, four]))
    assert queue.keys.equal(torch.stack([four, two, three]))
    queue.push(torch.stack([one, one, two, three, four]))  # more than it holds
    assert sorted(queue.keys.tolist()) == sorted(map(list, [two, three, four]))


def started(method, n_samples=12):
    """A tiny encoder with the method's networks around it, and two views."""
    generator = torch.Generator().manual_seed(0)
    encoder = build_encoder("mlp", (4,), generator=generator)
    heads = build(lambda: nn.ModuleDict(method.build(encoder)), generator=generator)
    networks = nn.ModuleDict({"encoder": encoder, **heads})
    method.start(networks, n_samples, generator)
    return networks, *torch.randn(2, 6, 4, generator=generator)


FOLLOWERS = {
    "byol": {"encoder": "target_encoder", "projector": "target_projector"},
    "moco": {"encoder": "key_encoder", "projector": "key_projector"},
}
SMALL = {"hidden_features": 128, "projection_features": 32}


def learner(name, **params):
    method = METHODS[name]()
    known = method.get_params()
    small = {k: v for k, v in SMALL.items() if k in known}
    return method.set_params(**small | params)


@pytest.mark.parametrize("name", FOLLOWERS)
def test_followers_start_as_copies_and_move_after_steps_only(name):
    method = learner(name, base_momentum=0.75, final_momentum=0.75)
    networks, first, second = started(method)
    method.loss(networks, first, second).backward()
    for online, target in FOLLOWERS[name].items():
        for p, q in zip(
            networks[online].parameters(), networks[target].parameters(), strict=True
        ):
            assert p.equal(q) and p is not q
            assert p.grad is not None and q.grad is None and not q.requires_grad
    with torch.no_grad():
        for p in networks["projector"].parameters():
            p += 1
    before = [p.clone() for p in networks[FOLLOWERS[name]["projector"]].parameters()]
    method.after_step(networks, 0.5)
    after = networks[FOLLOWERS[name]["projector"]].parameters()
    for old, new in zip(before, after, strict=True):
        torch.testing.assert_close(new, old + 0.25)


WATCHED = []


class WatchedBYOL(BYOL):
    """Keeps its target network, which must not change, and a copy of the first one."""

    def start(self, networks, n_samples, generator):
        super().start(networks, n_samples, generator)
        WATCHED[:] = networks["target_encoder"], deepcopy(networks["target_encoder"])


@pytest.mark.parametrize("optimizer", ["lars", "sgd", "adamw"])
def test_no_optimiser_trains_a_follower(optimizer, digits):
    method = WatchedBYOL(1.0, 1.0, **SMALL)
    ssl = SSLPretrainer(
        method, max_epochs=2, optimizer=optimizer, lr=0.01, weight_decay=0.1
    ).fit(digits[0].reshape(300, -1))
    target, start = (dict(network.named_parameters()) for network in WATCHED)
    assert all(value.equal(start[name]) for name, value in target.items())
    assert any((ssl.encoder_.state[k] != v.numpy()).any() for k, v in start.items())


def test_moco_queues_the_keys_of_each_view():
    method = learner("moco")
    networks, first, second = started(method)
    with torch.no_grad():
        keys = [
            nn.functional.normalize(
                networks["key_projector"](networks["key_encoder"](v))
            )
            for v in (first, second)
        ]
    method.loss(networks, first, second)
    for name, key in zip(("first_queue", "second_queue"), keys, strict=True):
        assert networks[name].keys.shape == (8, 32)  # two thirds of 12 samples
        torch.testing.assert_close(networks[name].keys[:6], key)


def test_moco_one_way_is_half_of_the_symmetric_loss():
    both, first, second = started(learner("moco"))
    alone, _, _ = started(learner("moco", symmetric=False))
    assert "first_queue" not in alone
    alone["second_queue"].keys.copy_(both["second_queue"].keys)
    there = learner("moco", symmetric=False).loss(alone, first, second)
    alone["second_queue"].keys.copy_(both["first_queue"].keys)
    back = learner("moco", symmetric=False).loss(alone, second, first)
    whole = learner("moco").loss(both, first, second)
    assert whole.item() == pytest.approx((there + back).item() / 2)


# All methods -------------------------------------------------------------------------


@pytest.mark.parametrize("name", METHODS)
@pytest.mark.parametrize(
    "optimizer, lr", [("lars", 0.4), ("sgd", 0.05), ("adamw", 1e-3)]
)
def test_every_method_learns(name, optimizer, lr, digits):
    # Losses against a queue compare only once it holds keys, so it is a short one.
    params, epochs = ({"queue_size": 64}, 10) if name == "moco" else ({}, 5)
    if (name, optimizer) == ("vicreg", "sgd"):
        lr /= 10  # its terms weigh 25
    ssl = SSLPretrainer(
        learner(name, **params),
        max_epochs=epochs,
        batch_size=50,
        optimizer=optimizer,
        lr=lr,
        random_state=0,
    )
    X, y = digits[0].reshape(300, -1), digits[1]
    losses = [row["train_loss"] for row in ssl.fit(X, y).history_]
    assert losses[-1] < 0.9 * losses[0]


def probe(features):
    """Return the mean accuracy of ten classifiers with 30 labels of digits each."""
    y = load_digits().target
    model = make_pipeline(StandardScaler(), LogisticRegression(max_iter=200))
    parts = [slice(i, i + 30) for i in range(0, 300, 30)]
    fits = (model.fit(features[part], y[part]) for part in parts)
    return np.mean([fitted.score(features[600:], y[600:]) for fitted in fits])


def features_of_digits(method, lr, epochs):
    X, y = load_digits(return_X_y=True)
    ssl = SSLPretrainer(method, max_epochs=epochs, batch_size=50, lr=lr, random_state=0)
    return np.asarray(ssl.fit(X[:300], y[:300]).transform(X))


@pytest.fixture(scope="module")
def untrained():
    """What the encoder that every method starts from gains."""
    return probe(features_of_digits("simclr", 1e-9, 1))


@pytest.mark.parametrize("name", METHODS)
def test_no_method_collapses_and_a_linear_probe_gains(name, untrained):
    trained = features_of_digits(learner(name), 0.4, 12)
    directions = trained / np.linalg.norm(trained, axis=1, keepdims=True)
    # Evenly spread unit vectors of d features deviate by 1 / root d in each.
    assert directions.std(axis=0).mean() * trained.shape[1] ** 0.5 > 0.5
    # Of training that changes nothing, 12 epochs gain less than 0.005.
    assert probe(trained) > untrained + 0.01


@pytest.mark.parametrize("name", METHODS)
def test_every_method_trains_in_lower_precision(name, digits):
    X, y = digits[0].reshape(300, -1)[:150], digits[1][:150]
    ssl = SSLPretrainer(learner(name), max_epochs=1, random_state=0)
    whole = np.asarray(clone(ssl).fit(X, y).transform(X))
    lower = np.asarray(ssl.set_params(precision="bfloat16").fit(X, y).transform(X))
    assert np.isfinite(lower).all()
    assert np.corrcoef(whole.ravel(), lower.ravel())[0, 1] > 0.9


@pytest.mark.parametrize("name", METHODS)
def test_every_method_takes_images_and_keeps_the_encoder_only(name, digits):
    X, y = digits[0][:60], digits[1][:60]
    settings = {"encoder": narrow, "max_epochs": 1, "random_state": 0}
    ssl = SSLPretrainer(learner(name), **settings).fit(X, y)
    plain = SSLPretrainer("simclr", **settings).fit(X)
    assert ssl.encoder_.state.keys() == plain.encoder_.state.keys()
    assert np.isfinite(ssl.transform(X)).all()
    again = SSLPretrainer(learner(name), **settings).fit(X, y)
    np.testing.assert_array_equal(ssl.transform(X), again.transform(X))


def test_nothing_of_y_enters(digits):
    X, y = digits[0][:100], digits[1][:100]
    ssl = SSLPretrainer(encoder=narrow, max_epochs=1, random_state=0)
    without = np.asarray(ssl.fit_transform(X))
    np.testing.assert_array_equal(without, np.asarray(ssl.fit_transform(X, y)))


@pytest.mark.parametrize(
    "method, parameter",
    [
        (SimCLR(temperature=0.0), "temperature"),
        (SimCLR(hidden_features=0), "hidden_features"),
        (BarlowTwins(lambd=-1), "lambd"),
        (BYOL(base_momentum=1.5), "base_momentum"),
        (MoCo(queue_size=0), "queue_size"),
        (MoCo(final_momentum=-0.1), "final_momentum"),
        (MoCo(symmetric="both"), "symmetric"),
        (VICReg(covariance_weight=-1.0), "covariance_weight"),
        (VICReg(n_hidden=-1), "n_hidden"),
    ],
)
def test_bad_parameters_are_named(method, parameter, digits):
    with pytest.raises(ValueError, match=f"{parameter}=.* is not valid"):
        SSLPretrainer(method).fit(digits[0])


# Restoration -------------------------------------------------------------------------


@pytest.fixture(scope="module")
def photos():
    """96 parts of two photographs, uint8 (n, 32, 32, 3)."""
    images = np.stack([image[:384, :512] for image in load_sample_images().images])
    parts = images.reshape(2, 12, 32, 16, 32, 3).swapaxes(2, 3)
    return parts.reshape(-1, 32, 32, 3)[::4]


def test_restoration_learns_to_restore_photographs(photos):
    settings = {"max_epochs": 10, "batch_size": 16, "random_state": 0}
    ssl = SSLPretrainer("restoration", encoder=narrow, **settings)
    losses = [row["train_loss"] for row in ssl.fit(photos).history_]
    # A decoder that knows nothing has an error of 1.
    assert losses[-1] < 0.6 < 0.9 < losses[0]
    assert np.isfinite(ssl.transform(photos)).all()


def test_restoration_loss_is_the_regularisers(digits):
    """Both losses are equal for the same networks, samples and views."""
    images = torch.tensor(digits[0])[:20, None]
    spec = InputSpec.learn(digits[0])
    encoder = Blueprint("convnet", spec).build(torch.Generator().manual_seed(0))
    method, regularizer = Restoration(), RestorationRegularizer()
    heads = nn.ModuleDict(method.build(encoder))
    networks = nn.ModuleDict({"encoder": encoder, **heads}).eval()
    views = images.flip(3)
    original, augmented = (encode(encoder, x) for x in (images, views))
    expected = regularizer.loss(heads, original, augmented)
    torch.testing.assert_close(method.loss(networks, images, views), expected)
    inputs = (images - spec.mean.item()) / spec.std.item()
    layers = list(encoder[1])[:-2]  # without pooling and flattening
    code = nn.Sequential(encoder[0], *layers)(views)
    by_hand = (heads["decoder"](code) - inputs).square().mean()
    torch.testing.assert_close(expected, by_hand)


def test_only_restoration_keeps_its_heads(digits, tmp_path):
    X = digits[0][:60]
    ssl = SSLPretrainer("restoration", max_epochs=1, random_state=0)
    heads = clone(ssl).fit(X).heads_
    assert heads and all(name.startswith("decoder.") for name in heads)
    assert SSLPretrainer(max_epochs=1).fit(X).heads_ == {}
    for _ in range(2):  # trained, then from the cache
        cached = clone(ssl).set_params(memory=str(tmp_path)).fit(X)
        assert cached.heads_.keys() == heads.keys()
        for name, values in heads.items():
            np.testing.assert_array_equal(cached.heads_[name], values)
