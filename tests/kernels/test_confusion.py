"""How labels are confused with classes, by hand."""

import pytest
import torch

from sknoisy.encoders.heads import simplex
from sknoisy.kernels.confusion import (
    best_stretch,
    first_guess,
    sharpened,
    unmixed,
)


def test_unmixed_is_the_inverse_where_that_is_positive():
    T = torch.tensor([[0.4, 0.6, 0.0], [0.5, 0.4, 0.1], [0.0, 0.2, 0.8]])
    true = torch.tensor([[0.5, 0.3, 0.2], [0.2, 0.2, 0.6]])
    # Classes 0 and 1 change places, and each step comes only a little nearer.
    start, found = true @ T, unmixed(true @ T, T)
    assert (found - true).abs().max() < 0.2 * (start - true).abs().max()
    torch.testing.assert_close(found.sum(dim=1), torch.ones(2))
    identity = torch.eye(3)
    torch.testing.assert_close(unmixed(true, identity), true)


def test_first_guess_unmixes_if_trusted_labels_say_so():
    T = torch.tensor([[0.3, 0.7], [0.7, 0.3]])
    codes = torch.arange(40) % 2
    given = torch.eye(2)[codes]
    probs = given @ T
    trusted = torch.arange(40) < 20
    assert first_guess(probs, T, given, None).argmax(dim=1).ne(codes).all()
    assert first_guess(probs, T, given, trusted).argmax(dim=1).eq(codes).all()
    # Where both guesses are as good, it is the one without trusted labels.
    given = 1 - given
    torch.testing.assert_close(
        first_guess(given, torch.eye(2), given, trusted), sharpened(given)
    )


def test_sharpening_makes_the_median_sure_and_keeps_the_order():
    probs = torch.tensor([[0.4, 0.3, 0.3], [0.2, 0.5, 0.3], [0.1, 0.3, 0.6]])
    found = sharpened(probs)
    assert found.argmax(dim=1).equal(probs.argmax(dim=1))
    torch.testing.assert_close(found[1, 1], torch.tensor(1.0))
    torch.testing.assert_close(found.sum(dim=1), torch.ones(3))
    sure = torch.eye(3)
    torch.testing.assert_close(sharpened(sure), sure)
    assert (simplex(found) > 0).all()


def test_best_stretch():
    generator = torch.Generator().manual_seed(0)
    true = torch.rand(2000, 1, generator=generator)
    true = torch.cat([true, 1 - true], dim=1)
    right = torch.rand(2000, generator=generator) > true[:, 0]
    labels = torch.eye(2)[right.long()]
    shrunk = 0.5 + (true - 0.5) / 2
    assert best_stretch(shrunk, labels) == pytest.approx(2, rel=0.2)
    assert best_stretch(true, labels) == 1
    assert best_stretch(shrunk[:3], labels[:3]) == 1  # too few to tell
