import gc
import os

import numpy as np
import pytest
from counting import CountingPretrainer
from sklearn.datasets import load_digits

# Thousands of tests are no garbage, and all that they import is none: to look through
# them takes a quarter of the time of collecting them.
gc.disable()


def pytest_collection_finish():
    gc.freeze()
    gc.enable()


def pytest_configure(config):
    # The workers, which start later and inherit this, share the cores.
    if config.getoption("numprocesses", None):
        os.environ.setdefault("OMP_NUM_THREADS", "1")


@pytest.fixture(scope="session")
def digits():
    """300 images (n, 8, 8) of digits, float in [0, 1], and their labels."""
    images, y = load_digits(return_X_y=True)
    return (images[:300].reshape(-1, 8, 8) / 16).astype(np.float32), y[:300]


@pytest.fixture(scope="session")
def colour():
    """60 random uint8 images (n, 16, 16, 3) of two classes, dark and bright."""
    rng = np.random.default_rng(0)
    y = np.arange(60) % 2
    images = rng.integers(0, 128, (60, 16, 16, 3)) + 127 * y[:, None, None, None]
    return images.astype(np.uint8), y


@pytest.fixture
def image_files(colour, tmp_path):
    """The colour images as PNG files: paths and labels."""
    from PIL import Image

    paths = []
    for i, image in enumerate(colour[0]):
        paths.append(str(tmp_path / f"{i}.png"))
        Image.fromarray(image).save(paths[-1])
    return np.array(paths), colour[1]


@pytest.fixture
def counting():
    """A pre-trainer whose trainings are counted in its `log`, of their samples."""
    CountingPretrainer.log.clear()
    return CountingPretrainer(max_epochs=1, random_state=0)


def pytest_addoption(parser):
    parser.addoption(
        "--fuzz", type=int, default=30, help="number of fits and of calls to draw"
    )
    parser.addoption(
        "--kills", type=int, default=0, help="number of kills for each estimator"
    )
