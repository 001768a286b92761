"""Outliers, nodata values and saturation in X, and an X of another range later."""

import warnings

import numpy as np
import pytest
import torch
from sklearn.datasets import load_breast_cancer
from sklearn.decomposition import PCA
from sklearn.preprocessing import StandardScaler

from sknoisy import NoisyRobustClassifier
from sknoisy.data.inputs import as_inputs
from sknoisy.data.spec import InputSpec

OUTLIERS = pytest.mark.filterwarnings("ignore:X holds .*far outside")


def as_kind(images, kind):
    """Images of floats in [0, 1] as cameras and simulations give them."""
    return {
        "unit": lambda x: x,
        "bytes as floats": lambda x: 255 * x,
        "12 bits": lambda x: (4095 * x).astype(np.uint16),
        "signed": lambda x: (2000 * x - 1000).astype(np.int16),
        "standardised": lambda x: (x - x.mean()) / x.std(),
        "float64": lambda x: x.astype(np.float64) * 1e5,
        "float16": lambda x: x.astype(np.float16),
    }[kind](images)


KINDS = [
    "unit",
    "bytes as floats",
    "12 bits",
    "signed",
    "standardised",
    "float64",
    "float16",
]


def damage(images, kind, value):
    rng = np.random.default_rng(0)
    images = images.copy()
    if kind == "one pixel":
        images[3, 2, 2] = value
    elif kind == "a pixel of every fifth image":
        images[::5, 2, 2] = value
    elif kind == "whole images":
        images[[3, 100]] = value
    else:
        images[rng.random(images.shape) < 0.02] = value
    return images


@pytest.mark.parametrize("kind", KINDS)
def test_without_outliers_the_range_is_minimum_and_maximum(kind, digits):
    images = as_kind(digits[0], kind)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        spec = InputSpec.learn(images)
        batch = spec.open(images).fetch(torch.arange(300))
    expected = (0, 1) if kind in ("unit", "float16") else (images.min(), images.max())
    assert (spec.low, spec.high) == expected
    assert batch.min() == 0 and abs(batch.max() - 1) < 1e-6


@pytest.mark.parametrize("where", ["one pixel", "whole images", "2% of the pixels"])
@pytest.mark.parametrize("kind", KINDS)
def test_outliers_leave_the_range_of_images(kind, where, digits):
    clean = as_kind(digits[0], kind)
    value = {"uint16": 65535, "float16": 6e4, "int16": -32768}.get(
        str(clean.dtype), 1e9
    )
    images = damage(clean, where, value)
    count = np.sum(images == value)
    with pytest.warns(UserWarning, match=f"X holds {count} values? far outside"):
        spec = InputSpec.learn(images)
    before = InputSpec.learn(clean)
    assert (spec.low, spec.high) == (before.low, before.high)
    batch = spec.open(images).fetch(torch.arange(300))
    assert batch.min() >= 0 and batch.max() <= 1 + 1e-6
    np.testing.assert_allclose(spec.mean, before.mean, atol=0.02)


@OUTLIERS
@pytest.mark.parametrize("value", [-9999, 1e6, -3.4e38, 1e300])
@pytest.mark.parametrize("as_tensor", [False, True])
def test_nodata_and_hot_pixels(value, as_tensor, digits):
    images = damage(digits[0].astype(np.float64), "a pixel of every fifth image", value)
    spec = InputSpec.learn(torch.from_numpy(images) if as_tensor else images)
    assert (spec.low, spec.high) == (0, 1)
    assert spec.open(images).fetch(torch.arange(300)).isfinite().all()


@OUTLIERS
@pytest.mark.parametrize("value", [1e6, -9999])
def test_accuracy_with_outliers(value, digits):
    images, y = digits

    images = damage(images, "a pixel of every fifth image", value)
    model = NoisyRobustClassifier(max_epochs=6, batch_size=32, random_state=0)
    # 0.79 without outliers, 0.08 with a range of minimum and maximum
    assert model.fit(images[:200], y[:200]).score(images[200:], y[200:]) > 0.65


def test_backgrounds_and_sparse_signals_are_no_outliers():
    rng = np.random.default_rng(0)
    for share in (0.001, 0.02, 0.3):
        sparse = np.zeros((50, 16, 16))
        sparse[rng.random(sparse.shape) < share] = 1000
        assert InputSpec.learn(sparse).high == 1000
        sparse *= rng.random(sparse.shape)
        assert InputSpec.learn(sparse).high == sparse.max()
    smooth = rng.gamma(1.0, 100.0, (50, 16, 16))  # a long tail
    assert InputSpec.learn(smooth).high == smooth.max()


def test_bright_lights_are_clipped_with_a_hint():
    lights = np.random.default_rng(0).pareto(1.0, (100, 16, 16))
    with pytest.warns(UserWarning, match="np.log1p"):
        spec = InputSpec.learn(lights)
    assert 10 < spec.high < lights.max()
    assert InputSpec.learn(np.log1p(lights)).high == np.log1p(lights).max()


