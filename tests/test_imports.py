"""What an import brings with it."""

import shutil
from pathlib import Path

from processes import run_python

import sknoisy


def test_imports_and_fits_import_what_they_need():
    """PyTorch's compiler alone takes a second, and only optimisers need it.

    Rooms need no import of their own, and no matplotlib until they draw. Bars, even
    shown ones, start no thread; tqdm's own would settle how processes start.
    """
    code = """
import multiprocessing, sys, threading
import sknoisy
from sknoisy import NoisyRobustClassifier, SSLPretrainer

late = {"PIL", "filelock", "jinja2", "matplotlib", "sklearn.neighbors",
        "sknoisy.annotators", "sknoisy.datasets", "sknoisy.detection",
        "sknoisy.plotting", "torchvision"}
assert not late & sys.modules.keys(), late & sys.modules.keys()

import numpy as np

X, y = np.random.default_rng(0).normal(size=(60, 2)), np.arange(60) % 2
NoisyRobustClassifier(random_state=0).fit(X, y).predict(X)
late = {"sympy", "torch._dynamo", "torchvision"}
assert not late & sys.modules.keys(), late & sys.modules.keys()
NoisyRobustClassifier("elr", max_epochs=1, verbose=True).fit(X, y)
assert "torchvision" not in sys.modules

from sknoisy.bars import bar

assert list(bar(range(3), disable=False)) == [0, 1, 2]
assert threading.active_count() == 1
assert multiprocessing.get_start_method(allow_none=True) is None

sknoisy.plotting.EmbeddingDisplay, sknoisy.metrics, sknoisy.noise, sknoisy.recipes
assert "plotting" in dir(sknoisy)
assert "matplotlib" not in sys.modules
sys.modules["matplotlib"] = None
try:
    sknoisy.plotting.LabelQualityDisplay.from_predictions([0.5], [True])
except ImportError as error:
    print(error)
"""
    assert "pip install matplotlib" in run_python(code).stdout


def test_the_package_may_be_in_a_zip_file(tmp_path):
    folder = Path(sknoisy.__file__).parents[1]
    file = shutil.make_archive(tmp_path / "package", "zip", folder, "sknoisy")
    code = f"""
import sys
sys.path[0] = {file!r}

import numpy as np, sknoisy

assert sknoisy.__file__.startswith({file!r})
X, y = np.random.default_rng(0).normal(size=(60, 2)), np.arange(60) % 2
detector = sknoisy.LabelErrorDetector(random_state=0).fit(X, y)
detector.to_html({str(tmp_path / "report.html")!r}, X)
"""
    run_python(code)
    assert "<html" in (tmp_path / "report.html").read_text(encoding="utf-8")
