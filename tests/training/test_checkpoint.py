"""A training that was killed goes on, and ends as if it had not been."""

import importlib
import importlib.util
import itertools
import linecache
import os
import pickle
import re
import signal
import sys
from types import SimpleNamespace

import joblib
import numpy as np
import pytest
import torch
from nets import narrow
from PIL import Image
from processes import run_python
from sklearn.base import clone
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import Pipeline
from skorch.callbacks import Callback

from sknoisy import (
    BYOL,
    CORES,
    ELR,
    IDO,
    MOIT,
    BarlowTwins,
    Checkpoint,
    CoTeaching,
    CoTrainingClassifier,
    DivergenceError,
    DivideMix,
    Forward,
    JointOptimization,
    MoCo,
    NoisyRobustClassifier,
    ProgressiveBootstrap,
    SimCLR,
    SSLPretrainer,
    TruncatedGCE,
    files,
)
from sknoisy.encoders.features import LazyFeatures
from sknoisy.losses import CrossEntropy
from sknoisy.training.identity import training_name
from sknoisy.training.own_code import sources

RNG = np.random.default_rng(0)
IMAGES = RNG.integers(0, 256, (60, 8, 8), dtype=np.uint8)
X = RNG.normal(size=(60, 4)).astype(np.float32)
Y = np.repeat([0, 1, 2], 20)
X[np.arange(60), Y] += 2


class PowerCut(Exception):
    """What ends a training here."""


class Cut(Callback):
    """Ends a training in the middle of an epoch."""

    def __init__(self, epoch):
        self.epoch = epoch

    def on_batch_end(self, net, **kwargs):  # noqa: D102
        if net.epochs_done == self.epoch:
            raise PowerCut


def cut(estimator, epoch, X, y=None):
    """Fit until an epoch, counted from 0, in which the training is cut.

    Returned are the epochs that this training had.
    """
    broken, watch = clone(estimator), Epochs()
    broken.set_params(callbacks=[*estimator.callbacks, watch, Cut(epoch)])
    with pytest.raises(PowerCut):
        broken.fit(X, y)
    return watch.seen_


def assert_resumes(estimator, folder, X, y=None, epochs=(2,)):
    """Check that a training that is cut, in some epochs, ends as one that is not."""
    whole = clone(estimator).fit(X, y)
    resumed = clone(estimator).set_params(callbacks=[Checkpoint(folder)])
    begin = 0
    for epoch in epochs:
        assert cut(resumed, epoch, X, y) == [*range(begin, epoch + 1)]
        assert len([*folder.iterdir()]) == 2  # the last and the one before
        begin = epoch
    watch = Epochs()
    resumed.set_params(callbacks=[Checkpoint(folder), watch]).fit(X, y)
    assert watch.seen_ == [*range(begin, len(whole.history_))]
    assert [*folder.iterdir()] == []
    losses = [[row["train_loss"] for row in one.history_] for one in (whole, resumed)]
    assert losses[0] == losses[1]
    return whole, resumed


class Epochs(Callback):
    """Notes the epochs that it sees."""

    def __init__(self):
        self.seen_ = []

    def on_epoch_begin(self, net, **kwargs):  # noqa: D102
        self.seen_.append(net.epochs_done)


@pytest.mark.parametrize(
    "method",
    [
        "simclr",
        BarlowTwins(hidden_features=16, projection_features=16),
        BYOL(hidden_features=16),
        MoCo(queue_size=24),
    ],
    ids=lambda method: str(method).split("(")[0],
)
def test_pretraining(method, tmp_path):  # [53]
    ssl = SSLPretrainer(
        method, encoder=narrow, max_epochs=4, batch_size=20, random_state=0
    )
    whole, resumed = assert_resumes(ssl, tmp_path, IMAGES)
    for name, weights in whole.encoder_.state.items():
        np.testing.assert_array_equal(weights, resumed.encoder_.state[name], name)


def test_pretraining_with_a_cache(tmp_path):
    ssl = SSLPretrainer(encoder=narrow, max_epochs=3, random_state=0)
    ssl.set_params(memory=str(tmp_path / "cache"))
    cut(ssl.set_params(callbacks=[Checkpoint(tmp_path / "new")]), 2, IMAGES)
    watch = Epochs()
    ssl.set_params(callbacks=[Checkpoint(tmp_path / "new"), watch]).fit(IMAGES)
    ssl.fit(IMAGES)
    assert watch.seen_ == [2]


