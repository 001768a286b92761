"""Models are saved without code, and loaded with a check of every bit."""

import hashlib
import io
import json
import os
import pickle
import re
import runpy
from collections import deque
from functools import partial
from pathlib import Path
from typing import NamedTuple

import joblib
import numpy as np
import pandas as pd
import pytest
import sklearn
import torch
from processes import run_python
from safetensors import safe_open
from sklearn.base import clone
from sklearn.calibration import CalibratedClassifierCV
from sklearn.compose import make_column_transformer
from sklearn.decomposition import PCA
from sklearn.ensemble import (
    BaggingClassifier,
    HistGradientBoostingClassifier,
    StackingClassifier,
    VotingClassifier,
)
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV, KFold
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import FunctionTransformer, OneHotEncoder, StandardScaler
from torch import nn

import sknoisy
from sknoisy import (
    ELR,
    Checkpoint,
    ContrastiveFineTuner,
    CoTrainingClassifier,
    Forward,
    LabelCleaningClassifier,
    LabelErrorDetector,
    NoisyRobustClassifier,
    PretrainedEncoder,
    PseudoLabelRefiner,
    SSLPretrainer,
    _version,
    files,
    packing,
)
from sknoisy.cotraining import COTRAINING_METHODS
from sknoisy.detection import DETECTION_METHODS
from sknoisy.losses import LOSSES, CrossEntropy
from sknoisy.regularizers import REGULARIZERS
from sknoisy.selfsup import METHODS

GOLDEN = Path(__file__).parents[1] / "golden"
MAKE = runpy.run_path(str(GOLDEN / "make.py"))
MODELS, X, Y = MAKE["MODELS"], MAKE["X"], MAKE["Y"]
FEW = {"encoder": partial(nn.Linear, 4, 3), "max_epochs": 1, "random_state": 0}


class Mine(CrossEntropy):
    """A loss of the user."""


class Layer(nn.Module):
    """A layer of the user."""

    def __init__(self, shape):
        super().__init__()
        self.linear = nn.Linear(shape[0], 3)
        self.scale = torch.full((3,), 2.0)
        self.register_buffer("shift", torch.ones(3), persistent=False)

    def forward(self, batch):  # noqa: D102
        return self.linear(batch) * self.scale + self.shift


@pytest.fixture(scope="module", params=MODELS)
def fitted(request):
    model, samples, method = MODELS[request.param]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("warnings.warn", lambda *args, **kwargs: None)
        return clone(model).fit(samples, Y), samples, method


@pytest.fixture(scope="module")
def clf():
    return NoisyRobustClassifier("elr", **FEW).fit(X, Y)


class Raw:
    """An object of a file as it is described."""

    def __init__(self, name, state):
        self.name = name
        self.state = state

    @staticmethod
    def of(value):
        """Return what an object is described by."""
        return (value.name, value.state) if isinstance(value, Raw) else None


def edit(path, change):
    """Change what a file describes; the checksum is that of the new content."""
    content = files.read(path, "model", build=Raw)
    change(content["estimator"])
    files.write(path, content, "model", Raw.of)


def test_what_is_loaded_is_the_same(fitted, tmp_path):
    model, samples, method = fitted
    path = tmp_path / "model.safetensors"
    sknoisy.save(model, path)
    loaded = sknoisy.load(path)
    np.testing.assert_array_equal(
        MAKE["result"](loaded, samples, method), MAKE["result"](model, samples, method)
    )
    assert type(loaded) is type(model)
    assert repr(clone(loaded)) == repr(clone(model))
    sknoisy.save(loaded, tmp_path / "again")
    assert path.read_bytes() == (tmp_path / "again").read_bytes()
    if hasattr(model, "classes_"):
        np.testing.assert_array_equal(loaded.classes_, model.classes_)
    assert [*tmp_path.glob("*.part")] == []


@pytest.mark.parametrize("folder", sorted(GOLDEN.glob("[0-9]*")), ids=lambda p: p.name)
def test_golden_files(folder):  # [66]
    results = np.load(folder / "results.npz")
    assert {*results} == {path.stem for path in folder.glob("*.safetensors")}
    for name in results:
        model = sknoisy.load(folder / f"{name}.safetensors")
        _, samples, method = MODELS[name]
        found = MAKE["result"](model, samples, method)
        np.testing.assert_allclose(found, results[name], atol=1e-5)
        clone(model)
        repr(model)
    state = files.read(folder / "training.checkpoint", "checkpoint")
    assert state["nets"]["all"]["epochs"] == 1
    size = sum(path.stat().st_size for path in folder.iterdir())
    assert size < 200_000


