import os
import pickle
from collections import Counter
from datetime import date
from decimal import Decimal
from pathlib import Path

import numpy as np
import pytest
import torch
from nets import narrow
from PIL import Image
from sklearn import config_context
from sklearn.base import clone
from sklearn.calibration import CalibratedClassifierCV
from sklearn.linear_model import LogisticRegression
from sklearn.manifold import TSNE
from sklearn.model_selection import train_test_split
from sklearn.preprocessing import StandardScaler

from sknoisy import (
    LabelErrorDetector,
    LazyFeatures,
    NoisyRobustClassifier,
    PseudoLabelRefiner,
    SSLPretrainer,
    load,
    save,
)
from sknoisy.data import stores
from sknoisy.data.batches import stream
from sknoisy.data.images import missing_files, read_image
from sknoisy.data.inputs import as_inputs, is_paths
from sknoisy.data.spec import InputSpec
from sknoisy.data.stores import ArrayStore, PathStore


def test_uint8_is_scaled_on_the_way_and_not_copied(colour):
    X, _ = colour
    store = InputSpec.learn(X).open(X)
    assert store.array is X
    batch = store.fetch(torch.tensor([3, 1]))
    assert batch.shape == (2, 3, 16, 16) and batch.dtype == torch.float32
    expected = np.moveaxis(X[[3, 1]], 3, 1) / 255
    np.testing.assert_allclose(batch, expected, rtol=1e-6)


def test_moments_are_those_of_the_data(colour):
    X, _ = colour
    spec = InputSpec.learn(X)
    np.testing.assert_allclose(spec.mean, (X / 255).mean(axis=(0, 1, 2)), rtol=1e-4)
    np.testing.assert_allclose(spec.std, (X / 255).std(axis=(0, 1, 2)), rtol=1e-4)


def test_moments_survive_a_large_offset():
    X = np.random.default_rng(0).normal(1e4, 1e-2, (500, 3))
    np.testing.assert_allclose(InputSpec.learn(X).std, X.std(axis=0), rtol=0.05)


@pytest.mark.parametrize("kind", ["float64", "int64", "tensor"])
def test_large_offsets_leave_the_differences(kind):
    """Time stamps and identifiers: float32 has 24 bits."""
    X = np.random.default_rng(0).integers(0, 1000, (300, 3)) + [0, 10**9, -(10**15)]
    X = {"float64": X.astype(float), "tensor": torch.from_numpy(X)}.get(kind, X)
    spec = InputSpec.learn(X)
    batch = spec.open(X).fetch(torch.arange(300))
    assert batch.dtype == torch.float32
    resident = spec.open(X).resident(torch.device("cpu"))
    np.testing.assert_array_equal(resident.fetch(torch.arange(300)), batch)
    moved = batch - batch[0]
    np.testing.assert_allclose(moved, np.asarray(X - X[0]), atol=1e-3)
    np.testing.assert_allclose(spec.std, np.asarray(X).std(axis=0), rtol=1e-5)
    np.testing.assert_allclose(spec.restore(batch), np.asarray(X), rtol=1e-15, atol=0.5)


def test_shift_only_where_it_is_needed():
    X = np.random.default_rng(0).normal(5, 1, (300, 3))
    assert InputSpec.learn(X).shift is None
    assert InputSpec.learn((X + 1e6).astype(np.float32)).shift is None


@pytest.mark.parametrize("kind", ["float32", "float64", "tensor"])
def test_squares_beyond_float32_and_below(kind):
    """SI units: charges of electrons, masses of stars."""
    plain, units = np.random.default_rng(0).normal(size=(50, 4)), [1e-23, 1, 1e30, 1e19]
    X = (plain * units).astype("float32" if kind == "float32" else "float64")
    X = torch.from_numpy(X) if kind == "tensor" else X
    spec = InputSpec.learn(X)
    batch = spec.open(X).fetch(torch.arange(50))
    np.testing.assert_array_less(spec.std, 1.5)
    np.testing.assert_array_less(0.1, spec.std)
    np.testing.assert_allclose(batch, np.asarray(X) / spec.unit, rtol=1e-6)
    np.testing.assert_allclose(spec.restore(batch), X, rtol=1e-6)
    resident = spec.open(X).resident(torch.device("cpu"))
    np.testing.assert_array_equal(resident.fetch(torch.arange(50)), batch)