CLASSIFIERS = {
    "elr": NoisyRobustClassifier("elr"),
    "starts anew": NoisyRobustClassifier(JointOptimization(begin=0.3, retrain=0.4)),
    "sop": NoisyRobustClassifier("sop"),
    "cores": NoisyRobustClassifier(CORES(sieve=0.2)),
    "forward": NoisyRobustClassifier("forward"),
    "regularizers": NoisyRobustClassifier(regularizers=["clustering"]),
    "coteaching": CoTrainingClassifier("coteaching"),
    "mentornet": CoTrainingClassifier("mentornet"),
    "disc": CoTrainingClassifier("disc"),
    "ido": CoTrainingClassifier(IDO(warmup_epochs=4)),
    "dividemix": CoTrainingClassifier(DivideMix(loss_history=3)),
    "elr_plus": CoTrainingClassifier("elr_plus"),
    "dynamic_bootstrap": CoTrainingClassifier("dynamic_bootstrap"),
    "noise_layer": NoisyRobustClassifier("noise_layer"),
    "pencil": NoisyRobustClassifier("pencil"),
    "gce_truncated": NoisyRobustClassifier(TruncatedGCE(begin=0.2, every=3)),
    "bootstrap": NoisyRobustClassifier(ProgressiveBootstrap()),
    "kernel_posterior": CoTrainingClassifier("kernel_posterior"),
    "self": CoTrainingClassifier("self"),
    "ssr": CoTrainingClassifier("ssr"),
    "taks": CoTrainingClassifier("taks"),
    "moit": CoTrainingClassifier(MOIT(n_neighbors=10, memory=20)),
    "volminnet": NoisyRobustClassifier("volminnet"),
    "cufit": CoTrainingClassifier("cufit"),
    "top k": NoisyRobustClassifier(ELR(storage=2)),
}


def test_trainings_in_another_precision_are_others():
    def name_in(precision):
        settings = SimpleNamespace(device=torch.device("cpu"), precision=precision)
        return training_name(NoisyRobustClassifier(), settings, (np.eye(3),))

    assert name_in(None) == name_in(None) != name_in(torch.bfloat16)


@pytest.mark.filterwarnings("ignore:.*max_epochs=10 changes nothing")  # of a kernel
@pytest.mark.parametrize("name", CLASSIFIERS)
def test_classifiers(name, tmp_path):  # [53]
    clf = clone(CLASSIFIERS[name]).set_params(
        max_epochs=10, batch_size=30, random_state=0
    )
    epochs = 2, 7  # in a warm-up of 3 epochs, and after it
    whole, resumed = assert_resumes(clf, tmp_path, X, Y, epochs)
    for attribute in ("state_dict_", "loss_state_"):
        for key, value in getattr(whole, attribute).items():
            np.testing.assert_array_equal(value, getattr(resumed, attribute)[key], key)
    for name in ("label_quality_", "wrong_events_", "prediction_changes_"):
        np.testing.assert_array_equal(getattr(whole, name), getattr(resumed, name))
    np.testing.assert_array_equal(whole.predict_proba(X), resumed.predict_proba(X))


def test_between_two_trainings(tmp_path):
    clf = clone(CLASSIFIERS["starts anew"]).set_params(max_epochs=10, random_state=0)
    whole, resumed = assert_resumes(clf, tmp_path, X, Y, epochs=[6])
    assert [row["phase"] for row in whole.history_] == 6 * ["all"] + 4 * ["anew"]
    np.testing.assert_array_equal(whole.predict_proba(X), resumed.predict_proba(X))


def test_after_the_warm_up_of_a_head(tmp_path):
    ssl = SSLPretrainer(encoder=narrow, max_epochs=1, random_state=0)
    features = ssl.fit_transform(IMAGES)
    clf = NoisyRobustClassifier("elr", max_epochs=4, head_epochs=3, random_state=0)
    checkpoint = Checkpoint(tmp_path)
    whole = clone(clf).fit(features, Y)
    cut(clf.set_params(callbacks=[checkpoint]), 5, features, Y)
    anew = LazyFeatures(IMAGES, features.encoder)  # as in another process
    resumed = clf.fit(anew, Y)
    assert not anew.is_computed  # the head alone needed them
    assert [row["phase"] for row in resumed.history_] == 3 * ["head"] + 4 * ["all"]
    np.testing.assert_array_equal(
        whole.predict_proba(features), resumed.predict_proba(features)
    )


