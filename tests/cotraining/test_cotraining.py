"""Several networks: what they choose, mix and correct, by hand; and as classifiers."""

import copy
import pickle

import numpy as np
import pytest
import torch
from scipy.special import log_softmax, softmax
from scipy.stats import entropy
from sklearn.base import clone
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import GridSearchCV
from skorch.callbacks import Callback
from torch import nn

from sknoisy import (
    CUFIT,
    DISC,
    GJS,
    SELF,
    CoTeaching,
    CoTrainingClassifier,
    DivideMix,
    DynamicBootstrap,
    ELRPlus,
    JoCoR,
    MentorNet,
    NoisyRobustClassifier,
    PseudoLabelRefiner,
    SSLPretrainer,
    TAkS,
)
from sknoisy.cotraining import (
    COTRAINING_METHODS,
    CoTraining,
    chosen_mean,
    given_losses,
    mixup,
    sharpen,
    small_losses,
)
from sknoisy.cotraining.coteaching import exchange_loss, joint_loss
from sknoisy.cotraining.dividemix import lambda_u_for, scaled
from sknoisy.cotraining.elr_plus import averaging_decay
from sknoisy.cotraining.ensembles import held_out, own_half_loss
from sknoisy.cotraining.mentornet import curriculum_weights
from sknoisy.cotraining.mixing import (
    predicted,
    refine,
    refined_and_guessed,
    uniform_penalty,
)
from sknoisy.cotraining.selected_batches import SelectedBatches
from sknoisy.cotraining.split_batches import SplitBatches
from sknoisy.data.batches import Batches
from sknoisy.data.spec import InputSpec
from sknoisy.noise import symmetric_exclusive
from sknoisy.scores import gmm_clean_probability
from sknoisy.views import ImageViews, VectorViews
from sknoisy.views.base import Views

OWN = {  # a parameter of each that changes its result, and two values
    "coteaching": ("forget_rate", [0.1, 0.6]),
    "coteaching_plus": ("forget_rate", [0.1, 0.6]),
    "ido": ("views", ["none", VectorViews()]),
    "jocor": ("lam", [0.1, 0.9]),
    "mentornet": ("percentile", [30.0, 90.0]),
    "dividemix": ("lambda_u", [0.0, 50.0]),
    "elr_plus": ("lam", [0.0, 5.0]),
    "self": ("consistency", [0.0, 500.0]),
    "disc": ("momentum", [0.1, 1.0]),
    "dynamic_bootstrap": ("alpha", [0.0, 32.0]),
    "gjs": ("pi", [0.1, 0.9]),
    "taks": ("share", [0.2, 0.9]),
}
# With tests of their own: what they do in a warm-up, or without one, is another thing.
GENERAL = sorted(
    COTRAINING_METHODS.keys() - {"cufit", "kernel_posterior", "moit", "ssr"}
)
TRAIN_ENCODERS = sorted(COTRAINING_METHODS.keys() - {"kernel_posterior"})


def two_networks(*rows):
    """Return logits (n, 2, n_classes) of rows of both networks' probabilities."""
    return torch.tensor(rows, dtype=torch.float64).log().requires_grad_()


# Selection ----------------------------------------------------------------------------


def test_small_losses_by_hand():
    losses = torch.tensor([0.5, 3.0, 0.1, 2.0, 0.2])
    assert small_losses(losses, 0.5).tolist() == [False, False, True, False, True]
    assert small_losses(losses, 1.0).all()
    assert small_losses(losses, 0.0).tolist() == [False, False, True, False, False]
    among = torch.tensor([True, True, False, True, False])
    assert small_losses(losses, 0.7, among).tolist() == [
        True,
        False,
        False,
        True,
        False,
    ]
    assert not small_losses(losses, 0.7, torch.zeros(5, dtype=torch.bool)).any()


def test_each_network_learns_what_the_other_chooses():
    # The first finds samples 0 and 1 easy, the second 2 and 3; all labels are 0.
    easy, hard = [0.9, 0.1], [0.2, 0.8]
    logits = two_networks([easy, hard], [easy, hard], [hard, easy], [hard, easy])
    loss = exchange_loss(logits, torch.zeros(4, dtype=torch.int64), share=0.5)
    assert loss.item() == pytest.approx(-2 * np.log(0.2))
    loss.backward()
    moved = logits.grad.abs().sum(dim=2) > 0
    assert moved[:, 0].tolist() == [False, False, True, True]
    assert moved[:, 1].tolist() == [True, True, False, False]


def test_with_all_samples_co_teaching_is_cross_entropy():
    generator = torch.Generator().manual_seed(0)
    logits = torch.randn(6, 2, 3, generator=generator)
    target = torch.tensor([0, 1, 2, 0, 1, 2])
    expected = sum(nn.functional.cross_entropy(logits[:, k], target) for k in (0, 1))
    torch.testing.assert_close(exchange_loss(logits, target, share=1.0), expected)


def test_co_teaching_plus_trains_where_networks_disagree():
    zero, one = [0.8, 0.2], [0.3, 0.7]
    logits = two_networks([zero, zero], [zero, one], [one, zero], [one, one])
    target = torch.zeros(4, dtype=torch.int64)
    exchange_loss(logits, target, share=1.0, disagreeing=True).backward()
    moved = logits.grad.abs().sum(dim=(1, 2)) > 0
    assert moved.tolist() == [False, True, True, False]
    # The first and the last sample of a batch are like others; agreement is no step.
    logits = two_networks([zero, one], [one, one], [one, zero])
    exchange_loss(logits, target[:3], share=1.0, disagreeing=True).backward()
    assert (logits.grad.abs().sum(dim=(1, 2)) > 0).tolist() == [True, False, True]
    agreeing = two_networks([zero, zero], [one, one])
    loss = exchange_loss(agreeing, target[:2], share=1.0, disagreeing=True)
    assert loss.item() == 0


