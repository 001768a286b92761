"""Which precision "auto" is, by what the processor can do."""

import numpy as np
import pytest
import torch

from sknoisy import NoisyRobustClassifier, SSLPretrainer
from sknoisy.data.devices import resolve_precision

CPU = torch.device("cpu")


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


def test_a_pytorch_that_does_not_tell(monkeypatch):
    monkeypatch.delattr(torch.cpu, "get_capabilities", raising=False)
    assert resolve_precision("auto", CPU, "image") is None


def test_images_are_trained_in_the_precision_of_auto(colour, monkeypatch):
    X, y = colour

    def probabilities(precision):
        clf = NoisyRobustClassifier(
            "elr", precision=precision, max_epochs=2, random_state=0
        )
        return clf.fit(X, y).predict_proba(X)

    for known, name in ((True, "bfloat16"), (False, "float32")):
        capabilities = {"avx512_bf16": known}
        monkeypatch.setattr(torch.cpu, "get_capabilities", lambda c=capabilities: c)
        np.testing.assert_array_equal(probabilities("auto"), probabilities(name))
    assert (probabilities("bfloat16") != probabilities("float32")).any()


def test_features_are_those_of_float32(colour, monkeypatch):
    X, _ = colour
    ssl = SSLPretrainer(max_epochs=1, precision="auto", random_state=0)
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: {"amx_bf16": True})
    features = np.asarray(ssl.fit(X).transform(X))
    ssl.encoder_.precision = "float32"
    np.testing.assert_array_equal(features, np.asarray(ssl.transform(X)))
