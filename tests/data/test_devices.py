"""Which precision "auto" is, by what the processor can do, and where float64 is."""

import numpy as np
import pytest
import torch
from nets import narrow

from sknoisy import NoisyRobustClassifier, SSLPretrainer
from sknoisy.data.devices import resolve_device, resolve_precision, with_float64

CPU = torch.device("cpu")


@pytest.fixture
def small(colour):
    """The colour images in half their size, and their labels."""
    return colour[0][:, ::2, ::2], colour[1]


@pytest.mark.parametrize(
    ("capabilities", "expected"),
    [
        ({"avx2": True, "avx512_f": True}, None),
        ({"avx512_bf16": True}, torch.bfloat16),
        ({"avx512_bf16": False, "amx_bf16": True}, torch.bfloat16),
    ],
)
def test_auto_on_a_cpu(capabilities, expected, monkeypatch):
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: capabilities)
    assert resolve_precision("auto", CPU, "image") == expected
    assert resolve_precision("auto", CPU, "vector") is None
    assert resolve_precision("auto", CPU) is None  # of a fitted model
    assert resolve_precision("float32", CPU, "image") is None
    assert resolve_precision("bfloat16", CPU, "vector") == torch.bfloat16


@pytest.mark.parametrize("device", ["auto", "cuda", torch.device("cuda")])
def test_each_local_rank_has_a_gpu_of_its_own(device, monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    monkeypatch.setenv("LOCAL_RANK", "1")
    monkeypatch.setenv("WORLD_SIZE", "2")
    assert resolve_device(device) == torch.device("cuda:1")
    assert resolve_device("cuda:0") == torch.device("cuda:0")


def test_a_pytorch_that_does_not_tell(monkeypatch):
    monkeypatch.delattr(torch.cpu, "get_capabilities", raising=False)
    assert resolve_precision("auto", CPU, "image") is None


def test_images_are_trained_in_the_precision_of_auto(small, monkeypatch):
    X, y = small

    def probabilities(precision):
        clf = NoisyRobustClassifier(
            "elr", encoder=narrow, precision=precision, max_epochs=2, random_state=0
        )
        return clf.fit(X, y).predict_proba(X)

    for known, name in ((True, "bfloat16"), (False, "float32")):
        capabilities = {"avx512_bf16": known}
        monkeypatch.setattr(torch.cpu, "get_capabilities", lambda c=capabilities: c)
        np.testing.assert_array_equal(probabilities("auto"), probabilities(name))
    assert (probabilities("bfloat16") != probabilities("float32")).any()


def test_heads_on_frozen_features_are_trained_as_vectors_are(small, monkeypatch):
    X, y = small
    ssl = SSLPretrainer(encoder=narrow, max_epochs=1, random_state=0)
    features = ssl.fit_transform(X)
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: {"amx_bf16": True})

    def probabilities(precision):
        clf = NoisyRobustClassifier(
            "elr",
            freeze_encoder=True,
            precision=precision,
            max_epochs=2,
            random_state=0,
        )
        return clf.fit(features, y).predict_proba(X)

    np.testing.assert_array_equal(probabilities("auto"), probabilities("float32"))
    assert (probabilities("auto") != probabilities("bfloat16")).any()


def test_what_is_cached_and_kept_tells_precisions_apart(small, tmp_path, monkeypatch):
    X, _ = small
    ssl = SSLPretrainer(encoder=narrow, max_epochs=1, random_state=0)
    ssl.set_params(memory=tmp_path)

    def features(*names):
        capabilities = dict.fromkeys(names, True)
        monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: capabilities)
        return np.asarray(ssl.fit(X).transform(X))

    rounded, full = features("amx_bf16"), features()
    assert (rounded != full).any()
    np.testing.assert_array_equal(features("avx512_bf16"), rounded)
    expected = ssl.set_params(precision="float32", memory=None).fit(X).transform(X)
    np.testing.assert_array_equal(full, np.asarray(expected))


def test_features_are_those_of_float32(small, monkeypatch):
    X, _ = small
    ssl = SSLPretrainer(encoder=narrow, max_epochs=1, random_state=0)
    ssl.set_params(precision="auto")
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: {"amx_bf16": True})
    features = np.asarray(ssl.fit(X).transform(X))
    ssl.encoder_.precision = "float32"
    np.testing.assert_array_equal(features, np.asarray(ssl.transform(X)))


@pytest.mark.parametrize("kind, expected", [("mps", "cpu"), ("cuda", "cuda")])
def test_what_needs_float64_is_not_computed_where_there_is_none(kind, expected):
    assert with_float64(torch.device(kind)).type == expected