@pytest.mark.parametrize("limits", [{"SAMPLES": 10}, {"VALUES": 640, "FILES": 1}])
def test_moments_are_those_of_all_of_sorted_data(limits, monkeypatch):
    """Class-sorted data: the first images are not like the others."""
    for name, limit in limits.items():
        monkeypatch.setattr(f"sknoisy.data.spec.MOMENT_{name}", limit)
    images = np.repeat(np.arange(40), 64).reshape(40, 8, 8).astype(np.float32) / 39
    spec = InputSpec.learn(images)
    np.testing.assert_allclose(spec.mean, 0.5, atol=0.02)
    np.testing.assert_allclose(spec.std, images.std(), atol=0.05)


@pytest.fixture(scope="module")
def table():
    return load_breast_cancer(return_X_y=True)


def test_clean_tables_are_as_they_were(table):
    X = table[0]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        spec = InputSpec.learn(X)
    assert spec.bounds is None and spec.shift is None
    np.testing.assert_allclose(spec.mean, X.mean(axis=0), rtol=1e-5)
    np.testing.assert_allclose(spec.std, X.std(axis=0), rtol=1e-5)
    rng = np.random.default_rng(0)
    rare = (rng.random((1000, 4)) < [0.001, 0.004, 0.02, 0.2]).astype(float)
    rare[:, 3] *= rng.random(1000)
    assert InputSpec.learn(rare).bounds is None
    assert InputSpec.learn(rng.lognormal(size=(2000, 3))).bounds is None


@pytest.mark.parametrize("kind", ["float64", "float32", "tensor", "int64"])
@pytest.mark.parametrize("value", [-999_999, 10**9])
def test_outliers_in_columns(kind, value, table):
    clean = (1000 * table[0]).astype(np.int64)
    X = clean.copy()
    rows = np.random.default_rng(0).random(len(X)) < 0.01
    X[rows, 1] = value
    X[0, 5] = value
    X = torch.from_numpy(X).double() if kind == "tensor" else X.astype(kind)
    names = f"column 1: {rows.sum()}, column 5: 1"
    with pytest.warns(UserWarning, match=f"in their column .{names}"):
        spec = InputSpec.learn(as_inputs(X))
    before = InputSpec.learn(clean)
    np.testing.assert_allclose(spec.mean[[1, 5]], before.mean[[1, 5]], rtol=0.05)
    np.testing.assert_allclose(spec.std[[1, 5]], before.std[[1, 5]], rtol=0.1)
    others = np.delete(np.arange(30), [1, 5])
    np.testing.assert_allclose(spec.std[others], before.std[others], rtol=1e-5)
    batch = spec.open(X).fetch(torch.arange(len(X)))
    assert (batch[:, 1] <= clean[:, 1].max()).all() and (batch >= 0).all()


@OUTLIERS
def test_outliers_and_large_offsets_in_one_column():
    rng = np.random.default_rng(0)
    X = rng.integers(0, 1000, (300, 2)).astype(np.float64) + 1.7e9
    X[7, 0] = -9999
    spec = InputSpec.learn(X)
    store = spec.open(X)
    batch = store.fetch(torch.arange(300))
    for other in (store.resident(torch.device("cpu")), store.on("cpu")):
        assert other.fetch(torch.arange(300)).equal(batch)
    restored = spec.restore(batch)
    np.testing.assert_allclose(restored[:7], X[:7], rtol=0, atol=1e-3)
    assert abs(restored[7, 0] - np.delete(X[:, 0], 7).min()) < 1e-3
    assert spec.std.max() < 400


@OUTLIERS
def test_accuracy_of_tables_with_outliers(table):
    X, y = table
    rng = np.random.default_rng(0)

    def accuracy(X):
        model = NoisyRobustClassifier(random_state=0)
        return model.fit(X[::2], y[::2]).score(X[1::2], y[1::2])

    clean = accuracy(X)
    for share in (0, 0.01):
        damaged = X.copy()
        damaged[rng.random(X.shape) < share] = -9999
        damaged[np.arange(0, 60, 2), np.arange(30)] = 1e9
        assert accuracy(damaged) > clean - 0.03


@pytest.mark.parametrize("trained", KINDS)
@pytest.mark.parametrize("given", [*KINDS, "uint8"])
def test_another_range_of_images_later(trained, given, digits):
    images = digits[0]
    spec = InputSpec.learn(as_kind(images[:200], trained))
    later = images[200:]
    later = (
        (255 * later).astype(np.uint8) if given == "uint8" else as_kind(later, given)
    )
    same = {"float16": "unit", "uint8": "bytes as floats"}
    if same.get(given, given) == same.get(trained, trained):
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            spec.open(later)
            spec.open(later[:1])
        return
    with warnings.catch_warnings(record=True) as messages:
        warnings.simplefilter("always")
        try:
            spec.open(later)
        except ValueError as error:
            messages.append(error)
    (message,) = map(str, messages)
    expected = "X has values from", "X holds uint8", "X holds images from 0 to 1"
    assert any(text in message for text in expected)