def test_joint_loss_against_scipy():
    rng = np.random.default_rng(0)
    logits, target = rng.normal(size=(5, 2, 4)), np.array([0, 1, 2, 3, 0])
    p, q = softmax(logits, axis=2).swapaxes(0, 1)
    cross = -log_softmax(logits, axis=2)[np.arange(5), :, target].sum(axis=1)
    both_ways = entropy(p, q, axis=1) + entropy(q, p, axis=1)
    found = joint_loss(torch.tensor(logits), torch.tensor(target), lam=0.3)
    np.testing.assert_allclose(found, 0.7 * cross + 0.3 * both_ways, rtol=1e-10)


def test_joint_loss_gradient():
    logits = torch.randn(3, 2, 4, dtype=torch.float64).requires_grad_()
    target = torch.tensor([0, 1, 3])
    assert torch.autograd.gradcheck(lambda x: joint_loss(x, target, 0.6), logits)


def test_the_forget_rate_rises():
    method = CoTeaching(forget_rate=0.4, ramp_epochs=4, warmup_epochs=2)
    method.plan(n_epochs=9, head_epochs=0)
    method.start(10, 2, "cpu")
    shares = []
    for epoch in range(2, 9):
        method.on_epoch(epoch, 9)
        shares.append(round(method.remembered, 9))
    assert shares == [0.9, 0.8, 0.7, 0.6, 0.6, 0.6, 0.6]
    # "auto" is the estimate; nothing is forgotten before there is one.
    method.forget_rate, method.noise_rate = "auto", 0.5
    assert method.remembered == 0.5
    method.noise_rate = 0.95  # more than the papers' highest
    assert method.remembered == pytest.approx(0.2)
    method.noise_rate = np.nan
    assert method.remembered == 1.0


def test_curriculum_by_hand():
    losses = torch.tensor([0.5, 1.0, 1.25, 3.0])
    for progress, weights in [
        (0.0, [1, 1, 1, 1]),
        (0.17, [1, 1, 1, 1]),
        (0.18, [1, 1, 0, 0]),
        (0.89, [1, 1, 0, 0]),
        (0.90, [1, 1, 0.75, 0]),
    ]:
        found = curriculum_weights(losses, threshold=1.0, progress=progress)
        assert found.tolist() == weights


def test_held_out_predictions_are_the_other_networks():
    logits = np.array([[[1.0], [2.0]], [[3.0], [4.0]]])  # network 0: 1, 3; 1: 2, 4
    found, rows = held_out(logits, np.array([0, 1]))
    assert found.tolist() == [[2.0], [3.0]] and rows.all()
    found, rows = held_out(logits[:, :1], np.array([0, 1]))
    assert found.tolist() == [[1.0], [3.0]] and rows.tolist() == [False, True]
    third = np.concatenate([logits, logits[:, :1] + 6], axis=1)  # 7, 9
    found, rows = held_out(torch.from_numpy(third), torch.tensor([0, 1]))
    assert found.tolist() == [[2.0], [6.0]] and rows.all()


def test_networks_learn_their_half():
    losses = torch.tensor([[1.0, 10.0], [2.0, 20.0], [4.0, 40.0]])
    loss = own_half_loss(losses, torch.tensor([0, 1, 0]))
    assert loss.item() == (1 + 4) / 2 + 20
    assert own_half_loss(losses[:, :1], torch.tensor([0, 1, 0])).item() == 2.5
    loss = own_half_loss(losses, torch.tensor([1, 1, 1]))
    assert loss.item() == pytest.approx(70 / 3)
    third = torch.cat([losses, 100 * losses[:, :1]], dim=1)
    loss = own_half_loss(third, torch.tensor([0, 1, 0]))
    assert loss.item() == (1 + 4) / 2 + 20 + (100 + 400) / 2


# Mixing -------------------------------------------------------------------------------


def test_mixup_keeps_most_of_the_sample_itself():
    inputs, targets = torch.tensor([[0.0], [10.0]]), torch.eye(2)
    for lam in (0.2, 0.8):
        mixed, labels = mixup(inputs, targets, lam, torch.tensor([1, 0]))
        torch.testing.assert_close(mixed, torch.tensor([[2.0], [8.0]]))
        torch.testing.assert_close(labels, torch.tensor([[0.8, 0.2], [0.2, 0.8]]))


def test_sharpen_by_hand():
    probs = torch.tensor([[0.6, 0.3, 0.1], [1.0, 0.0, 0.0]])
    found = sharpen(probs, 0.5)
    expected = torch.tensor([[0.36, 0.09, 0.01], [1.0, 0.0, 0.0]])
    torch.testing.assert_close(found, expected / expected.sum(dim=1, keepdim=True))
    torch.testing.assert_close(sharpen(probs, 1.0), probs)
    assert sharpen(torch.full((1, 1000), 1e-30), 0.01).isfinite().all()


def test_refined_labels_by_hand():
    probs = torch.tensor([[0.2, 0.8], [0.2, 0.8]])
    found = refine(probs, torch.tensor([0, 0]), torch.tensor([1.0, 0.25]))
    torch.testing.assert_close(found, torch.tensor([[1.0, 0.0], [0.4, 0.6]]))


