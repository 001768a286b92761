import pickle

import numpy as np
import pytest
import torch
from torch import nn

from sknoisy import NoisyRobustClassifier, SimCLR, SSLPretrainer
from sknoisy.encoders.blueprint import load_numpy_state, numpy_state
from sknoisy.encoders.features import TrainedEncoder
from sknoisy.encoders.initialization import build, build_heads
from sknoisy.encoders.named import ENCODERS, build_encoder
from sknoisy.encoders.networks import ConvNet


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


@pytest.mark.parametrize("shape", [(3, 32, 32), (1, 8, 8), (3, 96, 80)])
@pytest.mark.parametrize("name", ENCODERS)
def test_every_encoder_gives_its_features(name, shape):
    encoder = build_encoder(name, shape, generator=generator())
    features = encoder(torch.zeros(2, *shape))
    assert features.shape == (2, encoder.n_features)


@pytest.mark.parametrize("name", sorted(ENCODERS.keys() - {"identity"}))
def test_initialisation_is_the_generators_alone(name):
    shape = (5,) if name == "mlp" else (3, 16, 16)
    state = torch.random.get_rng_state()
    first, same, other = (
        numpy_state(build_encoder(name, shape, generator=generator(seed)))
        for seed in (0, 0, 1)
    )
    assert torch.random.get_rng_state().equal(state)
    weights = [k for k in first if k.endswith("weight") and first[k].std() > 0]
    assert weights
    for key in first:
        np.testing.assert_array_equal(first[key], same[key])
    assert all((first[k] != other[k]).any() for k in weights)
    assert all(np.isfinite(value).all() for value in first.values())


def test_signal_keeps_its_size_through_new_networks():
    """He initialisation: neither vanishing nor exploding features."""
    x = torch.randn(16, 3, 32, 32, generator=generator())
    for name in ("convnet", "resnet18", "preact_resnet18"):
        scale = build_encoder(name, (3, 32, 32), generator=generator())(x).std().item()
        assert 0.05 < scale < 20, name


def test_small_images_keep_their_pixels_in_resnets():
    small = build_encoder("resnet18", (3, 32, 32), generator=generator())
    large = build_encoder("resnet18", (3, 96, 96), generator=generator())
    assert small.conv1.kernel_size == (3, 3) and isinstance(small.maxpool, nn.Identity)
    assert large.conv1.kernel_size == (7, 7)


def test_any_torchvision_model():
    net = build_encoder("squeezenet1_1", (3, 64, 64), generator=generator())
    assert net(torch.zeros(2, 3, 64, 64)).shape == (2, net.n_features)
    net = build_encoder("mobilenet_v3_small", (3, 64, 64), generator=generator()).eval()
    assert net(torch.zeros(2, 3, 64, 64)).shape == (2, net.n_features)


@pytest.mark.parametrize("name, side", [("googlenet", 32), ("inception_v3", 80)])
def test_models_with_classifiers_on_the_way(name, side):
    net = build_encoder(name, (3, side, side), generator=generator()).train()
    assert net(torch.zeros(2, 3, side, side)).shape == (2, net.n_features)


def test_models_that_want_another_size_are_named(colour):
    with pytest.raises(ValueError, match="encoder='vit_b_16' is not valid: it fails"):
        NoisyRobustClassifier(encoder="vit_b_16", max_epochs=1).fit(*colour)


def test_torchvision_weights_from_a_file(tmp_path, colour):
    import torchvision

    published = torchvision.models.mobilenet_v3_small(num_classes=1000)
    torch.save(published.state_dict(), tmp_path / "weights.pt")
    net = build_encoder("mobilenet_v3_small", (3, 32, 32), str(tmp_path / "weights.pt"))
    x = torch.zeros(1, 3, 32, 32)
    features = net.eval()(x)
    logits = published.eval().classifier[-1](features)
    torch.testing.assert_close(logits, published(x))
    clf = NoisyRobustClassifier(
        encoder="mobilenet_v3_small", weights=str(tmp_path / "weights.pt"), max_epochs=1
    ).fit(*colour)
    assert [row["phase"] for row in clf.history_] == ["head", "all"]


def test_published_weights_keep_the_published_stem(tmp_path, colour):
    """A small image would else get the CIFAR stem, also when a file is loaded."""
    import torchvision

    torch.save(torchvision.models.resnet18().state_dict(), tmp_path / "weights.pt")
    settings = {"encoder": "resnet18", "weights": str(tmp_path / "weights.pt")}
    X, y = (part[:20] for part in colour)
    model = NoisyRobustClassifier(max_epochs=1, **settings).fit(X, y)
    assert model.state_dict_["encoder.1.conv1.weight"].shape == (64, 3, 7, 7)
    (tmp_path / "weights.pt").unlink()
    loaded = pickle.loads(pickle.dumps(model))
    np.testing.assert_array_equal(model.predict_proba(X), loaded.predict_proba(X))


def test_imagenet_weights_are_for_torchvision_models(digits):
    with pytest.raises(ValueError, match="only models of torchvision and timm"):
        NoisyRobustClassifier(weights="imagenet", max_epochs=1).fit(*digits)