def test_units_only_where_they_are_needed():
    X = np.random.default_rng(0).normal(size=(50, 3))
    assert InputSpec.learn(X).unit is None
    rounding = X * [1, 1e-15, 1e-17]  # as of the last components of a PCA
    assert InputSpec.learn(rounding).unit is None
    small = InputSpec.learn(X * 1e-20 * [1, 1e-15, 0.1])
    assert len(set(small.unit)) == 1  # columns keep their proportions
    assert small.std[1] == 1 and small.std[2] < 0.1


@pytest.mark.parametrize("loss", ["auto", "elr"])
def test_any_unit_of_a_column_serves(loss, tmp_path):
    rng = np.random.default_rng(0)
    X, units = rng.normal(size=(400, 3)), np.array([1e-23, 1, 1e30])
    y = (X[:, 0] + X[:, 2] > 0).astype(int)
    clf = NoisyRobustClassifier(loss, random_state=0)
    clf.fit(units * X[:200], y[:200])
    assert clf.score(units * X[200:], y[200:]) > 0.9
    expected = clf.predict_proba(units * X)
    found = clf.to_module()(torch.from_numpy(units * X)).detach()
    np.testing.assert_allclose(found, expected, atol=1e-5)
    save(clf, tmp_path / "clf.skn")
    again = load(tmp_path / "clf.skn").predict_proba(units * X)
    np.testing.assert_array_equal(again, expected)


@pytest.mark.parametrize("shape", [(20, 3), (20, 8, 8)])
def test_numbers_beyond_float32(shape):
    with pytest.raises(ValueError, match="too large for float32"):
        InputSpec.learn(np.random.default_rng(0).normal(size=shape) * 1e300)


def test_constant_features_stay_finite():
    spec = InputSpec.learn(np.full((5, 2), 3.0))
    assert spec.mean.tolist() == [3, 3] and spec.std.tolist() == [1, 1]


@pytest.mark.parametrize(
    "shape, expected",
    [
        ((5, 8, 9), (1, 8, 9)),
        ((5, 8, 9, 1), (1, 8, 9)),
        ((5, 8, 9, 4), (4, 8, 9)),
        ((5, 3, 8, 9), (3, 8, 9)),
    ],
)
def test_shapes(shape, expected):
    assert InputSpec.learn(np.zeros(shape)).shape == expected


def test_files_hold_what_arrays_hold(colour, image_files):
    images, y = colour
    paths, _ = image_files
    settings = {"encoder": narrow, "max_epochs": 2, "random_state": 0}
    from_files = NoisyRobustClassifier(image_size=16, **settings).fit(paths, y)
    from_arrays = NoisyRobustClassifier(**settings).fit(images, y)
    np.testing.assert_array_equal(
        from_files.predict_proba(paths), from_arrays.predict_proba(images)
    )


@pytest.mark.parametrize("kind", [list, lambda p: np.array(p, dtype=object)])
def test_kinds_of_path_arrays(kind, image_files):
    from pathlib import Path

    paths, y = image_files
    given = kind([Path(path) for path in paths])
    assert as_inputs(given).tolist() == paths.tolist()


def test_long_strings_of_numpy(image_files):
    paths, _ = image_files
    given = np.array(paths.tolist(), np.dtypes.StringDType())
    assert is_paths(as_inputs(given)) and as_inputs(given).tolist() == paths.tolist()


def test_strings_of_paths_are_not_copied(image_files):
    paths = image_files[0].tolist()
    column = np.array(paths, dtype=object)
    for given in (column, image_files[0]):
        assert np.shares_memory(as_inputs(given), given)
    assert all(a is b for a, b in zip(as_inputs(paths), paths, strict=True))
    assert is_paths(column) and not is_paths(np.array([1, "a"], dtype=object))


def test_column_of_paths_in_a_data_frame(image_files):
    import pandas as pd

    paths, y = image_files
    frame = pd.DataFrame({"file": paths})
    clf = NoisyRobustClassifier(image_size=16, max_epochs=1).fit(frame, y)
    assert clf.predict(frame["file"]).shape == (60,)


def test_files_are_decoded_once_if_they_fit(image_files):
    paths, _ = image_files
    spec = InputSpec.learn(paths, image_size=16)
    kept, streamed = PathStore(paths, spec), PathStore(paths, spec, keep_bytes=0)
    index = torch.tensor([5, 2, 5])
    np.testing.assert_array_equal(kept.fetch(index), streamed.fetch(index))
    for path in paths[:10]:
        open(path, "w").close()
    np.testing.assert_array_equal(kept.fetch(index)[0], kept.fetch(index)[2])
    with pytest.raises(ValueError, match="cannot be read"):
        streamed.fetch(index)


