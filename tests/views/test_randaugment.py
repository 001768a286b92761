"""RandAugment against torchvision's: each operation, and how they are drawn."""

import math

import numpy as np
import pytest
import torch
from sklearn.datasets import load_sample_images
from torchvision.transforms import InterpolationMode
from torchvision.transforms.v2 import RandAugment as TorchvisionRandAugment
from torchvision.transforms.v2 import functional as TF

from sknoisy.data.spec import InputSpec
from sknoisy.views.automatic import resolve_views
from sknoisy.views.imageops import Draw
from sknoisy.views.images import ImageViews
from sknoisy.views.randaugment import OPERATIONS, RandAugment, rand_augment
from sknoisy.views.vectors import VectorViews

BILINEAR = {"interpolation": InterpolationMode.BILINEAR}


@pytest.fixture(scope="module")
def photos():
    """Parts of two photographs, uint8 (8, 3, 48, 40), one of them without contrast."""
    images = torch.tensor(np.stack(load_sample_images().images)).permute(0, 3, 1, 2)
    parts = [images[i, :, r : r + 48, r : r + 40] for i in (0, 1) for r in (0, 90, 200)]
    flat = torch.full((3, 48, 40), 100, dtype=torch.uint8)
    return torch.stack([*parts, flat, parts[0] // 2 + 60])


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def shear(images, degrees):
    still = {"angle": 0.0, "translate": [0, 0], "scale": 1.0, "center": [0, 0]}
    return TF.affine(images, shear=degrees, **still, **BILINEAR)


def shift(images, pixels):
    still = {"angle": 0.0, "shear": [0.0, 0.0], "scale": 1.0}
    return TF.affine(images, translate=pixels, **still, **BILINEAR)


# As torchvision.transforms.v2.RandAugment calls them, at a strength s = magnitude / 30.
THEIRS = {
    "identity": lambda x, s: x,
    "shear_x": lambda x, s: shear(x, [math.degrees(math.atan(0.3 * s)), 0.0]),
    "shear_y": lambda x, s: shear(x, [0.0, math.degrees(math.atan(0.3 * s))]),
    "translate_x": lambda x, s: shift(x, [int(150 / 331 * x.shape[3] * s), 0]),
    "translate_y": lambda x, s: shift(x, [0, int(150 / 331 * x.shape[2] * s)]),
    "rotate": lambda x, s: TF.rotate(x, 30 * s, **BILINEAR),
    "brightness": lambda x, s: TF.adjust_brightness(x, 1 + 0.9 * s),
    "color": lambda x, s: TF.adjust_saturation(x, 1 + 0.9 * s),
    "contrast": lambda x, s: TF.adjust_contrast(x, 1 + 0.9 * s),
    "sharpness": lambda x, s: TF.adjust_sharpness(x, 1 + 0.9 * s),
    "posterize": lambda x, s: TF.posterize(x, 8 - round(4 * abs(s))),
    "solarize": lambda x, s: TF.solarize(x, (1 - abs(s)) * bound(x)),
    "autocontrast": lambda x, s: TF.autocontrast(x),
    "equalize": lambda x, s: TF.equalize(x),
}


def bound(images):
    return 1.0 if images.is_floating_point() else 255.0


@pytest.mark.parametrize("strength", [-1.0, -0.3, 0.0, 0.3, 0.7, 1.0])
@pytest.mark.parametrize("name", OPERATIONS)
def test_operations_are_torchvisions(name, strength, photos):
    strengths = torch.full((len(photos), 1, 1, 1), strength)
    images = photos / 255
    ours = OPERATIONS[name](images, strengths)
    on_bytes = THEIRS[name](photos, strength) / 255
    # Bytes are rounded, and so is the mean grey that contrast starts from.
    torch.testing.assert_close(ours, on_bytes, atol=2 / 255, rtol=0)
    if name != "posterize":  # of floats, theirs are multiples of 1/16, not of 16/255
        on_floats = THEIRS[name](images, strength)
        torch.testing.assert_close(ours, on_floats, atol=2e-4, rtol=0)


def test_operations_are_the_published_ones():
    theirs = TorchvisionRandAugment()._AUGMENTATION_SPACE
    ours = {name.replace("_", "") for name in OPERATIONS}
    assert ours == {name.lower() for name in theirs}


@pytest.mark.parametrize("name", OPERATIONS)
def test_operations_take_a_strength_for_each_image(name, photos):
    images = photos / 255
    strengths = torch.linspace(-1, 1, len(images))[:, None, None, None]
    together = OPERATIONS[name](images, strengths)
    for i in range(len(images)):
        alone = OPERATIONS[name](images[i : i + 1], strengths[i : i + 1])
        torch.testing.assert_close(together[i : i + 1], alone)


@pytest.mark.parametrize("channels", [1, 2, 3, 4])
def test_any_channels_and_sizes(channels):
    images = torch.rand(100, channels, 17, 23, generator=generator())
    views = RandAugment(n_operations=3, magnitude=30, cutout=0.3)(images, generator())
    assert views.shape == images.shape and views.isfinite().all()
    assert views.min() >= -1e-5 and views.max() <= 1 + 1e-5


def test_every_image_draws_its_own_operations(photos):
    n = 14 * 2 * 200
    same = (photos[:1] / 255).expand(n, -1, -1, -1)[..., ::2, ::2]
    before = same.clone()
    views = rand_augment(Draw(same, generator()), same, 1, 0.5)
    assert same.equal(before)
    strengths = torch.tensor([0.5, -0.5])[:, None, None, None]
    found = torch.zeros(n, dtype=torch.bool)
    for name, operation in OPERATIONS.items():
        expected = operation(same[:2], strengths)
        close = [(views - e).abs().amax(dim=(1, 2, 3)) < 1e-5 for e in expected]
        either = close[0] | close[1]
        # Four standard deviations of a share of 5,600 draws.
        assert either.float().mean() == pytest.approx(1 / 14, abs=0.014), name
        found |= either
    assert found.all()


def test_operations_come_one_after_the_other(photos):
    # One in 392 images is rotated by a positive angle and then solarized.
    images = (photos[:1] / 255).expand(4000, -1, -1, -1)[..., ::2, ::2]
    views = rand_augment(Draw(images, generator()), images, 2, 0.5)
    one = torch.full((1, 1, 1, 1), 0.5)
    first = OPERATIONS["rotate"](images[:1], one)
    both = OPERATIONS["solarize"](first, one)
    assert ((views - both).abs().amax(dim=(1, 2, 3)) < 1e-5).any()


def test_off_is_identity(photos):
    images = photos / 255
    assert RandAugment(n_operations=0)(images, generator()).equal(images)


def test_same_generator_same_views(photos):
    views = RandAugment(cutout=0.5)
    once = views(photos / 255, generator(3))
    assert once.equal(views(photos / 255, generator(3)))
    assert not once.equal(views(photos / 255, generator(4)))


def test_automatic_views():
    def resolved(*shape):
        kind = "image" if len(shape) == 3 else "vector"
        return resolve_views("auto", InputSpec(kind, shape, "CHW"), "randaugment")

    assert isinstance(resolved(3, 32, 32), RandAugment)
    assert isinstance(resolved(1, 28, 28), RandAugment)
    assert isinstance(resolved(1, 8, 8), ImageViews)
    assert isinstance(resolved(5), VectorViews)


@pytest.mark.parametrize(
    "views, message",
    [
        (RandAugment(n_operations=-1), "n_operations=-1 is not valid"),
        (RandAugment(magnitude=31), "magnitude=31 is not valid"),
        (RandAugment(cutout=1.0), "cutout=1.0 is not valid"),
        (RandAugment(), "X holds vectors"),
    ],
)
def test_bad_views(views, message):
    with pytest.raises(ValueError, match=message):
        resolve_views(views, InputSpec("vector", (5,), "vector"), "strong")
