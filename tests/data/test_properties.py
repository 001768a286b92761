"""What holds for every X: of any shape, layout, dtype and range."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from sknoisy.data.spec import InputSpec

DTYPES = ["u1", "u2", "i2", "i4", "f2", "f4", "f8", ">f4", ">i2", "?"]
IGNORED = pytest.mark.filterwarnings("ignore:X (holds|has)")


@st.composite
def images(draw):
    """Images, their layout, and what channels= says of it."""
    layout = draw(st.sampled_from(["HW", "HWC", "CHW"]))
    n, h, w = (draw(st.integers(low, 9)) for low in (1, 4, 4))
    c = draw(st.integers(1, 5))
    shape = {"HW": (n, h, w), "HWC": (n, h, w, c), "CHW": (n, c, h, w)}[layout]
    values = draw(numbers(shape))
    if draw(st.booleans()):
        values = np.asfortranarray(values)
    if draw(st.booleans()):
        values = values[::-1]
    return values, layout


@st.composite
def numbers(draw, shape):
    dtype = np.dtype(draw(st.sampled_from(DTYPES)))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    unit = rng.random(shape)
    if dtype.kind in "ui":
        info = np.iinfo(dtype)
        low, high = sorted(draw(st.integers(info.min, info.max)) for _ in range(2))
        return np.floor(low + unit * (high - low)).astype(dtype)
    if dtype.kind == "b":
        return unit < 0.5
    level, width = draw(st.floats(-1e3, 1e3)), draw(st.floats(0, 1e4))
    return (level + width * unit).astype(dtype)


def channels_of(layout):
    return {"HW": "auto", "HWC": "last", "CHW": "first"}[layout]


def test_values_far_from_zero_are_in_the_unit_interval():
    """Where float32 rounds the ends by more than a millionth of what is between."""
    ends = 128.02757331, 128.40711287
    X = np.random.default_rng(0).uniform(*ends, size=(1, 4, 4))
    X[0, 0, :2] = ends
    batch = InputSpec.learn(X).open(X).fetch(torch.arange(1))
    assert batch.min() == 0 and 1 - 1e-6 < batch.max() < 1 + 1e-6
    near = 1e9 + np.arange(16.0).reshape(1, 4, 4)  # all are one number in float32
    assert InputSpec.learn(near).open(near).fetch(torch.arange(1)).isfinite().all()


@IGNORED
@settings(deadline=None, derandomize=True, max_examples=150)
@given(images(), st.booleans())
def test_images_there_and_back(X_and_layout, as_tensor):
    X, layout = X_and_layout
    before = X.copy()
    given = X
    native = X.dtype.isnative and X.dtype != np.uint16
    if as_tensor and native:
        given = torch.from_numpy(X.copy())
    spec = InputSpec.learn(given, channels_of(layout))
    assert spec.layout == layout and spec.low < spec.high
    assert np.isfinite(spec.mean).all() and (spec.std > 0).all()
    index = torch.arange(len(X)).flip(0)
    store = spec.open(given)
    batch = store.fetch(index)
    assert batch.shape == (len(X), *spec.shape) and batch.dtype == torch.float32
    assert batch.is_contiguous() and batch.min() >= 0 and batch.max() <= 1 + 1e-5
    resident = store.on("cpu") if isinstance(given, np.ndarray) else store
    torch.testing.assert_close(resident.fetch(index), batch)
    restored = spec.restore(batch)
    expected = np.clip(X[::-1].astype(np.float64), spec.low, spec.high)
    assert restored.shape == X.shape
    size = max(abs(spec.low), abs(spec.high))
    np.testing.assert_allclose(restored, expected, rtol=0, atol=1e-6 * size + 1e-6)
    np.testing.assert_array_equal(X, before)


@IGNORED
@settings(deadline=None, derandomize=True, max_examples=100)
@given(st.data(), st.integers(1, 30), st.integers(1, 6))
def test_tables_there_and_back(data, n, d):
    X = data.draw(numbers((n, d)))
    before = X.copy()
    spec = InputSpec.learn(X)
    assert np.isfinite(spec.mean).all() and (spec.std > 0).all()
    index = torch.arange(n).flip(0)
    batch = spec.open(X).fetch(index)
    assert batch.shape == (n, d) and batch.dtype == torch.float32
    torch.testing.assert_close(spec.open(X).on("cpu").fetch(index), batch)
    restored, expected = spec.restore(batch), X[::-1].astype(np.float64)
    if spec.bounds is None:
        tolerance = 1e-6 * np.abs(expected).max() + 1e-6
        np.testing.assert_allclose(restored, expected, rtol=0, atol=tolerance)
    np.testing.assert_array_equal(X, before)


@settings(deadline=None, derandomize=True, max_examples=100)
@given(images(), st.data())
def test_clean_images_have_the_range_of_their_dtype(X_and_layout, data):
    """Uniform values have no outliers: the range is that of their extremes."""
    X, layout = X_and_layout
    spec = InputSpec.learn(X, channels_of(layout))
    low, high = float(X.min()), float(X.max())
    if X.dtype == np.uint8:
        expected = 0.0, 255.0
    elif low >= 0 and high <= 1:
        expected = 0.0, 1.0
    else:
        expected = low, high if high > low else low + 1
    assert (spec.low, spec.high) == expected
