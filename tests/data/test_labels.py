"""Kinds of y: kept as they are, or refused with the number of what is wrong."""

import enum
import warnings
from decimal import Decimal
from fractions import Fraction
from functools import partial

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from sklearn.linear_model import LogisticRegression

from sknoisy import LabelErrorDetector, NoisyRobustClassifier
from sknoisy.data.given import read_labels
from sknoisy.data.labels import encode_labels, warn_of_minus_one


class Label(str, enum.Enum):  # noqa: UP042
    CAT = "cat"
    OSTRICH = "a bird that does not fly"


class Level(enum.IntEnum):
    LOW = 3
    HIGH = 70


class Colour(enum.Enum):
    RED = 1
    BLUE = 2


def objects(values):
    column = np.empty(len(values), dtype=object)
    column[:] = values
    return column


@pytest.mark.parametrize("kind", [list, tuple, objects])
@pytest.mark.parametrize(
    ("values", "dtype"),
    [
        ([np.int64(3), np.int64(-1)], np.int64),
        ([np.uint8(3), np.int64(250)], np.int64),
        ([3, 250], np.int64),
        ([np.float32(3), np.float64(2)], np.float64),
        ([np.bool_(True), np.bool_(False)], bool),
        ([True, False], bool),
        ([Level.LOW, Level.HIGH], np.int64),
    ],
)
def test_numbers_that_are_objects(kind, values, dtype):
    y = kind(values * 75)
    classes, codes = encode_labels(y)
    assert classes.dtype == dtype and len(classes) == 2
    assert classes[codes].tolist() == list(y)


def test_long_strings_of_numpy():
    y = np.array(["cat", "dog", "cat"], np.dtypes.StringDType())
    classes, codes = encode_labels(y)
    assert classes.dtype == object and classes[codes].tolist() == y.tolist()
    with pytest.raises(ValueError, match="1 missing label"):
        encode_labels(np.array(["cat", None], np.dtypes.StringDType(na_object=None)))


class Fruit(enum.StrEnum):
    APPLE = "apple"
    BANANA = "ba"


@pytest.mark.parametrize("kind", ["objects", "Series"])
@pytest.mark.parametrize("others", [[], ["cat"], [np.str_("cat")]])
def test_enumerations_of_strings_are_kept(kind, others):
    # Without a dtype, pandas 3 makes plain strings of them.
    make = objects if kind == "objects" else partial(pd.Series, dtype=object)
    y = make([Label.CAT, Label.OSTRICH, *others] * 10)
    classes, codes = encode_labels(y)
    assert classes.tolist() == ["a bird that does not fly", "cat"]
    assert isinstance(classes[0], Label)
    assert classes[codes].tolist() == list(y)


def test_lists_of_enumerations():
    """NumPy takes their names, cut off: every score would be wrong."""
    with pytest.raises(ValueError, match=r"such as <Label.CAT.*label.value for label"):
        encode_labels([Label.CAT, "cat"] * 3)
    assert encode_labels([Fruit.APPLE, Fruit.BANANA])[0].tolist() == ["apple", "ba"]


def test_enumerations_come_back():
    X = np.repeat([0.0, 1.0], 20)[:, None] + np.zeros((40, 3))
    y = objects([Label.CAT] * 20 + [Label.OSTRICH] * 20)
    model = NoisyRobustClassifier(random_state=0).fit(X, y)
    assert model.predict(X).tolist() == y.tolist() and model.score(X, y) == 1
    assert isinstance(model.predict(X)[30], Label)


@pytest.mark.parametrize("kind", [list, objects])
def test_other_enumerations_are_refused(kind):
    with pytest.raises(ValueError, match="members of an enumeration.*Colour.RED"):
        encode_labels(kind([Colour.RED, Colour.BLUE] * 5))


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ([True, 2], "mixes numbers and booleans"),
        ([np.bool_(True), "a"], "mixes strings and booleans"),
        ([np.int64(1), "a"], "mixes strings and numbers"),
        ([(1, 2), (1, 2, 3)], "of the type tuple, the first is .1, 2"),
        ([{}, {}], "of the type dict"),
        ([Decimal(1), Decimal(2)], "of the type Decimal"),
        ([Fraction(1, 2), Fraction(1, 3)], "Unknown label type"),
    ],
)
def test_objects_that_are_no_labels(values, message):
    with pytest.raises(ValueError, match=message):
        encode_labels(objects(values * 5))


