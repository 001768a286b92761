"""Views against torchvision: equal for equal parameters, and equal in distribution."""

import numpy as np
import pytest
import torch
from scipy.stats import ks_2samp
from torchvision.transforms import RandomResizedCrop
from torchvision.transforms import functional as TF

from sknoisy import NoisyRobustClassifier, SimCLR, SSLPretrainer
from sknoisy.data.spec import InputSpec
from sknoisy.views.automatic import resolve_views
from sknoisy.views.base import NoViews, Views
from sknoisy.views.imageops import (
    Draw,
    blur_matrix,
    color_jitter,
    crop_boxes,
    jitter_factors,
    luma,
    resize_matrix,
    rotate_hue,
)
from sknoisy.views.images import ImageViews
from sknoisy.views.vectors import VectorViews


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def images(n=6, size=32, channels=3):
    return torch.rand(n, channels, size, size, generator=generator(1))


@pytest.mark.parametrize("box", [(0, 0, 32, 32), (3, 5, 20, 9), (30, 0, 2, 32)])
def test_crop_and_resize_is_torchvisions(box):
    top, left, height, width = box
    x = images()
    n = len(x)
    rows = resize_matrix(
        torch.full((n,), float(top)), torch.full((n,), float(height)), 32
    )
    columns = resize_matrix(
        torch.full((n,), float(left)), torch.full((n,), float(width)), 32
    )
    ours = rows[:, None] @ x @ columns.mT[:, None]
    theirs = TF.resized_crop(x, top, left, height, width, [32, 32], antialias=True)
    torch.testing.assert_close(ours, theirs, atol=1e-5, rtol=1e-4)


def test_mirrored_outputs_are_flips():
    start, length = torch.tensor([3.0, 0.0]), torch.tensor([20.0, 32.0])
    straight = resize_matrix(start, length, 32)
    mirrored = resize_matrix(start, length, 32, torch.tensor([True, False]))
    assert mirrored[0].equal(straight[0].flip(0)) and mirrored[1].equal(straight[1])


def test_downsizing_is_antialiased():
    """From 8 to 8 pixels it is the identity, from 32 to 16 a triangle filter."""
    assert resize_matrix(torch.zeros(1), torch.full((1,), 8.0), 8)[0].equal(
        torch.eye(8)
    )
    row = resize_matrix(torch.zeros(1), torch.full((1,), 32.0), 16)[0, 4]
    np.testing.assert_allclose(row[7:11], np.array([1, 3, 3, 1]) / 8)


def test_blur_is_a_gaussian_and_keeps_constants():
    sigma = torch.tensor([0.1, 1.0, 2.0])
    matrix = blur_matrix(sigma, 32)
    torch.testing.assert_close(matrix.sum(dim=2), torch.ones(3, 32))
    middle = matrix[1, 16]
    expected = torch.exp(-0.5 * (torch.arange(32) - 16.0) ** 2)
    torch.testing.assert_close(middle, expected / expected.sum())
    torch.testing.assert_close(matrix[0], torch.eye(32), atol=1e-6, rtol=0)


@pytest.mark.parametrize("turns", [-0.3, 0.0, 0.1, 0.5])
def test_hue_is_torchvisions(turns):
    x = images()
    x[0], x[1, 0], x[2, 1:] = 0.5, x[1, 1], 0.0  # grey, two equal, pure red
    ours = rotate_hue(x, torch.full((len(x), 1, 1, 1), turns))
    torch.testing.assert_close(ours, TF.adjust_hue(x, turns), atol=1e-5, rtol=1e-4)


def test_grey_pixels_have_no_hue():
    grey = torch.full((1, 3, 2, 2), 0.3)
    assert rotate_hue(grey, torch.full((1, 1, 1, 1), 0.2)).equal(grey)


@pytest.mark.parametrize(
    "which, adjust",
    [
        ("brightness", TF.adjust_brightness),
        ("contrast", TF.adjust_contrast),
        ("saturation", TF.adjust_saturation),
    ],
)
@pytest.mark.parametrize("factor", [0.4, 1.7])
def test_colour_operations_are_torchvisions(which, adjust, factor):
    x = images()
    one = torch.ones(len(x), 1, 1, 1)
    factors = {k: one for k in ("brightness", "contrast", "saturation")}
    factors[which] = factor * one
    order = torch.rand(len(x), 3, generator=generator()).argsort(dim=1)
    ours = color_jitter(x, **factors, hue=0 * one, order=order)
    torch.testing.assert_close(ours, adjust(x, factor), atol=1e-5, rtol=1e-4)


