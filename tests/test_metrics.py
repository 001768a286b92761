import numpy as np
import pytest

from sknoisy.metrics import (
    detection_average_precision,
    detection_balanced_accuracy,
    detection_f1,
)

WRONG = np.array([1, 1, 1, 0, 0, 0, 0, 0], dtype=bool)
FOUND = np.array([1, 1, 0, 1, 0, 0, 0, 0], dtype=bool)


def test_by_hand():
    """Two of three are found, with one false alarm among five right labels."""
    assert detection_f1(WRONG, FOUND) == pytest.approx(2 / 3)
    assert detection_balanced_accuracy(WRONG, FOUND) == pytest.approx((2 / 3 + 0.8) / 2)
    quality = [0.1, 0.3, 0.9, 0.2, 0.4, 0.5, 0.6, 0.7]
    expected = (1 / 1 + 2 / 3 + 3 / 8) / 3  # precision at ranks 1, 3 and 8
    assert detection_average_precision(WRONG, quality) == pytest.approx(expected)


def test_ends():
    assert detection_f1(WRONG, WRONG) == detection_balanced_accuracy(WRONG, WRONG) == 1
    assert detection_f1(WRONG, ~WRONG) == 0
    assert detection_f1(WRONG, np.zeros(8, bool)) == 0
    assert detection_balanced_accuracy(WRONG, np.zeros(8, bool)) == 0.5
    assert detection_average_precision(WRONG, ~WRONG) == 1
    assert detection_average_precision(WRONG, np.ones(8)) == pytest.approx(3 / 8)


def test_lists_and_numbers_are_masks():
    assert detection_f1([1, 0, 1], [True, False, True]) == 1


@pytest.mark.parametrize(
    "metric, wrong, found, message",
    [
        (detection_f1, WRONG, FOUND[:4], r"label_errors of shape \(4,\)"),
        (detection_f1, WRONG, np.arange(8), "label_errors of shape .* boolean mask"),
        (detection_f1, [], [], "is_wrong of shape"),
        (detection_balanced_accuracy, np.zeros(8), FOUND, "is_wrong is False for all"),
        (detection_average_precision, np.ones(8), np.ones(8), "is_wrong is True for"),
        (detection_average_precision, WRONG, np.ones(3), r"label_quality of shape"),
        (detection_average_precision, WRONG, np.full(8, np.nan), "NaN"),
    ],
)
def test_errors(metric, wrong, found, message):
    with pytest.raises(ValueError, match=message):
        metric(wrong, found)