def test_uniform_penalty():
    assert uniform_penalty(torch.eye(3).log().clamp(min=-1e4)).item() == pytest.approx(
        0
    )
    mean = np.array([0.7, 0.2, 0.1])
    logits = torch.tensor(np.log(mean))[None]
    expected = entropy(np.full(3, 1 / 3), mean)
    assert uniform_penalty(logits).item() == pytest.approx(expected)


def test_averaging_decay():
    assert averaging_decay(0.9, 0.0) == pytest.approx(0.9 * np.exp(-5))
    assert averaging_decay(0.9, 0.25) == pytest.approx(0.9 * np.exp(-1.25))
    assert averaging_decay(0.9, 0.5) == averaging_decay(0.9, 1.0) == 0.9


# DivideMix ----------------------------------------------------------------------------


def dividemix(**params):
    settings = {
        "warmup_epochs": 1,
        "lambda_u": "auto",
        "p_threshold": 0.5,
        "loss_history": 1,
        "confidence_penalty": False,
        "temperature": 0.5,
        "alpha": 4.0,
        "rampup_epochs": 16,
    }
    method = DivideMix(**settings | params)
    method.plan(n_epochs=10, head_epochs=0)
    method.on_epoch(1, 10)
    method.noise_rate = method.noise_concentration = 0.0
    method.n_classes = 10
    method.settings = method.resolved()
    return method


def test_published_weights_of_unlabelled_samples():
    # Wrong labels at 20, 50, 80 and 90% of noise that may draw the true class again.
    for rate, weight in [(0.18, 0), (0.45, 25), (0.72, 25), (0.81, 50)]:
        assert lambda_u_for(rate, 0.0, 10) == pytest.approx(weight)
    assert lambda_u_for(0.2, 0.0, 100) == pytest.approx(25)
    assert lambda_u_for(0.8, 0.0, 100) == pytest.approx(150)
    assert lambda_u_for(0.4, 0.5, 10) == 0  # asymmetric
    assert lambda_u_for(0.2, 0.5, 100) == lambda_u_for(0.4, 0.5, 100) == 150
    assert lambda_u_for(0.5, 0.0, 2) == 0 < lambda_u_for(0.5, 0.0, 8) < 25


def test_settings_follow_the_estimated_noise():
    method = dividemix(
        p_threshold="auto", loss_history="auto", confidence_penalty="auto"
    )
    settings = []
    for rate, concentration in [(0.45, 0.0), (0.85, 0.0), (0.3, 0.6)]:
        method.noise_rate, method.noise_concentration = rate, concentration
        settings.append(tuple(method.resolved().values()))
    assert settings == [(25, 0.5, 1, False), (50, 0.6, 5, False), (0, 0.5, 1, True)]


def test_settings_that_were_auto_are_exposed(digits):
    X, y = digits[0].reshape(300, -1), digits[1]
    noisy = symmetric_exclusive(y, rate=0.5, random_state=0).y
    clf = small("coteaching").fit(X, noisy)
    assert clf.method_params_["forget_rate"] == min(clf.noise_rate_, 0.8) > 0.2
    X, noisy = X[:100], noisy[:100]
    clf = small("coteaching", forget_rate=0.2).fit(X, noisy)
    assert clf.method_params_["forget_rate"] == 0.2
    clf = small("mentornet").fit(X, noisy)
    percentile = clf.method_params_["percentile"]
    assert percentile == pytest.approx(100 * (1 - min(clf.noise_rate_, 0.8)))
    assert small("elr_plus").fit(X, noisy).method_params_["lam"] == 3.0
    clf = small("dividemix", lambda_u=7.0).fit(X, noisy)
    assert clf.method_params_["lambda_u"] == 7.0


def test_an_epoch_of_large_losses_counts_as_much_as_another():
    losses = np.array([[1.0, 5.0], [3.0, 5.0], [2.0, 5.0]])
    np.testing.assert_array_equal(scaled(losses), [[0, 0], [1, 0], [0.5, 0]])
    np.testing.assert_array_equal(scaled(7 * losses), scaled(losses))


def test_weight_of_unlabelled_samples_rises():
    method = dividemix(rampup_epochs=4)
    found = []
    for epoch, done in [(1, 0.0), (1, 0.5), (3, 0.0), (5, 0.0), (9, 0.5)]:
        method.on_epoch(epoch, 10)
        found.append(method._rampup(done))
    assert found == [0.0, 0.125, 0.5, 1.0, 1.0]


def test_co_guessing_and_co_refinement_by_hand():
    own, other = nn.Linear(1, 2), nn.Linear(1, 2)
    views = torch.tensor([[0.5], [2.0], [-1.0], [1.5]])  # of 2 samples, two of each
    target, clean = torch.tensor([1]), torch.tensor([0.6])
    probs = predicted(own, views.split(2))
    of_other = predicted(other, [view[1:] for view in views.split(2)])
    found = refined_and_guessed(probs, target, clean, of_other)
    p = own(views).softmax(dim=1).detach().numpy()
    q = other(views).softmax(dim=1).detach().numpy()
    labelled = 0.6 * np.array([0, 1]) + 0.4 * (p[0] + p[2]) / 2
    guessed = (p[1] + p[3] + q[1] + q[3]) / 4
    np.testing.assert_allclose(found, [labelled, guessed], rtol=1e-5)


class Rows(nn.Module):
    """Takes vectors, and notes the largest batch that it is trained on."""

    largest = 0

    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(64, 8)

    def forward(self, x):
        if self.training and torch.is_grad_enabled():
            Rows.largest = max(Rows.largest, len(x))
        return self.layer(x)


class Same(Views):
    def __call__(self, batch, generator):
        return batch