def test_colour_operations_come_in_the_order_given():
    x = images(4)
    one = torch.ones(4, 1, 1, 1)
    ours = color_jitter(
        x, 1.5 * one, 0.5 * one, one, 0 * one, torch.tensor([[0, 1, 2], [1, 0, 2]] * 2)
    )
    bright_first = TF.adjust_contrast(TF.adjust_brightness(x, 1.5), 0.5)
    contrast_first = TF.adjust_brightness(TF.adjust_contrast(x, 0.5), 1.5)
    theirs = torch.stack([bright_first[0], contrast_first[1]] * 2)
    theirs[2], theirs[3] = bright_first[2], contrast_first[3]
    torch.testing.assert_close(ours, theirs, atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize("channels", [3, 1])
def test_views_are_torchvisions_operations_on_each_image(channels):
    """All of SimCLR's views, with the numbers that the same generator draws."""
    x, views = images(16, channels=channels), ImageViews(gray=0.5)
    draw = Draw(x, generator(5))
    boxes = torch.stack(
        crop_boxes(draw, 32, 32, views.crop_scale, views.crop_ratio), dim=1
    )
    flip = draw.uniform(16) < views.flip
    factors = jitter_factors(draw, views.jitter, views.jitter_probability)
    order = draw.order(3)
    gray = draw.uniform(16) < views.gray
    adjust = TF.adjust_brightness, TF.adjust_contrast, TF.adjust_saturation
    expected = []
    for i, image in enumerate(x):
        image = TF.resized_crop(image, *boxes[i].int().tolist(), [32, 32])
        image = TF.hflip(image) if flip[i] else image
        steps = order[i].tolist()
        steps.insert(i // 4, 3)  # the hue has a place of its own in each quarter
        for step in steps:
            factor = factors[step][i].item()
            if step < 2 or channels == 3:
                image = (*adjust, TF.adjust_hue)[step](image, factor)
        if gray[i] and channels == 3:
            image = TF.rgb_to_grayscale(image, num_output_channels=3)
        expected.append(image)
    ours = views(x, generator(5))
    torch.testing.assert_close(ours, torch.stack(expected), atol=1e-5, rtol=1e-4)


def test_grey_is_torchvisions():
    x = images()
    torch.testing.assert_close(luma(x), TF.rgb_to_grayscale(x), atol=1e-4, rtol=1e-3)


def test_crop_boxes_are_distributed_as_torchvisions():
    n, scale, ratio = 4000, (0.2, 1.0), (3 / 4, 4 / 3)
    draw = Draw(torch.zeros(n, 3, 32, 32), generator())
    ours = torch.stack(crop_boxes(draw, 32, 32, scale, ratio), dim=1).numpy()
    torch.manual_seed(0)
    blank = torch.zeros(3, 32, 32)
    theirs = np.array(
        [RandomResizedCrop.get_params(blank, scale, ratio) for _ in range(n)]
    )
    for column in range(4):
        assert ks_2samp(ours[:, column], theirs[:, column]).pvalue > 1e-3


def test_jitter_factors_are_distributed_as_torchvisions():
    draw = Draw(torch.zeros(20_000, 3, 1, 1), generator())
    b, _, s, h = (f.flatten() for f in jitter_factors(draw, (0.4, 0.4, 2.0, 0.1), 0.8))
    passed_over = b == 1
    assert passed_over.float().mean().item() == pytest.approx(0.2, abs=0.01)
    assert (h == 0).equal(passed_over)
    active = b[~passed_over].numpy()
    assert ks_2samp(active, np.linspace(0.6, 1.4, 10_000)).pvalue > 1e-3
    assert s.min() >= 0 and s.max() > 2.9


def test_every_sample_gets_its_own_view():
    same = images(1).expand(32, -1, -1, -1)
    views = ImageViews()(same, generator())
    assert len({view.numpy().tobytes() for view in views}) == 32


def test_views_stay_in_range_and_finite():
    view = ImageViews(blur=0.5, cutout=0.3, pad=4)(images(64), generator())
    assert view.isfinite().all() and view.min() > -1e-5 and view.max() < 1 + 1e-5


def test_off_is_identity():
    x = images()
    off = ImageViews(crop_scale=None, flip=0.0, jitter=None, gray=0.0)
    assert off(x, generator()).equal(x)
    assert NoViews()(x, generator()) is x


def test_flip_and_shift():
    x = images(2, size=4, channels=1)
    still = {"crop_scale": None, "jitter": None, "gray": 0.0}
    flipped = ImageViews(flip=1.0, **still)(x, generator())
    torch.testing.assert_close(flipped, x.flip(3))
    shifted = ImageViews(flip=0.0, pad=2, **still)(x, generator())
    padded = torch.nn.functional.pad(x, (2, 2, 2, 2))
    for view, whole in zip(shifted, padded, strict=True):
        windows = whole.unfold(1, 4, 1).unfold(2, 4, 1).reshape(-1, 4, 4)
        assert (windows - view).abs().amax(dim=(1, 2)).min() < 1e-6


def test_cutout_is_a_square():
    x = torch.zeros(200, 3, 16, 16)
    off = {"crop_scale": None, "flip": 0.0, "jitter": None, "gray": 0.0}
    view = ImageViews(cutout=0.5, **off)(x, generator())
    areas = (view == 0.5).all(dim=1).sum(dim=(1, 2))
    assert areas.max() <= 81 and areas.float().mean() > 30


def test_corruption_draws_from_the_marginals():
    rows = torch.arange(5000.0)[:, None] * torch.tensor([1.0, -1.0])
    view = VectorViews(corruption=0.3, noise=0.0)(rows, generator())
    changed = (view != rows).float().mean(dim=0)
    np.testing.assert_allclose(changed, 0.3, atol=0.03)
    assert ks_2samp(view[:, 1].numpy(), rows[:, 1].numpy()).pvalue > 1e-3


def test_same_generator_same_views():
    x = images()
    assert ImageViews()(x, generator(3)).equal(ImageViews()(x, generator(3)))


def spec(*shape):
    return InputSpec("image" if len(shape) == 3 else "vector", shape, "CHW")


def test_automatic_views_fit_the_images():
    digits = resolve_views("auto", spec(1, 8, 8), "strong")
    assert digits.flip == 0 and digits.pad == 1 and digits.crop_scale[0] == 0.5
    assert resolve_views("auto", spec(1, 28, 28), "weak").flip == 0
    cifar = resolve_views("auto", spec(3, 32, 32), "weak")
    assert (cifar.pad, cifar.flip, cifar.crop_scale) == (4, 0.5, None)
    photo = resolve_views("auto", spec(3, 224, 224), "strong")
    assert photo.blur == 0.5 and photo.crop_scale[0] == 0.08
    assert isinstance(resolve_views("auto", spec(5), "strong"), VectorViews)
    assert isinstance(resolve_views("auto", spec(5), "weak"), NoViews)


@pytest.mark.parametrize(
    "views, message",
    [
        ("strong", "views='strong' is not valid"),
        (VectorViews(), "X holds images"),
        (ImageViews(flip=1.5), "flip=1.5 is not valid"),
        (ImageViews(crop_scale=(0.5, 0.2)), "must not be larger"),
        (ImageViews(crop_scale=0.5), "crop_scale=0.5 is not valid: it must be 2 num"),
        (ImageViews(blur_sigma=[1.0]), "blur_sigma=.* is not valid: it must be 2 num"),
        (ImageViews(jitter=np.array(1)), "jitter=.* is not valid: it must be 4 num"),
        (ImageViews(jitter=0.4), "jitter=0.4 is not valid: it must be 4 numbers"),
        (ImageViews(jitter=(1, 1, 1)), "jitter=.* is not valid: it must be 4 numbers"),
        (ImageViews(pad=1.5), "pad=1.5 is not valid: it must be an integer"),
    ],
)
def test_bad_views(views, message, digits):
    with pytest.raises(ValueError, match=message):
        NoisyRobustClassifier(views=views, max_epochs=1).fit(*digits)


class Counted(Views):
    """Views that change when they are used."""

    def __call__(self, batch, generator):
        self.calls = getattr(self, "calls", 0) + 1
        return batch


@pytest.mark.parametrize("make", [NoisyRobustClassifier, SSLPretrainer])
def test_views_of_the_user_stay_as_they_are(make, digits):
    views = Counted()
    if make is SSLPretrainer:
        make(SimCLR(views=views), max_epochs=1).fit(digits[0])
    else:
        make("ce", views=views, max_epochs=1).fit(*digits)
    assert vars(views) == {}