class Tiny(nn.Module):
    """A user's module that takes no argument and returns maps."""

    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(3, 7, 3)

    def forward(self, x):
        return self.conv(x)


def factory(shape):
    return nn.Sequential(nn.Flatten(), nn.Linear(int(np.prod(shape)), 5), nn.ReLU())


@pytest.mark.parametrize("encoder, n_features", [(Tiny, 7), (factory, 5)])
def test_users_modules(encoder, n_features, colour):
    X, y = colour
    state = torch.random.get_rng_state()
    ssl = SSLPretrainer(encoder=encoder, max_epochs=1, random_state=0)
    first = np.asarray(ssl.fit_transform(X))
    assert first.shape == (60, n_features)
    np.testing.assert_array_equal(first, np.asarray(ssl.fit_transform(X)))
    assert torch.random.get_rng_state().equal(state)
    clf = NoisyRobustClassifier(max_epochs=1, random_state=0)
    assert clf.fit(ssl.transform(X), y).predict(X).shape == (60,)


@pytest.mark.parametrize(
    "encoder, message",
    [
        (lambda: 3, "not a torch.nn.Module"),
        (lambda: nn.Linear(4, 2), "it fails on samples of shape"),
    ],
)
def test_users_modules_that_do_not_fit(encoder, message, colour):
    with pytest.raises(ValueError, match=message):
        NoisyRobustClassifier(encoder=encoder, max_epochs=1).fit(*colour)


def test_state_round_trip():
    a = build_encoder("convnet", (1, 8, 8), generator=generator(0))
    b = build_encoder("convnet", (1, 8, 8), generator=generator(1))
    load_numpy_state(b, numpy_state(a))
    x = torch.ones(2, 1, 8, 8)
    torch.testing.assert_close(a.eval()(x), b.eval()(x))


def test_convnet_works_on_maps_of_16_pixels_at_most():
    for side in (8, 16, 32, 33, 64, 200):
        net = ConvNet((3, side, side))
        maps = []
        for layer in net:
            layer.register_forward_hook(
                lambda module, args, out, maps=maps: maps.append(out.shape[-1])
            )
        net(torch.zeros(2, 3, side, side))
        first_block = [type(m).__name__ for m in net].index("BasicBlock")
        assert maps[first_block] <= 16


def test_trained_encoder_is_the_pretrainers(digits):
    ssl = SSLPretrainer(max_epochs=1, random_state=0).fit(digits[0])
    assert isinstance(ssl.encoder_, TrainedEncoder)
    assert all(isinstance(v, np.ndarray) for v in ssl.encoder_.state.values())


class Scaled(nn.Linear):
    """A layer with more than it is derived from."""

    def __init__(self, *widths):
        super().__init__(*widths)
        self.scale = nn.Parameter(torch.full((), 3.0))
        self.steps = [x.item() for x in torch.linspace(0, 1, 3)]
        self.plain = torch.ones(2)


class OwnHeads(SimCLR):
    def build(self, encoder):
        norm = nn.utils.parametrizations.weight_norm(nn.Linear(6, 6))
        layers = Scaled(encoder.n_features, 6), nn.LayerNorm(6), nn.PReLU(), norm
        return {"projector": nn.Sequential(*layers)}


def test_users_heads_initialise_themselves():
    encoder = nn.Identity()
    encoder.n_features = 4
    state = torch.random.get_rng_state()
    first, second, other = (
        build_heads(OwnHeads(), encoder, generator=generator(seed))["projector"]
        for seed in (7, 7, 8)
    )
    assert torch.random.get_rng_state().equal(state)
    assert first[0].scale.item() == 3 and first[0].plain.device.type == "cpu"
    assert first[1].weight.eq(1).all() and first[1].bias.eq(0).all()
    assert first[2].weight.item() == 0.25
    for one, same in zip(first.parameters(), second.parameters(), strict=True):
        assert one.equal(same)
    assert not first[0].weight.equal(other[0].weight)
    X = np.random.default_rng(0).normal(size=(40, 3))
    assert SSLPretrainer(OwnHeads(), max_epochs=1).fit_transform(X).shape == (40, 256)


@pytest.mark.parametrize("name", ENCODERS)
def test_own_encoders_draw_nothing_from_the_global_generator(name):
    shape = (8,) if name == "mlp" else (3, 32, 32)
    state = torch.random.get_rng_state()
    build(ENCODERS[name], shape, generator=generator(0))
    assert torch.random.get_rng_state().equal(state)


@pytest.mark.parametrize("name", ENCODERS)
def test_own_encoders_have_layers_that_are_initialised(name):
    known = nn.Conv2d, nn.Linear, nn.BatchNorm1d, nn.BatchNorm2d
    with torch.device("meta"):
        network = ENCODERS[name]((8,) if name == "mlp" else (3, 32, 32))
    for layer in network.modules():
        own = {**layer._parameters, **layer._buffers}
        assert type(layer) in known or not own