@pytest.mark.parametrize("kind", ["memmap", "files"])
def test_streams_hold_what_arrays_hold(kind, colour, image_files, tmp_path):
    images, _ = colour
    spec = InputSpec.learn(images)
    if kind == "files":
        paths = image_files[0]
        store = PathStore(paths, InputSpec.learn(paths, image_size=16), keep_bytes=0)
    else:
        np.save(tmp_path / "X.npy", images)
        store = spec.open(np.load(tmp_path / "X.npy", mmap_mode="r"))
    assert not store.is_ready("cpu") and spec.open(images).is_ready("cpu")
    assert not spec.open(images).is_ready("cuda")
    order = torch.randperm(60, generator=torch.Generator().manual_seed(0))
    expected = list(stream(spec.open(images), order, 9, "cpu"))
    streamed = list(stream(store, order, 9, "cpu"))
    assert len(streamed) == len(expected) == 9
    for (index, batch), (same_index, same_batch) in zip(
        streamed, expected, strict=True
    ):
        assert index.equal(same_index) and batch.equal(same_batch)


def test_a_stream_reads_ahead_but_not_far():
    read = []

    class Slow(ArrayStore):
        def is_ready(self, device):
            return False

        def raw(self, index):
            read.append(index.item())
            return super().raw(index)

    X = np.zeros((50, 2))
    batches = stream(Slow(X, InputSpec.learn(X)), torch.arange(50), 50, "cpu")
    next(batches)
    next(batches)
    batches.close()
    assert max(read) <= 4


def test_a_stream_raises_what_reading_raises(image_files):
    paths, _ = image_files
    spec = InputSpec.learn(paths, image_size=16)
    store = PathStore(paths, spec, keep_bytes=0)
    open(paths[30], "w").close()
    with pytest.raises(ValueError, match="cannot be read.*30.png"):
        list(stream(store, torch.arange(60), 8, "cpu"))


@pytest.mark.parametrize("dtype", [np.uint8, np.float16, np.uint16, ">f4", np.int64])
def test_stores_on_a_device_hold_what_arrays_hold(dtype, monkeypatch):
    monkeypatch.setattr("sknoisy.data.stores.CHUNK_BYTES", 100)
    X = np.random.default_rng(0).integers(0, 100, (40, 5)).astype(dtype)
    X.flags.writeable = False
    store = InputSpec.learn(X).open(X)
    index = torch.tensor([3, 39, 0])
    moved = store.on("cpu")
    assert isinstance(moved.array, torch.Tensor) and len(moved) == 40
    assert moved.array.nbytes == store.device_bytes()
    torch.testing.assert_close(moved.fetch(index), store.fetch(index))


def test_memmaps_stay_on_disk(colour, tmp_path):
    """scikit-learn's checks return them as arrays."""
    np.save(tmp_path / "X.npy", colour[0])
    mapped = np.load(tmp_path / "X.npy", mmap_mode="r")
    inputs, _ = NoisyRobustClassifier()._read(mapped, reset=True)
    assert inputs is mapped
    lazy = SSLPretrainer(max_epochs=1).fit(mapped).transform(mapped)
    assert lazy.inputs is mapped


def test_read_image_keeps_the_shape_of_things(tmp_path):
    """A wide image is cropped at its sides, not squeezed."""
    wide = np.zeros((20, 60, 3), np.uint8)
    wide[:, 20:40] = 255
    Image.fromarray(wide).save(tmp_path / "wide.png")
    image = read_image(tmp_path / "wide.png", (10, 10))
    assert image.min() > 200  # squeezed, two thirds of it would be black


def test_read_image_turns_photographs_upright(tmp_path):
    image = np.zeros((20, 20, 3), np.uint8)
    image[:10] = 255
    exif = Image.Exif()
    exif[0x0112] = 6  # the camera was turned: rotate by a quarter
    Image.fromarray(image).save(tmp_path / "turned.png", exif=exif)
    upright = read_image(tmp_path / "turned.png", (20, 20))
    assert (upright[:, 10:] == 255).all() and (upright[:, :10] == 0).all()


