"""Data sets of PyTorch, torchvision and Hugging Face."""

import io

import numpy as np
import pytest
import torch
from PIL import Image
from torch.utils.data import Dataset, Subset, TensorDataset
from torchvision.datasets import ImageFolder
from torchvision.transforms import ToTensor

from sknoisy import NoisyRobustClassifier
from sknoisy.data.images import read_image
from sknoisy.datasets import from_huggingface, from_torch


class Counting(Dataset):
    """Images (8, 8 + i, 3) as `make` makes them, which counts how many are read."""

    classes = ["even", "odd"]

    def __init__(self, make, n=5):
        self.make, self.n, self.read = make, n, []

    def __len__(self):
        return self.n

    def __getitem__(self, i):
        self.read.append(i)
        return self.make(i), torch.tensor(i % 2)


class ListOf(Dataset):
    """Items of a list."""

    def __init__(self, items):
        self.items = items

    def __len__(self):
        return len(self.items)

    def __getitem__(self, i):
        return self.items[i]


def an_image(i):
    return Image.new("RGB", (8 + i, 8), (i, 0, 0))


def a_tensor(i):
    return torch.full((3, 8, 8), float(i))


@pytest.fixture
def image_folder(tmp_path):
    for name in ("cat/1.png", "cat/2.png", "dog/1.png"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        an_image(0).save(tmp_path / name)
    return tmp_path


def test_an_image_folder_gives_its_paths(image_folder):
    dataset = ImageFolder(image_folder, transform=ToTensor())
    found = from_torch(dataset)
    assert found.X.tolist() == [path for path, _ in dataset.samples]
    assert found.y.tolist() == ["cat", "cat", "dog"]
    part = from_torch(Subset(dataset, [2, 0]))
    assert part.X.tolist() == [dataset.samples[2][0], dataset.samples[0][0]]
    assert part.y.tolist() == ["dog", "cat"]


def test_what_is_in_memory_is_not_copied():
    X, y = torch.rand(4, 3), torch.tensor([0, 1, 1, 0])
    found = from_torch(TensorDataset(X, y))
    assert found.X is X
    assert found.y.tolist() == [0, 1, 1, 0]
    dataset = Counting(an_image, n=3)
    dataset.data, dataset.targets = np.zeros((3, 8, 8, 3), np.uint8), [0, 1, 0]
    found = from_torch(dataset)
    assert found.X is dataset.data
    assert found.y.tolist() == ["even", "odd", "even"]
    assert dataset.read == []


def test_images_of_pillow_become_files(tmp_path):
    found = from_torch(Counting(an_image), folder=tmp_path / "new")
    assert found.y.tolist() == ["even", "odd", "even", "odd", "even"]
    assert Image.open(found.X[4]).size == (12, 8)
    assert read_image(found.X[3], (8, 8))[0, 0].tolist() == [3, 0, 0]


def test_images_that_are_no_png(tmp_path):
    """Photographs for print are CMYK."""
    green = Image.new("RGB", (8, 8), (0, 255, 0))
    found = from_torch(Counting(lambda i: green.convert("CMYK")), folder=tmp_path / "a")
    assert read_image(found.X[0], (8, 8))[4, 4].tolist() == [0, 255, 0]
    deep = Counting(lambda i: Image.new("F" if i else "L", (8, 8)))
    with pytest.raises(ValueError, match="image of mode 'F' at index 1"):
        from_torch(deep, folder=tmp_path / "b")


def test_tensors_with_gradients(tmp_path):
    dataset = Counting(lambda i: a_tensor(i).requires_grad_())
    assert from_torch(dataset, folder=tmp_path / "new").X[3].max() == 3


def test_labels_of_several_classes(tmp_path):
    items = [(a_tensor(0), torch.tensor([0, 1]))]
    with pytest.raises(ValueError, match=r"labels of shape \(2,\): each label must"):
        from_torch(ListOf(items), folder=tmp_path / "new")


def test_tensors_become_a_memmap(tmp_path):
    dataset = Counting(a_tensor)
    found = from_torch(dataset, folder=tmp_path, batch_size=2)
    assert isinstance(found.X, np.memmap)
    assert found.X.shape == (5, 3, 8, 8)
    assert found.X[:, 0, 0, 0].tolist() == [0, 1, 2, 3, 4]
    assert dataset.read == [0, 1, 2, 3, 4]
    clf = NoisyRobustClassifier("ce", max_epochs=1, random_state=0)
    assert set(clf.fit(found.X, found.y).predict(found.X)) <= {"even", "odd"}


def test_nothing_is_read_unasked(tmp_path):
    dataset = Counting(an_image)
    with pytest.raises(ValueError, match="folder=None is not valid: 5 samples"):
        from_torch(dataset)
    (tmp_path / "mine.txt").touch()
    with pytest.raises(ValueError, match="holds files already"):
        from_torch(dataset, folder=tmp_path)
    assert dataset.read == []


@pytest.mark.parametrize(
    ("dataset", "message"),
    [
        (Counting(lambda i: torch.zeros(i + 1)), "different shapes.*at index 1"),
        (
            Counting(lambda i: a_tensor(i) if i else an_image(i)),
            "mixes Pillow images and",
        ),
        (Counting(lambda i: an_image(i) if i > 1 else a_tensor(i)), "see index 2"),
        (Counting(lambda i: a_tensor(i) if i else a_tensor(i).int()), "int32 and, at"),
        (Counting(an_image, n=0), "with a length above 0"),
        (iter([]), "must be a map-style PyTorch data set"),
        (TensorDataset(torch.zeros(2)), "dataset has 1 tensors"),
        ([1, 2], "items of the type int"),
    ],
    ids=[
        "shapes",
        "kinds",
        "kinds later",
        "dtypes",
        "empty",
        "iterable",
        "tensors",
        "items",
    ],
)
def test_data_sets_that_are_not_valid(dataset, message, tmp_path):
    with pytest.raises(ValueError, match=message):
        from_torch(dataset, folder=tmp_path / "new")


# Hugging Face

CLASSES = ["cat", "dog"]


def png(i):
    buffer = io.BytesIO()
    an_image(i).save(buffer, "png")
    return buffer.getvalue()


@pytest.fixture
def hub():
    # This folder is called the same, and would be found in its place.
    pytest.importorskip("datasets.features")
    import datasets

    return datasets


def hub_images(hub, images):
    features = hub.Features(
        {"img": hub.Image(), "label": hub.ClassLabel(names=CLASSES)}
    )
    labels = [i % 2 for i in range(len(images))]
    return hub.Dataset.from_dict({"img": images, "label": labels}, features=features)


def test_images_in_files_stay_there(hub, image_folder):
    paths = sorted(str(path) for path in image_folder.rglob("*.png"))
    found = from_huggingface(hub_images(hub, paths))
    assert found.X.tolist() == paths
    assert found.y.tolist() == ["cat", "dog", "cat"]


@pytest.mark.parametrize("streamed", [False, True])
def test_images_within_are_written_as_they_are(hub, tmp_path, streamed):
    dataset = hub_images(hub, [{"path": None, "bytes": png(i)} for i in range(5)])
    if streamed:
        dataset = dataset.to_iterable_dataset()
    with pytest.raises(ValueError, match="folder=None is not valid: some samples"):
        from_huggingface(dataset)
    found = from_huggingface(dataset, folder=tmp_path, batch_size=2)
    assert found.X[4] == str(tmp_path / "0000004.png")
    assert open(found.X[4], "rb").read() == png(4)
    assert found.y.tolist() == ["cat", "dog", "cat", "dog", "cat"]


def test_embeddings(hub):
    rows = {"vector": [[1.0, 2.0], [3.0, 4.0]], "target": ["a", "b"]}
    found = from_huggingface(hub.Dataset.from_dict(rows), image="vector")
    assert found.X.tolist() == [[1, 2], [3, 4]]
    assert found.X.dtype == np.float32
    assert found.y.tolist() == ["a", "b"]


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        ([0, 1, -1, -1], "has 2 samples without a label, the first at index 2 .-1."),
        (["a", None, "b", "a"], "has 1 samples without a label, the first at index 1"),
        ([0, None, 1, 0], "has 1 samples without a label, the first at index 1"),
    ],
    ids=["minus one", "a text", "a number"],
)
def test_samples_of_the_hub_without_a_label(hub, labels, message):
    dataset = hub.Dataset.from_dict({"vector": np.eye(4).tolist(), "label": labels})
    if -1 in labels:
        dataset = dataset.cast_column("label", hub.ClassLabel(names=CLASSES))
    with pytest.raises(ValueError, match=message):
        from_huggingface(dataset, image="vector")


def test_data_sets_of_the_hub_that_are_not_valid(hub):
    dataset = hub.Dataset.from_dict({"vector": [[1.0]], "target": [0]})
    with pytest.raises(
        ValueError, match="image='auto' is not valid.*'target', 'vector'"
    ):
        from_huggingface(dataset)
    with pytest.raises(ValueError, match="label='y' is not valid"):
        from_huggingface(dataset, image="vector", label="y")
    with pytest.raises(ValueError, match="It has several splits: pass one"):
        from_huggingface(hub.DatasetDict({"train": dataset}))
    with pytest.raises(ValueError, match="must be a Hugging Face data set"):
        from_huggingface([1])


def test_narrower_dtypes_are_widened(tmp_path):
    found = from_torch(
        Counting(lambda i: a_tensor(i) if i == 0 else a_tensor(i).half()),
        folder=tmp_path / "new",
    )
    assert found.X.dtype == np.float32 and (found.X[3] == 3).all()
