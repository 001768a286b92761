import numpy as np
import pandas as pd
import pytest
import torch

from sknoisy.checks import (
    as_mask,
    as_numbers,
    check_choice,
    check_lengths,
    check_transition_matrix,
)
from sknoisy.data.weights import check_sample_weight


@pytest.mark.parametrize(
    "value, message",
    [
        (np.eye(2), r"shape \(2, 2\) .*matrix of 3 classes"),
        (np.ones(3), r"shape \(3,\) is not valid"),
        ("auto", r"shape \(\) is not valid"),
        (np.eye(3) * 1.1, "its rows sum to 1.1 to 1.1"),
        ([[1.5, -0.5, 0], [0, 1, 0], [0, 0, 1]], "it holds -0.5 to 1.5"),
        (np.full((3, 3), np.nan), "it holds nan to nan"),
    ],
)
def test_what_is_no_transition_matrix(value, message):
    with pytest.raises(ValueError, match=f"transition_matrix.*{message}"):
        check_transition_matrix(value, 3)


def test_a_rounded_transition_matrix():
    T = check_transition_matrix([[0.33, 0.33, 0.33], [0, 1, 0], [0, 0, 1]])
    np.testing.assert_allclose(T.sum(axis=1), 1)


@pytest.mark.parametrize(
    "value", [np.array(["mlp", "x"]), np.array("mlp"), torch.ones(3), ["mlp"], {}, 1.5]
)
def test_what_is_no_choice(value):
    with pytest.raises(ValueError, match="^head=.* is not valid: it must be one of"):
        check_choice("head", value, ["mlp", True])


def test_choices():
    for value in ("mlp", np.str_("mlp"), True, np.True_, None):
        check_choice("head", value, ["mlp", True, None])


@pytest.mark.parametrize("value", [np.float32(0.5), np.array(0.5), torch.tensor(1), 3])
def test_what_has_no_length(value):
    check_lengths(X=[1, 2], y=None, weights=np.ones(2))
    with pytest.raises(TypeError, match="^y is not valid"):
        check_lengths(X=[1, 2], y=value)


def test_lengths_that_differ():
    with pytest.raises(ValueError, match=r"numbers of samples: \[2, 3\]"):
        check_lengths(X=[1, 2], y=[1, 2, 3])


@pytest.mark.parametrize(
    "value",
    [
        ["True", "False"],
        [np.nan, 1],
        [0, 2],
        pd.Series([True, pd.NA], dtype="boolean"),
        np.ma.array([True, False], mask=[False, True]),
        [[True, False]],
        [True],
        True,
        torch.empty(2, device="meta"),
    ],
)
def test_what_is_no_mask(value):
    with pytest.raises(ValueError, match="^found .*mask"):
        as_mask("found", value, 2)


@pytest.mark.parametrize(
    "value",
    [
        [True, False],
        (1, 0),
        np.array([1.0, 0.0]),
        pd.Series([True, False], dtype="boolean", index=[7, 3]),
        np.ma.array([True, False]),
        torch.tensor([1, 0]),
    ],
)
def test_masks(value):
    mask = as_mask("found", value)
    assert mask.dtype == bool and mask.tolist() == [True, False]


def test_no_value_below_a_mask_counts():
    values = np.ma.array([1.0, 2.0], mask=[False, True])
    for check in (as_numbers, lambda name, v: check_sample_weight(v, 2)):
        with pytest.raises(ValueError, match="is a masked array, of which 1 value"):
            check("x", values)
    assert as_numbers("x", values[:1]).tolist() == [1]


def test_numbers_of_tensors():
    values = torch.tensor([0.5, 2.0], requires_grad=True)
    assert as_numbers("x", values).dtype == np.float32
    assert as_numbers("x", values.bfloat16()).tolist() == [0.5, 2]