def test_images_of_another_size_than_32_on_disk(tmp_path):
    paths = []
    for i, size in enumerate([(40, 30), (200, 100), (16, 16)]):
        Image.new("L", size, color=10 * i).save(tmp_path / f"{i}.jpg")
        paths.append(str(tmp_path / f"{i}.jpg"))
    clf = NoisyRobustClassifier(image_size=(24, 32), max_epochs=1)
    assert clf.fit(paths, [0, 1, 0]).predict(paths).shape == (3,)


@pytest.fixture(scope="module")
def lazy(digits):
    return SSLPretrainer(max_epochs=2, random_state=0).fit_transform(digits[0])


def test_lazy_features_are_an_array(lazy, digits):
    array = np.asarray(lazy)
    assert lazy.shape == array.shape == (300, 192) and lazy.ndim == 2
    assert lazy.dtype == array.dtype == np.float32 and lazy.size == array.size
    assert len(lazy) == 300
    np.testing.assert_array_equal(lazy[[4, 7]], array[[4, 7]])
    np.testing.assert_array_equal(lazy[2:4], array[2:4])
    np.testing.assert_array_equal(lazy[digits[1] == 3], array[digits[1] == 3])
    np.testing.assert_array_equal(lazy[[4, 7], ...], array[[4, 7]])
    np.testing.assert_array_equal(lazy[[4, 7], :], array[[4, 7]])
    np.testing.assert_array_equal(lazy[:, 3], array[:, 3])
    np.testing.assert_array_equal(lazy[5], array[5])
    assert isinstance(lazy[5, 3], np.float32) and lazy[5, 3] == array[5, 3]
    row = lazy[5]
    row[:] = 0  # the caller's own
    np.testing.assert_array_equal(lazy[5], array[5])
    np.testing.assert_array_equal(lazy[None], array[None])
    np.testing.assert_array_equal(
        lazy[np.eye(3, dtype=int)], array[np.eye(3, dtype=int)]
    )
    np.testing.assert_array_equal(np.stack(list(lazy)), array)
    np.testing.assert_array_equal(lazy[10:20][[3, 1]], array[[13, 11]])
    assert array.flags.writeable


def test_parts_stay_lazy_and_pickle_their_own_samples_only(lazy):
    part = lazy[np.arange(30)]
    assert isinstance(part, LazyFeatures)
    loaded = pickle.loads(pickle.dumps(part))
    assert loaded.inputs.shape[0] == 30
    np.testing.assert_allclose(loaded, np.asarray(lazy)[:30], atol=1e-5)


def test_other_estimators_take_them(lazy, digits):
    y = digits[1]
    train, test, y_train, y_test = train_test_split(lazy, y, random_state=0)
    assert isinstance(train, LazyFeatures)
    assert (
        LogisticRegression(max_iter=500).fit(train, y_train).score(test, y_test) > 0.7
    )
    assert StandardScaler().fit_transform(lazy).shape == (300, 192)
    assert TSNE(max_iter=250).fit_transform(lazy[:50]).shape == (50, 2)
    clf = NoisyRobustClassifier(max_epochs=1, random_state=0)
    assert CalibratedClassifierCV(clf, cv=2).fit(lazy, y).predict(lazy).shape == (300,)


def test_plain_arrays_where_asked(digits):
    X = digits[0]
    ssl = SSLPretrainer(encoder=narrow, max_epochs=1, random_state=0).fit(X)
    lazy = np.asarray(ssl.transform(X))
    array = ssl.set_params(output="array").transform(X)
    assert type(array) is np.ndarray
    np.testing.assert_array_equal(array, lazy)
    with config_context(transform_output="pandas"):
        with pytest.warns(UserWarning, match="cannot fine-tune"):
            ssl.set_params(output="lazy").transform(X)
    frame = ssl.set_output(transform="pandas").transform(X)
    np.testing.assert_array_equal(frame.to_numpy(), lazy)
    assert frame.columns[0] == "sslpretrainer0"


def test_features_of_read_only_array_store():
    X = np.arange(12.0).reshape(6, 2)
    X.flags.writeable = False
    batch = ArrayStore(X, InputSpec.learn(X)).fetch(torch.tensor([5, 0]))
    batch.mul_(0)
    assert X[5].tolist() == [10, 11]


def column_of(values):
    import pandas as pd

    return pd.Series([*values])