def test_another_process_predicts_the_same(clf, digits, tmp_path):
    """One process loads a model that was saved and a pipeline that was pickled."""
    images, y = (part[:60] for part in digits)
    names = np.array([f"digit {i}" for i in range(10)])
    ssl = SSLPretrainer(max_epochs=2, random_state=0)
    pipe = make_pipeline(ssl, NoisyRobustClassifier(max_epochs=2, random_state=0))
    pipe.fit(images, names[y])
    joblib.dump(pipe, tmp_path / "pipe.joblib")
    clf.save(tmp_path / "model")
    np.savez(tmp_path / "inputs.npz", vectors=X, images=images)
    code = """
import joblib, numpy as np
inputs = np.load("inputs.npz")
pipe = joblib.load("pipe.joblib")  # which imports sknoisy itself
proba, labels = (f(inputs["images"]) for f in (pipe.predict_proba, pipe.predict))
import sknoisy
model = sknoisy.load("model").predict_proba(inputs["vectors"])
np.savez("found.npz", proba=proba, labels=labels, model=model)
"""
    run_python(code, cwd=tmp_path)
    found = np.load(tmp_path / "found.npz")
    np.testing.assert_array_equal(found["proba"], pipe.predict_proba(images))
    np.testing.assert_array_equal(found["labels"], pipe.predict(images))
    np.testing.assert_allclose(found["model"], clf.predict_proba(X), atol=1e-6)


@pytest.mark.parametrize(
    "labels",
    [
        np.arange(30) % 3 * 10,
        np.arange(30) % 2 == 0,
        (np.arange(30) % 3).astype(np.uint8),
        np.array(["é", "\ud800", "c" * 9])[np.arange(30) % 3],
        np.array(["a", "b", "c"], object)[np.arange(30) % 3],
        (np.arange(30) % 3).astype(float),
    ],
    ids=lambda y: str(y.dtype),
)
def test_labels_of_any_kind(labels, tmp_path):
    clf = NoisyRobustClassifier("ce", **FEW).fit(X, labels)
    clf.save(tmp_path / "model")
    loaded = sknoisy.load(tmp_path / "model")
    assert loaded.classes_.dtype == clf.classes_.dtype
    np.testing.assert_array_equal(loaded.predict(X), clf.predict(X))


def test_training_goes_on(clf, tmp_path):
    clf = clone(clf).set_params(max_epochs=2).fit(X, Y)
    clf.save(tmp_path / "model")
    loaded = sknoisy.load(tmp_path / "model")
    with pytest.MonkeyPatch.context() as patch:  # both with a new optimiser
        patch.setattr(clf, "_training", None)
        clf.partial_fit(X, Y)
    loaded.partial_fit(X, Y)
    np.testing.assert_array_equal(loaded.predict_proba(X), clf.predict_proba(X))


def test_other_programs_read_it(clf, tmp_path):
    clf.save(tmp_path / "model")
    with safe_open(tmp_path / "model", "numpy") as file:
        metadata, n = file.metadata(), len([*file.keys()])
        assert n and all(file.get_tensor(name) is not None for name in file.keys())
    assert metadata["format"] == "sknoisy"
    assert metadata["version"] == sknoisy.__version__
    assert '"class":"NoisyRobustClassifier"' in metadata["content"]


def test_an_unfitted_estimator(tmp_path):  # [68]
    rng = np.random.RandomState(3)
    clf = NoisyRobustClassifier(
        Forward(torch.eye(3)),
        regularizers=["clustering"],
        class_weight={"a": 2.0, "b": 1.5},
        lr=np.float64(0.1),
        random_state=rng,
    )
    sknoisy.save(clf, tmp_path / "model")
    loaded = sknoisy.load(tmp_path / "model")
    assert repr(loaded.set_params(random_state=None)) == repr(
        clone(clf).set_params(random_state=None)
    )
    assert not hasattr(loaded, "classes_")


@pytest.mark.parametrize("name", COTRAINING_METHODS)
def test_every_cotraining_method(name, tmp_path):
    clf = CoTrainingClassifier(COTRAINING_METHODS[name](), max_epochs=1, random_state=0)
    clf.fit(X, Y).save(tmp_path / "model")
    loaded = sknoisy.load(tmp_path / "model")
    np.testing.assert_array_equal(loaded.predict_proba(X), clf.predict_proba(X))
    assert repr(loaded) == repr(clf)