def test_dividemix_takes_two_views_where_there_are_some(digits):
    """Two that leave samples as they are would be the same."""
    X, y = digits[0].reshape(300, -1)[:64], digits[1][:64]
    clf = small("dividemix", encoder=Rows, batch_size=16, max_epochs=2)
    clf.set_params(method__warmup_epochs=1)
    for views, rows in [("none", 16), (Same(), 32)]:
        Rows.largest = 0
        clf.set_params(views=views).fit(X, y)
        assert Rows.largest == rows


class Halved(Views):
    """Every other view is half of the batch."""

    calls = 0

    def __call__(self, batch, generator):
        Halved.calls += 1
        return batch if Halved.calls % 2 else batch / 2


def test_gjs_compares_two_views_with_the_label(digits):
    """In a training whose two views are known; without views there is one."""
    X, y = digits[0].reshape(300, -1), digits[1]
    soft = 0.7 * np.eye(10)[y] + 0.03
    weights = 1.0 + np.arange(300) % 3
    found = []

    class Watched(GJS):
        def loss(self, net, index, batch):
            views = [batch, batch / 2] if net.has_views else [batch]
            with torch.no_grad():
                logits = [net.module_(view)[:, 0].double() for view in views]
            distributions = [soft[index], *(z.softmax(dim=1).numpy() for z in logits)]
            shares = [0.4, *[0.6 / len(views)] * len(views)]
            mean = sum(map(np.multiply, shares, distributions))
            divergence = sum(
                share * (p * np.log(p / mean)).sum(axis=1)
                for share, p in zip(shares, distributions, strict=True)
            )
            by_hand = np.average(divergence, weights=weights[index])
            loss = super().loss(net, index, batch)
            assert loss.item() == pytest.approx(by_hand / (-0.6 * np.log(0.6)), 1e-4)
            found.append(len(views))
            return loss

    clf = CoTrainingClassifier(Watched(0.4), "identity", max_epochs=2, random_state=0)
    clf.set_params(classes=range(10))
    for views in ("none", Halved()):
        clf.set_params(views=views).fit(X, soft, sample_weight=weights)
    assert set(found) == {1, 2}


def test_trusted_labels_are_learned_by_cross_entropy_in_gjs(digits):
    X, y = digits[0][:100], digits[1][:100]
    trusted = np.ones(100, bool)
    one, other = (
        small(GJS(pi), encoder=convolution, max_epochs=2)
        .fit(X, y, trusted=trusted)
        .predict_proba(X)
        for pi in (0.1, 0.9)
    )
    np.testing.assert_array_equal(one, other)


def test_networks_on_vectors_train_for_few_epochs(digits):
    X, y = digits[0].reshape(300, -1)[:40], digits[1][:40]
    for method, epochs in [("coteaching", 20), ("cufit", 100)]:
        clf = CoTrainingClassifier(method, random_state=0).fit(X, y)
        assert len(clf.history_) == epochs


def test_a_split_is_by_trust_and_never_empty():
    generator = torch.Generator().manual_seed(0)
    clean = np.array([0.9, 0.4, 0.6, 0.1])
    labelled, unlabelled = dividemix()._split(clean, generator)
    assert (sorted(labelled.tolist()), sorted(unlabelled.tolist())) == ([0, 2], [1, 3])
    labelled, _ = dividemix()._split(np.linspace(0, 0.3, 20), generator)
    assert sorted(labelled.tolist()) == [18, 19]  # the most probable tenth
    labelled, unlabelled = dividemix()._split(np.ones(4), generator)
    assert len(labelled) == 4 and len(unlabelled) == 0


@pytest.mark.parametrize("n", [2, 3, 5, 81])
def test_no_batch_of_a_split_is_a_single_sample(n):
    X = np.arange(n, dtype=np.float32)[:, None]
    store = InputSpec.learn(X).open(X)
    splits = 2 * [(torch.arange(n), torch.tensor([], dtype=torch.int64))]
    whole = Batches(store, 4, torch.Generator().manual_seed(0), "cpu")
    batches = SplitBatches(splits, [nn.Identity(), nn.Identity()], whole, 4)
    sizes = [len(index) for index, *_ in batches]
    assert len(sizes) == len(batches) and sum(sizes) == batches.n_samples
    assert min(sizes) >= 2 and max(sizes) <= 3


def test_networks_take_turns_on_labelled_and_unlabelled_samples():
    X = np.arange(7, dtype=np.float32)[:, None]
    store = InputSpec.learn(X).open(X)
    networks = [nn.BatchNorm1d(1), nn.BatchNorm1d(1)]
    whole = Batches(store, 4, torch.Generator().manual_seed(0), "cpu")
    splits = [
        (torch.tensor([0, 1, 2]), torch.tensor([3, 4, 5, 6])),
        (torch.tensor([5, 6]), torch.tensor([0])),
    ]
    batches, seen, progress = SplitBatches(splits, networks, whole, 4), [], []
    for index, batch, (k, n_labelled, done) in batches:
        progress.append(done)
        modes = [network.training for network in networks]
        assert modes == [k == 0, k == 1]  # the other one only guesses
        assert len(index) == 2 * n_labelled
        assert batch[:, 0].tolist() == index.tolist()
        seen.append((k, index[:n_labelled].tolist(), index[n_labelled:].tolist()))
    assert len(seen) == len(batches) == 3
    assert sum(len(a) + len(b) for _, a, b in seen) == batches.n_samples
    labelled = [i for k, a, _ in seen if k == 0 for i in a]
    unlabelled = [i for k, _, b in seen if k == 0 for i in b]
    assert labelled == [0, 1, 2] and len(set(unlabelled)) == 3
    assert set(unlabelled) <= {3, 4, 5, 6}
    assert seen[-1] == (1, [5, 6], [0, 0])
    assert progress == [0.0, 0.5, 0.0]  # of each network's epoch