@pytest.mark.parametrize(
    "kind", [list, tuple, column_of, lambda x: column_of(x).to_frame("image")]
)
@pytest.mark.parametrize("shape", [(6,), (6, 5), (6, 5, 3)])
def test_columns_and_lists_of_arrays_are_stacked(kind, shape):
    arrays = np.random.default_rng(0).random((10, *shape)).astype(np.float32)
    np.testing.assert_array_equal(as_inputs(kind(arrays)), arrays)
    tensors = [torch.from_numpy(array) for array in arrays]
    np.testing.assert_array_equal(as_inputs(kind(tensors)), arrays)
    assert as_inputs(kind(arrays)).dtype == np.float32
    with pytest.raises(ValueError, match=r"different shapes.*X\[9\]: \(4"):
        as_inputs(kind([*arrays[:9], np.zeros((4, *shape[1:]))]))


def test_a_column_of_lists_of_numbers_is_stacked():
    assert as_inputs(column_of([[1.0, 2.0], [3.0, 4.0]])).tolist() == [[1, 2], [3, 4]]


@pytest.mark.parametrize("kind", [list, column_of, np.array])
def test_paths_of_bytes(kind, image_files):
    paths, _ = image_files
    given = kind([os.fsencode(path) for path in paths])
    assert as_inputs(given).tolist() == paths.tolist()


class Forbidden:
    def __getitem__(self, index):
        raise AssertionError("a sample is decoded")

    def __len__(self):
        return 3

    def __iter__(self):
        raise AssertionError("a sample is decoded")


class TorchData(Forbidden, torch.utils.data.Dataset):
    pass


class HubColumn(Forbidden):
    __module__ = "datasets.arrow_dataset"


@pytest.mark.parametrize(
    ("X", "message"),
    [
        (TorchData(), "X is a data set .TorchData.: pass its samples as an array"),
        (torch.utils.data.DataLoader(TorchData()), "X is a DataLoader: pass its samp"),
        (HubColumn(), "X is a Hugging Face HubColumn: pass an array"),
        ("new/*.png", r"X='new/\*.png' is a pattern: pass sorted\(glob.glob"),
        ("new/cat.png", "X='new/cat.png' is a single path"),
        (b"new/cat.png", "X='new/cat.png' is a single path"),
        (b"\x89PNG\r\n", "X is the content of a file"),
        ([b"\x89PNG\r\n\x1a\n"] * 3, "X holds the contents of image files"),
        ({"image": [1, 2]}, "X is a dict: pass an array"),
        ((image for image in "abc"), "X is a generator: pass an array"),
        (torch.zeros(3, 2, device="meta"), "X is a tensor on the device 'meta'"),
        (np.zeros((3, 2), "datetime64[D]"), "X holds dates or times .*astype"),
        (np.zeros((3, 2), "timedelta64[s]"), "X holds dates or times"),
        (np.array([["1", "a"]] * 3), "X is a table of strings .*ColumnTransformer"),
        ([None, "a.png", "b.png"], "mixes paths .* entries .1., the first at index 0"),
        (["a.png", 3, np.nan], "mixes paths .* entries .2., the first at index 1: 3"),
        (np.zeros(3, [("a", float), ("b", int)]), "structured array with fields"),
    ],
)
def test_what_x_may_not_be(X, message):
    for estimator in (NoisyRobustClassifier(), SSLPretrainer()):
        with pytest.raises(ValueError, match=message):
            estimator.fit(X, [0, 1, 1])


def test_a_folder(tmp_path):
    with pytest.raises(ValueError, match="is a folder: pass a list of the paths"):
        as_inputs(tmp_path)
    (tmp_path / "[1]").mkdir()
    with pytest.raises(ValueError, match="is a folder"):
        as_inputs(str(tmp_path / "[1]"))


def test_sparse_data_has_a_way_out():
    from scipy.sparse import csr_array

    for format in ("csr", "csc", "coo", "dok", "lil", "dia", "bsr"):
        X = csr_array(np.eye(3)).asformat(format)
        with pytest.raises(TypeError, match=f"sparse {format}.*toarray.*TruncatedSVD"):
            as_inputs(X)
    with pytest.raises(TypeError, match="X is a sparse.*X.to_dense"):
        as_inputs(torch.eye(3).to_sparse())


def test_masked_arrays_are_not_unmasked():
    X = np.ma.array(np.ones((5, 3)))
    assert type(as_inputs(X)) is np.ndarray
    X[2, 1] = np.ma.masked
    with pytest.raises(ValueError, match="1 masked values.*SimpleImputer"):
        as_inputs(X)