def test_dark_images_and_a_few_outliers_later_are_no_other_range(digits):
    spec = InputSpec.learn(digits[0])
    later = digits[0][:1] * 0.05
    later[0, 3, 3] = 1e6
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        store = spec.open(later)
        spec.open(np.zeros((20, 8, 8)))
    assert store.fetch(torch.arange(1)).max() == 1


@pytest.mark.parametrize("n", [1, 100])
@pytest.mark.parametrize("change", [lambda x: 1000 * x, lambda x: 1e5 - x])
def test_another_range_of_tables_later(change, n, table):
    X = table[0]
    spec = InputSpec.learn(X)
    with pytest.warns(
        UserWarning, match="columns? on a different scale from"
    ) as messages:
        spec.open(change(X)[:n])
    assert len(messages) == 1
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for start in range(0, 500, n):
            spec.open(X[start : start + n])
            spec.open(X[start : start + n, :].astype(np.float32))


def test_tables_that_are_standardised_only_later(table):
    X = table[0]
    spec = InputSpec.learn(X[:, X.std(axis=0) > 2])
    scaled = (X - X.mean(axis=0)) / X.std(axis=0) / 50
    with pytest.warns(UserWarning, match="a different scale"):
        spec.open(scaled[:, X.std(axis=0) > 2])


def test_tables_that_are_divided_by_their_maximum_only_later(table):
    X = table[0]
    spec = InputSpec.learn(X)
    with pytest.warns(UserWarning, match="a different scale"):
        spec.open(X / 16)


@pytest.mark.parametrize("value", [5e9, -99_999, 1e300])
@pytest.mark.parametrize("offset", [0, 1e9])
def test_outliers_that_only_a_later_table_has(value, offset, table):
    X = table[0] + offset
    spec = InputSpec.learn(X)
    later = X.copy()
    later[3, 0] = later[5, 2] = later[6, 2] = value
    with pytest.warns(UserWarning, match=r"training X in .*column 0: 1, column 2: 2\)"):
        store = spec.open(later)
    clean = spec.open(X).fetch(torch.arange(len(X)))
    batch = store.fetch(torch.arange(len(X)))
    changed = batch != clean
    assert set(zip(*np.nonzero(changed.numpy()), strict=True)) == {
        (3, 0),
        (5, 2),
        (6, 2),
    }
    assert (batch <= clean.max(0).values).all() and (batch >= clean.min(0).values).all()
    assert store.on("cpu").fetch(torch.arange(len(X))).equal(batch)
    assert spec.fences is None and store.spec == spec


@OUTLIERS
@pytest.mark.parametrize("offset", [0, 1e9])
def test_a_row_is_read_alike_whatever_the_others_are(offset, table):
    X = table[0] + offset
    spec, later = InputSpec.learn(X), X[:4].copy()
    later[0, 0] += 5 * np.ptp(X[:, 0])  # beyond all others, and no outlier
    alone = spec.open(later[:1]).fetch(torch.arange(1))
    assert alone[0, 0] > spec.open(X).fetch(torch.arange(len(X)))[:, 0].max()
    later[1, 0] += 1000 * np.ptp(X[:, 0])
    assert spec.open(later).fetch(torch.arange(1)).equal(alone)


@pytest.mark.parametrize("scale", [1e-30, 1e-15, 1, 1e30])
def test_tables_of_any_scale(scale, table):
    X = table[0] - 5 * table[0].std(axis=0)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        spec = InputSpec.learn(scale * X)
        spec.open(scale * X)
    std = spec.std if spec.unit is None else spec.std * spec.unit
    np.testing.assert_allclose(std / scale, X.std(axis=0), rtol=1e-3)


def test_rounding_is_no_scale(table):
    """Of a PCA, components that are 0 but for rounding stay so, and nothing is said."""
    X = StandardScaler().fit_transform(table[0])[:, :8]
    pca = PCA().fit(np.hstack([X] * 5))
    X = pca.transform(np.hstack([X] * 5))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        spec = InputSpec.learn(X)
        spec.open(X[::2])
    assert (spec.std[8:] == 1).all() and (spec.std[:8] != 1).all()
    with pytest.warns(UserWarning, match="X has 8 columns on a different scale from"):
        spec.open(X / 100)


def test_a_constant_column_may_change_later():
    X = np.c_[np.ones(50), np.arange(50.0)]
    spec = InputSpec.learn(X)
    store = spec.open(X[:, :] + [[4.0, 0]])
    assert (store.fetch(torch.arange(50))[:, 0] == 5).all()


def test_a_sample_that_memory_cannot_hold():
    """Refused by its shape, before a value is read."""
    huge = np.broadcast_to(np.uint16(0), (2, 10**6, 10**6))
    with pytest.raises(ValueError, match=r"needs about \d+ GiB of memory"):
        InputSpec.learn(huge)
    assert InputSpec.describe(huge).shape == (1, 10**6, 10**6)


def test_rare_values_of_sparse_columns_are_no_later_outliers(digits):
    X = digits[0].reshape(300, 64)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for start in range(0, 300, 60):
            part = np.arange(300) // 60 == start // 60
            assert InputSpec.learn(X[part]).open(X[~part]).spec.fences is None
