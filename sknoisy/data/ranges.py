"""Ranges of values: of the training X without its outliers, and of a later X."""

import numpy as np
import torch

from sknoisy.data.labels import counted
from sknoisy.warning import warn

# Largest share of the values that may be outliers on one side, and their least distance
# from all others, in widths of the range without that share on both sides.
IMAGE_FENCES = ((0.005, 3.0), (0.025, 30.0))
COLUMN_FENCES = ((0.005, 30.0), (0.025, 30.0))  # clean columns have longer tails
# Share of one extreme value, saturation or nodata, that may be an outlier.
REPEATED = 0.05
FEWEST = 10  # values that are enough to find outliers
LEARN_VALUES = 2**18  # values of images that the fences are measured on
LEARN_ROWS = 10_000  # rows of tables that they are measured on, if these are not wide
CHECK_VALUES = 2**14  # values of images that a later X is judged by
CHECK_ROWS = 256  # rows of tables that a later X is judged by
LATER_WIDTHS = 30.0  # of a column, beyond which later values are clipped
NARROW = 1 / 10  # of the training X's width, of which several samples have more
SEVERAL = 8  # samples that are enough to judge a scale: one image may be dark
PART_BYTES = 8 * 2**20  # that are read at a time
SHOWN = 5  # columns in a message


def image_range(X):
    """Return the image values that become 0 and 1.

    For uint8 these are 0 and 255, for floats within [0, 1] they are 0 and 1, and for
    anything else they are the minimum and maximum of X: of 12-bit images in uint16
    about 0 and 4095, of signed data the lowest negative value and the highest. The
    minimum and maximum are those without outliers, which a warning counts: up to 0.5%
    of the values on a side that lie more than 3 widths beyond the central 99%, up to
    2.5% more than 30 widths beyond the central 95%, or one extreme value of up to 5%
    (saturation, nodata) more than 3 widths beyond the others. A background, one value
    that more than half of the pixels have, counts for none of the shares.

    Parameters
    ----------
    X : ndarray or tensor of shape (n_samples, ...)
        Images.

    Returns
    -------
    low, high : float
        The range.
    """
    if X.dtype in (np.uint8, torch.uint8):
        return 0.0, 255.0
    low, high = float(X.min()), float(X.max())
    floor, ceiling = _fences(sample_values(X, LEARN_VALUES), IMAGE_FENCES)
    if low < floor or high > ceiling:
        farthest = low if floor - low > high - ceiling else high
        low, high, count = _inner_range(X, floor, ceiling)
        values = "value" if count == 1 else "values"
        warn(
            f"X holds {count} {values} far outside the range of all others, from "
            f"{low:.6g} to {high:.6g}; the farthest is {farthest:.6g}. Outliers are "
            "clipped to that range. If they are signal, rather than hot or saturated "
            "pixels or nodata values, pass X on another scale, for example "
            "np.log1p(X).",
        )
    if 0.0 <= low and high <= 1.0:
        return 0.0, 1.0
    return low, high if high > low else low + 1.0