# ELR+ ---------------------------------------------------------------------------------


def test_targets_of_elr_plus_by_hand():
    method = ELRPlus(lam=3.0, beta=0.7)
    method.start(2, 2, "cpu")
    method.momentum = 0.7
    logits = torch.tensor([[0.2, 0.8]]).log()
    index = torch.tensor([1])
    first = method._update(0, logits, index)
    torch.testing.assert_close(first, torch.tensor([[0.06, 0.24]]))
    second = method._update(0, logits, index)
    torch.testing.assert_close(second, torch.tensor([[0.102, 0.408]]))
    assert method.state_["target_0"][0].tolist() == [0, 0]
    assert method.state_["target_1"].tolist() == [[0, 0], [0, 0]]


@pytest.mark.parametrize(
    "lam, weights", [("auto", [7 * np.exp(-5), 7, 7]), (2.0, [2] * 3)]
)
def test_the_weight_of_elr_plus_rises_for_many_classes(lam, weights):
    class Recorded(ELRPlus):
        seen = []

        def before_epoch(self, net):
            super().before_epoch(net)
            self.seen.append(self.weight)

    Recorded.seen.clear()
    y = np.arange(120) % 60
    X = np.eye(60, dtype=np.float32)[y]
    clf = CoTrainingClassifier(Recorded(lam), max_epochs=4, random_state=0).fit(X, y)
    assert Recorded.seen[0] == pytest.approx(weights[0])
    assert Recorded.seen[2:] == pytest.approx(weights[1:])
    assert clf.method_params_["lam"] == weights[2]


# As classifiers -----------------------------------------------------------------------


def convolution(shape):
    """Return an encoder of a single layer, which trains in a fraction of the time."""
    layers = nn.Conv2d(1, 16, 3, 2, 1), nn.BatchNorm2d(16), nn.ReLU(), nn.Flatten()
    return nn.Sequential(*layers)


def small(name, **params):
    settings = {"max_epochs": 8, "batch_size": 32, "lr": 0.05, "random_state": 0}
    clf = CoTrainingClassifier(name, **settings)
    known = clf.get_params()
    return clf.set_params(
        **{k if k in known else f"method__{k}": v for k, v in params.items()}
    )


@pytest.fixture(scope="module")
def noisy_digits():
    from sklearn.datasets import load_digits

    X, y = load_digits(return_X_y=True)
    noisy = symmetric_exclusive(y[:900], rate=0.5, random_state=0)
    return (X / 16).astype(np.float32), y, noisy.y, noisy.is_wrong


@pytest.fixture(scope="module")
def baseline(noisy_digits):
    X, y, noisy, _ = noisy_digits
    clf = NoisyRobustClassifier("ce", max_epochs=30, random_state=0).fit(X[:900], noisy)
    return clf.score(X[900:], y[900:])


@pytest.mark.parametrize("name", GENERAL)
def test_beats_cross_entropy_and_knows_wrong_labels(name, noisy_digits, baseline):
    X, y, noisy, is_wrong = noisy_digits
    clf = CoTrainingClassifier(name, max_epochs=30, random_state=0)
    clf.fit(X[:900], noisy)
    assert clf.score(X[900:], y[900:]) > baseline + 0.1
    assert clf.clean_proba_.shape == (900,)
    assert (clf.clean_proba_ >= 0).all() and (clf.clean_proba_ <= 1).all()
    assert roc_auc_score(is_wrong, -clf.clean_proba_) > 0.9
    assert roc_auc_score(is_wrong, -clf.label_quality_) > 0.9
    if name != "gjs":  # without a warm-up, the estimate is too low
        assert clf.noise_rate_ == pytest.approx(0.5, abs=0.2)


@pytest.mark.parametrize("name", GENERAL)
def test_own_parameters_are_searchable_and_survive_pickle(name, digits):
    X, y = digits[0].reshape(300, -1)[:120], digits[1][:120].astype(str)
    parameter, values = OWN[name]
    grid = {f"method__{parameter}": values}
    clf = small(name, encoder="identity", max_epochs=3, warmup_epochs=1)
    search = GridSearchCV(
        clf, grid, scoring="neg_log_loss", cv=2, error_score="raise"
    ).fit(X, y)
    folds = [search.cv_results_[f"split{i}_test_score"] for i in (0, 1)]
    first, second = np.transpose(folds).tolist()
    assert first != second
    best = search.best_estimator_
    loaded = pickle.loads(pickle.dumps(best))
    np.testing.assert_array_equal(best.predict(X), loaded.predict(X))
    assert best.predict(X).dtype == y.dtype
    again = clone(best).fit(X, y)
    np.testing.assert_array_equal(best.predict_proba(X), again.predict_proba(X))


@pytest.mark.parametrize("name", GENERAL)
def test_probabilities_are_the_networks_mean(name, digits):
    X, y = digits[0][:60], digits[1][:60]
    clf = small(name, encoder=convolution, max_epochs=2).fit(X, y)
    store = torch.from_numpy(X)[:, None]
    networks = clf._network.eval().networks
    with torch.no_grad():
        each = [network(store).softmax(dim=1).numpy() for network in networks]
    single = ("disc", "mentornet", "dynamic_bootstrap", "gjs", "ido", "taks")
    assert len(each) == (1 if name in single else 2)
    if name == "self":  # the average alone predicts
        each = each[1:]
    np.testing.assert_allclose(clf.predict_proba(X), np.mean(each, axis=0), atol=1e-5)
    np.testing.assert_allclose(
        clf.predict_log_proba(X), np.log(clf.predict_proba(X)), atol=1e-4
    )


