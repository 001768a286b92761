"""Convolutions in bfloat16 whose weights meet nothing but padding."""

import copy
import itertools
import pickle

import numpy as np
import pytest
import torch
from torch import nn

from sknoisy import NoisyRobustClassifier
from sknoisy.training.convolution import precise_on_small_maps


def spoil_free_memory():
    """Leave NaNs in the memory that the next tensors get."""
    sizes = [*(2**k for k in range(4, 22)), *range(16, 8000, 48)]
    return [torch.full((n,), torch.nan, dtype=torch.bfloat16) for n in sizes].clear()


CASES = {
    "stride": (nn.Conv2d(96, 96, 3, stride=2, padding=1), (8, 96, 1, 1)),
    "groups": (nn.Conv2d(96, 96, 3, 2, 1, groups=24), (8, 96, 1, 1)),
    "narrow": (nn.Conv2d(96, 96, 3, stride=2, padding=1), (8, 96, 4, 1)),
    "patches": (nn.Conv2d(96, 96, 4, stride=4, padding=2), (8, 96, 3, 3)),
    "one dimension": (nn.Conv1d(96, 96, 5, stride=3, padding=2), (8, 96, 2)),
    "three dimensions": (nn.Conv3d(96, 96, 3, padding=1), (2, 96, 2, 2, 2)),
    "no batch": (nn.Conv2d(96, 96, 3, stride=2, padding=1), (96, 1, 1)),
    "large": (nn.Conv2d(96, 96, 3, stride=2, padding=1), (8, 96, 8, 8)),
}


@pytest.mark.parametrize("case", CASES)
def test_gradients_are_those_of_float32(case):
    layer, shape = CASES[case]
    x = torch.randn(shape, generator=torch.Generator().manual_seed(0))

    def gradient(dtype):
        layer.zero_grad()
        with torch.autocast("cpu", torch.bfloat16, enabled=dtype == "bfloat16"):
            y = layer(x.clone())
        spoil_free_memory()
        y.float().sum().backward()
        return layer.weight.grad

    expected = gradient("float32")
    with precise_on_small_maps(layer, torch.device("cpu"), torch.bfloat16):
        torch.testing.assert_close(gradient("bfloat16"), expected, rtol=0.05, atol=0.1)
    assert "forward" not in vars(layer)


class Narrowing(nn.Module):
    """Maps of images of 5x5: these shrink to 3x3, 2x2, a single pixel, and again."""

    def __init__(self):
        super().__init__()
        channels = itertools.pairwise([3, 96, 96, 96, 96])
        layers = [nn.Conv2d(*pair, 3, stride=2, padding=1) for pair in channels]
        self.layers = nn.Sequential(*layers)

    def forward(self, x):
        y = self.layers(x)
        spoil_free_memory()
        return y


def test_training_in_bfloat16_stays_near_float32():
    X = np.random.default_rng(0).normal(size=(64, 3, 5, 5)).astype(np.float32)
    y = (X.mean(axis=(1, 2, 3)) > 0).astype(int)

    def probabilities(precision):
        clf = NoisyRobustClassifier(
            encoder=Narrowing,
            precision=precision,
            views="none",
            max_epochs=3,
            random_state=0,
        )
        return clf.fit(X, y).predict_proba(X)

    np.testing.assert_allclose(
        probabilities("bfloat16"), probabilities("float32"), atol=0.02
    )


@pytest.mark.parametrize(
    "copied", [copy.deepcopy, lambda layer: pickle.loads(pickle.dumps(layer))]
)
def test_copies_that_are_made_meanwhile(copied):
    layer = nn.Conv2d(3, 3, 3, stride=2, padding=1)
    x = torch.randn(8, 3, 1, 1)
    with precise_on_small_maps(layer, torch.device("cpu"), torch.bfloat16):
        twin = copied(layer)
    nn.init.zeros_(layer.weight)
    nn.init.zeros_(layer.bias)
    assert twin(x).abs().sum() > 0
    assert layer(x).abs().sum() == 0


def test_calls_by_name_and_own_forwards():
    layer, up = nn.Conv2d(3, 3, 3, 2, 1), nn.ConvTranspose2d(3, 3, 3, 2, 1)
    own = nn.Conv2d(3, 3, 1)
    own.forward = lambda x: x + 7
    net, x = nn.ModuleList([layer, up, own]), torch.randn(8, 3, 1, 1)
    expected = layer(x), up(x, output_size=(2, 2)), own(x)
    with precise_on_small_maps(net, torch.device("cpu"), torch.bfloat16):
        found = layer(input=x), up(x, output_size=(2, 2)), own(x)
    for a, b in zip(found, expected, strict=True):
        torch.testing.assert_close(a, b)
    assert "forward" in vars(own) and "forward" not in vars(layer)
    with precise_on_small_maps(net, torch.device("cpu"), None):
        assert "forward" not in vars(layer)
