"""Time to the first result: imports, the first batch of a fit, and the quick start.

Seconds are those of the CPU, of all threads together, which other programs on the
machine change little; those of the quick start alone are what a user waits.
"""

import os
import statistics
import subprocess
import sys
import tempfile
import time
from functools import partial
from pathlib import Path
from unittest import mock

import numpy as np
from PIL import Image

from sknoisy import NoisyRobustClassifier, SSLPretrainer
from sknoisy.training.nets import Net

QUICKSTART = Path(__file__).parents[1] / "examples" / "quickstart.py"
DEPENDENCIES = "import joblib, numpy, safetensors, scipy, sklearn.base, skorch, torch"
IMPORT = "from sknoisy import NoisyRobustClassifier, SSLPretrainer"


class FirstStep(Exception):
    """Ends a fit at its first step."""


def seconds_to_first_step(estimator, X, y):
    """Return the seconds from the call of ``fit`` to the first step of training."""
    started = time.process_time()
    with mock.patch.object(Net, "train_step", side_effect=FirstStep):
        try:
            estimator.fit(X, y)
        except FirstStep:
            return time.process_time() - started
    raise RuntimeError(f"{type(estimator).__name__} took no step")


def seconds_of(call, *args, clock=time.process_time):
    started = clock()
    call(*args)
    return clock() - started


def import_seconds(statement, folder):
    """Return the seconds that a statement takes in a new process.

    The files' bytecode is in `folder`, as that of an installed package is beside it.
    """
    code = f"import time\nstarted = time.process_time()\n{statement}\n"
    code += "print(time.process_time() - started)"
    environment = os.environ | {"PYTHONPYCACHEPREFIX": folder, "OMP_NUM_THREADS": "1"}
    environment.pop("PYTHONDONTWRITEBYTECODE", None)
    done = subprocess.run(
        [sys.executable, "-c", code],
        env=environment,
        check=True,
        capture_output=True,
        text=True,
    )
    return float(done.stdout)


def import_runners(folder, device, bare):
    """The limit imports what the package needs at once."""
    return {
        "limit": partial(import_seconds, DEPENDENCIES, folder),
        "sknoisy": partial(import_seconds, IMPORT, folder),
    }


def images_runners(folder, device, bare, n=50_000, side=32):
    """The limit brings all values to float32 and adds them up."""
    rng = np.random.default_rng(0)
    X = rng.integers(0, 256, (n, side, side, 3), dtype=np.uint8)
    estimator = SSLPretrainer(device=str(device), random_state=0)
    return {
        "limit": partial(seconds_of, lambda: X.astype(np.float32).sum()),
        "sknoisy": partial(seconds_to_first_step, estimator, X, None),
    }


def vectors_runners(folder, device, bare):
    """The limit is the standard deviation of each column."""
    X = np.random.default_rng(0).random((100_000, 384), dtype=np.float32)
    settings = {"encoder": "mlp", "device": str(device), "random_state": 0}
    estimator = NoisyRobustClassifier("elr", **settings)
    y = np.arange(len(X)) % 10
    return {
        "limit": partial(seconds_of, X.std, 0, np.float64),
        "sknoisy": partial(seconds_to_first_step, estimator, X, y),
    }


def files_runners(folder, device, bare):
    """600 photographs of 500 x 375 pixels; the limit decodes a batch of 256."""
    rng = np.random.default_rng(0)
    paths = [f"{folder}/{i}.jpg" for i in range(600)]
    for path in paths:
        coarse = Image.fromarray(rng.integers(0, 256, (12, 16, 3), dtype=np.uint8))
        smooth = coarse.resize((500, 375), Image.Resampling.BICUBIC)
        noise = rng.normal(0, 8, (375, 500, 3))
        values = (np.asarray(smooth) + noise).clip(0, 255).astype(np.uint8)
        Image.fromarray(values).save(path, quality=90)
    settings = {"image_size": 128, "device": str(device), "random_state": 0}

    def decode():
        for path in paths[:256]:
            with Image.open(path) as image:
                image.convert("RGB").resize((128, 128))

    return {
        "limit": partial(seconds_of, decode),
        "sknoisy": partial(
            seconds_to_first_step, SSLPretrainer(**settings), paths, None
        ),
    }


def quickstart_runners(folder, device, bare):
    """The limit takes 200 steps of the bare network on batches of 128 digits."""
    command = [sys.executable, str(QUICKSTART)]
    run = partial(subprocess.run, command, check=True, capture_output=True)
    limit = bare(np.zeros((200 * 128, 8, 8), np.uint8))
    waited = partial(seconds_of, clock=time.perf_counter)
    return {"limit": partial(waited, limit.epoch), "sknoisy": partial(waited, run)}


WAITS = {
    "import": import_runners,
    "first batch/images": images_runners,
    "first batch/large images": partial(images_runners, n=2000, side=224),
    "first batch/vectors": vectors_runners,
    "first batch/files": files_runners,
    "quickstart": quickstart_runners,
}


def measure_wait(name, device, repeats, bare):
    """Return a row: medians of interleaved rounds, and their ratio.

    Parameters
    ----------
    name : str
        A name in WAITS.
    device : torch.device
        Where networks run.
    repeats : int
        Number of rounds, after one that warms up.
    bare : callable
        Returns the bare network that trains on an array of images.
    """
    with tempfile.TemporaryDirectory(prefix="sknoisy") as folder:
        runners = WAITS[name](folder, device, bare)
        seconds = {runner: [] for runner in runners}
        for repeat in range(repeats + 1):
            for runner, wait in runners.items():
                elapsed = wait()
                if repeat:
                    seconds[runner].append(elapsed)
    medians = {runner: statistics.median(each) for runner, each in seconds.items()}
    return {
        "config": name,
        "device": str(device),
        "repeats": repeats,
        "seconds": {runner: round(s, 3) for runner, s in medians.items()},
        "ratio_to_limit": {
            runner: round(s / medians["limit"], 3) for runner, s in medians.items()
        },
        "speedup_over": {},
    }