def test_frames_with_categories_or_missing_values():
    import pandas as pd

    frame = pd.DataFrame({"age": [1.0, 2, 3], "height": [3, 4, 5]})
    assert as_inputs(frame) is frame
    for column in (
        pd.Categorical(["a", "b", "a"]),
        ["a", "b", "a"],
        pd.Series(["a", None, "b"], dtype=object),
        pd.to_datetime(["2026-01-01"] * 3),
        pd.Series([date(2026, 1, 1)] * 3, dtype=object),
        pd.Series([[1, 2], [3], [4]], dtype=object),
        pd.Series([1, 2, 10**400], dtype=object),
    ):
        message = "not numeric: 'city' .*ColumnTransformer.*OneHotEncoder"
        with pytest.raises(ValueError, match=message):
            as_inputs(frame.assign(city=column))
    with pytest.raises(ValueError, match="Make numbers of dates and times, such as d"):
        as_inputs(frame.assign(city=pd.to_datetime(["2026-01-01"] * 3)))
    message = r"missing values in the columns 'b' \(2\)\..*ColumnTransformer"
    for column in ([np.nan, 1, np.nan], pd.array([None, 1, None], dtype="Int64")):
        with pytest.raises(ValueError, match=message):
            as_inputs(frame.assign(b=column))


def test_frames_of_arrow():
    """Dates, and decimals as of databases, which scikit-learn leaves objects."""
    import pandas as pd

    pa = pytest.importorskip("pyarrow")
    X = np.arange(40.0).reshape(20, 2)
    y = np.arange(20) // 10
    frame = pd.DataFrame(X, columns=["a", "b"])
    plain = NoisyRobustClassifier(random_state=0).fit(X, y).predict_proba(X)
    decimals = frame.map(Decimal).astype(pd.ArrowDtype(pa.decimal128(10, 2)))
    for given in (frame.map(Decimal), decimals):
        model = NoisyRobustClassifier(random_state=0).fit(given, y)
        np.testing.assert_array_equal(model.predict_proba(given), plain)
    dates = frame.astype("int64").astype("timestamp[ns][pyarrow]")
    for given in (dates, dates[["a"]]):
        with pytest.raises(ValueError, match="not numeric: 'a' "):
            as_inputs(given)


def test_frames_of_sparse_columns():
    import pandas as pd

    frame = pd.DataFrame({"sparse": [0.0, 1, 2], "b": [0.0, 0, 1]})
    assert as_inputs(frame) is frame
    with pytest.raises(TypeError, match=r"pass X\.sparse\.to_dense\(\)"):
        as_inputs(frame.astype(pd.SparseDtype(float, 0)))


def test_frames_of_polars():
    polars = pytest.importorskip("polars")
    frame = polars.DataFrame({"a": [1, 2], "b": [0.5, None], "c": [True, False]})
    assert as_inputs(frame) is frame
    for values in ([date(2026, 1, 1)] * 2, ["x", "y"], [[1], [2]]):
        with pytest.raises(ValueError, match="not numeric: 'd' "):
            as_inputs(frame.with_columns(polars.Series("d", values)))


@pytest.mark.parametrize("layout", ["HW", "HWC", "CHW"])
def test_one_image_needs_an_axis(layout):
    shape = {"HW": (9, 8), "HWC": (9, 8, 3), "CHW": (3, 9, 8)}[layout]
    X = np.random.default_rng(0).random((10, *shape))
    model = NoisyRobustClassifier(max_epochs=1).fit(X, np.arange(10) % 2)
    with pytest.raises(ValueError, match=r"X is a single sample: pass X\[None\]"):
        model.predict(X[0])
    assert model.predict(X[0][None]).shape == (1,)


def test_missing_files_of_large_folders(tmp_path):
    (tmp_path / "sub").mkdir()
    (tmp_path / "folder.png").mkdir()
    paths = []
    for i in range(200):
        paths.append(str(tmp_path / ("sub" if i % 2 else ".") / f"{i}.png"))
        open(paths[-1], "w").close()
    os.symlink(paths[0], tmp_path / "link.png")
    paths += [str(tmp_path / "link.png"), str(tmp_path / "sub" / ".." / "0.png")]
    assert missing_files(np.array(paths)) == []
    os.remove(paths[7])
    paths += [str(tmp_path / "folder.png"), str(tmp_path), paths[3] + "/", "", "a\0"]
    expected = [i for i, path in enumerate(paths) if not os.path.isfile(path)]
    assert missing_files(np.array(paths)) == expected
    assert expected[0] == 7 and len(expected) >= 5