@pytest.mark.parametrize("name", GENERAL)
def test_partial_fit_is_fit_epoch_by_epoch(name, digits):
    X, y = digits[0].reshape(300, -1)[:150], digits[1][:150]
    settings = {"encoder": "identity", "max_epochs": 4, "warmup_epochs": 2}
    whole = small(name, **settings).fit(X, y)
    steps = small(name, **settings)
    for _ in range(4):
        steps.partial_fit(X, y)
    np.testing.assert_array_equal(whole.predict_proba(X), steps.predict_proba(X))
    np.testing.assert_array_equal(whole.clean_proba_, steps.clean_proba_)
    loaded = pickle.loads(pickle.dumps(whole)).partial_fit(X, y)
    assert len(loaded.history_) == 5 and loaded.score(X, y) > 0.3
    # Another number of samples: their state starts anew, the estimated noise stays.
    for model in (whole, pickle.loads(pickle.dumps(whole))):
        noise = model.loss_state_["noise"].copy()
        assert model.partial_fit(X[:100], y[:100]).clean_proba_.shape == (100,)
        np.testing.assert_array_equal(model.loss_state_["noise"], noise)


@pytest.fixture(scope="module")
def pretrained(digits):
    """Features of digits that a pre-trainer saw, which carry its encoder."""
    ssl = SSLPretrainer(encoder=convolution, max_epochs=2, random_state=0)
    return ssl.fit_transform(digits[0])


WITH_VIEWS = [
    name for name, m in COTRAINING_METHODS.items() if "views" in m().get_params()
]


@pytest.mark.parametrize("name", WITH_VIEWS)
def test_views_of_ones_own_are_of_the_samples_and_not_of_frozen_features(
    name, pretrained, digits
):
    clf = small(name, max_epochs=1, head_epochs=1)
    clf.set_params(method__views=ImageViews())
    features, y = pretrained[:100], digits[1][:100]
    assert len(clf.fit(features, y).history_) == 2
    clf.set_params(method__views=VectorViews(), max_epochs=10**6)  # none is begun
    with pytest.raises(ValueError, match="VectorViews.*X holds images"):
        clf.fit(features, y)


@pytest.mark.parametrize("name", TRAIN_ENCODERS)
def test_pretrained_encoders_warm_up_by_their_heads(name, pretrained, digits):
    y = digits[1]
    settings = {"lam": 0.5} if name == "jocor" else {}  # with 0.9 it learns slowly
    clf = small(name, **settings, max_epochs=1, head_epochs=6).fit(pretrained, y)
    phases = [row["phase"] for row in clf.history_]
    assert phases == ["head"] * 6 + ["all"]
    assert clf.score(pretrained, y) > 0.3
    frozen = small(name, freeze_encoder=True, max_epochs=1).fit(pretrained, y)
    before = pretrained.encoder.state
    for network in frozen._network.networks:
        for key, values in network.encoder.state_dict().items():
            np.testing.assert_array_equal(values, before[key])


class _Interrupt(Callback):
    def on_epoch_begin(self, net, **kwargs):
        if len(net.history) == 3:
            raise KeyboardInterrupt


@pytest.mark.parametrize("name", TRAIN_ENCODERS)
def test_an_interrupted_training_keeps_what_it_learned(name, digits):
    X, y = digits[0].reshape(300, -1), digits[1]
    clf = small(name, encoder="identity", callbacks=[_Interrupt()])
    with pytest.raises(KeyboardInterrupt):
        clf.fit(X, y)
    assert len(clf.history_) == 2 and clf.clean_proba_.shape == (300,)
    assert clf.predict(X).shape == (300,)


def test_the_halves_that_the_noise_is_estimated_on_follow_the_seed(digits):
    X, y = digits[0].reshape(300, -1), digits[1]
    first, same, other = (
        small("coteaching", max_epochs=2, random_state=seed)
        .fit(X, y)
        .loss_state_["half"]
        for seed in (0, 0, 1)
    )
    assert first.sum() == other.sum() == 150
    np.testing.assert_array_equal(first, same)
    assert not np.array_equal(first, other)


def test_dynamic_bootstrapping_penalizes_after_the_warm_up(digits):
    X, y = digits[0].reshape(300, -1), digits[1]
    found = {}
    for warmup_epochs in (3, 2):
        settings = {"max_epochs": 3, "warmup_epochs": warmup_epochs}
        with_it, without = (
            small("dynamic_bootstrap", penalty=p, **settings).fit(X, y).predict_proba(X)
            for p in (5.0, 0.0)
        )
        found[warmup_epochs] = np.array_equal(with_it, without)
    assert found == {3: True, 2: False}


@pytest.mark.parametrize("name", ["dividemix", "dynamic_bootstrap"])
def test_guesses_without_gradients_leave_those_of_bfloat16(name, noisy_digits):
    """Autocast may keep weights that it has cast where gradients are off."""
    X, y, noisy, _ = noisy_digits
    clf = CoTrainingClassifier(name, precision="bfloat16", random_state=0)
    moved = []
    for _ in range(2):  # the second epoch has guesses
        clf.set_params(max_epochs=2, method__warmup_epochs=1).partial_fit(
            X[:300], noisy[:300]
        )
        moved.append(clf.state_dict_)
    weights = [name for name in moved[0] if name.endswith("weight")]
    assert weights
    for name in weights:
        assert not np.array_equal(moved[0][name], moved[1][name]), name


