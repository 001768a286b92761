"""Trainings that are killed at random moments end as if they had not been.

``pytest tests/fuzz --kills 5`` kills every estimator that takes a Checkpoint so often.
"""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from sknoisy import CoTrainingClassifier, NoisyRobustClassifier, SSLPretrainer, load
from sknoisy.cotraining import COTRAINING_METHODS
from sknoisy.losses import LOSSES
from sknoisy.selfsup import METHODS

ESTIMATORS = {
    **{f"loss {name}": (NoisyRobustClassifier, name) for name in LOSSES},
    **{
        f"co-training {name}": (CoTrainingClassifier, name)
        for name in COTRAINING_METHODS
    },
    **{f"pre-training {name}": (SSLPretrainer, name) for name in METHODS},
}
SETTINGS = {"max_epochs": 60, "batch_size": 16, "random_state": 0}
RNG = np.random.default_rng(0)
Y = np.arange(60) % 3
X = (RNG.normal(size=(60, 6)) + 2 * np.eye(3, 6)[Y]).astype(np.float32)
SCRIPT = """
import sys
sys.path.insert(0, sys.argv[1])
import torch

torch.set_num_threads(1)
from test_kills import fit

fit(*sys.argv[2:])
"""


def make(name, **params):
    kind, method = ESTIMATORS[name]
    return kind(method, **SETTINGS | params)


def fit(name, folder, saved):
    """What runs in the process that is killed."""
    from sknoisy import Checkpoint

    make(name, max_epochs=1).fit(X, Y)  # imports all that it needs: they are not killed
    print("begin", flush=True)
    make(name, callbacks=[Checkpoint(folder)]).fit(X, Y).save(saved)


def learned(estimator):
    """Return all that an estimator has learned, as arrays."""
    if hasattr(estimator, "encoder_") and not hasattr(estimator, "state_dict_"):
        return {**estimator.encoder_.state, **estimator.heads_}
    kept = {f"loss {k}": v for k, v in estimator.loss_state_.items()}
    return {**estimator.state_dict_, **kept, "quality": estimator.label_quality_}


def pytest_generate_tests(metafunc):
    if "kill_seed" in metafunc.fixturenames:
        metafunc.parametrize("kill_seed", range(metafunc.config.getoption("--kills")))


@pytest.mark.skipif(sys.platform == "win32", reason="has no SIGKILL")
@pytest.mark.filterwarnings("ignore:.*changes nothing")  # of a kernel machine
@pytest.mark.parametrize("name", ESTIMATORS)
def test_kills(name, kill_seed, tmp_path):
    import torch

    rng = np.random.default_rng([kill_seed, *name.encode()])
    saved = tmp_path / "model.safetensors"
    folder = Path(__file__).parent
    command = [sys.executable, "-c", SCRIPT, folder, name, tmp_path / "ck", saved]
    n_kills = 0
    while not saved.exists():
        process = subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.PIPE
        )
        process.stdout.readline()
        time.sleep(rng.exponential(0.7))
        if n_kills < 4:
            how = signal.SIGINT if rng.random() < 0.5 else signal.SIGKILL
            os.kill(process.pid, how)
        _, errors = process.communicate()
        ended = process.returncode
        n_kills += 1
        assert ended in (0, -signal.SIGKILL, -signal.SIGINT, 1, 130), errors.decode()
        assert ended != 1 or b"KeyboardInterrupt" in errors, errors.decode()
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        whole = learned(make(name).fit(X, Y))
    finally:
        torch.set_num_threads(threads)
    resumed = learned(load(saved))
    assert whole.keys() == resumed.keys()
    for key, value in whole.items():
        np.testing.assert_array_equal(value, resumed[key], key)
