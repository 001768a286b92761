"""Regularisers: their terms by hand, and their effect in the classifier."""

import pickle

import numpy as np
import pytest
import torch
from nets import narrow
from sklearn.base import clone
from sklearn.model_selection import GridSearchCV
from torch import nn

from sknoisy import NoisyRobustClassifier, SSLPretrainer
from sknoisy.data.spec import InputSpec
from sknoisy.encoders.blueprint import Blueprint
from sknoisy.encoders.decoding import image_decoder, vector_decoder
from sknoisy.encoders.initialization import initialize
from sknoisy.regularizers import (
    REGULARIZERS,
    ClusteringRegularizer,
    Encoded,
    Regularizer,
    RestorationRegularizer,
)
from sknoisy.regularizers.base import Regularized
from sknoisy.regularizers.clustering import consistency, mutual_information
from sknoisy.views import Views
from sknoisy.views.images import ImageViews


def test_mutual_information_by_hand():
    p = torch.tensor([[0.5, 0.25, 0.25], [0.25, 0.5, 0.25]])
    mean = np.array([0.375, 0.375, 0.25])
    of_mean = -(mean * np.log(mean)).sum()
    of_one = -(0.5 * np.log(0.5) + 0.5 * np.log(0.25))
    assert mutual_information(p.log()).item() == pytest.approx(of_mean - of_one)
    assert mutual_information(torch.zeros(4, 3)).item() == pytest.approx(0, abs=1e-6)
    one_cluster = 50 * torch.eye(3)[[0, 0, 0]]
    assert mutual_information(one_cluster).item() == pytest.approx(0, abs=1e-6)
    balanced = mutual_information(50 * torch.eye(3))
    assert balanced.item() == pytest.approx(np.log(3), abs=1e-5)


def test_consistency_by_hand():
    p, q = torch.tensor([[0.8, 0.2]]), torch.tensor([[0.5, 0.5]])
    expected = -(0.8 * np.log(0.5) + 0.2 * np.log(0.5))
    assert consistency(p.log(), q.log()).item() == pytest.approx(expected)
    logits = torch.zeros(1, 2, requires_grad=True)
    assert not consistency(logits, q.log()).requires_grad


def encoded(features, maps=None, inputs=None):
    return Encoded(inputs, maps, features)


def test_clustering_loss_by_hand_and_its_gradient_at_the_uniform_assignment():
    heads = {"clusters": nn.Identity()}
    regularizer = ClusteringRegularizer(lambd=2.0, weight=3.0)
    sure, other = 50 * torch.eye(2), torch.zeros(2, 2)
    loss = regularizer.loss(heads, encoded(sure), encoded(other))
    expected = 3 * (np.log(2) - 2 * np.log(2))
    assert loss.item() == pytest.approx(expected, rel=1e-4)
    uniform = torch.zeros(4, 3, requires_grad=True)
    regularizer.loss(heads, encoded(uniform), encoded(uniform)).backward()
    torch.testing.assert_close(uniform.grad, torch.zeros(4, 3))


def test_restoration_loss_by_hand():
    heads = {"decoder": nn.Identity()}
    inputs = torch.tensor([[1.0, 2.0], [3.0, 4.0]])
    original, augmented = encoded(None, None, inputs), encoded(inputs + 2, None, inputs)
    loss = RestorationRegularizer(weight=0.5).loss(heads, original, augmented)
    assert loss.item() == 0.5 * 4


@pytest.mark.parametrize("map_shape", [(64, 4, 4), (512, 1, 1), (20, 7, 5)])
def test_decoders_give_the_shape_of_samples(map_shape):
    decoder = image_decoder(map_shape, (3, 28, 30))
    assert decoder(torch.zeros(2, *map_shape)).shape == (2, 3, 28, 30)
    assert vector_decoder(8, 5)(torch.zeros(2, 8)).shape == (2, 5)


def test_a_decoder_restores_real_images(digits):
    images = torch.tensor(digits[0])[:100, None]
    images = (images - images.mean()) / images.std()
    decoder = image_decoder((64, 1, 1), (1, 8, 8))
    initialize(decoder, torch.Generator().manual_seed(0))
    optimizer = torch.optim.Adam(decoder.parameters(), 0.01)
    code = images.flatten(1)[:, :, None, None]
    losses = []
    for _ in range(60):
        loss = RestorationRegularizer().loss(
            {"decoder": decoder},
            encoded(None, None, images),
            encoded(None, code, images),
        )
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < 0.25 < 1 < losses[0]


# Through the classifier --------------------------------------------------------------


def classifier(**params):
    settings = {"loss": "ce", "max_epochs": 2, "batch_size": 50, "random_state": 0}
    return NoisyRobustClassifier(**settings | params)


def test_weights_of_zero_train_as_without(digits):
    X, y = digits[0].reshape(300, -1), digits[1]
    plain = classifier(views="none").fit(X, y)
    off = [ClusteringRegularizer(weight=0.0), RestorationRegularizer(weight=0.0)]
    model = classifier(views="none", regularizers=off).fit(X, y)
    name = "encoder.1.1.weight"
    np.testing.assert_allclose(
        model.state_dict_[name], plain.state_dict_[name], atol=1e-6
    )
    on = classifier(views="none", regularizers=["restoration"]).fit(X, y)
    assert np.abs(on.state_dict_[name] - plain.state_dict_[name]).max() > 1e-3