def test_of_very_many_files_some_are_looked_for(tmp_path, monkeypatch):
    monkeypatch.setattr(stores, "LOOKED_FOR", 100)
    for i in range(1, 300):
        (tmp_path / f"{i}.png").touch()
    paths = np.array([str(tmp_path / f"{i}.png") for i in range(300)])
    spec = InputSpec.describe(paths, image_size=8)
    match = (
        "1 file that cannot be found, of 100 that were looked for, the first at index"
    )
    with pytest.raises(ValueError, match=f"{match} 0: .*0.png"):
        PathStore(paths, spec)
    (tmp_path / "0.png").touch()
    (tmp_path / "1.png").unlink()  # between two that are looked for
    with pytest.raises(ValueError, match="1.png' does not exist"):
        PathStore(paths, spec).raw(torch.tensor([1]))
    monkeypatch.setattr(stores, "TRIED", 100)
    with pytest.raises(ValueError, match="2 files .* of 3 that were tried: .*1.png"):
        PathStore(paths, spec, keep_bytes=0).raw(torch.tensor([1, 7, 7]))


def write(path, image, **options):
    image.save(path, **options)
    return str(path)


def test_a_turned_photograph_is_decoded_as_finely_as_an_upright_one(tmp_path):
    rng = np.random.default_rng(0)
    upright = np.kron(rng.integers(0, 256, (800, 200, 1)), np.ones((5, 5, 3)))
    upright = upright.astype(np.uint8)
    exif = Image.Exif()
    exif[0x0112] = 6
    first, second = (
        read_image(write(tmp_path / name, Image.fromarray(image), **options), (32, 256))
        for name, image, options in (
            ("upright.jpg", upright, {}),
            ("turned.jpg", np.rot90(upright), {"exif": exif}),
        )
    )
    assert np.abs(first.astype(int) - second).mean() < 3


@pytest.mark.filterwarnings("ignore:Corrupt EXIF data")
def test_damaged_orientation_is_ignored(tmp_path):
    image = Image.fromarray(np.arange(48, dtype=np.uint8).reshape(4, 4, 3))
    plain = read_image(write(tmp_path / "a.png", image), (4, 4))
    for i, exif in enumerate(
        [b"Exif\0\0garbage!", b"", b"Exif\0\0II*\0\xff\xff\xff\xff"]
    ):
        path = write(tmp_path / f"{i}.png", image, exif=exif)
        np.testing.assert_array_equal(read_image(path, (4, 4)), plain)
        read_image(write(tmp_path / f"{i}.jpg", image, exif=exif), (4, 4))


def test_whatever_is_wrong_with_files_names_them(tmp_path, monkeypatch):
    rng = np.random.default_rng(0)
    image = Image.fromarray(rng.integers(0, 256, (32, 32, 3), dtype=np.uint8))
    good = open(write(tmp_path / "good.png", image), "rb").read()
    files = {"0.png": good}
    files["1.png"] = good[:8] + b"\0\0\0\x05" + good[12:]  # the length of a chunk
    files["2.png"] = good[: len(good) // 2]
    files["3.png"] = b"GIF89a" + bytes(3)
    files["4.png"] = b""
    files["5.png"] = b"BM" + bytes(100)
    for name, content in files.items():
        (tmp_path / name).write_bytes(content)
    deep = Image.fromarray(np.full((8, 8), 30_000, np.uint16))
    paths = [str(tmp_path / name) for name in files]
    paths.append(write(tmp_path / "6.png", deep))
    paths.append(write(tmp_path / "7.png", Image.new("RGB", (1000, 1000))))
    paths = np.array(paths)
    spec = InputSpec("image", (3, 8, 8), "path", 0.0, 255.0)
    store = PathStore(paths, spec)
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 100_000)
    with pytest.raises(ValueError, match="names 7 files that cannot be read") as error:
        store.fetch(torch.tensor([0, 1]))
    assert all(f"{i}.png' is not an image" in str(error.value) for i in (1, 2, 3, 4, 5))
    with pytest.raises(ValueError, match="6.png' has more than 8 bits"):
        read_image(paths[6], (8, 8))
    with pytest.raises(ValueError, match="7.png' has too many pixels.*MAX_IMAGE_PIX"):
        read_image(paths[7], (8, 8))
    assert store.fetch(torch.tensor([0, 0])).shape == (2, 3, 8, 8)


