"""Probabilities that are read in chunks: their types, files and rounding errors."""

import sys
from pathlib import Path

import numpy as np
import pytest

from sknoisy.scores import confident_joint, find_label_errors, normalized_margin
from sknoisy.scores.confident import RULES
from sknoisy.scores.lowest import any_lowest, lowest
from sknoisy.scores.probabilities import check_probabilities
from sknoisy.scores.reading import Probabilities, _widened, rows_of_classes


def example(n_samples=400, n_classes=7, dtype=np.float32):
    rng = np.random.default_rng(0)
    p = rng.dirichlet(np.full(n_classes, 0.3), size=n_samples)
    y = np.where(
        rng.random(n_samples) < 0.7, p.argmax(1), rng.integers(n_classes, size=len(p))
    )
    return y, p.astype(dtype)


def test_every_half_is_widened_exactly():
    half = np.arange(2**16, dtype=np.uint16).view(np.float16)
    for some in (half, half[: 2**15 - 2**10], half[:0]):  # all; the finite ones from 0
        np.testing.assert_array_equal(_widened(some), some.astype(np.float32))


@pytest.mark.parametrize("rule", RULES)
def test_halves_are_read_as_singles(rule):
    y, p = example(dtype=np.float16)
    errors = find_label_errors(y, p, rule=rule)
    np.testing.assert_array_equal(
        errors, find_label_errors(y, p.astype(np.float32), rule=rule)
    )


@pytest.mark.parametrize("rule", RULES)
def test_rounding_errors_in_some_chunks_only(rule, monkeypatch):
    """Rows are corrected as if all were read at once, wherever they are read."""
    y, p = example()
    p[100] *= 1.005
    p[200] = [1, -1e-7, 0, 0, 0, 0, 0]
    _, codes, whole = check_probabilities(y, p)
    assert whole is not p and whole.min() == 0 and np.ptp(whole.sum(axis=1)) < 1e-3
    expected = find_label_errors(codes, whole, rule=rule), normalized_margin(y, whole)
    monkeypatch.setattr("sknoisy.scores.reading.CHUNK", 35)
    np.testing.assert_array_equal(find_label_errors(y, p, rule=rule), expected[0])
    np.testing.assert_array_equal(normalized_margin(y, p), expected[1])


def test_what_needs_no_correction_is_not_copied():
    y, p = example()
    assert check_probabilities(y, p)[2] is p


@pytest.mark.parametrize("mode", ["r", "r+", "c"])
def test_mapped_files(mode, tmp_path):
    y, p = example()
    np.save(tmp_path / "p.npy", p)
    mapped = np.load(tmp_path / "p.npy", mmap_mode=mode)
    if mode != "r":  # what was changed in memory stays changed
        mapped[:50] = p[:50] = np.eye(7)[y[:50]]
    np.testing.assert_array_equal(find_label_errors(y, mapped), find_label_errors(y, p))
    np.testing.assert_array_equal(confident_joint(y, mapped), confident_joint(y, p))
    np.testing.assert_array_equal(mapped, p)


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_files_do_not_stay_in_memory(tmp_path):
    def resident():
        lines = Path("/proc/self/status").read_text().splitlines()
        return next(int(x.split()[1]) * 1024 for x in lines if x.startswith("RssFile"))

    p = np.full((400_000, 20), 1 / 20, dtype=np.float32)
    np.save(tmp_path / "p.npy", p)
    y = np.arange(len(p)) % 20
    mapped = np.load(tmp_path / "p.npy", mmap_mode="r")
    normalized_margin(y, p)  # imports
    before = resident()
    np.testing.assert_array_equal(normalized_margin(y, mapped), 0.5)
    assert resident() - before < p.nbytes / 4


@pytest.mark.parametrize("n_classes", [3, 40])
def test_rows_of_classes(n_classes):
    codes = np.random.default_rng(0).integers(n_classes - 1, size=200).astype(np.uint8)
    codes[codes == 1] = 0
    codes[7] = 1
    found = dict(rows_of_classes(codes, n_classes))
    assert list(found) == list(range(n_classes - 1))
    for k, rows in found.items():
        np.testing.assert_array_equal(rows, np.flatnonzero(codes == k))
    assert 1 not in dict(rows_of_classes(codes, n_classes, least=2))


def test_a_column_wise_array_is_read_by_rows():
    _, p = example()
    probs = Probabilities(np.asfortranarray(p))
    parts = [part for _, part in probs.checked()]
    assert all(part.flags.c_contiguous for part in parts)
    np.testing.assert_array_equal(np.concatenate(parts), p)


@pytest.mark.parametrize("long", [0, 1000])
@pytest.mark.parametrize("ties", [False, True])
def test_lowest_values_of_which_some_are_missing(long, ties, monkeypatch):
    """What is not left open is as if all columns were there."""
    monkeypatch.setattr("sknoisy.scores.lowest.LONG", long)
    rng = np.random.default_rng(0)
    values = rng.normal(size=(30, 50))
    values = values.round(1) if ties else values
    numbers = rng.integers(1, 15, size=30)
    is_low = [lowest(row, n) for row, n in zip(values, numbers, strict=True)]
    found, is_open = any_lowest(values, numbers)
    np.testing.assert_array_equal(found, np.any(is_low, axis=0))
    assert not is_open.any()
    values += 0.5  # so that some rows have fewer values below 0 than are looked for
    there = rng.random(50) < 0.9
    values[:, ~there] = np.abs(values[:, ~there])
    is_low = [lowest(row, n) for row, n in zip(values, numbers, strict=True)]
    found, is_open = any_lowest(values[:, there], numbers, below=0)
    assert 0 < is_open.sum() < 30
    expected = np.any(np.array(is_low)[~is_open], axis=0)
    np.testing.assert_array_equal(found, expected[there])
    assert not expected[~there].any()