@pytest.mark.parametrize("loss", LOSSES)
def test_every_loss(loss, tmp_path):
    clf = NoisyRobustClassifier(loss, **FEW).fit(X, Y)
    clf.save(tmp_path / "model")
    loaded = sknoisy.load(tmp_path / "model")
    np.testing.assert_array_equal(loaded.predict_proba(X), clf.predict_proba(X))
    for key, value in clf.loss_state_.items():
        np.testing.assert_array_equal(loaded.loss_state_[key], value)


def test_every_method_is_a_parameter(tmp_path):
    for estimator, parameter, registry in [
        (SSLPretrainer(), "method", METHODS),
        (NoisyRobustClassifier(), "regularizers", REGULARIZERS),
        (LabelErrorDetector(LogisticRegression()), "method", DETECTION_METHODS),
    ]:
        for value in registry.values():
            value = [value()] if parameter == "regularizers" else value()
            sknoisy.save(estimator.set_params(**{parameter: value}), tmp_path / "file")
            loaded = sknoisy.load(tmp_path / "file", [LogisticRegression])
            assert repr(loaded) == repr(estimator)


def test_what_is_left_out(tmp_path):
    pipe = Pipeline(
        [
            ("ssl", SSLPretrainer(memory=str(tmp_path), max_epochs=1)),
            ("clf", NoisyRobustClassifier(callbacks=[Checkpoint(tmp_path)])),
            ("end", NoisyRobustClassifier(validation=(X, Y))),
        ],
        memory=str(tmp_path),
    )
    sknoisy.save(pipe, tmp_path / "model")
    loaded = sknoisy.load(tmp_path / "model")
    assert loaded.memory is loaded["ssl"].memory is loaded["clf"].callbacks is None
    assert loaded["end"].validation is None


def test_code_of_others_must_be_allowed(tmp_path):
    loss = NoisyRobustClassifier(Mine(), **FEW).fit(X, Y)
    layer = NoisyRobustClassifier("ce", encoder=Layer, max_epochs=1).fit(X, Y)
    module = PretrainedEncoder(Layer((4,))).fit(X)
    scaled = Pipeline([("scale", StandardScaler()), ("clf", clone(loss))]).fit(X, Y)
    other = LabelErrorDetector(LogisticRegression(), cv=KFold(2)).fit(X, Y)
    regression = "sklearn.linear_model.LogisticRegression"
    scaler = "sklearn.preprocessing._data.StandardScaler"
    for model, needed in [
        (loss, [Mine]),
        (layer, [f"{Layer.__module__}.Layer"]),
        (module, [Layer]),
        (scaled, [Mine, scaler]),
        (other, [regression, KFold]),
    ]:
        path = tmp_path / "model"
        sknoisy.save(model, path)
        for missing in needed:
            allow = [one for one in needed if one is not missing]
            name = getattr(missing, "__qualname__", missing).split(".")[-1]
            with pytest.raises(ValueError, match=f"model'.*needs code.*{name}"):
                sknoisy.load(path, allow)
        loaded = sknoisy.load(path, allow=needed)
        if model is other:
            assert loaded.cv.n_splits == 2
            continue
        method = "transform" if model is module else "predict_proba"
        found, wanted = (MAKE["result"](m, X, method) for m in (loaded, model))
        np.testing.assert_array_equal(found, wanted)
    with pytest.raises(ValueError, match="allow='x'"):
        sknoisy.load(path, "x")
    with pytest.raises(ValueError, match="allow=.*'no.such.thing' is no import path"):
        sknoisy.load(path, ["no.such.thing"])


def test_pipelines_of_imbalanced_learn(tmp_path):
    imblearn = pytest.importorskip("imblearn.pipeline")
    pipe = imblearn.Pipeline([("clf", NoisyRobustClassifier("ce", **FEW))]).fit(X, Y)
    pipe.memory = str(tmp_path)
    sknoisy.save(pipe, tmp_path / "model")
    loaded = sknoisy.load(tmp_path / "model", [imblearn.Pipeline])
    assert type(loaded) is imblearn.Pipeline
    assert loaded.memory is None
    np.testing.assert_array_equal(loaded.predict(X), pipe.predict(X))


