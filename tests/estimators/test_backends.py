"""Many trainings through joblib's backends give what they give one after the other."""

import os
from contextlib import contextmanager
from unittest.mock import patch

import joblib
import numpy as np
import pytest
from sklearn.datasets import load_iris
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.pipeline import Pipeline

from sknoisy import LabelErrorDetector, NoisyRobustClassifier, SSLPretrainer
from sknoisy.training.distributed import _are_there

CLASSIFIER = NoisyRobustClassifier(
    "elr", max_epochs=4, batch_size=20, lr=0.01, random_state=0
)


@contextmanager
def loky():
    with joblib.parallel_config("loky", n_jobs=2):
        yield


@contextmanager
def dask():
    distributed = pytest.importorskip("distributed")
    with (
        distributed.LocalCluster(
            n_workers=2, threads_per_worker=1, dashboard_address=None
        ) as cluster,
        distributed.Client(cluster),
        joblib.parallel_config("dask"),
    ):
        yield


@contextmanager
def ray():
    ray = pytest.importorskip("ray")
    from ray.util.joblib import register_ray

    register_ray()
    ray.init(num_cpus=2, include_dashboard=False, log_to_driver=False)
    try:
        with joblib.parallel_config("ray", n_jobs=2):
            yield
    finally:
        ray.shutdown()


def data():
    """Return the samples of iris in a random order, some labels wrong."""
    X, y = load_iris(return_X_y=True)
    order = np.random.default_rng(0).permutation(len(y))
    X, y = X[order], y[order]
    y[::7] = (y[::7] + 1) % 3
    return X, y


def results():
    """Return scores of a search and of a validation, and what a detector finds."""
    X, y = data()
    ssl = SSLPretrainer(max_epochs=2, batch_size=20, random_state=0)
    search = GridSearchCV(
        Pipeline([("ssl", ssl), ("clf", CLASSIFIER)]),
        {"clf__loss__lam": [0.0, 3.0]},
        cv=2,
        scoring="neg_log_loss",
    ).fit(X, y)
    scores = cross_val_score(CLASSIFIER, X, y, cv=2, scoring="neg_log_loss")
    detector = LabelErrorDetector(CLASSIFIER, cv=2, random_state=0).fit(X, y)
    tested = search.cv_results_["mean_test_score"]
    return [tested, scores, detector.label_quality_]


def finds_ranks():
    """Return whether other ranks are found where torchrun has set its variables."""
    found = {"RANK": "1", "WORLD_SIZE": "2", "MASTER_ADDR": "x", "MASTER_PORT": "1"}
    with patch.dict(os.environ, found):
        return _are_there()


@pytest.mark.parametrize("backend", [loky, dask, ray])
def test_a_backend_gives_the_sequential_results(backend):
    """Its workers inherit the variables of torchrun, but are no ranks."""
    with backend():
        elsewhere = results()
        of_workers = joblib.Parallel()([joblib.delayed(finds_ranks)()])
    assert finds_ranks()
    assert of_workers == [False] or backend is ray  # which starts them itself
    for found, expected in zip(elsewhere, results(), strict=True):
        np.testing.assert_allclose(found, expected, rtol=1e-3, atol=1e-4)