def test_modes_of_pytorch_do_not_change_batches(colour):
    """As a user may have set them around fit."""
    X = colour[0]
    spec = InputSpec.learn(X)
    order = torch.arange(60)
    expected = list(stream(spec.open(X), order, 7, "cpu"))
    try:
        torch.set_default_dtype(torch.float64)
        with torch.inference_mode():
            tensor = torch.from_numpy(X) + 0
            other = InputSpec.learn(tensor)
            found = list(stream(other.open(as_inputs(tensor)), order, 7, "cpu"))
    finally:
        torch.set_default_dtype(torch.float32)
    assert other.mean.dtype == np.float32 and (other.mean == spec.mean).all()
    for (_, batch), (_, same) in zip(expected, found, strict=True):
        assert same.dtype == torch.float32 and same.equal(batch)


def test_a_flipped_byte_of_a_png_is_found(tmp_path):
    rng = np.random.default_rng(0)
    image = rng.integers(0, 256, (64, 64, 3), dtype=np.uint8)
    path = write(tmp_path / "image.png", Image.fromarray(image))
    content = Path(path).read_bytes()
    start = content.index(b"IDAT") + 100
    for place in range(start, len(content) - 50, 1000):
        flipped = bytearray(content)
        flipped[place] ^= 255
        Path(path).write_bytes(flipped)
        with pytest.raises(ValueError, match="is damaged"):
            read_image(path, (32, 32))


def test_who_fits_often_decodes_files_once(tmp_path, monkeypatch):
    rng, read, decoded = np.random.default_rng(0), stores.read_image, Counter()

    def counted(path, size):
        decoded[path] += 1
        return read(path, size)

    y = np.arange(40) % 2
    images = rng.integers(0, 128, (40, 16, 16, 3)) + 127 * y[:, None, None, None]
    paths = [
        write(tmp_path / f"{i}.png", Image.fromarray(image.astype(np.uint8)))
        for i, image in enumerate(images)
    ]
    others = [write(tmp_path / f"v{i}.png", Image.open(paths[i])) for i in range(9)]
    settings = {"image_size": 16, "max_epochs": 3, "random_state": 0}
    settings["encoder"] = narrow
    clf = NoisyRobustClassifier("ce", validation=(others, y[:9]), **settings)
    settings = {"warmup_epochs": 1, "n_iterations": 2, "random_state": 0}
    settings |= {"first_stages": (1, 2), "stages": (2,), "views": "none"}
    for model in (
        LabelErrorDetector(clf, cv=3, random_state=0),
        PseudoLabelRefiner(clf, loss_threshold=9.0, **settings),
    ):
        held_out = images[:9].astype(np.uint8), y[:9]
        alone = clone(model).set_params(
            estimator__image_size=None, estimator__validation=held_out
        )
        alone.fit(images.astype(np.uint8), y)
        monkeypatch.setattr(stores, "read_image", counted)
        found = model.fit(paths, y)
        monkeypatch.setattr(stores, "read_image", read)
        assert {decoded.pop(path) for path in paths} == {1}
        assert max(decoded[path] for path in others) < 6  # not once in each epoch
        decoded.clear()
        for name in ("label_quality_", "labels_"):
            if hasattr(found, name):
                expected = getattr(alone, name)
                np.testing.assert_array_equal(getattr(found, name), expected)


@pytest.mark.parametrize("shape", [(9, 1, 1), (9, 3, 50), (9, 100, 2, 3)])
def test_images_that_are_too_small_may_be_vectors(shape):
    X, y = np.random.default_rng(0).random(shape), np.arange(9) % 2
    clf = NoisyRobustClassifier(random_state=0)
    with pytest.raises(ValueError, match=r"at least 4\. Pass .*X\.reshape"):
        clf.fit(X, y)
    clf.fit(X.reshape(len(X), -1), y)


def test_a_single_sample_with_a_weight_is_of_one_class():
    X, y = np.random.default_rng(0).random((9, 4)), np.arange(9) % 2
    with pytest.raises(ValueError, match="only one class among .* have a weight"):
        NoisyRobustClassifier().fit(X, y, sample_weight=np.eye(9)[0])