def test_what_cannot_be_saved(tmp_path):
    path = tmp_path / "model"
    trees = HistGradientBoostingClassifier(max_iter=1).fit(np.eye(4), [0, 1, 0, 1])
    with pytest.raises(ValueError, match=r"cannot hold\. joblib\.dump may save it"):
        sknoisy.save(make_pipeline(trees), path)
    local = NoisyRobustClassifier(encoder=lambda shape: nn.Flatten())
    with pytest.raises(ValueError, match="cannot be saved.*lambda.*cannot be imported"):
        local.save(path)
    hooked = nn.Linear(4, 3)
    hooked.register_forward_hook(print)
    with pytest.raises(ValueError, match="Linear has hooks"):
        PretrainedEncoder(hooked).save(path)
    with pytest.raises(ValueError, match="params.cv is an object of.*generator"):
        LabelErrorDetector(local.set_params(encoder="mlp"), cv=(i for i in "a")).save(
            path
        )
    with pytest.raises(ValueError, match="estimator=dict object is not valid"):
        sknoisy.save({}, path)
    search = GridSearchCV(LogisticRegression(), {"C": [0.1, 1]}, cv=2).fit(X, Y)
    with pytest.raises(ValueError, match="such as its best_estimator_"):
        sknoisy.save(search, path)
    assert [*tmp_path.iterdir()] == []


def test_a_folder_that_does_not_exist(tmp_path):
    path = tmp_path / "gone" / "model.safetensors"
    with pytest.raises(
        FileNotFoundError, match="path=.*gone.model.* there is no folder"
    ):
        NoisyRobustClassifier().save(path)


def test_a_full_disk(clf, tmp_path):
    """The error names the file; the old one stays, and no part of the new one."""
    resource = pytest.importorskip("resource")
    path = tmp_path / "model.safetensors"
    path.write_bytes(b"old")
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, before[1]))
    try:
        with pytest.raises(OSError, match=r"\[Errno \d+\] .*: .*model\.safetensors'$"):
            sknoisy.save(clf, path)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert [file.read_bytes() for file in tmp_path.iterdir()] == [b"old"]


def test_a_link_is_followed_and_permissions_stay(tmp_path):
    model = NoisyRobustClassifier()
    model.save(tmp_path / "first")
    (tmp_path / "first").chmod(0o604)
    (tmp_path / "current").symlink_to("first")
    NoisyRobustClassifier(lr=7.0).save(tmp_path / "current")
    assert (tmp_path / "current").is_symlink()
    assert sknoisy.load(tmp_path / "first").lr == 7
    assert (tmp_path / "first").stat().st_mode & 0o777 == 0o604


def test_what_is_no_file(tmp_path):
    model = NoisyRobustClassifier()
    os.mkfifo(tmp_path / "pipe")
    for path in (tmp_path, tmp_path / "pipe"):
        with pytest.raises(FileExistsError, match="is a folder or a device"):
            model.save(path)
    for value in (io.BytesIO(), None, b"\0" * 1000):
        for call in (model.save, sknoisy.load):
            with pytest.raises(ValueError, match="path=.* is not valid") as caught:
                call(value)
            assert len(str(caught.value)) < 200
    assert [*tmp_path.iterdir()] == [tmp_path / "pipe"]


def test_a_file_without_an_estimator(tmp_path):
    for content in ({}, [], {"estimator": 3}):
        files.write(tmp_path / "model", content, "model")
        with pytest.raises(ValueError, match="model' cannot be read.*no estimator"):
            sknoisy.load(tmp_path / "model")


