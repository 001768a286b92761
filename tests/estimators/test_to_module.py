"""A fitted classifier as one PyTorch module: exported, and looked into."""

from functools import cache

import numpy as np
import pytest
import torch
from nets import narrow

from sknoisy import CoTrainingClassifier, NoisyRobustClassifier, SSLPretrainer


@pytest.fixture(scope="module")
def fitted(digits, colour):
    """Return a function that fits a classifier of each kind once."""

    @cache
    def fit(kind):
        settings = {"max_epochs": 2, "random_state": 0}
        small = {"encoder": narrow, **settings}
        images, y = digits
        if kind == "vectors":
            large_means = np.linspace(0, 1e6, 64)  # in float64
            X = images.reshape(300, -1) + large_means
            return NoisyRobustClassifier("ce", **settings).fit(X, y), X
        if kind == "kernel":
            X = images.reshape(300, -1)
            return NoisyRobustClassifier(random_state=0).fit(X, y), X
        if kind == "grey floats":
            X = 37 * images - 5
            return NoisyRobustClassifier(**small).fit(X, y), X
        if kind == "uint8 colour":
            X, y = colour
            return NoisyRobustClassifier(**small).fit(X, y), X
        if kind == "ensemble":
            clf = CoTrainingClassifier("coteaching", **small)
            return clf.fit(images, y), images
        features = SSLPretrainer(**small).fit_transform(images)
        return NoisyRobustClassifier(**settings).fit(features, y), images

    return fit


KINDS = [
    "vectors",
    "kernel",
    "grey floats",
    "uint8 colour",
    "ensemble",
    "lazy features",
]


@pytest.mark.parametrize("kind", KINDS)
def test_module_is_predict_proba(kind, fitted):
    clf, X = fitted(kind)
    samples = torch.from_numpy(X)
    before = samples.clone()
    with torch.no_grad():
        probs = clf.to_module()(samples)
    np.testing.assert_allclose(probs, clf.predict_proba(X), atol=1e-5)
    assert samples.equal(before)  # nothing is written to
    assert probs.dtype == torch.float32


@pytest.mark.filterwarnings("ignore:X holds values far outside")
@pytest.mark.parametrize("kind", ["vectors", "kernel"])
def test_later_outliers_are_clipped(kind, fitted):
    clf, X = fitted(kind)
    later = X[:20].copy()
    later[0, 3], later[1, 5] = 1e9, -1e9
    module = clf.to_module()
    program = torch.export.export(module, (torch.from_numpy(X[:20]),)).module()
    for exported in (module, program):
        with torch.no_grad():
            probs = exported(torch.from_numpy(later))
        np.testing.assert_allclose(probs, clf.predict_proba(later), atol=1e-5)


@pytest.mark.parametrize("kind", KINDS)
def test_exported_programs_agree(kind, fitted):
    clf, X = fitted(kind)
    samples = torch.from_numpy(X)
    batch = {0: torch.export.Dim("batch")}
    program = torch.export.export(
        clf.to_module(), (samples[:3],), dynamic_shapes=(batch,)
    )
    with torch.no_grad():
        probs = program.module()(samples)
    np.testing.assert_allclose(probs, clf.predict_proba(X), atol=1e-5)


@pytest.mark.parametrize("kind", ["vectors", "kernel", "uint8 colour"])
def test_onnx_agrees(kind, fitted, tmp_path):
    runtime = pytest.importorskip("onnxruntime")
    pytest.importorskip("onnxscript")
    clf, X = fitted(kind)
    path = tmp_path / "model.onnx"
    torch.onnx.export(
        clf.to_module(),
        (torch.from_numpy(X[:3]),),
        path,
        input_names=["samples"],
        dynamic_shapes=({0: torch.export.Dim("batch")},),
        dynamo=True,
        verbose=False,
    )
    session = runtime.InferenceSession(path)
    (probs,) = session.run(None, {"samples": X})
    np.testing.assert_allclose(probs, clf.predict_proba(X), atol=1e-5)


def test_gradients_reach_feature_maps(fitted):
    """What Grad-CAM needs: maps and their gradients, by hooks."""
    clf, X = fitted("uint8 colour")
    module, maps = clf.to_module(), []
    pool = next(
        m for m in module.modules() if isinstance(m, torch.nn.AdaptiveAvgPool2d)
    )
    pool.register_forward_pre_hook(lambda _, inputs: maps.append(inputs[0]))
    for parameter in module.parameters():
        assert parameter.requires_grad
    probs = module(torch.from_numpy(X[:4]))
    (gradient,) = torch.autograd.grad(probs[:, 1].sum(), maps)
    cam = (gradient.mean(dim=(2, 3), keepdim=True) * maps[0]).sum(dim=1)
    assert cam.shape == (4, *maps[0].shape[2:]) and cam.abs().max() > 0


def test_module_has_weights_of_its_own(fitted):
    clf, X = fitted("ensemble")
    before = clf.predict_proba(X)
    with torch.no_grad():
        for parameter in clf.to_module().parameters():
            parameter.zero_()
    np.testing.assert_array_equal(clf.predict_proba(X), before)
