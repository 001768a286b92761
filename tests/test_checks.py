import numpy as np
import pytest
import torch

from sknoisy.checks import check_choice, check_transition_matrix


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