def test_every_flipped_bit_and_every_cut_is_noticed(clf, tmp_path):  # [57]
    path = tmp_path / "model"
    clf.save(path)
    content = path.read_bytes()
    damaged = [content[: len(content) * tenth // 10] for tenth in range(10)]
    damaged += [content[:-1], content + b"x"]
    bits = np.random.default_rng(0).integers(8 * len(content), size=20)
    for bit in [*bits, 3, 80, 200, 999, 2000]:
        flipped = bytearray(content)
        flipped[bit // 8] ^= 1 << bit % 8
        damaged.append(bytes(flipped))
    for other in damaged:
        path.write_bytes(other)
        with pytest.raises(ValueError, match=re.escape(str(path)) + ".*damaged"):
            sknoisy.load(path)


class Bomb:
    """What a hostile file holds."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return self.path.touch, ()


def test_foreign_files(tmp_path):
    path, trap = tmp_path / "model", tmp_path / "ran"
    safetensors = pytest.importorskip("safetensors.torch")
    for make in (
        lambda: path.write_bytes(pickle.dumps(Bomb(trap))),
        lambda: torch.save(Bomb(trap), path),
        lambda: safetensors.save_file({"a": torch.ones(2)}, path),
        lambda: path.write_text("{}" * 99),
    ):
        make()
        with pytest.raises(ValueError, match=re.escape(str(path)) + ".*damaged, or"):
            sknoisy.load(path)
    assert not trap.exists()
    files.write(path, {}, "checkpoint")
    with pytest.raises(ValueError, match="is a checkpoint, not a model"):
        sknoisy.load(path)
    with pytest.raises(FileNotFoundError):
        sknoisy.load(tmp_path / "none")


@pytest.mark.parametrize(
    "hostile",
    [
        Raw("import", "os:system"),
        Raw("import", "sknoisy.files:os.system"),
        Raw("import", "sknoisy.files:write"),
        Raw("import", "torch.nn.modules.module:torch.load"),
        Raw("partial", [Raw("import", "os:system"), ["touch ran"], {}]),
        Raw("instance", {"class": "subprocess:Popen", "attributes": {}}),
        Raw("method", {"class": "subprocess:Popen", "params": {"args": "ls"}}),
        Raw("method", {"class": "sknoisy.files:Path", "params": {}}),
        Raw("estimator", {"class": "os:system", "params": {}, "fitted": {}}),
    ],
    ids=[str(i) for i in range(9)],
)
def test_a_hostile_file_runs_nothing(hostile, clf, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    clf.save(tmp_path / "model")
    edit(tmp_path / "model", lambda clf: clf.state["params"].update(loss=hostile))
    with pytest.raises(ValueError, match="model' is not loaded: it needs code"):
        sknoisy.load(tmp_path / "model")
    assert not (tmp_path / "ran").exists()


def test_no_cache_is_taken_from_a_file(tmp_path):
    sknoisy.save(SSLPretrainer(max_epochs=1), tmp_path / "model")

    def add(ssl):
        ssl.state["params"]["memory"] = ssl.state["fitted"]["memory"] = "hostile"

    edit(tmp_path / "model", add)
    assert sknoisy.load(tmp_path / "model").memory is None


def test_content_that_makes_no_sense(clf, tmp_path):
    for change in (
        lambda clf: clf.state["params"].update(lss=1),
        lambda clf: clf.state.pop("params"),
        lambda clf: clf.state["params"].update(loss=Raw("unknown", None)),
        lambda clf: clf.state.update({"class": "sknoisy.losses.elr:Missing"}),
    ):
        clf.save(tmp_path / "model")
        edit(tmp_path / "model", change)
        with pytest.raises(ValueError, match="model' cannot be read"):
            sknoisy.load(tmp_path / "model")


@pytest.mark.parametrize(
    "content",
    [
        {"tuple": {"range": [0, 10**12, 1]}},
        {"deque": {"range": [0, 10**12, 1]}, "maxlen": None},
        {"object": "set", "state": {"range": [0, 10**12, 1]}},
        {"items": {"range": [0, 10**12, 1]}},
        {"objects": {"range": [0, 10**12, 1]}, "shape": [10**12], "dtype": "O"},
        {"objects": ["a"] * 10, "shape": [10], "dtype": "<U500000000"},
        {"float": "1" * 10**5},
    ],
    ids=["tuple", "deque", "set", "items", "objects", "wide", "digits"],
)
def test_a_small_file_does_not_fill_the_memory(content, tmp_path):
    """Of what a file describes, nothing is far larger than the file."""
    resource = pytest.importorskip("resource")
    path = tmp_path / "model"
    header, digest = files._header({"dict": {"estimator": content}}, [], "model")
    header = header.replace(files.ZEROS.encode(), digest.encode())
    path.write_bytes(len(header).to_bytes(8, "little") + header)
    before = resource.getrlimit(resource.RLIMIT_AS)
    resource.setrlimit(resource.RLIMIT_AS, (16 * 2**30, before[1]))
    try:
        with pytest.raises(ValueError, match="model' cannot be read"):
            sknoisy.load(path)
    finally:
        resource.setrlimit(resource.RLIMIT_AS, before)


def forged(described, entries, data):
    """Return a file whose header is this, with the checksum that it needs."""
    tensors = [(code, shape, data) for code, shape in entries]
    header, _ = files._header(described, tensors, "model")
    fields = json.loads(header)
    for entry in list(fields)[1:]:
        fields[entry]["data_offsets"] = [0, len(data)]
    header = json.dumps(fields, separators=(",", ":")).encode()
    whole = len(header).to_bytes(8, "little") + header + data
    digest = hashlib.sha256(whole).hexdigest()
    return whole.replace(files.ZEROS.encode(), digest.encode())


@pytest.mark.parametrize(
    "content, n_entries, message",
    [
        ([{"array": 0}, {"array": 0}], 1, "it names a tensor twice"),
        ([{"tensor": 0}, {"binary": -1}], 1, "it names a tensor twice"),
        ([{"array": 0}, {"array": 1}], 2, "its tensors overlap"),
        ({"array": 0, "dtype": "<U900"}, 1, "an array of uint8 is none of <U900"),
    ],
)
def test_bytes_of_a_file_are_copied_once(content, n_entries, message):
    entries = n_entries * [("U8", (10**4,))]
    raw = forged(content, entries, bytes(10**4))
    with pytest.raises(ValueError, match=f"'x' cannot be read: {message}"):
        files.parse(raw, "x", "model")
    valid = forged({"array": 0}, entries[:1], bytes(10**4))
    assert not files.parse(valid, "x", "model").any()


def test_texts_are_no_wider_than_they_are_where_that_fills_the_memory(monkeypatch):
    texts = np.array(["a", "bc"], "<U90")
    described, _ = packing.pack(texts)
    assert packing.unpack(described, []).dtype == "<U90"
    monkeypatch.setattr(packing, "WIDE", 100)
    narrow = packing.unpack(described, [])
    assert narrow.dtype == "<U2" and narrow.tolist() == ["a", "bc"]


def test_an_older_file_lacks_a_parameter(tmp_path):  # [66]
    clf = NoisyRobustClassifier(ELR(lam=2), **FEW).fit(X, Y)
    clf.save(tmp_path / "model")

    def forget(clf):
        del clf.state["params"]["validation"], clf.state["params"]["momentum"]
        del clf.state["params"]["loss"].state["params"]["beta"]

    edit(tmp_path / "model", forget)
    loaded = sknoisy.load(tmp_path / "model")
    assert loaded.momentum == 0.9
    assert repr(loaded) == repr(clf)
    clone(loaded)
    loaded.partial_fit(X, Y)


def test_versions(clf, tmp_path, monkeypatch):  # [67]
    path = tmp_path / "model"
    with monkeypatch.context() as patch:
        patch.setattr(_version, "__version__", "9.1")
        clf.save(path)
    match = re.escape(str(path)) + ".*saved by sknoisy 9.1.*newer than.*update"
    with pytest.raises(ValueError, match=match):
        sknoisy.load(path)
    with monkeypatch.context() as patch:
        patch.setattr(files, "FORMAT", 2)
        clf.save(path)
    with pytest.raises(ValueError, match=re.escape(str(path)) + ".*format 2"):
        sknoisy.load(path)


def test_estimators_of_another_scikit_learn(clf, tmp_path, monkeypatch):
    pipe = make_pipeline(StandardScaler(), NoisyRobustClassifier(random_state=0))
    pipe.fit(X, Y)
    with monkeypatch.context() as patch:
        patch.setattr(sklearn, "__version__", "1.4.2")
        sknoisy.save(pipe, tmp_path / "pipe")
        clf.save(tmp_path / "own")
    sknoisy.load(tmp_path / "own")  # of which nothing is kept by scikit-learn
    match = "pipe' holds StandardScaler of scikit-learn 1.4.2"
    with pytest.warns(UserWarning, match=match):
        sknoisy.load(tmp_path / "pipe", allow=["sklearn.*"])


def test_an_older_format_migrates(clf, tmp_path, monkeypatch):
    clf.save(tmp_path / "model")

    def to_next(described, kind):
        described["dict"]["estimator"]["state"]["dict"]["params"]["dict"]["lr"] = 7
        return described

    monkeypatch.setattr(files, "FORMAT", 2)
    monkeypatch.setitem(files.MIGRATIONS, 1, to_next)
    assert sknoisy.load(tmp_path / "model").lr == 7


def test_a_file_is_replaced_by_a_whole_one_only(clf, tmp_path):  # [54]
    resource = pytest.importorskip("resource")
    clf.save(tmp_path / "model")
    before = (tmp_path / "model").read_bytes()
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, limits[1]))  # bytes a file
    try:
        with pytest.raises(OSError, match="large"):
            clf.save(tmp_path / "model")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert [*tmp_path.iterdir()] == [tmp_path / "model"]
    assert (tmp_path / "model").read_bytes() == before


PICKLED = {
    "classifier": NoisyRobustClassifier("elr", **FEW),
    "cotraining": CoTrainingClassifier("coteaching", **FEW),
    "refiner": PseudoLabelRefiner(LogisticRegression()),
    "detector": LabelErrorDetector(LogisticRegression(), cv=2),
    "contrastive": ContrastiveFineTuner(LogisticRegression()),
    "cleaning": LabelCleaningClassifier(LogisticRegression()),
}


@pytest.mark.parametrize("name", PICKLED)
def test_a_pickle_of_another_version(name, monkeypatch):  # [66, 67]
    model = clone(PICKLED[name])
    for version, error in [("0.0.1", None), ("9.0", ValueError)]:
        with monkeypatch.context() as patch:
            patch.setattr(_version, "__version__", version)
            content = pickle.dumps(model)
        match = f"{type(model).__name__} was saved by sknoisy {version}"
        expected = pytest.warns if error is None else pytest.raises
        with expected(error or UserWarning, match=match):
            pickle.loads(content)


def test_a_pickle_that_lacks_a_parameter():  # [66]
    clf = NoisyRobustClassifier(ELR(), **FEW).fit(X, Y)
    whole = repr(clf)
    del clf.momentum, clf.validation, clf.loss.beta
    loaded = pickle.loads(pickle.dumps(clf))
    assert repr(loaded) == whole
    clone(loaded)
    loaded.partial_fit(X, Y)


def test_values_of_all_kinds(tmp_path):
    values = {
        "tensor": torch.arange(6.0).reshape(2, 3),
        "bfloat16": torch.ones(2, dtype=torch.bfloat16),
        "channels_last": torch.ones(2, 3, 4, 5).to(memory_format=torch.channels_last),
        "empty": np.zeros((0, 3), np.int8),
        "0-d": np.array(2.5),
        "scalar": np.float32(0.1),
        "big-endian": np.arange(3, dtype=">i4"),
        "columns": np.arange(6).reshape(3, 2).T,
        "dates": np.array(["2020-01-01"], "M8[D]"),
        "complex": np.array([1j]),
        "floats": [0.1, float("nan"), float("-inf"), 1e308],
        "numbers": (2**70, True, None, -1),
        "keys": {1: "a", None: (), "b": {}},
        "deque": deque([1, 2], maxlen=3),
        "device": torch.device("cpu"),
        "dtype": torch.float16,
        "dtypes": [np.dtype(name) for name in ("f8", ">i2", "U5", "O", "M8[s]")],
        "slices": [slice(1, None, 2), slice(None), slice("a", "b")],
        "range": range(3, 9, 2),
        "bytes": [b"", b"\x00abc"],
    }
    files.write(tmp_path / "file", values, "model")
    found = files.read(tmp_path / "file", "model")
    assert repr(found) == repr(values)
    assert found["channels_last"].stride() == values["channels_last"].stride()
    assert found["columns"].strides == values["columns"].strides
    assert files.pack(found) == files.pack(values)


@pytest.mark.parametrize(
    "params",
    [
        {"weights": Path("folder", "weights.pth")},
        {"classes": {"a", "b"}},
        {"classes": range(2, 5)},
        {"encoder": partial(nn.Linear, 4, 3)},
        {"encoder": nn.Linear},
        {"loss": LOSSES["elr"](lam=2.0)},
        {"random_state": np.random.RandomState(3)},
    ],
    ids=lambda params: next(iter(params)),
)
def test_parameters_of_all_kinds(params, tmp_path):
    model = NoisyRobustClassifier(**params)
    sknoisy.save(model, tmp_path / "model")
    ((name, expected),) = params.items()
    found = getattr(sknoisy.load(tmp_path / "model"), name)
    if isinstance(expected, np.random.RandomState):
        found, expected = (state.randint(1000, size=9) for state in (found, expected))
    assert repr(found) == repr(expected) or (type(found) is set and found == expected)


class Block(NamedTuple):
    """A part of an encoder's state, as some networks keep it."""

    width: int
    rate: float = 0.5


class Blocks(nn.Module):
    """An encoder that reads its parts by their names."""

    def __init__(self, shape):
        super().__init__()
        self.blocks = [Block(3)]
        self.linear = nn.Linear(shape[0], self.blocks[0].width)

    def forward(self, batch):  # noqa: D102
        return self.linear(batch) * self.blocks[0].rate


def test_named_tuples_keep_their_names(tmp_path):
    encoder = PretrainedEncoder(Blocks((4,))).fit(X)
    sknoisy.save(encoder, tmp_path / "model")
    with pytest.raises(ValueError, match="allow=.*Block'.*Blocks'"):
        sknoisy.load(tmp_path / "model")
    loaded = sknoisy.load(tmp_path / "model", allow=[Block, Blocks])
    np.testing.assert_array_equal(loaded.transform(X), encoder.transform(X))


def test_pipelines_of_tables(tmp_path):
    """With scikit-learn's transformers, which hold slices, dtypes and functions."""
    table = pd.DataFrame(X[:, :2].copy(), columns=["a", "b"])
    table["c"] = np.where(X[:, 2] > 0, "x", "y")
    table.loc[3, "a"] = np.nan
    functions = FunctionTransformer(np.abs), FunctionTransformer(np.round)
    numbers = make_pipeline(SimpleImputer(), PCA(1), *functions)
    front = make_column_transformer(
        (numbers, ["a", "b"]), (OneHotEncoder(handle_unknown="ignore"), ["c"])
    )
    pipe = make_pipeline(front, NoisyRobustClassifier(random_state=0)).fit(table, Y)
    sknoisy.save(pipe, tmp_path / "model")
    with pytest.raises(ValueError, match="needs code of other packages") as caught:
        sknoisy.load(tmp_path / "model", allow=["sklearn.*"])
    assert "sklearn" not in str(caught.value) and "numpy.round" in str(caught.value)
    loaded = sknoisy.load(tmp_path / "model", allow=["sklearn.*", np.round])
    np.testing.assert_array_equal(
        loaded.predict_proba(table), pipe.predict_proba(table)
    )


@pytest.mark.parametrize(
    "around",
    [
        lambda clf: VotingClassifier([("a", clf), ("b", clone(clf))], voting="soft"),
        lambda clf: BaggingClassifier(clf, n_estimators=2, random_state=0),
        lambda clf: StackingClassifier([("a", clf)], LogisticRegression(), cv=2),
        lambda clf: CalibratedClassifierCV(clf, cv=2),
    ],
)
def test_ensembles_of_scikit_learn(around, tmp_path):
    model = around(NoisyRobustClassifier(random_state=0)).fit(X, Y)
    sknoisy.save(model, tmp_path / "model")
    with pytest.raises(ValueError, match="pass allow="):
        sknoisy.load(tmp_path / "model")
    loaded = sknoisy.load(tmp_path / "model", allow=["sklearn.*"])
    np.testing.assert_array_equal(loaded.predict_proba(X), model.predict_proba(X))


def test_what_allow_may_not_be(tmp_path):
    for bad in (True, "sklearn"):
        with pytest.raises(ValueError, match="allow=.* is not valid: pass a list"):
            sknoisy.load(tmp_path / "model", allow=bad)


def test_a_package_is_allowed_and_not_what_it_imports(tmp_path):
    """A file could name anything through the modules that a package has imported."""
    path = tmp_path / "model"
    for name in ("sklearn:os.system", "sklearn.os:system", "sklearn.base:np.load"):
        sknoisy.save(NoisyRobustClassifier(encoder=nn.Linear), path)
        edit(path, lambda described, name=name: _with_encoder(described, name))
        with pytest.raises(ValueError, match="code of other packages|there is no"):
            sknoisy.load(path, allow=["sklearn.*"])
    edit(path, lambda described: _with_encoder(described, "sklearn.base:clone"))
    assert sknoisy.load(path, allow=["sklearn.*"]).encoder is clone


def _with_encoder(described, path):
    described.state["params"]["encoder"] = Raw("import", path)


def test_shapes_are_saved_as_tuples(tmp_path):
    module = nn.Linear(4, 3)
    module.size = module.weight.shape
    encoder = PretrainedEncoder(module).fit(X)
    sknoisy.save(encoder, tmp_path / "model")
    assert sknoisy.load(tmp_path / "model").transform(X).shape == (len(X), 3)