SCRIPT = """
import os, signal, sys
import numpy as np
from skorch.callbacks import Callback
from sknoisy import Checkpoint, NoisyRobustClassifier

class Kill(Callback):
    def on_epoch_begin(self, net, **kwargs):
        if net.epochs_done == 3:
            os.kill(os.getpid(), signal.SIGKILL)

X, y = np.load(sys.argv[1]), np.load(sys.argv[2])
callbacks = [Checkpoint(sys.argv[3]), Kill()]
clf = NoisyRobustClassifier("elr", max_epochs=5, random_state=0, callbacks=callbacks)
clf.fit(X, y)
"""


@pytest.mark.skipif(sys.platform == "win32", reason="has no SIGKILL")
def test_killed_process(tmp_path):  # [53]
    files = [tmp_path / name for name in ("X.npy", "y.npy", "checkpoints")]
    np.save(files[0], X)
    np.save(files[1], Y)
    threads = {"OMP_NUM_THREADS": str(torch.get_num_threads())}
    environment = os.environ | threads
    run_python(SCRIPT, *files, ends_with=-signal.SIGKILL, env=environment)
    watch = Epochs()
    clf = NoisyRobustClassifier(
        "elr", max_epochs=5, random_state=0, callbacks=[Checkpoint(files[2]), watch]
    ).fit(X, Y)
    assert watch.seen_ == [3, 4]
    whole = NoisyRobustClassifier("elr", max_epochs=5, random_state=0).fit(X, Y)
    np.testing.assert_array_equal(clf.predict_proba(X), whole.predict_proba(X))


def test_ctrl_c_goes_on_too(tmp_path):  # [52]
    class Press(Cut):
        def on_batch_end(self, net, **kwargs):
            if net.epochs_done == self.epoch:
                raise KeyboardInterrupt

    clf = NoisyRobustClassifier("elr", max_epochs=5, random_state=0)
    clf.set_params(callbacks=[Checkpoint(tmp_path), Press(3)])
    with pytest.raises(KeyboardInterrupt):
        clf.fit(X, Y)
    assert len(clf.history_) == 3
    watch = Epochs()
    clf.set_params(callbacks=[Checkpoint(tmp_path), watch]).fit(X, Y)
    assert watch.seen_ == [3, 4]
    whole = NoisyRobustClassifier("elr", max_epochs=5, random_state=0).fit(X, Y)
    np.testing.assert_array_equal(clf.predict_proba(X), whole.predict_proba(X))


def test_other_trainings_do_not_go_on_with_it(tmp_path):
    clf = NoisyRobustClassifier("elr", max_epochs=4, random_state=0)
    clf.set_params(callbacks=[Checkpoint(tmp_path)])
    cut(clf, 3, X, Y)
    for params, data, labels in [
        ({"lr": 0.03}, X, Y),
        ({"loss": "gce"}, X, Y),
        ({"random_state": 1}, X, Y),
        ({}, X + 1, Y),
        ({}, X, Y[::-1]),
    ]:
        watch = Epochs()
        other = clone(clf).set_params(**params)
        other.set_params(callbacks=[Checkpoint(tmp_path), watch]).fit(data, labels)
        assert watch.seen_ == [0, 1, 2, 3], params
    assert len([*tmp_path.iterdir()]) == 2  # of the first one, untouched
    watch = Epochs()
    clf.set_params(callbacks=[watch, Checkpoint(tmp_path)], verbose=False).fit(X, Y)
    assert watch.seen_ == [3]


def test_every(tmp_path):
    clf = NoisyRobustClassifier("elr", max_epochs=9, random_state=0)
    clf.set_params(callbacks=[Checkpoint(tmp_path, every=3)])
    cut(clf, 5, X, Y)
    watch = Epochs()
    clf.set_params(callbacks=[Checkpoint(tmp_path, every=3), watch]).fit(X, Y)
    assert watch.seen_ == [*range(3, 9)]
    clf.set_params(callbacks=[Checkpoint(tmp_path, every=0)])
    with pytest.raises(ValueError, match="every=0"):
        clf.fit(X, Y)