def test_images_of_files(image_files):
    paths, y = image_files
    clf = small("dividemix", max_epochs=2, warmup_epochs=1, image_size=8).fit(paths, y)
    assert clf.predict(paths).shape == (60,)


def test_refiner_around_dividemix(noisy_digits):
    X, y, noisy, _ = noisy_digits
    refiner = PseudoLabelRefiner(
        CoTrainingClassifier(DivideMix(warmup_epochs=2), batch_size=64, random_state=0),
        warmup_epochs=4,
        n_iterations=1,
        random_state=0,
    ).fit(X[:600], noisy[:600])
    right = (noisy[:600] == y[:600]).mean()
    assert (refiner.labels_ == y[:600]).mean() > right + 0.2


def test_samples_without_a_label_do_not_count_as_clean(digits):
    """A warm-up knows clean labels by their losses; these have none."""
    X, y = digits[0].reshape(300, -1), digits[1] % 2
    soft = np.eye(2)[np.where(np.arange(300) % 4, y, 1 - y)]
    soft[:150] = np.nan
    clf = small("dividemix", max_epochs=4, warmup_epochs=4, classes=[0, 1])
    clf.fit(X, soft)
    assert np.isnan(clf.clean_proba_[:150]).all()
    expected = gmm_clean_probability(clf.training_loss_[150:])
    np.testing.assert_allclose(clf.clean_proba_[150:], expected, rtol=1e-6)


def test_two_classes_and_two_samples():
    X = np.array([[0.0], [1.0]], dtype=np.float32)
    for name in TRAIN_ENCODERS:
        clf = small(name, max_epochs=4, batch_size="auto").fit(X, [0, 1])
        assert clf.predict_proba(X).shape == (2, 2)


@pytest.mark.parametrize(
    "method",
    [
        CoTeaching(forget_rate=1.0),
        CoTeaching(ramp_epochs=0),
        CoTeaching(warmup_epochs=-1),
        JoCoR(lam=2),
        DivideMix(lambda_u=-1),
        DivideMix(p_threshold="none"),
        DivideMix(temperature=0),
        DivideMix(mixture_steps=0),
        DivideMix(confidence_penalty="yes"),
        DivideMix(loss_history=0),
        ELRPlus(decay=1.0),
        ELRPlus(storage="int8"),
        SELF(momentum=1.0),
        SELF(decay=-0.1),
        SELF(consistency=-1.0),
        TAkS(share=0.0),
        TAkS(perturbation=-0.1),
        TAkS(per_class="yes"),
        MentorNet(percentile=101),
        MentorNet(decay=1),
        DynamicBootstrap(mixture="poisson"),
        DynamicBootstrap(bootstrap="none"),
        GJS(pi=1.0),
        DISC(momentum=1.1),
        DISC(sigma=-0.1),
        DISC(lambda_h=-1.0),
        DISC(alpha=-1.0),
    ],
)
def test_bad_parameters_are_named(method):
    plain = type(method)().get_params()
    (name,) = (k for k, v in method.get_params().items() if v != plain[k])
    with pytest.raises(ValueError, match=f"{name}="):
        CoTrainingClassifier(method).fit([[0.0], [1.0]], [0, 1])


def test_an_unknown_method_lists_the_choices():
    with pytest.raises(ValueError, match="method='dividemx'.*Did you mean 'dividemix'"):
        CoTrainingClassifier("dividemx").fit([[0.0], [1.0]], [0, 1])


def test_a_warmup_within_the_heads_epochs_and_after_them(pretrained, digits):
    features, y = pretrained[:60], digits[1][:60]
    for warmup_epochs, expected in [(1, 1), (4, 4), ("auto", 3)]:
        clf = small("coteaching", max_epochs=3, head_epochs=3)
        clf.set_params(method__warmup_epochs=warmup_epochs).fit(features, y)
        assert clf._training.loss.warmup_epochs_ == expected
        assert [row["phase"] for row in clf.history_] == ["head"] * 3 + ["all"] * 3


def test_a_method_of_ones_own(digits):
    class Agreement(CoTraining):
        """Each network learns where the one before it agrees with the label."""

        n_networks = 3

        def __init__(self, scale=1.0, warmup_epochs="auto"):
            self.scale = scale
            self.warmup_epochs = warmup_epochs

        def loss(self, net, index, batch):
            logits, target = net.observed_logits(index, batch), net.targets(index)
            agrees = logits.argmax(dim=2).roll(1, dims=1) == target[:, None]
            losses = given_losses(logits, target)
            return self.scale * chosen_mean(losses.flatten(), agrees.flatten())

    X, y = digits[0].reshape(300, -1), digits[1]
    clf = CoTrainingClassifier(Agreement(), max_epochs=6, random_state=0)
    search = GridSearchCV(clf, {"method__scale": [0.5, 1.0]}, cv=2).fit(X, y)
    assert search.best_score_ > 0.5
    assert len(search.best_estimator_._network.networks) == 3


def test_a_method_that_changes_the_network_is_refused(digits):
    """What it added would be saved, and could not be loaded."""

    class Changing(CoTraining):
        n_networks = 1

        def extend(self, module, data, generator):
            module.register_parameter("T", nn.Parameter(torch.eye(10)))
            return module

        def loss(self, net, index, batch):
            return given_losses(net.logits(batch), net.targets(index)).mean()

    X, y = digits[0].reshape(300, -1), digits[1]
    with pytest.raises(ValueError, match="extend of Changing changed the network"):
        CoTrainingClassifier(Changing(), max_epochs=2, random_state=0).fit(X, y)


