"""What an import brings with it."""

import subprocess
import sys


def run_in_a_new_process(code):
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_imports_and_fits_import_what_they_need():
    """PyTorch's compiler alone takes a second, and only optimisers need it."""
    code = """
import sys
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
NoisyRobustClassifier("elr", max_epochs=1).fit(X, y)
assert "torchvision" not in sys.modules
"""
    run_in_a_new_process(code)


def test_rooms_need_no_import_of_their_own_and_no_matplotlib_until_they_draw():
    code = """
import sys, sknoisy

sknoisy.plotting.EmbeddingDisplay, sknoisy.metrics, sknoisy.noise, sknoisy.recipes
assert "plotting" in dir(sknoisy)
assert "matplotlib" not in sys.modules
sys.modules["matplotlib"] = None
try:
    sknoisy.plotting.LabelQualityDisplay.from_predictions([0.5], [True])
except ImportError as error:
    print(error)
"""
    assert "pip install matplotlib" in run_in_a_new_process(code)