class Bomb:
    """What a hostile file holds."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return self.path.touch, ()


@pytest.mark.parametrize("kind", ["pickle", "torch"])
def test_a_hostile_file_runs_nothing(kind, tmp_path):
    clf = NoisyRobustClassifier("elr", max_epochs=4, random_state=0)
    whole = clone(clf).fit(X, Y)
    folder, trap = tmp_path / "checkpoints", tmp_path / "ran"
    clf.set_params(callbacks=[Checkpoint(folder)])
    cut(clf, 3, X, Y)
    for path in folder.iterdir():
        if kind == "pickle":
            path.write_bytes(pickle.dumps(Bomb(trap)))
        else:
            torch.save({"nets": Bomb(trap)}, path)
    with pytest.warns(UserWarning, match="not used"):
        clf.fit(X, Y)
    assert not trap.exists()
    np.testing.assert_array_equal(clf.predict_proba(X), whole.predict_proba(X))


def test_every_flipped_bit_and_every_cut_is_noticed(tmp_path):  # [56, 57]
    seen_epochs(
        NoisyRobustClassifier("elr", max_epochs=4, random_state=0), tmp_path, X, Y
    )
    (path,) = tmp_path.glob("*.checkpoint")
    content = path.read_bytes()
    damaged = [content[: len(content) * tenth // 10] for tenth in range(10)]
    for bit in np.random.default_rng(0).integers(8 * len(content), size=20):
        flipped = bytearray(content)
        flipped[bit // 8] ^= 1 << bit % 8
        damaged.append(bytes(flipped))
    for bit in (3, 80, 200, 999):  # in the lengths and the header
        flipped = bytearray(content)
        flipped[bit // 8] ^= 1 << bit % 8
        damaged.append(bytes(flipped))
    for other in damaged:
        path.write_bytes(other)
        with pytest.raises(ValueError, match=re.escape(str(path)) + ".*damaged"):
            files.read(path, "checkpoint")


class Remembers(CrossEntropy):
    """Keeps what a file cannot hold."""

    def start(self, n_samples, n_classes, device):  # noqa: D102
        super().start(n_samples, n_classes, device)
        self.seen_, self.count_ = self.made(), 0

    def made(self):
        """Return what is kept."""
        return {1, 2}

    def on_epoch(self, epoch, n_epochs):  # noqa: D102
        self.count_ += 1


class Redoes(Remembers):
    """Makes anew what it keeps."""

    transient = ("seen_",)


def test_what_a_loss_keeps(tmp_path):
    clf = NoisyRobustClassifier(Remembers(), max_epochs=4, random_state=0)
    clf.set_params(callbacks=[Checkpoint(tmp_path)])
    with pytest.raises(ValueError, match="Remembers.*seen_ is an object of.*set"):
        clf.fit(X, Y)
    assert_resumes(
        clf.set_params(loss=Redoes(), callbacks=None), tmp_path / "x", X, Y, [3]
    )


@pytest.mark.parametrize("damage", ["truncated", "flipped", "empty"])
def test_damaged_file(damage, tmp_path):  # [56, 57]
    clf = NoisyRobustClassifier("elr", max_epochs=6, random_state=0)
    whole = clone(clf).fit(X, Y)
    clf.set_params(callbacks=[Checkpoint(tmp_path)])
    cut(clf, 4, X, Y)
    (path,) = tmp_path.glob("*.checkpoint")
    content = bytearray(path.read_bytes())
    if damage == "flipped":
        content[len(content) // 2] ^= 1
    path.write_bytes(content[: {"truncated": 999, "empty": 0}.get(damage)])
    watch = Epochs()
    clf.set_params(callbacks=[Checkpoint(tmp_path), watch])
    with pytest.warns(UserWarning, match=re.escape(str(path)) + ".*damaged"):
        clf.fit(X, Y)
    assert watch.seen_ == [3, 4, 5]
    np.testing.assert_array_equal(clf.predict_proba(X), whole.predict_proba(X))


def test_a_file_that_cannot_be_written(tmp_path):  # [54, 62]
    clf = NoisyRobustClassifier("elr", max_epochs=3, random_state=0)
    whole = clone(clf).fit(X, Y)
    (tmp_path / "file").touch()
    clf.set_params(callbacks=[Checkpoint(tmp_path / "file" / "folder")])
    with pytest.warns(UserWarning, match="could not be written"):
        clf.fit(X, Y)
    np.testing.assert_array_equal(clf.predict_proba(X), whole.predict_proba(X))


def test_full_disk_leaves_the_last_files(tmp_path):  # [54]
    resource = pytest.importorskip("resource")
    clf = NoisyRobustClassifier("elr", max_epochs=6, random_state=0)
    clf.set_params(callbacks=[Checkpoint(tmp_path)])
    cut(clf, 3, X, Y)
    before = {path: path.read_bytes() for path in tmp_path.iterdir()}
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (10_000, limits[1]))  # bytes a file
    try:
        with pytest.warns(UserWarning, match="could not be written"):
            cut(clf, 5, X, Y)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert before == {path: path.read_bytes() for path in tmp_path.iterdir()}


def test_an_equal_training_that_runs(tmp_path):  # [63]
    class Rival(Callback):
        def on_epoch_begin(self, net, **kwargs):
            if net.epochs_done == 2:
                self.clf_ = NoisyRobustClassifier("elr", max_epochs=3)
                self.clf_.set_params(callbacks=[Checkpoint(tmp_path), watch])
                with pytest.warns(
                    UserWarning, match="identical training.*still running"
                ):
                    self.clf_.fit(X, Y)

    watch, rival = Epochs(), Rival()
    clf = NoisyRobustClassifier(
        "elr", max_epochs=3, callbacks=[Checkpoint(tmp_path), rival]
    )
    clf.fit(X, Y)
    assert watch.seen_ == [0, 1, 2]
    assert not np.array_equal(clf.predict_proba(X), rival.clf_.predict_proba(X))
    assert [*tmp_path.iterdir()] == []


OWN_LOSS = """
import torch
from sknoisy import Loss

