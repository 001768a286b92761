"""The main job in about a minute, on real images that come with scikit-learn.

60% of the labels of handwritten digits are made wrong. Three ways to train on them
are compared on clean test labels, which no training sees:

- cross-entropy from scratch, which memorises the wrong labels;
- self-supervised features, frozen, with a linear head on top;
- the full pipeline: pre-train without labels, then fine-tune with a robust loss.

Then a search over losses, which is scored on the noisy labels alone, and a model that
is saved, loaded and asked for the worst labels. Writes quickstart.png beside this file.
"""

import tempfile
import time
from pathlib import Path

import numpy as np
from sklearn.datasets import load_digits
from sklearn.model_selection import (
    GridSearchCV,
    StratifiedShuffleSplit,
    train_test_split,
)
from sklearn.pipeline import Pipeline

import sknoisy
from sknoisy import ELR, NoisyRobustClassifier, SSLPretrainer
from sknoisy.metrics import NoiseCorrectedScorer
from sknoisy.noise import symmetric_exclusive

HERE = Path(__file__).parent


def main():
    digits = load_digits()
    X, X_test, y, y_test = train_test_split(
        digits.images, digits.target, test_size=0.65, random_state=0
    )
    noisy = symmetric_exclusive(y, rate=0.6, random_state=0)
    print(f"{len(X)} images of 8 x 8 pixels, {noisy.rate:.0%} of their labels wrong")

    # The cache keys on X and the parameters, not on y: both pipelines pre-train once.
    cache = tempfile.TemporaryDirectory(prefix="sknoisy")
    # Small batches: few images are enough for as many steps as wrong labels need to be
    # memorised.
    ssl = SSLPretrainer(
        max_epochs=30, batch_size=128, memory=cache.name, random_state=0
    )
    settings = {"max_epochs": 30, "batch_size": 32, "random_state": 0}
    models = {
        "cross-entropy from scratch": NoisyRobustClassifier("ce", **settings),
        "frozen features, linear head": Pipeline(
            [
                ("ssl", ssl),
                ("clf", NoisyRobustClassifier("ce", freeze_encoder=True, **settings)),
            ]
        ),
        "full pipeline with ELR": Pipeline(
            [("ssl", ssl), ("clf", NoisyRobustClassifier("elr", **settings))]
        ),
    }
    print(f"\n{'':30}test accuracy   seconds")
    for name, model in models.items():
        started = time.perf_counter()
        model.fit(X, noisy.y)
        seconds = time.perf_counter() - started
        print(f"{name:30}{model.score(X_test, y_test):13.1%}{seconds:10.0f}")

    # Pre-train once, search many: the search sees the features, fine-tuning the
    # encoder that comes with them, for as many epochs as the models above. Noisy
    # labels of half of the images tell cross-entropy and ELR apart.
    pipeline = models["full pipeline with ELR"]
    features = pipeline["ssl"].transform(X)
    search = GridSearchCV(
        NoisyRobustClassifier(**settings),
        {"loss": ["ce", ELR(lam=3.0)]},
        scoring=NoiseCorrectedScorer.from_samples(features, noisy.y),
        cv=StratifiedShuffleSplit(1, test_size=0.5, random_state=0),
        refit=False,
    ).fit(features, noisy.y)
    scores = search.cv_results_["mean_test_score"]
    print("\nsearch, by accuracy on noisy labels, corrected for the noise:")
    print(f"ce {scores[0]:.2f}, elr {scores[1]:.2f}")

    cache.cleanup()
    path = HERE / "quickstart.safetensors"
    sknoisy.save(pipeline, path)
    loaded = sknoisy.load(path)
    assert (loaded.predict(X_test) == pipeline.predict(X_test)).all()
    print(f"saved and loaded: {path.name}, {path.stat().st_size / 2**20:.1f} MiB")

    quality = pipeline["clf"].label_quality_
    worst = np.argsort(quality)[: len(y) // 4]
    share = noisy.is_wrong[worst].mean()
    print(f"wrong labels: {noisy.rate:.0%} of all, {share:.0%} of the worst quarter")
    shown = np.random.default_rng(0).choice(worst, 24, replace=False)
    draw(X, noisy, loaded.predict(X), shown)


def draw(X, noisy, predicted, shown):
    """Draw labels that the model does not trust, and what it says instead."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot as plt

    figure, axes = plt.subplots(3, 8, figsize=(9, 5))
    for ax, i in zip(axes.flat, shown, strict=True):
        ax.imshow(X[i], cmap="gray_r")
        ax.set_title(f"given {noisy.y[i]}\npredicted {predicted[i]}", fontsize=8)
        ax.set_axis_off()
    figure.suptitle("24 of the labels that the training trusted least", fontsize=10)
    figure.tight_layout()
    figure.savefig(HERE / "quickstart.png", dpi=150)
    print("figure: quickstart.png")


if __name__ == "__main__":
    main()
