"""Several processes and threads, and files that cannot be written or vanish."""

import os
import shutil
from concurrent.futures import ThreadPoolExecutor

import joblib
import numpy as np
import pytest
import torch
from processes import run_python
from skorch.callbacks import Callback, LRScheduler

from sknoisy import Checkpoint, NoisyRobustClassifier, SimCLR, SSLPretrainer

RNG = np.random.default_rng(0)
X = RNG.normal(size=(40, 4)).astype(np.float32)
Y = np.arange(40) % 2


def pretrainer(**params):
    return SSLPretrainer(**{"max_epochs": 4, "random_state": 0} | params)


FORK = """
import os
import numpy as np, torch
from sknoisy import NoisyRobustClassifier

torch.set_num_threads(2)
X = np.random.default_rng(0).normal(size=(512, 100)).astype(np.float32)
clf = NoisyRobustClassifier("ce", max_epochs=1, batch_size=512)
clf.fit(X, X[:, 0] > 0)
child = os.fork()
if child:
    _, status = os.waitpid(child, 0)
    os._exit(os.waitstatus_to_exitcode(status))
for call in (lambda: clf.fit(X, X[:, 0] > 0), lambda: clf.predict(X)):
    try:
        call()
    except RuntimeError as error:
        assert "forked" in str(error) and "loky" in str(error), error
    else:
        os._exit(3)
torch.set_num_threads(1)
clf.fit(X, X[:, 0] > 0).predict(X)
os._exit(0)
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="has no fork")
def test_a_forked_process_raises_where_it_would_hang():
    environment = {k: v for k, v in os.environ.items() if k != "OMP_NUM_THREADS"}
    run_python(FORK, env=environment, timeout=120)


class Lose(Callback):
    """Removes a folder during the training; a file may take its place."""

    def __init__(self, folder, blocks):
        self.folder = folder
        self.blocks = blocks

    def on_epoch_end(self, net, **kwargs):
        if net.epochs_done == 2:
            shutil.rmtree(self.folder)
            if self.blocks:
                self.folder.touch()


@pytest.mark.parametrize("blocks", [False, True])
def test_a_checkpoint_whose_folder_vanishes(tmp_path, blocks):
    folder = tmp_path / "checkpoints"
    clf = NoisyRobustClassifier("ce", max_epochs=4, random_state=0)
    whole = clf.fit(X, Y).predict_proba(X)
    clf.set_params(callbacks=[Checkpoint(folder), Lose(folder, blocks)])
    with pytest.warns(UserWarning, match="could not be written.*training goes on"):
        clf.fit(X, Y)
    np.testing.assert_array_equal(clf.predict_proba(X), whole)


@pytest.mark.parametrize("blocks", [False, True])
@pytest.mark.filterwarnings("ignore:Unable to cache to disk")
def test_a_cache_whose_folder_vanishes(tmp_path, blocks):
    folder = tmp_path / "cache"
    whole = np.asarray(pretrainer().fit_transform(X))
    ssl = pretrainer(memory=folder, callbacks=[Lose(folder, blocks)])
    np.testing.assert_array_equal(np.asarray(ssl.fit(X).transform(X)), whole)


def test_a_cache_that_cannot_be_made(tmp_path):
    path = tmp_path / "file"
    path.touch()
    with pytest.warns(UserWarning, match="memory=.* cannot be used"):
        ssl = pretrainer(memory=path).fit(X)
    assert len(ssl.history_) == 4


def test_a_memory_that_is_no_cache():
    with pytest.raises(ValueError, match="memory=3 is not valid: .*joblib.Memory"):
        pretrainer(memory=3).fit(X)


@pytest.mark.filterwarnings("ignore:Unable to cache to disk")
def test_two_trainings_on_one_cache(tmp_path):
    whole = np.asarray(pretrainer().fit_transform(X))
    pretrainers = [pretrainer(memory=joblib.Memory(tmp_path, verbose=0)) for _ in "ab"]
    with ThreadPoolExecutor(2) as pool:
        features = [
            *pool.map(lambda ssl: np.asarray(ssl.fit_transform(X)), pretrainers)
        ]
    np.testing.assert_array_equal(features[0], whole)
    np.testing.assert_array_equal(features[1], whole)
    again = pretrainer(memory=joblib.Memory(tmp_path, verbose=0)).fit(X)
    np.testing.assert_array_equal(np.asarray(again.transform(X)), whole)


def local_method():
    class Mine(SimCLR):
        pass

    return Mine()


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("encoder", lambda shape: torch.nn.Linear(4, 8)),
        ("method", local_method()),
        ("callbacks", [LRScheduler("LambdaLR", lr_lambda=lambda epoch: 1.0)]),
    ],
    ids=["encoder", "method", "callbacks"],
)
def test_what_a_cache_cannot_tell_apart_is_named(name, value, tmp_path):
    ssl = pretrainer(memory=tmp_path, schedule="constant", lr_warmup_epochs=0)
    with pytest.raises(ValueError, match=f"{name}=.* memory=.*top level") as caught:
        ssl.set_params(**{name: value}).fit(X)
    assert len(str(caught.value)) < 600