class Own(Loss):
    def __call__(self, logits, target, index):
        return {factor} * torch.nn.functional.cross_entropy(
            logits, target, reduction="none"
        )
"""


def test_other_code_is_another_training(tmp_path, monkeypatch):
    module = tmp_path / "own_loss_of_a_test.py"
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    folder, seen = tmp_path / "checkpoints", []
    for factor in (1, 1000, 1):
        module.write_text(OWN_LOSS.format(factor=factor))
        linecache.checkcache()
        sys.modules.pop(module.stem, None)
        importlib.invalidate_caches()
        loss, watch = importlib.import_module(module.stem).Own(), Epochs()
        clf = NoisyRobustClassifier(loss, max_epochs=4, random_state=0)
        clf.set_params(callbacks=[Checkpoint(folder), watch, Cut(2)])
        with pytest.raises(PowerCut):
            clf.fit(X, Y)
        seen.append(watch.seen_)
    assert seen == [[0, 1, 2], [0, 1, 2], [2]]


def test_code_within_a_method_tells_trainings_apart(tmp_path, monkeypatch):
    # Compiled code is told apart by the second and the size of its file.
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    module = tmp_path / "own_views_of_a_test.py"
    found = []
    for factor in (1, 2, 1):
        module.write_text(
            "from sknoisy.views import NoViews\n"
            "class Own(NoViews):\n"
            "    def __call__(self, batch, generator):\n"
            f"        return {factor} * batch\n"
        )
        linecache.checkcache()
        spec = importlib.util.spec_from_file_location(module.stem, module)
        loaded = importlib.util.module_from_spec(spec)
        sys.modules[module.stem] = loaded
        spec.loader.exec_module(loaded)
        pretrainer = SSLPretrainer(SimCLR(views=loaded.Own()), max_epochs=2)
        pretrainer.set_params(memory=tmp_path / "cache", random_state=0)
        weights = pretrainer.fit(X).encoder_.state["1.1.weight"]
        found.append((sources(pretrainer), weights))
    del sys.modules[module.stem]
    (_, first), (_, second), (_, third) = found
    assert found[0][0] == found[2][0] != found[1][0]
    np.testing.assert_array_equal(first, third)
    assert not np.array_equal(first, second)  # not the first one's, from the cache


def test_a_file_that_changed(image_files, tmp_path):
    paths, labels = image_files
    clf = NoisyRobustClassifier("elr", narrow, max_epochs=4, head_epochs=0)
    clf.set_params(
        image_size=8, callbacks=[Checkpoint(tmp_path / "new")], random_state=0
    )
    ssl = SSLPretrainer(encoder=narrow, max_epochs=1, image_size=8)
    features = ssl.fit_transform(paths)
    kinds = [[*paths], features]
    for data in kinds:
        cut(clf, 2, data, labels)
    Image.fromarray(np.zeros((9, 9), np.uint8)).save(paths[0])
    for data in kinds:
        watch = Epochs()
        clf.set_params(callbacks=[Checkpoint(tmp_path / "new"), watch, Cut(2)])
        with pytest.raises(PowerCut):
            clf.fit(data, labels)
        assert len(watch.seen_) == 3


def seen_epochs(clf, folder, X, y, epoch=2):
    """Fit until an epoch in which the training is cut; return the epochs it saw."""
    return cut(clone(clf).set_params(callbacks=[Checkpoint(folder)]), epoch, X, y)


def test_slices_of_a_memmap_differ(tmp_path):
    np.save(tmp_path / "X.npy", X)
    mapped = np.load(tmp_path / "X.npy", mmap_mode="r")
    clf, y = NoisyRobustClassifier("elr", max_epochs=4, random_state=0), Y[:30] % 2
    parts = [(mapped[:30], [0, 1, 2]), (mapped[30:], [0, 1, 2]), (mapped[:30], [2])]
    for part, epochs in parts:
        assert seen_epochs(clf, tmp_path / "new", part, y) == epochs


def test_equal_tensors_are_equal(tmp_path):
    for epochs in ([0, 1, 2], [2]):
        loss = Forward(torch.eye(3, dtype=torch.float64))
        clf = NoisyRobustClassifier(loss, max_epochs=4, random_state=0)
        assert seen_epochs(clf, tmp_path, torch.from_numpy(X.copy()), Y) == epochs


def test_a_file_that_does_not_fit(tmp_path):
    clf = NoisyRobustClassifier("elr", max_epochs=4, random_state=0)
    seen_epochs(clf, tmp_path, X, Y)
    (path,) = tmp_path.glob("*.checkpoint")
    state = files.read(path, "checkpoint")
    state["nets"]["all"]["module"].popitem()
    files.write(path, state, "checkpoint")
    match = re.escape(str(path)) + " does not fit this training"
    with pytest.raises(ValueError, match=match):
        clf.set_params(callbacks=[Checkpoint(tmp_path)]).fit(X, Y)


def test_nothing_is_left_of_a_training_that_diverged(tmp_path):
    clf = NoisyRobustClassifier("ce", lr=1e30, max_epochs=9, random_state=0)
    clf.set_params(callbacks=[Checkpoint(tmp_path)], schedule="constant")
    with pytest.raises(DivergenceError):
        clf.fit(X, Y)
    assert [*tmp_path.iterdir()] == []


def test_what_cannot_be_pickled(tmp_path):
    def local(shape):
        return torch.nn.Flatten()

    clf = NoisyRobustClassifier(encoder=local, callbacks=[Checkpoint(tmp_path)])
    with pytest.raises(ValueError, match="encoder=.*Checkpoint.*pickled"):
        clf.fit(X, Y)


def test_files_of_images(image_files, tmp_path):
    paths, labels = image_files
    clf = NoisyRobustClassifier("elr", narrow, max_epochs=4, random_state=0)
    clf.set_params(image_size=8)
    assert_resumes(clf, tmp_path / "new", paths, labels, epochs=[3])


def test_memmap(tmp_path):
    np.save(tmp_path / "X.npy", X)
    mapped = np.load(tmp_path / "X.npy", mmap_mode="r")
    folder = tmp_path / "checkpoints"
    clf = NoisyRobustClassifier("elr", max_epochs=4, random_state=0)
    assert_resumes(clf, folder, mapped, Y, epochs=[3])


def test_search_and_pipeline_share_a_folder(tmp_path):
    pipe = Pipeline(
        [
            ("ssl", SSLPretrainer(max_epochs=2, callbacks=[Checkpoint(tmp_path)])),
            ("clf", NoisyRobustClassifier(callbacks=[("save", Checkpoint(tmp_path))])),
        ]
    ).set_params(
        ssl__encoder=narrow, clf__max_epochs=2, ssl__random_state=0, clf__random_state=0
    )
    search = GridSearchCV(pipe, {"clf__loss": ["ce", "gce"]}, cv=2)
    search.fit(IMAGES, Y)
    assert [*tmp_path.iterdir()] == []
    joblib.dump(search.best_estimator_, tmp_path / "model.joblib")
    loaded = joblib.load(tmp_path / "model.joblib")
    np.testing.assert_array_equal(loaded.predict(IMAGES), search.predict(IMAGES))


def test_code_without_a_file_is_told_apart():
    """What exec has made has no source, but what it does is known."""

    def made(formula):
        room = {"CrossEntropy": CrossEntropy, "__name__": "room"}
        lines = "class Mine(CrossEntropy):", "  def __call__(self, z, y, i):"
        exec("\n".join([*lines, f"    return {formula}"]), room)
        return room["Mine"]

    one, same, other = map(made, ["z.sum(1)", "z.sum(1)", "z.sum(2)"])
    assert sources(one()) == sources(same()) != sources(other())
    in_a_set = made('z.sum(1) if i in {"a", "b", "c"} else z.sum(2)')
    assert "[''a'', ''b'', ''c'']" in repr(sources(in_a_set())).replace('"', "'")


OWN = """
import numpy as np
import torch
from sknoisy import CrossEntropy
import {helper}

