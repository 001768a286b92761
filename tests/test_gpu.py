"""What only a GPU can show: nothing on the wrong side, nothing read too early.

The device is that of the environment variable SKNOISY_TEST_DEVICE, "cuda" by default;
``SKNOISY_TEST_DEVICE=cpu pytest tests/test_gpu.py`` tries these tests themselves.
"""

import os
import pickle
import subprocess
import sys

import numpy as np
import pytest
import torch
from sklearn.base import clone
from sklearn.pipeline import Pipeline
from skorch.callbacks import Callback

from sknoisy import (
    ELR,
    Checkpoint,
    ContrastiveFineTuner,
    CoTrainingClassifier,
    LabelErrorDetector,
    NoisyRobustClassifier,
    PseudoLabelRefiner,
    SSLPretrainer,
)
from sknoisy.data.spec import InputSpec
from sknoisy.losses import LOSSES
from sknoisy.selfsup import METHODS

DEVICE = os.environ.get("SKNOISY_TEST_DEVICE", "cuda")
pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(
        DEVICE == "cuda" and not torch.cuda.is_available(), reason="needs a CUDA device"
    ),
]

RNG = np.random.default_rng(0)
Y = np.arange(96) % 3
IMAGES = RNG.integers(0, 120, (96, 16, 16, 3)) + 60 * Y[:, None, None, None]
IMAGES = IMAGES.astype(np.uint8)
SETTINGS = {"max_epochs": 2, "batch_size": 32, "random_state": 0, "device": DEVICE}


@pytest.mark.parametrize("dtype", [np.uint8, np.float16, np.float32, np.int64])
def test_tensors_on_the_device_are_what_arrays_are(dtype):
    X = IMAGES.astype(dtype)
    tensor = torch.from_numpy(X).to(DEVICE)
    spec, other = InputSpec.learn(X), InputSpec.learn(tensor)
    np.testing.assert_allclose(other.mean, spec.mean, rtol=1e-6)
    np.testing.assert_allclose(other.std, spec.std, rtol=1e-6)
    clf = NoisyRobustClassifier("ce", precision="float32", **SETTINGS)
    by_tensor, by_array = clone(clf).fit(tensor, Y), clone(clf).fit(X, Y)
    found, expected = by_tensor.predict_proba(tensor), by_array.predict_proba(X)
    np.testing.assert_allclose(found, expected, atol=1e-3)


@pytest.mark.parametrize("kind", ["array", "memmap", "paths"])
def test_streams_and_resident_arrays_train_alike(kind, tmp_path):
    X, settings = IMAGES, {}
    if kind == "memmap":
        X = np.memmap(tmp_path / "X", np.uint8, "w+", shape=IMAGES.shape)
        X[:] = IMAGES
    elif kind == "paths":
        from PIL import Image

        X, settings = (
            [str(tmp_path / f"{i}.png") for i in range(96)],
            {"image_size": 16},
        )
        for path, image in zip(X, IMAGES, strict=True):
            Image.fromarray(image).save(path)
    clf = NoisyRobustClassifier("ce", precision="float32", **SETTINGS | settings)
    expected = clone(clf).set_params(image_size=None).fit(IMAGES, Y)
    found = clf.fit(X, Y).predict_proba(X)
    np.testing.assert_allclose(found, expected.predict_proba(IMAGES), atol=1e-3)


@pytest.mark.parametrize("precision", ["auto", "float32", "bfloat16"])
@pytest.mark.parametrize("loss", LOSSES)
def test_every_loss(loss, precision):
    clf = NoisyRobustClassifier(loss, precision=precision, **SETTINGS).fit(IMAGES, Y)
    assert np.isfinite(clf.history_[-1]["train_loss"])
    assert np.isfinite(clf.predict_proba(IMAGES)).all()
    clf.partial_fit(IMAGES, Y).partial_fit(IMAGES, Y)


@pytest.mark.parametrize("encoder", ["convnet", "resnet18", "mlp"])
@pytest.mark.parametrize("method", METHODS)
def test_every_pretext_and_what_follows(method, encoder):
    X = IMAGES.reshape(96, -1)[:, ::16] if encoder == "mlp" else IMAGES
    if encoder == "resnet18" and method not in ("simclr", "moco"):
        pytest.skip("one of each kind is enough")
    ssl = SSLPretrainer(method, encoder=encoder, **SETTINGS)
    clf = NoisyRobustClassifier(head_epochs=1, **SETTINGS)
    pipe = Pipeline([("ssl", ssl), ("clf", clf)]).fit(X, Y)
    assert np.isfinite(pipe.predict_proba(X)).all()
    assert np.isfinite(np.asarray(pipe[0].transform(X))).all()