def column_ranges(X, names=None):
    """Return the ranges of the columns of a table.

    Parameters
    ----------
    X : ndarray or tensor of shape (n_samples, n_features)
        A table. A warning names its columns with outliers.
    names : sequence of str, default=None
        What to call the columns; by default their positions.

    Returns
    -------
    limits : ndarray of shape (2, n_features), float64
        Minimum and maximum of each column, without outliers.
    bounds : ndarray of shape (2, n_features), float64, or None
        What outliers are clipped to: the limits of columns that have outliers,
        infinite ones for the others; None if there are no outliers.
    """
    limits = np.stack([_host(X.min(0)), _host(X.max(0))])
    bounds = np.repeat([[-np.inf], [np.inf]], X.shape[1], axis=1)
    if len(X) < FEWEST or X.dtype in (np.bool_, torch.bool, np.uint8, torch.uint8):
        return limits, None
    n_rows = max(CHECK_ROWS, min(LEARN_ROWS, LEARN_VALUES * 32 // X.shape[1]))
    rows = np.sort(rows_of(X, n_rows), axis=0)
    share, widths = COLUMN_FENCES[-1]
    skip = max(1, int(share * len(rows)))
    low, high = rows[skip], rows[-1 - skip]
    reach = widths * (high - low)
    suspects = (limits[0] < low - reach) | (limits[1] > high + reach)
    counts = {}
    for j in np.flatnonzero(suspects):
        floor, ceiling = _fences(rows[:, j], COLUMN_FENCES)
        if limits[0, j] < floor or limits[1, j] > ceiling:
            *bounds[:, j], counts[j] = _inner_range(X[:, j], floor, ceiling)
    if not counts:
        return limits, None
    warn(
        "X holds values far outside the range of all others in their column "
        f"({_listed(counts, names)}). Outliers are clipped to the range of the "
        "others. If they stand for missing values, impute them first; if they are "
        "signal, pass logarithms or ranks.",
    )
    columns = [*counts]
    limits[:, columns] = bounds[:, columns]
    return limits, bounds


def later_fences(X, limits, bounds, quiet=False, names=None):
    """Return the range of each column beyond which a later table has outliers.

    Parameters
    ----------
    X : ndarray or tensor of shape (n_samples, n_features)
        A table. A warning names columns that have values far outside of the limits.
    limits, bounds : ndarray of shape (2, n_features), float64
        Those of the training X; `bounds` may be None.
    quiet : bool, default=False
        Whether to give no warning.
    names : sequence of str, default=None
        What to call the columns; by default their positions.

    Returns
    -------
    fences : ndarray of shape (2, n_features), float64, or None
        Lowest and highest value that is no outlier, of each column: whatever else X
        holds. None where there is no outlier.
    """
    fences = fences_of(limits, bounds)
    far = (_host(X.min(0)) < fences[0]) | (_host(X.max(0)) > fences[1])
    columns = np.flatnonzero(far)
    if len(columns) == 0:
        return None
    if not quiet:
        counts = {j: _inner_range(X[:, j], *fences[:, j])[2] for j in columns}
        warn(
            f"X holds values far outside the range of the training X in their column "
            f"({_listed(counts, names)}). They are clipped to that range.",
        )
    return fences


def fences_of(limits, bounds):
    """Return the lowest and highest value of each column that is no later outlier.

    Parameters
    ----------
    limits, bounds : ndarray of shape (2, n_features), float64
        Those of the training X; `bounds` may be None.

    Returns
    -------
    fences : ndarray of shape (2, n_features), float64
        Infinite for columns that are clipped by `bounds`, or were constant.
    """
    low, high = limits
    # A column that was constant has no scale to judge other values by.
    reach = np.where(high > low, LATER_WIDTHS * (high - low), np.inf)
    if bounds is not None:  # all that lies beyond the others is clipped
        reach[np.isfinite(bounds).all(axis=0)] = np.inf
    return np.stack([low - reach, high + reach])


def _called(j, names):
    return f"column {j if names is None else repr(names[j])}"


def _listed(counts, names):
    """Return numbers of values by column as text."""
    listed = [f"{_called(j, names)}: {count}" for j, count in counts.items()][:SHOWN]
    more = len(counts) - len(listed)
    return ", ".join(listed) + (f" and {more} more columns" if more else "")


def check_images(X, low, high):
    """Raise or warn if images have another range than those of the training X.

    Parameters
    ----------
    X : ndarray or tensor of shape (n_samples, ...)
        Images.
    low, high : float
        The range of the training images.
    """
    is_uint8 = X.dtype in (np.uint8, torch.uint8)
    if len(X) == 0 or (is_uint8 and (low, high) == (0.0, 255.0)):
        return
    if is_uint8 and (low, high) == (0.0, 1.0):
        raise ValueError(
            "X holds uint8 images, but the training X held floats in [0, 1]: pass "
            "X / 255."
        )
    values, width = sample_values(X, CHECK_VALUES), high - low
    is_unit = not is_uint8 and 0 <= values.min() and 0 < values.max() <= 1
    several = len(X) >= SEVERAL  # a single image may be dark
    if several and is_unit and (low, high) == (0.0, 255.0) and (values % 1).any():
        raise ValueError(
            "X holds images from 0 to 1, but the training X held values from 0 to 255: "
            "pass 255 * X."
        )
    lowest, highest = values.min(), values.max()
    ranges = (
        f"X has values from {lowest:.6g} to {highest:.6g}, but those of the training X "
        f"were from {low:.6g} to {high:.6g}"
    )

    def share_beyond(margin):
        return np.mean((values < low - margin) | (values > high + margin))

    if share_beyond(width) > 0.5:
        raise ValueError(f"{ranges}: bring X to the same scale.")
    narrow = NARROW if len(X) >= SEVERAL else 1 / 200
    if (clipped := share_beyond(0.1 * width)) > 0.1:
        problem = f"{clipped:.0%} of X is clipped to that range"
    elif 0 < highest - lowest < narrow * width:
        problem = "it has hardly any contrast"
    elif low < -0.1 * width and lowest >= 0 and len(X) >= SEVERAL:
        problem = "none of X is negative"
    else:
        return
    warn(
        f"{ranges}: {problem}. If X is on a different scale, bring it to the same one.",
    )


def check_columns(X, mean, std, limits, names=None):
    """Warn if a table has columns on another scale than those of the training X.

    Parameters
    ----------
    X : ndarray or tensor of shape (n_samples, n_features)
        A table.
    mean, std : ndarray of shape (n_features,)
        Moments of the training X; the deviation of columns that were constant is 1.
    limits : ndarray of shape (2, n_features)
        Minimum and maximum of the columns of the training X.
    names : sequence of str, default=None
        What to call the columns; by default their positions.

    Returns
    -------
    warned : bool
        Whether it has such columns.
    """
    rows = rows_of(X, CHECK_ROWS)
    far = np.abs(np.median(rows, axis=0) - mean) > 20 * std
    narrow = np.zeros(len(mean), bool)
    if len(X) >= SEVERAL:
        with np.errstate(over="ignore"):
            spread = rows.std(axis=0)
        # What was constant but for rounding has no spread to compare with.
        judged = (spread > 0) & (limits[1] - limits[0] >= std)
        narrow[judged] = (spread < NARROW * std)[judged]
        narrow &= narrow.sum() > 0.5 * judged.sum()
    elif far.mean() <= 0.5:  # a few rows may have a rare value
        return False
    columns = np.flatnonzero(far | narrow)
    if len(columns) == 0:
        return False
    j = columns[0]
    warn(
        f"X has {counted(len(columns), 'column')} on a different scale from the "
        f"training X: the values of {_called(j, names)} are about "
        f"{np.median(rows[:, j]):.6g}, those of the training X had mean {mean[j]:.6g} "
        f"and standard deviation {std[j]:.6g}. Scale X as the training X was.",
    )
    return True


def sample_values(X, n):
    """Return values of X, at most n, evenly from all samples and positions.

    Parameters
    ----------
    X : ndarray or tensor of shape (n_samples, ...)
        Images; only the values that are returned are read.
    n : int
        How many values to return.

    Returns
    -------
    values : ndarray of shape (<= n,), float64
        The values.
    """
    if int(np.prod(X.shape)) <= n:
        return _host(X).ravel()
    rng = np.random.default_rng(0)
    at = [np.linspace(0, X.shape[0] - 1, n).astype(np.int64)]
    at += [rng.integers(0, side, n) for side in X.shape[1:]]
    if isinstance(X, torch.Tensor):
        at = [torch.from_numpy(axis).to(X.device) for axis in at]
    return _host(X[tuple(at)])


def rows_of(X, n):
    """Return at most n rows of X as float64, evenly spread."""
    return _host(X[np.linspace(0, len(X) - 1, min(n, len(X))).astype(np.int64)])


def _fences(values, fences):
    """Return the lowest and the highest value that is no outlier."""
    values = np.sort(values)
    mode = values[len(values) // 2]
    others = values[values != mode]
    if 2 * len(others) >= len(values):
        others, mode = values, None
    most = REPEATED * len(values)
    floor = -_ceiling(-others[::-1], None if mode is None else -mode, most, fences)
    return floor, _ceiling(others, mode, most, fences)


def _ceiling(values, mode, most, fences):
    """Return the highest of sorted values that is no outlier."""
    below = values[values < values[-1]] if len(values) else values
    values = below if len(values) - len(below) <= most else values
    ceiling = np.inf
    for share, widths in fences if len(values) >= FEWEST else ():
        skip = max(1, int(share * len(values)))
        low, high = values[skip], values[-1 - skip]
        if mode is not None:
            low, high = min(low, mode), max(high, mode)
        # Where nearly all are equal, the others are not outliers but the signal.
        if high > low:
            ceiling = min(ceiling, high + widths * (high - low))
    return ceiling


def _inner_range(X, floor, ceiling):
    """Return the extremes of values between two fences, and how many are not."""
    low, high, count = np.inf, -np.inf, 0
    step = max(1, PART_BYTES // max(1, int(np.prod(X.shape[1:])) * 8))
    for start in range(0, len(X), step):
        part = _host(X[start : start + step])
        inner = part[(part >= floor) & (part <= ceiling)]
        count += part.size - inner.size
        if inner.size:
            low, high = min(low, inner.min()), max(high, inner.max())
    return float(low), float(high), count


def _host(values):
    """Return an array or tensor as an ndarray of float64."""
    if isinstance(values, tuple):  # PyTorch gives extremes with their positions
        values = values[0]
    if isinstance(values, torch.Tensor):
        values = values.cpu().numpy()
    return np.asarray(values, dtype=np.float64)