SCALE = {scale}
def _twice(z): return {helper}.times * z
def scaled(z): return _twice(SCALE * z)
class Base(CrossEntropy):
    def __call__(self, z, y, i): return self.of(scaled(z), y)
    @staticmethod
    def of(z, y): return {helper}.of(z, y) + np.pi
class Mine(Base):
    unused = {unused}
def not_called(): return {other}
"""
HELPER = "times = {times}\ndef of(z, y): return [z[k].sum() for k in y] {more}\n"


@pytest.mark.parametrize("has_source", [True, False])
def test_what_code_calls_tells_trainings_apart(tmp_path, monkeypatch, has_source):
    """Functions and constants of modules of the user's, however deep."""
    monkeypatch.syspath_prepend(tmp_path)
    usual = {"scale": 1, "unused": 0, "other": 1, "times": 2, "more": ""}
    names = "own_module_of_a_test", "own_helper_of_a_test"

    def made(**changed):
        values = usual | changed | {"helper": names[1]}
        for name, text in zip(names, (OWN, HELPER), strict=True):
            (tmp_path / f"{name}.py").write_text(text.format(**values))
            sys.modules.pop(name, None)
        importlib.invalidate_caches()
        linecache.clearcache()
        module = importlib.import_module(names[0])
        if not has_source:
            for name in names:
                (tmp_path / f"{name}.py").unlink()
            linecache.clearcache()
        return sources(module.Mine())

    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    assert made() == made() == made(other=2)
    changes = [{"scale": 3}, {"times": 3}, {"more": "+ [1]"}]
    found = [made(), *(made(**change) for change in changes)]
    assert all(a != b for a, b in itertools.combinations(found, 2))
    for name in names:
        sys.modules.pop(name, None)


class Unfinished(CoTeaching):
    """Fails once the training is over, the first time."""

    fails = True

    def clean_probability(self, dynamics, labelled):
        if Unfinished.fails:
            Unfinished.fails = False
            raise MemoryError
        return super().clean_probability(dynamics, labelled)


def test_what_fails_after_the_last_epoch_keeps_its_checkpoint(tmp_path):
    clf = CoTrainingClassifier(Unfinished(), max_epochs=2, random_state=0)
    clf.set_params(callbacks=[Checkpoint(tmp_path)])
    with pytest.raises(MemoryError):
        clf.fit(X, Y)
    assert os.listdir(tmp_path)
    clf.fit(X, Y)
    assert len(clf.history_) == 2 and not os.listdir(tmp_path)