CLASSIFIERS = [
    CoTrainingClassifier("coteaching"),
    CoTrainingClassifier("coteaching_plus"),
    CoTrainingClassifier("jocor"),
    CoTrainingClassifier("mentornet"),
    CoTrainingClassifier("disc"),
    CoTrainingClassifier("gjs"),
    CoTrainingClassifier("ido"),
    CoTrainingClassifier("dividemix"),
    CoTrainingClassifier("elr_plus"),
    CoTrainingClassifier("dynamic_bootstrap"),
    CoTrainingClassifier("self"),
    NoisyRobustClassifier("noise_layer"),
    NoisyRobustClassifier("volminnet"),
    NoisyRobustClassifier(regularizers=["restoration", "clustering"]),
    NoisyRobustClassifier(class_weight="balanced", optimizer="adamw"),
    NoisyRobustClassifier(compile=True),
]


@pytest.mark.parametrize("classifier", CLASSIFIERS, ids=str)
def test_every_classifier_goes_on_from_a_checkpoint(classifier, tmp_path):
    classifier = clone(classifier).set_params(**SETTINGS | {"max_epochs": 5})
    whole = clone(classifier).fit(IMAGES, Y)

    class Killed(Exception):
        pass

    class Kill(Callback):
        def on_epoch_begin(self, net, **kwargs):
            if net.epochs_done == 3:
                raise Killed

    saving = [Checkpoint(tmp_path)]
    with pytest.raises(Killed):
        clone(classifier).set_params(callbacks=[*saving, Kill()]).fit(IMAGES, Y)
    resumed = clone(classifier).set_params(callbacks=saving).fit(IMAGES, Y)
    assert len(resumed.history_) == len(whole.history_)
    # A GPU sums in another order from run to run.
    found, expected = resumed.predict_proba(IMAGES), whole.predict_proba(IMAGES)
    assert np.abs(found - expected).mean() < 0.05


def test_meta_estimators():
    clf = NoisyRobustClassifier(**SETTINGS)
    assert PseudoLabelRefiner(clf, warmup_epochs=1, n_iterations=1).fit(
        IMAGES, Y
    ).labels_.shape == (96,)
    assert LabelErrorDetector(clf, cv=2).fit(IMAGES, Y).label_errors_.shape == (96,)
    ssl = SSLPretrainer("supcon", **SETTINGS)
    features = SSLPretrainer(**SETTINGS).fit_transform(IMAGES)
    ContrastiveFineTuner(clf, ssl).fit(features, Y).predict(features)


def test_a_model_moves_to_a_machine_without_a_gpu(tmp_path):
    pipe = Pipeline(
        [("ssl", SSLPretrainer(**SETTINGS)), ("clf", NoisyRobustClassifier(**SETTINGS))]
    ).fit(IMAGES, Y)
    (tmp_path / "model.pickle").write_bytes(pickle.dumps(pipe))
    np.save(tmp_path / "X.npy", IMAGES)
    code = (
        "import pickle, numpy as np\n"
        "model = pickle.load(open('model.pickle', 'rb'))\n"
        "np.save('found.npy', model.predict_proba(np.load('X.npy')))\n"
    )
    hidden = {**os.environ, "CUDA_VISIBLE_DEVICES": ""}
    subprocess.run([sys.executable, "-c", code], cwd=tmp_path, env=hidden, check=True)
    found = np.load(tmp_path / "found.npy")
    np.testing.assert_allclose(found, pipe.predict_proba(IMAGES), atol=0.02)


@pytest.mark.skipif(DEVICE != "cuda", reason="a CPU has nothing to wait for")
@pytest.mark.parametrize("regularizers", [None, ["restoration", "clustering"]])
def test_no_step_waits_for_the_device(regularizers):
    n_batches, calls = 6, []

    class Watched(ELR):
        def __call__(self, logits, target, index):
            # In the second epoch, from the first batch's loss to the last one's.
            calls.append(len(target))
            within = 0 < len(calls) - n_batches < n_batches
            torch.cuda.set_sync_debug_mode("error" if within else "default")
            return super().__call__(logits, target, index)

    settings = SETTINGS | {"batch_size": 96 // n_batches}
    clf = NoisyRobustClassifier(Watched(), regularizers=regularizers, **settings)
    try:
        clf.fit(IMAGES, Y)
    finally:
        torch.cuda.set_sync_debug_mode("default")
    assert len(calls) == 2 * n_batches