def test_a_method_may_choose_the_batches_of_each_epoch(digits):
    class Shrinking(CoTraining):
        """After the warm-up, learns the first samples only, fewer in each epoch."""

        def __init__(self, warmup_epochs=2):
            self.warmup_epochs = warmup_epochs

        def batches(self, net, store):
            whole = super().batches(net, store)
            if self.is_warmup:
                return whole
            order = torch.arange(200 // (1 + self.epochs_after_warmup))
            return SelectedBatches(order, whole, net.batch_size, with_others=False)

        def loss(self, net, index, batch):
            learned.append(index.tolist())
            return given_losses(net.logits(batch), net.targets(index)).mean()

    learned = []
    X, y = digits[0].reshape(300, -1), digits[1]
    CoTrainingClassifier(Shrinking(), max_epochs=4, random_state=0).fit(X, y)
    assert sum(learned, []) == [*range(200), *range(100)]


def test_each_of_three_networks_learns_in_the_warm_up(digits):
    X, y = digits[0].reshape(300, -1), digits[1]
    clf = CoTrainingClassifier(
        CUFIT(warmup_epochs=20), max_epochs=20, head_epochs=0, random_state=0
    ).fit(X, y)
    networks = clf._network_on("cpu").eval()
    with torch.no_grad():
        logits = networks(torch.from_numpy(X).float())
    accuracies = (logits.argmax(dim=2) == torch.from_numpy(y)[:, None]).float().mean(0)
    assert (accuracies > 0.8).all(), accuracies


@pytest.mark.parametrize(
    "method",
    [
        CoTeaching(forget_rate=0.2, warmup_epochs=0),
        CUFIT(),
        ELRPlus(lam=3.0, beta=0.7, warmup_epochs=0),
    ],
)
def test_without_a_warm_up_no_noise_is_estimated(method, digits):
    X, y = digits[0].reshape(300, -1), digits[1]
    clf = CoTrainingClassifier(method, max_epochs=2, random_state=0).fit(X, y)
    assert np.isnan(clf.loss_state_["noise"]).all()
    assert clf.noise_rate_ == pytest.approx(1 - clf.clean_proba_.mean())


@pytest.mark.parametrize(
    "method",
    [
        CoTeaching(warmup_epochs=0),
        TAkS(warmup_epochs=0),
        MentorNet(warmup_epochs=0),
        DISC(momentum=0.9, warmup_epochs=0),
        DISC(lambda_h=1.0, warmup_epochs=0),
    ],
)
def test_what_follows_the_noise_needs_a_warm_up(method, digits):
    with pytest.raises(ValueError, match="='auto' is not valid with warmup_epochs=0"):
        CoTrainingClassifier(method).fit(digits[0], digits[1])


@pytest.mark.parametrize("name", TRAIN_ENCODERS)
def test_a_warm_up_that_ends_while_the_heads_alone_are_trained(name):
    y = np.arange(40) % 2
    X = (np.random.default_rng(0).normal(size=(40, 4)) + y[:, None]).astype(np.float32)
    features = SSLPretrainer(max_epochs=1, random_state=0).fit_transform(X)
    method = COTRAINING_METHODS[name](warmup_epochs=1)
    clf = CoTrainingClassifier(method, head_epochs=3, max_epochs=2, random_state=0)
    assert np.isfinite(clf.fit(features, y).predict_proba(X)).all()


def test_averages_of_heads_go_on_when_the_encoder_is_trained():
    class Watched(ELRPlus):
        def before_epoch(self, net):
            before = copy.deepcopy(self._averages)
            super().before_epoch(net)
            seen.append((before, copy.deepcopy(self._averages)))

    seen = []
    y = np.arange(40) % 2
    X = (np.random.default_rng(0).normal(size=(40, 4)) + y[:, None]).astype(np.float32)
    features = SSLPretrainer(max_epochs=1, random_state=0).fit_transform(X)
    clf = CoTrainingClassifier(Watched(warmup_epochs=1), head_epochs=2, max_epochs=1)
    clf.fit(features, y)
    heads, averages = seen[2]
    assert averages.head.state_dict().keys() == heads.state_dict().keys()
    for name, values in heads.state_dict().items():
        torch.testing.assert_close(averages.head.state_dict()[name], values)
    assert any(name.endswith("encoder.1.1.weight") for name in averages.state_dict())


def test_the_noise_is_a_share_of_samples_where_classes_are_of_different_sizes():
    rng = np.random.default_rng(0)
    y = (rng.random(3000) < 0.1).astype(int)
    X = (6 * np.eye(2)[y] + rng.normal(size=(3000, 2))).astype(np.float32)
    given = np.where((y == 1) & (rng.random(3000) < 0.4), 0, y)
    settings = {"encoder": "mlp", "max_epochs": 8, "random_state": 0}
    clf = CoTrainingClassifier("jocor", **settings).fit(X, given)
    # Of the second class 40% are wrong, which is not to be left out of every batch.
    assert clf.noise_rate_ == pytest.approx(np.mean(given != y), abs=0.03)
    assert clf.method_params_["forget_rate"] == clf.noise_rate_


def test_bootstrap_that_ends_in_its_warmup_knows_nothing_of_labels(digits):
    X, y = digits[0].reshape(300, -1), digits[1]
    clf = CoTrainingClassifier("dynamic_bootstrap", max_epochs=1).fit(X, y)
    assert np.isnan(clf.noise_rate_)
    for name in ("clean_proba_", "label_quality_", "training_loss_", "wrong_events_"):
        assert np.isnan(getattr(clf, name)).all(), name
