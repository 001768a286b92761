"""Weights in files: what is loaded, and what is refused."""

import pickle

import numpy as np
import pytest
import torch
from torch import nn

from sknoisy.encoders.named import build_encoder
from sknoisy.encoders.weights import check_file, load_weights, read

SHAPE = 3, 32, 32


def network(name="resnet18", n_classes=1000):
    import torchvision

    return torchvision.models.get_model(name, num_classes=n_classes)


def features(net, x):
    """What the network gives before its head."""
    net.fc = nn.Identity()
    return net.eval()(x)


def nested(state):
    return {"epoch": 3, "state_dict": state, "optimizer": {"lr": 0.1}}


def prefixed(prefix):
    return lambda state: {prefix + name: value for name, value in state.items()}


def momentum_contrast(state):
    heads = {"fc.0.weight": torch.zeros(4, 4), "queue": torch.zeros(4, 9)}
    encoder = {k: v for k, v in state.items() if not k.startswith("fc.")}
    return nested({**prefixed("module.encoder_q.")({**encoder, **heads})})


def without_counters(state):
    return {k: v for k, v in state.items() if not k.endswith("num_batches_tracked")}


WRAPS = [
    dict,
    nested,
    prefixed("module."),
    prefixed("backbone."),
    lambda state: {"model": {"encoder": prefixed("module.encoder.")(state)}},
    momentum_contrast,
    without_counters,
    lambda state: nested(prefixed("module.")(without_counters(state))),
]


@pytest.mark.parametrize(
    "wrap, n_classes", [(wrap, 7) for wrap in WRAPS] + [(dict, 1000), (nested, 1000)]
)
def test_files_of_training_scripts(wrap, n_classes, tmp_path):
    published = network(n_classes=n_classes)
    torch.save(wrap(published.state_dict()), tmp_path / "weights.pt")
    encoder = build_encoder("resnet18", SHAPE, tmp_path / "weights.pt")
    x = torch.randn(2, *SHAPE)
    torch.testing.assert_close(encoder.eval()(x), features(published, x))


def test_safetensors(tmp_path):
    save_file = pytest.importorskip("safetensors.torch").save_file
    published = network()
    save_file(published.state_dict(), tmp_path / "weights.safetensors")
    encoder = build_encoder("resnet18", SHAPE, tmp_path / "weights.safetensors")
    x = torch.randn(2, *SHAPE)
    torch.testing.assert_close(encoder.eval()(x), features(published, x))
    whole = (tmp_path / "weights.safetensors").read_bytes()
    (tmp_path / "weights.safetensors").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(ValueError, match="weights.safetensors.*damaged"):
        check_file(tmp_path / "weights.safetensors")


@pytest.mark.parametrize(
    "name", ["mobilenet_v3_small", "squeezenet1_1", "mnasnet0_5", "densenet121"]
)
def test_heads_of_any_size(name, tmp_path):
    torch.save(network(name, 5).state_dict(), tmp_path / "weights.pt")
    encoder = build_encoder(name, SHAPE, tmp_path / "weights.pt").eval()
    assert encoder(torch.zeros(2, 3, 64, 64)).shape == (2, encoder.n_features)


class Runs:
    """What runs code when it is unpickled without protection."""

    def __reduce__(self):
        return pytest.fail, ("code of the file was run",)


def text(path):
    path.write_text("no weights")


def empty(path):
    path.write_bytes(b"")


def truncated(path):
    torch.save(network().state_dict(), path)
    path.write_bytes(path.read_bytes()[:100_000])


def flipped_pickle(path):
    path.write_bytes(b"\x80\x02}q\x00(X\x05")


def hostile(path):
    torch.save({"state_dict": network().state_dict(), "args": Runs()}, path)


def plain_pickle(path):
    path.write_bytes(pickle.dumps({"a": Runs()}))


def whole_model(path):
    torch.save(network(), path)


def a_list(path):
    torch.save([torch.zeros(3)], path)


def numbers(path):
    torch.save({"accuracy": 0.9}, path)


@pytest.mark.parametrize(
    "write, message",
    [
        (text, "damaged, or holds no state dict"),
        (empty, "damaged, or holds no state dict"),
        (truncated, "damaged, or holds no state dict"),
        (flipped_pickle, "damaged, or holds no state dict"),
        (hostile, "Python objects other than tensors .*may run code"),
        (plain_pickle, "weights.pt"),
        (whole_model, "Python objects other .*ResNet.*state_dict"),
        (a_list, "holds no state dict"),
        (numbers, "holds no state dict"),
    ],
)
def test_what_is_no_state_dict(write, message, tmp_path):
    path = tmp_path / "weights.pt"
    write(path)
    with pytest.raises(ValueError, match=message) as error:
        check_file(path)
    assert "weights.pt" in str(error.value)
    assert "weights_only" not in str(error.value)


def test_a_flipped_bit_changes_no_weight(tmp_path):
    path, weights = tmp_path / "weights.pt", network().state_dict()
    torch.save(weights, path)
    content, found = path.read_bytes(), 0
    for bit in np.random.default_rng(0).integers(8 * len(content), size=20):
        flipped = bytearray(content)
        flipped[bit // 8] ^= 1 << bit % 8
        path.write_bytes(flipped)
        try:
            loaded = read(path)
        except ValueError as error:
            assert "damaged" in str(error)
            found += 1
        else:  # what stands between the tensors
            assert all(loaded[name].equal(weights[name]) for name in weights)
    assert found > 15


@pytest.mark.parametrize(
    "name, message",
    [
        ("resnet34", r"unexpected \(layer1.2"),
        ("resnet50", r"of another shape \(layer1.0.conv1.weight \(64, 64, 1, 1\) for"),
        ("mobilenet_v3_small", r"missing \(conv1.weight"),
    ],
)
def test_weights_of_another_network(name, message, tmp_path):
    torch.save(network(name).state_dict(), tmp_path / "weights.pt")
    with pytest.raises(ValueError, match=message) as error:
        build_encoder("resnet18", SHAPE, tmp_path / "weights.pt")
    assert "weights.pt" in str(error.value) and len(str(error.value)) < 600


def test_fewer_layers_in_a_sequence_are_another_network(tmp_path):
    longer = nn.Sequential(nn.Linear(3, 3), nn.Linear(3, 3), nn.Linear(3, 3))
    torch.save(longer.state_dict(), tmp_path / "weights.pt")
    with pytest.raises(ValueError, match=r"unexpected \(2.weight"):
        load_weights(longer[:2], tmp_path / "weights.pt")


def test_weights_that_are_not_finite(tmp_path):
    net = nn.Linear(3, 3)
    net.weight.data[0] = torch.nan
    torch.save(net.state_dict(), tmp_path / "weights.pt")
    with pytest.raises(ValueError, match="NaN or infinity, in weight"):
        load_weights(nn.Linear(3, 3), tmp_path / "weights.pt")


def test_encoders_without_weights(tmp_path):
    torch.save({"weight": torch.ones(3, 3)}, tmp_path / "weights.pt")
    with pytest.raises(ValueError, match="weights.pt.*the encoder has no weights"):
        load_weights(nn.ReLU(), tmp_path / "weights.pt")


def test_a_refused_file_changes_no_weight(tmp_path):
    torch.save({"weight": torch.ones(3, 3)}, tmp_path / "weights.pt")
    net = nn.Linear(3, 3)
    before = net.weight.detach().clone()
    with pytest.raises(ValueError, match=r"missing \(bias\)"):
        load_weights(net, tmp_path / "weights.pt")
    assert net.weight.equal(before)
