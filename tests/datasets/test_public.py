"""Readers of public sets, each on a small made-up copy of its authors' layout."""

import os
import pickle
import struct
import zipfile

import numpy as np
import pytest
import torch
from PIL import Image

from sknoisy import datasets
from sknoisy.datasets import (
    load_animal10n,
    load_cifar10n,
    load_cifar100n,
    load_clothing1m,
    load_food101n,
    load_webvision,
)
from sknoisy.datasets.pickles import read_arrays, read_torch

RNG = np.random.default_rng(0)
READERS = [getattr(datasets, name) for name in datasets.__all__ if name[:5] == "load_"]


def write(path, text):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


def picture(path):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", (8, 8)).save(path)


def dump(path, content):
    """Write a pickle as Python 2 did: strings are bytes."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(pickle.dumps(content, protocol=2))


# CIFAR


def cifar10(folder, binary=False):
    """Make CIFAR-10 of two images a batch; return its images and labels."""
    pixels = RNG.integers(0, 256, (12, 3072), dtype=np.uint8)
    labels = np.arange(12) % 10
    names = [f"data_batch_{i}" for i in range(1, 6)] + ["test_batch"]
    for i, name in enumerate(names):
        rows = slice(2 * i, 2 * i + 2)
        if binary:
            records = np.column_stack([labels[rows], pixels[rows]]).astype(np.uint8)
            place = folder / "cifar-10-batches-bin"
            place.mkdir(exist_ok=True)
            records.tofile(place / f"{name}.bin")
        else:
            content = {b"data": pixels[rows], b"labels": labels[rows].tolist()}
            dump(folder / "cifar-10-batches-py" / name, content)
    classes = [f"class {i}" for i in range(10)]
    if binary:
        write(folder / "cifar-10-batches-bin" / "batches.meta.txt", "\n".join(classes))
    else:
        meta = {b"label_names": [name.encode() for name in classes]}
        dump(folder / "cifar-10-batches-py" / "batches.meta", meta)
    return pixels.reshape(-1, 3, 32, 32).transpose(0, 2, 3, 1), labels


def human10(labels):
    keys = ["aggre_label", "worse_label", *(f"random_label{i}" for i in (1, 2, 3))]
    shifted = {key: (labels + i) % 10 for i, key in enumerate(keys, start=1)}
    return {"clean_label": labels, **shifted}


@pytest.mark.parametrize("binary", [False, True])
def test_cifar10n(tmp_path, binary):
    images, labels = cifar10(tmp_path, binary)
    torch.save(human10(labels[:10]), tmp_path / "CIFAR-10_human.pt")
    found = load_cifar10n(tmp_path)
    assert np.array_equal(found.X, images[:10])
    assert np.array_equal(found.y, (labels[:10] + 2) % 10)
    assert np.array_equal(found.y_clean, labels[:10])
    assert found.classes[3] == "class 3"
    assert "CC BY-NC" in found.source.license
    aggregate = load_cifar10n(tmp_path, "aggregate")
    assert np.array_equal(aggregate.y, (labels[:10] + 1) % 10)
    test = load_cifar10n(tmp_path, split="test")
    assert np.array_equal(test.X, images[10:])
    assert np.array_equal(test.y, labels[10:])


def test_labels_of_a_numpy_before_version_2(tmp_path):
    _, labels = cifar10(tmp_path)
    new, old = tmp_path / "new.pt", tmp_path / "data" / "CIFAR-10_human.pt"
    torch.save(human10(labels[:10]), new)
    old.parent.mkdir()
    with zipfile.ZipFile(new) as source, zipfile.ZipFile(old, "w") as target:
        for name in source.namelist():
            content = source.read(name)
            target.writestr(name, content.replace(b"numpy._core", b"numpy.core"))
    assert load_cifar10n(tmp_path).y_clean.tolist() == labels[:10].tolist()


@pytest.mark.parametrize("binary", [False, True])
def test_cifar100n(tmp_path, binary):
    pixels = RNG.integers(0, 256, (4, 3072), dtype=np.uint8)
    fine, coarse = np.array([99, 3, 4, 5]), np.array([1, 2, 3, 4])
    classes = [f"class {i}" for i in range(100)]
    if binary:
        place = tmp_path / "cifar-100-binary"
        write(place / "fine_label_names.txt", "\n".join(classes))
        np.column_stack([coarse, fine, pixels]).astype(np.uint8).tofile(
            place / "train.bin"
        )
    else:
        place = tmp_path / "cifar-100-python"
        labels = {b"fine_labels": fine.tolist(), b"coarse_labels": coarse.tolist()}
        dump(place / "train", {b"data": pixels, **labels})
        dump(place / "meta", {b"fine_label_names": [c.encode() for c in classes]})
    human = {"clean_label": fine, "noisy_label": fine[::-1].copy()}
    torch.save(human, tmp_path / "CIFAR-100_human.pt")
    found = load_cifar100n(tmp_path)
    assert found.y.tolist() == [5, 4, 3, 99]
    assert found.y_clean.tolist() == fine.tolist()
    assert found.X[1, 0, 2].tolist() == pixels[1].reshape(3, 1024)[:, 2].tolist()
    assert load_cifar100n(tmp_path, "clean").y.tolist() == fine.tolist()


class Evil:
    def __init__(self, path):
        self.path = str(path)

    def __reduce__(self):
        return os.mkdir, (self.path,)


def test_no_code_of_a_file_runs(tmp_path):
    made = tmp_path / "made"
    cifar10(tmp_path)
    torch.save({"clean_label": Evil(made)}, tmp_path / "CIFAR-10_human.pt")
    with pytest.raises(
        ValueError, match="CIFAR-10_human.pt' is damaged, or holds more"
    ):
        load_cifar10n(tmp_path)
    batch = tmp_path / "cifar-10-batches-py" / "data_batch_3"
    dump(batch, {b"data": Evil(made), b"labels": []})
    with pytest.raises(ValueError, match="data_batch_3.*asks for [a-z]+.mkdir"):
        load_cifar10n(tmp_path)
    assert not made.exists()


class Forged:
    """An array whose bytes would be the address of an object."""

    def __init__(self, way):
        self.way = way

    def __reduce__(self):
        address = struct.pack("P", id(None))
        if self.way == "called":
            return np.ndarray, ((1,), [("a", "O")], address)
        state = (1, (1,), ForgedDtype(), False, address)
        return np.empty(0).__reduce__()[0], (np.ndarray, (0,), b"b"), state


class ForgedDtype:
    """A dtype with a field of objects, but without the flag that says so."""

    def __reduce__(self):
        fields = {"a": (np.dtype("O"), 0)}
        state = (3, "|", None, ("a",), fields, 8, 1, 0)
        return np.dtype, ("V8", False, True), state


@pytest.mark.parametrize("way", ["called", "restored"])
def test_no_address_in_a_file_is_followed(way, tmp_path):
    dump(tmp_path / "batch", {b"data": Forged(way)})
    with pytest.raises(ValueError, match="batch' is damaged, or is no pickle"):
        read_arrays(str(tmp_path / "batch"))
    torch.save({"clean_label": Forged(way)}, tmp_path / "labels.pt")
    with pytest.raises(ValueError, match="labels.pt' is damaged, or holds more"):
        read_torch(str(tmp_path / "labels.pt"))


@pytest.mark.parametrize("protocol", [0, 2, 4])
def test_arrays_of_a_pickle_are_as_they_were(protocol, tmp_path):
    arrays = [
        np.arange(6, dtype=">i4").reshape(2, 3),
        np.asfortranarray(RNG.random((3, 2))),
        np.array(7.5),
        np.array(["a", "longer"]),
    ]
    content = [{b"nested": arrays}, (arrays[0], [1, 2]), b"name"]
    path = tmp_path / "arrays"
    path.write_bytes(pickle.dumps(content, protocol=protocol))
    read = read_arrays(str(path))
    for found, array in zip(read[0][b"nested"], arrays, strict=True):
        np.testing.assert_array_equal(found, array)
        assert found.dtype == array.dtype and found.flags.writeable
    assert read[1][1:] == ([1, 2],) and read[2] == b"name"


def test_labels_in_another_order(tmp_path):
    _, labels = cifar10(tmp_path)
    torch.save(human10(labels[:10][::-1].copy()), tmp_path / "CIFAR-10_human.pt")
    with pytest.raises(
        ValueError, match="expected labels .* in the order of the images"
    ):
        load_cifar10n(tmp_path)


def test_the_list_of_what_may_be_loaded_is_as_before(tmp_path):
    before = set(torch.serialization.get_safe_globals())
    _, labels = cifar10(tmp_path)
    torch.save(human10(labels[:10]), tmp_path / "CIFAR-10_human.pt")
    load_cifar10n(tmp_path)
    assert set(torch.serialization.get_safe_globals()) == before


def without(name):
    def spoil(folder):
        (folder / name).unlink()

    return spoil


def truncate(name):
    def spoil(folder):
        path = folder / name
        path.write_bytes(path.read_bytes()[:-5])

    return spoil


@pytest.mark.parametrize(
    ("binary", "spoil", "message"),
    [
        (False, without("cifar-10-batches-py/data_batch_4"), "a file data_batch_4"),
        (False, without("CIFAR-10_human.pt"), "expected CIFAR-10_human.pt or data/"),
        (
            False,
            truncate("cifar-10-batches-py/data_batch_1"),
            "data_batch_1' is damaged",
        ),
        (False, truncate("CIFAR-10_human.pt"), "CIFAR-10_human.pt' is damaged"),
        (True, truncate("cifar-10-batches-bin/data_batch_1.bin"), "records of 3073"),
    ],
)
def test_cifar_that_is_not_whole(tmp_path, binary, spoil, message):
    _, labels = cifar10(tmp_path, binary)
    torch.save(human10(labels[:10]), tmp_path / "CIFAR-10_human.pt")
    spoil(tmp_path)
    with pytest.raises(ValueError, match=message):
        load_cifar10n(tmp_path)


def test_cifar_whose_parts_are_others(tmp_path):
    _, labels = cifar10(tmp_path)
    torch.save({"clean_label": labels[:10]}, tmp_path / "CIFAR-10_human.pt")
    with pytest.raises(
        ValueError, match="expected .*worse_label.*found .'clean_label'"
    ):
        load_cifar10n(tmp_path)
    dump(tmp_path / "cifar-10-batches-py" / "data_batch_1", {b"data": labels})
    with pytest.raises(ValueError, match=r"'data' of shape \(n, 3072\)"):
        load_cifar10n(tmp_path)


# Clothing1M


def clothing1m(folder, lists):
    keys = [f"images/{i}/1{i}.jpg" for i in range(4)]
    for key in keys:
        picture(folder / key)
    write(lists / "noisy_train_key_list.txt", "\n".join(keys[:3]) + "\n")
    write(lists / "clean_train_key_list.txt", keys[2])
    write(lists / "clean_val_key_list.txt", keys[3])
    write(lists / "clean_test_key_list.txt", keys[3])
    given = "".join(f"{k} {i}\n" for i, k in enumerate(keys[:3]))
    write(lists / "noisy_label_kv.txt", given)
    write(lists / "clean_label_kv.txt", f"{keys[2]} 5\n{keys[3]} 13\n")
    write(lists / "category_names_eng.txt", "\n".join(f"c{i}" for i in range(14)))
    return [str(folder / key) for key in keys]


@pytest.mark.parametrize("place", [".", "annotations"])
def test_clothing1m(tmp_path, place):
    paths = clothing1m(tmp_path, tmp_path / place)
    found = load_clothing1m(tmp_path, verify=True)
    assert found.X.tolist() == paths[:3]
    assert found.y.tolist() == [0, 1, 2]
    assert found.y_clean.tolist() == [-1, -1, 5]
    assert len(found.classes) == 14
    clean = load_clothing1m(tmp_path, "clean_train")
    assert (clean.X.tolist(), clean.y.tolist()) == (paths[2:3], [5])


def test_clothing1m_that_is_not_whole(tmp_path):
    paths = clothing1m(tmp_path, tmp_path)
    os.unlink(paths[1])
    with pytest.raises(ValueError, match="1 samples cannot be used.*does not exist"):
        load_clothing1m(tmp_path)
    found = load_clothing1m(tmp_path, on_error="skip")
    assert (found.y.tolist(), found.y_clean.tolist()) == ([0, 2], [-1, 5])
    write(tmp_path / "noisy_label_kv.txt", "images/0/10.jpg 0\nimages/1/11.jpg none\n")
    with pytest.raises(
        ValueError, match="kv.txt', line 2: expected a path and a number"
    ):
        load_clothing1m(tmp_path)
    write(tmp_path / "noisy_label_kv.txt", "images/0/10.jpg 0\n")
    with pytest.raises(ValueError, match="2 without one, such as 'images/1/11.jpg'"):
        load_clothing1m(tmp_path)
    (tmp_path / "noisy_label_kv.txt").unlink()
    with pytest.raises(
        ValueError, match="found no noisy_label_kv.txt .*Cysu/noisy_label"
    ):
        load_clothing1m(tmp_path)


# WebVision


@pytest.fixture
def webvision(tmp_path):
    words = "n01440764 tench, Tinca tinca\nn01443537 goldfish\nn01484850 white shark\n"
    write(tmp_path / "info/synsets.txt", words)
    lists = {
        "train_filelist_google.txt": "google/q0001/a.jpg 0\ngoogle/q0002/b.jpg 2\n",
        "train_filelist_flickr.txt": "flickr/q0001/c d.jpg 1\n",
        "val_filelist.txt": "val000001.jpg 0\nval000002.jpg 1\n",
    }
    for name, text in lists.items():
        write(tmp_path / "info" / name, text)
        for line in text.splitlines():
            folder = "val_images_256" if name.startswith("val") else "."
            picture(tmp_path / folder / line.rpartition(" ")[0])
    return tmp_path


def test_webvision(webvision):
    found = load_webvision(webvision)
    assert found.X.tolist()[1] == str(webvision / "google/q0002/b.jpg")
    assert found.y.tolist() == [0, 2]
    assert found.classes[1] == "n01443537 goldfish"
    mini = load_webvision(webvision, n_classes=2)
    assert (mini.y.tolist(), len(mini.classes)) == ([0], 2)
    flickr = load_webvision(webvision, "train_flickr", verify=True)
    assert flickr.X.tolist() == [str(webvision / "flickr/q0001/c d.jpg")]
    val = load_webvision(webvision, "val")
    assert val.X.tolist()[0] == str(webvision / "val_images_256/val000001.jpg")


def test_webvision_that_is_not_whole(webvision):
    (webvision / "val_images_256").rename(webvision / "val")
    with pytest.raises(ValueError, match="expected val_images_256 or val_images"):
        load_webvision(webvision, "val")
    (webvision / "info" / "synsets.txt").unlink()
    with pytest.raises(ValueError, match="is not WebVision 1.0 as its authors ship it"):
        load_webvision(webvision)
    write(webvision / "info" / "synsets.txt", "n01440764 tench\n")
    with pytest.raises(
        ValueError, match="a label is 2, but WebVision 1.0 has 1 classes"
    ):
        load_webvision(webvision)


# ANIMAL-10N


def test_animal10n_images(tmp_path):
    for name in ("training/0_11.jpg", "training/9_3.jpg", "testing/5_1.jpg"):
        picture(tmp_path / name)
    found = load_animal10n(tmp_path)
    assert found.y.tolist() == [0, 9]
    assert found.classes[9] == "guinea pig"
    assert load_animal10n(tmp_path, "test").y.tolist() == [5]
    picture(tmp_path / "training/cat.jpg")
    with pytest.raises(ValueError, match="names such as 5_1234.jpg; found cat.jpg"):
        load_animal10n(tmp_path)


@pytest.mark.parametrize("order", "<>")
def test_animal10n_binary(tmp_path, order):
    images = RNG.integers(0, 256, (12, 3, 64, 64), dtype=np.uint8)
    for i in range(11):
        numbers = np.array([1000 + i, i % 10], dtype=f"{order}u4")
        content = numbers.tobytes() + images[i].tobytes()
        (tmp_path / f"data_batch_{i + 1}.bin").write_bytes(content)
    (tmp_path / "test_batch.bin").write_bytes(content + content)
    found = load_animal10n(tmp_path)
    assert found.y.tolist() == [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 0]
    assert np.array_equal(found.X, images[:11].transpose(0, 2, 3, 1))
    assert load_animal10n(tmp_path, "test").X.shape == (2, 64, 64, 3)


def test_animal10n_that_is_not_whole(tmp_path):
    with pytest.raises(ValueError, match="expected a folder training, or files"):
        load_animal10n(tmp_path)
    (tmp_path / "data_batch_1.bin").write_bytes(bytes(100))
    with pytest.raises(ValueError, match="records of 12296 bytes; found 100 bytes"):
        load_animal10n(tmp_path)
    (tmp_path / "data_batch_1.bin").write_bytes(b"\x0b" * 12296)
    with pytest.raises(ValueError, match="expected labels from 0 to 9"):
        load_animal10n(tmp_path)


# Food-101N


@pytest.fixture
def food101n(tmp_path):
    keys = ["apple_pie/a.jpg", "waffles/b.jpg", "waffles/c.jpg"]
    for key in keys:
        picture(tmp_path / "images" / key)
    write(tmp_path / "meta/classes.txt", "class_name\napple_pie\nwaffles\n")
    write(tmp_path / "meta/imagelist.tsv", "\n".join(["class_name/key", *keys]))
    header = "class_name/key\tverification_label\n"
    write(tmp_path / "meta/verified_train.tsv", f"{header}{keys[0]}\t0\n")
    write(tmp_path / "meta/verified_val.tsv", f"{header}{keys[2]}\t1\n")
    return tmp_path


def test_food101n(food101n):
    found = load_food101n(food101n, verify=True)
    assert found.y.tolist() == [0, 1, 1]
    assert found.verified.tolist() == [0, -1, 1]
    assert found.classes == ["apple_pie", "waffles"]
    val = load_food101n(food101n, "verified_val")
    assert val.X.tolist() == [str(food101n / "images/waffles/c.jpg")]
    assert val.verified.tolist() == [1]


def test_food101n_that_is_not_whole(food101n):
    table = food101n / "meta" / "verified_val.tsv"
    write(table, "class_name/key\tverification_label\nwaffles/c.jpg\n")
    with pytest.raises(ValueError, match="0 or 1 in verified_val.tsv.*in line 2"):
        load_food101n(food101n)
    write(table, "")
    write(food101n / "meta/classes.txt", "class_name\nwaffles\n")
    with pytest.raises(ValueError, match="found 'apple_pie/a.jpg'"):
        load_food101n(food101n)
    table.unlink()
    with pytest.raises(ValueError, match="found no meta/verified_val.tsv"):
        load_food101n(food101n)


@pytest.mark.parametrize(
    "load",
    [
        load_animal10n,
        load_cifar10n,
        load_cifar100n,
        load_clothing1m,
        load_food101n,
        load_webvision,
    ],
)
def test_a_folder_that_is_not_there(load, tmp_path):
    with pytest.raises(ValueError, match="there is no such folder.*Get it from http"):
        load(tmp_path / "nowhere")
    with pytest.raises(ValueError, match="split='validation' is not valid"):
        load(tmp_path, split="validation")


@pytest.mark.parametrize(
    "path", [None, 3, [], "a\0b"], ids=["None", "number", "list", "null"]
)
@pytest.mark.parametrize("read", READERS, ids=lambda read: read.__name__)
def test_what_is_no_path(read, path):
    with pytest.raises(ValueError, match="path=.* is not valid"):
        read(path)
