"""Makes the files of this folder: models of tiny networks, and what they predict.

The files stay as they are: later versions must load them. Run this for a new format,
into a new folder named after it: ``python tests/golden/make.py tests/golden/2``.
"""

import sys
import warnings
from functools import partial
from pathlib import Path

import numpy as np
from sklearn.pipeline import Pipeline
from skorch.callbacks import Callback
from torch import nn

import sknoisy
from sknoisy import (
    ELR,
    Checkpoint,
    ContrastiveFineTuner,
    CoTrainingClassifier,
    LabelErrorDetector,
    NoisyRobustClassifier,
    PretrainedEncoder,
    PseudoLabelRefiner,
    SimCLR,
    SSLPretrainer,
)

N = 30
X = np.sin(np.arange(4 * N)).reshape(N, 4).astype(np.float32)
IMAGES = (127 * (1 + np.sin(np.arange(64 * N) ** 1.1))).reshape(N, 8, 8).astype("uint8")
Y = np.array(["cat", "dog", "horse"])[np.arange(N) % 3]
X[np.arange(N), np.arange(N) % 3] += 2

encoder = partial(nn.Linear, 4, 3)
few = {"max_epochs": 2, "random_state": 0}
tiny = {"encoder": encoder, **few}
classifier = NoisyRobustClassifier("ce", max_epochs=20, encoder=encoder, random_state=0)
supcon = SSLPretrainer("supcon", **few)
small = nn.Sequential(nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4), nn.ReLU())

# What is fitted on what, and which method's results are compared.
MODELS = {
    "pretrainer": (SSLPretrainer(SimCLR(temperature=0.2), **tiny), X, "transform"),
    "pretrained": (PretrainedEncoder(small), IMAGES, "transform"),
    "classifier": (NoisyRobustClassifier(**few), X, "predict_proba"),
    "elr": (NoisyRobustClassifier(ELR(lam=2), **tiny), X, "predict_proba"),
    "cotraining": (CoTrainingClassifier("dividemix", **tiny), X, "predict_proba"),
    "refiner": (PseudoLabelRefiner(classifier, 1, 1, (1,)), X, "predict_proba"),
    "contrastive": (ContrastiveFineTuner(classifier, supcon), X, "predict_proba"),
    "detector": (LabelErrorDetector(classifier, cv=2), X, None),
    "pipeline": (
        Pipeline(
            [
                ("encode", PretrainedEncoder(small)),
                ("classify", NoisyRobustClassifier("gce", **few)),
            ]
        ),
        IMAGES,
        "predict_proba",
    ),
}


class Stop(Callback):
    """Ends a training, whose checkpoint stays."""

    def on_epoch_begin(self, net, **kwargs):
        """Stop at the second epoch."""
        if net.epochs_done == 1:
            raise RuntimeError


def result(model, X, method):
    """Return what is compared: an array."""
    if method is None:
        return model.label_quality_
    return np.asarray(getattr(model, method)(X))


def main(folder):
    """Make all files."""
    folder.mkdir(parents=True, exist_ok=True)
    results = {}
    for name, (model, samples, method) in MODELS.items():
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)
            model.fit(samples, Y)
        sknoisy.save(model, folder / f"{name}.safetensors")
        results[name] = result(model, samples, method)
    np.savez(folder / "results.npz", **results)
    callbacks = [Checkpoint(folder), Stop()]
    try:
        NoisyRobustClassifier("elr", callbacks=callbacks, **tiny).fit(X, Y)
    except RuntimeError:
        (path,) = folder.glob("*.checkpoint")
        path.rename(folder / "training.checkpoint")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