@pytest.mark.parametrize("encoder", [narrow, "mlp"])
def test_heads_are_trained_and_dropped(encoder, digits):
    X, y = digits[0][:100], digits[1][:100]
    regularizers = ["clustering", RestorationRegularizer(weight=0.5)]
    model = classifier(encoder=encoder, regularizers=regularizers).fit(X, y)
    plain = classifier(encoder=encoder).fit(X, y)
    assert model.state_dict_.keys() == plain.state_dict_.keys()
    loaded = pickle.loads(pickle.dumps(model))
    np.testing.assert_array_equal(loaded.predict_proba(X), model.predict_proba(X))
    again = clone(model).fit(X, y)
    np.testing.assert_array_equal(again.predict_proba(X), model.predict_proba(X))
    steps = clone(model).partial_fit(X, y).partial_fit(X, y)
    np.testing.assert_array_equal(steps.predict_proba(X), model.predict_proba(X))
    assert loaded.partial_fit(X, y).history_[-1]["epoch"] == 3


def test_clusters_form(digits):
    X, y = digits[0].reshape(300, -1), digits[1]
    regularizers = [ClusteringRegularizer(n_clusters=10, weight=1.0)]
    model = classifier(regularizers=regularizers, max_epochs=30, lr=0.05).fit(X, y)
    # R - 4 I is 0 if all samples share a cluster, and cross-entropy only adds to it.
    assert model.history_[-1]["train_loss"] < -4


def test_an_ablation_is_a_grid_search(digits):
    X, y = digits[0].reshape(300, -1), digits[1]
    names = list(REGULARIZERS)
    grid = {"regularizers": [None, names[:1], names[1:], names]}
    search = GridSearchCV(classifier(), grid, cv=2, error_score="raise").fit(X, y)
    assert len(search.cv_results_["params"]) == 4


@pytest.mark.parametrize(
    "params, message",
    [
        ({"regularizers": ["clustring"]}, "Did you mean 'clustering'"),
        ({"regularizers": "clustering"}, "None or a list"),
        ({"regularizers": [ClusteringRegularizer(n_clusters=1)]}, "n_clusters=1"),
        ({"regularizers": [RestorationRegularizer(weight=-1)]}, "weight=-1"),
        ({"regularizers": ["clustering"], "freeze_encoder": True}, "freeze_encoder"),
    ],
)
def test_bad_parameters_are_named(params, message, digits):
    with pytest.raises(ValueError, match=message):
        classifier(**params).fit(*digits)


def test_equal_views_are_drawn_once(digits):
    network = nn.Sequential()
    spec = InputSpec.learn(digits[0])
    network.encoder = Blueprint("convnet", spec).build(torch.Generator().manual_seed(0))
    other = RestorationRegularizer(views=ImageViews(flip=0.25))
    regularizers = [RestorationRegularizer(), ClusteringRegularizer(), other]
    generator = torch.Generator().manual_seed(0)
    regularized = Regularized(network, regularizers, spec, 2, generator)
    assert regularized.drawn_with == [0, 0, 2]


class Shifted(Views):
    def __init__(self, by):
        self.by = by

    def __call__(self, batch, generator):
        return batch + self.by


class Distance(Regularizer):
    """How much larger augmented samples are."""

    def __init__(self, views):
        self.views = views

    def build(self, example, n_classes):
        return {}

    def loss(self, heads, original, augmented):
        return (augmented.inputs - original.inputs).mean()


def test_each_regulariser_gets_views_of_its_own_and_its_loss_is_added():
    X = np.array([[-1.0, 1.0], [1.0, -1.0]], dtype=np.float32)  # of deviation 1
    spec, seed = InputSpec.learn(X), torch.Generator().manual_seed(0)
    network = nn.Sequential()
    network.encoder, network.head = Blueprint("mlp", spec).build(seed), nn.Identity()
    regularizers = [Distance(Shifted(by)) for by in (1.0, 10.0, 1.0)]
    regularized = Regularized(network, regularizers, spec, 2, seed)
    batch = torch.from_numpy(X)
    logits, penalty = regularized.regularized(batch, seed)
    assert penalty.item() == pytest.approx(1 + 10 + 1)
    torch.testing.assert_close(logits, network.encoder(batch))


def test_epochs_of_the_head_have_no_regularisers():
    X = np.random.default_rng(0).normal(size=(60, 4)).astype(np.float32)
    features = SSLPretrainer(max_epochs=1, random_state=0).fit_transform(X)
    settings = {"max_epochs": 1, "head_epochs": 2, "random_state": 0}
    plain, regularised = (
        NoisyRobustClassifier("ce", regularizers=names, **settings)
        for names in ((), ["clustering"])
    )
    losses = [
        [row["train_loss"] for row in clf.fit(features, X[:, 0] > 0).history_]
        for clf in (plain, regularised)
    ]
    assert losses[0][:2] == losses[1][:2] and losses[0][2] != losses[1][2]