@pytest.mark.parametrize(
    "y",
    [
        objects([1, None, 2]),
        objects(["a", np.nan, "b"]),
        objects(["a", pd.NA, "b"]),
        objects(["a", pd.NaT, "b"]),
        pd.Series(["a", None, "b"]),
        pd.Series([1, None, 2], dtype="Int64"),
        pd.Series(pd.Categorical(["a", None, "b"])),
        np.array([1.0, np.nan, 2.0]),
        np.array(["2026-01-01", "NaT", "2026-01-02"], dtype="datetime64[D]"),
        np.ma.array([1, 2, 3], mask=[False, True, False]),
        np.ma.array(["a", "b", "c"], mask=[False, True, False]),
    ],
)
def test_missing_labels_are_found(y):
    message = "y holds 1 missing label .* at index 1: .* Leave out samples without"
    with pytest.raises(ValueError, match=message):
        encode_labels(y)


def test_tensors():
    assert encode_labels(torch.tensor([3, 1]))[1].tolist() == [1, 0]
    with pytest.raises(ValueError, match="y is a tensor on the device 'meta'"):
        encode_labels(torch.zeros(3, device="meta"))
    assert encode_labels(np.ma.array([3, 1]))[1].tolist() == [1, 0]


labels = st.one_of(
    st.lists(st.integers(-(2**63), 2**63 - 1), min_size=1),
    st.lists(st.integers(-1000, 1000).map(float), min_size=1),
    st.lists(st.booleans(), min_size=1),
    st.lists(st.text(st.characters(exclude_characters="\0")), min_size=1),
)


@settings(deadline=None, derandomize=True, max_examples=100)
@given(labels, st.sampled_from([list, tuple, objects, np.array, pd.Series]))
def test_any_labels_come_back(values, kind):
    classes, codes = encode_labels(kind(values))
    assert classes[codes].tolist() == values
    assert (np.sort(classes) == classes).all() and len(set(classes)) == len(classes)
    assert codes.dtype == np.int64
    again, same = encode_labels(values, classes)
    assert again.tolist() == classes.tolist() and (same == codes).all()


@settings(deadline=None, derandomize=True, max_examples=50)
@given(arrays.arrays(arrays.integer_dtypes(), st.integers(1, 50)))
def test_any_integer_dtype_is_kept(y):
    classes, codes = encode_labels(y)
    assert classes.dtype == y.dtype
    np.testing.assert_array_equal(classes[codes], y)


@given(
    y=arrays.arrays(
        st.sampled_from([np.int8, np.uint8, np.int32, np.int64, np.uint64]),
        st.integers(1, 60),
    ),
    narrow=st.booleans(),
)
@settings(deadline=None, derandomize=True, max_examples=100)
def test_integers_are_encoded_as_by_sorting(y, narrow):
    y = y % 5 if narrow else y
    found, expected = np.unique(y, return_inverse=True)
    for dtype in (np.int64, None):
        classes, codes = encode_labels(y, dtype=dtype)
        assert classes.dtype == y.dtype
        np.testing.assert_array_equal(classes, found)
        np.testing.assert_array_equal(codes, expected)
        assert codes.dtype == (dtype or np.uint8)
    more = np.union1d(found, np.array([1, 3], dtype=y.dtype))
    np.testing.assert_array_equal(more[encode_labels(y, more)[1]], y)


def test_no_classes_at_all():
    with pytest.raises(ValueError, match="not among the classes: 0, 1"):
        encode_labels([0, 1], classes=[])


def test_masked_rows_are_without_a_label():
    rows = np.ma.array([[0.5, 0.5], [0.2, 0.8]], mask=[[0, 0], [1, 1]])
    _, labels = read_labels(rows, columns=["a", "b"])
    assert labels.labelled.tolist() == [True, False]
    with pytest.raises(ValueError, match="of which a part is NaN"):
        read_labels(np.ma.array(rows.data, mask=np.eye(2)), columns=["a", "b"])


def test_rows_of_different_lengths():
    with pytest.raises(ValueError, match="^y is not valid: its rows must be equally"):
        read_labels([[0.5, 0.5], [1.0]], columns=["a", "b"])


MINUS_ONE = "-1 is a class like 0 to 2"


@pytest.mark.parametrize(
    "model",
    [
        NoisyRobustClassifier(loss="ce", max_epochs=1),
        LabelErrorDetector(),
        LabelErrorDetector(LogisticRegression(), cv=2),
    ],
)
def test_minus_one_is_warned_of_once(model):
    X = np.random.default_rng(0).normal(size=(60, 3))
    y = np.arange(60) % 4 - 1
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        model.fit(X, y)
    assert sum(MINUS_ONE in str(entry.message) for entry in caught) == 1


@pytest.mark.parametrize(
    "classes", [[-1, 1], [-1, 0, 1], [-2, -1, 0, 1], [-1, 0, 1, 5]]
)
def test_minus_one_where_it_is_meant(classes, recwarn):
    warn_of_minus_one(np.array(classes))
    assert not recwarn
