import pickle
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import torch
from nets import narrow
from sklearn.exceptions import FitFailedWarning
from sklearn.model_selection import GridSearchCV
from skorch.callbacks import Callback, EarlyStopping, LRScheduler
from torch import nn

import sknoisy
from sknoisy import (
    ELR,
    CoTrainingClassifier,
    DivergenceError,
    Loss,
    NoisyRobustClassifier,
    SimCLR,
    SSLPretrainer,
)
from sknoisy._compat import within_search
from sknoisy.cotraining import CoTraining, given_losses
from sknoisy.data.batches import Batches
from sknoisy.data.spec import InputSpec
from sknoisy.losses import LOSSES, JointOptimization
from sknoisy.losses.cross_entropy import cross_entropy
from sknoisy.regularizers import Regularizer
from sknoisy.training.optim import LARS, cosine
from sknoisy.views.images import ImageViews

RNG = np.random.default_rng(0)
X = RNG.normal(size=(60, 4)).astype(np.float32)
Y = (X[:, 0] > 0).astype(int)


class Encoder(nn.Sequential):
    def __init__(self, shape):
        super().__init__(nn.Linear(*shape, 8), nn.LayerNorm(8))


def clf(**params):
    settings = {"loss": "elr", "max_epochs": 3, "random_state": 0}
    return NoisyRobustClassifier(**settings | params)


@pytest.mark.parametrize("n, batch_size", [(41, 8), (5, 4), (100, 100), (3, 2), (7, 2)])
def test_batches_hold_every_sample_once_and_none_alone(n, batch_size):
    X = np.arange(n, dtype=np.float32)[:, None]
    store = InputSpec.learn(X).open(X)
    pairs = list(Batches(store, batch_size, torch.Generator().manual_seed(0), "cpu"))
    batches = [index for index, _ in pairs]
    assert sorted(torch.cat(batches).tolist()) == list(range(n))
    assert all(batch[:, 0].long().equal(index) for index, batch in pairs)
    sizes = [len(batch) for batch in batches]
    assert max(sizes) <= max(batch_size, 3) and max(sizes) - min(sizes) <= 1
    assert min(sizes) >= 2


def test_batches_differ_from_epoch_to_epoch():
    store = InputSpec.learn(X).open(X)
    batches = Batches(store, 60, torch.Generator().manual_seed(0), "cpu")
    assert not next(iter(batches))[0].equal(next(iter(batches))[0])


class Interrupt(Loss):
    """Cross-entropy that Ctrl-C hits in the third epoch."""

    def on_epoch(self, epoch, n_epochs):
        self.epoch_ = epoch

    def __call__(self, logits, target, index):
        if self.epoch_ == 2:
            raise KeyboardInterrupt
        return nn.functional.cross_entropy(logits, target, reduction="none")


def test_interruption_is_raised_and_nothing_is_lost():
    model = clf(loss=Interrupt(), max_epochs=10)
    with pytest.raises(KeyboardInterrupt):
        model.fit(X, Y)
    assert len(model.history_) == 2
    assert model.predict(X).shape == (60,)
    assert pickle.loads(pickle.dumps(model)).predict(X).shape == (60,)


class InterruptedSimCLR(SimCLR):
    """Ctrl-C hits when three quarters are done."""

    def after_step(self, networks, progress):
        if progress >= 0.75:
            raise KeyboardInterrupt


def test_interrupted_pretraining_keeps_the_encoder(tmp_path):
    for memory in (None, str(tmp_path)):
        ssl = SSLPretrainer(InterruptedSimCLR(), max_epochs=4, memory=memory)
        with pytest.raises(KeyboardInterrupt):
            ssl.fit(X)
        assert len(ssl.history_) == 2
        assert np.isfinite(ssl.transform(X)).all()


def test_what_a_callback_raises_is_raised():
    class Stop(Callback):
        def on_batch_begin(self, net, **kwargs):
            raise RuntimeError("from a callback")

    with pytest.raises(RuntimeError, match="from a callback"):
        SSLPretrainer(max_epochs=2, callbacks=[Stop()]).fit(X)


def test_a_lost_epoch_leaves_the_last_one():
    model = clf(loss=Explode())
    model.partial_fit(X, Y)
    before = model.predict_proba(X)
    with pytest.raises(DivergenceError):
        model.partial_fit(X, Y)
    np.testing.assert_array_equal(before, model.predict_proba(X))


class Reduced(Loss):
    """A loss that returns one number, or one for each class."""

    def __init__(self, reduction="mean"):
        self.reduction = reduction

    def __call__(self, logits, target, index):
        if self.reduction == "mean":
            return torch.nn.functional.cross_entropy(logits, target)
        return -logits.log_softmax(dim=1)


@pytest.mark.parametrize(
    ("reduction", "shape"), [("mean", r"\(\)"), ("none", r"\(30, 2\)")]
)
def test_a_loss_of_another_shape(reduction, shape):
    X, y = np.random.default_rng(0).normal(size=(30, 3)), np.repeat([0, 1], 15)
    clf = NoisyRobustClassifier(Reduced(reduction), max_epochs=1)
    with pytest.raises(ValueError, match=rf"Reduced returned.*{shape}.*\(30,\)"):
        clf.fit(X, y)


class Unreduced(CoTraining):
    """Cross-entropy, in a shape of its own; (-1,): of each sample."""

    def __init__(self, shape=(-1,)):  # no warmup_epochs
        self.shape = shape

    def loss(self, net, index, batch):
        losses = given_losses(net.logits(batch), net.targets(index)).sum(dim=1)
        return (losses if self.shape == (-1,) else losses.mean()).reshape(self.shape)


@pytest.mark.parametrize("shape", [(-1,), (1,)])
def test_a_method_that_does_not_return_one_number(shape):
    seen = 30 if shape == (-1,) else 1
    clf = CoTrainingClassifier(Unreduced(shape), max_epochs=4, batch_size=30)
    with pytest.raises(ValueError, match=rf"Unreduced returned.*\({seen},\).*\(\)"):
        clf.fit(X, Y)


def test_a_method_without_a_parameter_for_its_warm_up():
    clf = CoTrainingClassifier(Unreduced(()), max_epochs=40, batch_size=30)
    assert clf.fit(X, Y).score(X, Y) > 0.8
    assert "method__warmup_epochs" not in clf.get_params()


def test_a_pre_training_that_does_not_return_one_number():
    class Pairs(SimCLR):
        def loss(self, networks, first, second):
            return super().loss(networks, first, second)[None]

    with pytest.raises(ValueError, match=r"Pairs returned.*\(1,\).*one number"):
        SSLPretrainer(Pairs(), max_epochs=1).fit(X)


def test_a_regulariser_that_does_not_return_one_number():
    class Spread(Regularizer):
        def build(self, example, n_classes):
            return {}

        def loss(self, heads, original, augmented):
            return original.features.square().mean(dim=1)

    model = clf(regularizers=[Spread()], encoder="mlp")
    with pytest.raises(ValueError, match=r"Spread returned.*\(60,\).*one number"):
        model.fit(X, Y)


class Explode(Loss):
    def on_epoch(self, epoch, n_epochs):
        self.epoch_ = epoch

    def __call__(self, logits, target, index):
        return logits.sum(dim=1) * (torch.inf if self.epoch_ == 1 else 1.0)


class Detached(Loss):
    def __call__(self, logits, target, index):
        return cross_entropy(logits.detach(), target)


def test_a_loss_without_a_gradient_is_refused():
    with pytest.raises(ValueError, match="Detached returned a loss without a gradient"):
        clf(loss=Detached()).fit(X, Y)


def test_a_loss_may_keep_tensors_of_its_own():
    class Weighing(Loss):
        def start(self, n_samples, n_classes, device):
            self.weights = torch.full((n_samples,), 0.5, device=device)

        def __call__(self, logits, target, index):
            return self.weights[index] * cross_entropy(logits, target)

    clf = NoisyRobustClassifier(Weighing(), max_epochs=2, random_state=0).fit(X, Y)
    assert clf.loss_state_ == {}
    assert len(clf.partial_fit(X[:30], Y[:30]).history_) == 3


class Counting(Loss):
    lasting = ("steps",)

    def start(self, n_samples, n_classes, device):
        self.state_ = {
            "steps": torch.zeros(1, device=device),
            "seen": torch.zeros(n_samples, device=device),
        }

    def __call__(self, logits, target, index):
        self.state_["steps"] += 1
        self.state_["seen"][index] += 1
        return cross_entropy(logits, target)


def test_what_a_loss_declares_lasting_outlives_its_samples():
    clf = NoisyRobustClassifier(Counting(), max_epochs=5, batch_size=10)
    clf.partial_fit(X[:20], Y[:20]).partial_fit(X[:30], Y[:30])
    assert clf.loss_state_["steps"].tolist() == [2 + 3]
    assert clf.loss_state_["seen"].tolist() == [1] * 30
    again = pickle.loads(pickle.dumps(clf)).partial_fit(X[:20], Y[:20])
    assert again.loss_state_["steps"].tolist() == [2 + 3 + 2]
    assert again.loss_state_["seen"].tolist() == [1] * 20


def test_divergence_names_epoch_and_rate():
    with pytest.raises(DivergenceError, match="in epoch 2 at learning rate 0.0"):
        clf(loss=Explode()).fit(X, Y)


def test_a_failed_fit_leaves_the_last_good_one():
    model = clf().fit(X, Y)
    before = model.predict_proba(X)
    with pytest.raises(DivergenceError):
        model.set_params(loss=Explode()).fit(X, Y)
    np.testing.assert_array_equal(before, model.predict_proba(X))


def test_skorch_callbacks_hear_epochs_and_batches():
    class Count(Callback):
        def on_train_begin(self, net, **kwargs):
            self.epochs = self.batches = self.gradients = 0

        def on_epoch_end(self, net, **kwargs):
            self.epochs += 1

        def on_batch_end(self, net, **kwargs):
            self.batches += 1

        def on_grad_computed(self, net, named_parameters, **kwargs):
            self.gradients += len(dict(named_parameters)) > 0

    count = Count()
    clf(callbacks=[count], batch_size=20).fit(X, Y)
    assert (count.epochs, count.batches, count.gradients) == (3, 9, 9)


def test_early_stopping_stops():
    stop = EarlyStopping(monitor="train_loss", patience=2, threshold=10.0, sink=print)
    model = clf(loss="ce", callbacks=[stop], max_epochs=50).fit(X, Y)
    assert len(model.history_) < 10


def test_steps_take_a_tenth_at_half_and_at_three_quarters():
    model = clf(schedule="steps", max_epochs=8, lr=0.1).fit(X, Y)
    rates = [row["lr"] for row in model.history_]
    assert rates == pytest.approx([0.1] * 4 + [0.01] * 2 + [0.001] * 2)


def test_learning_rate_schedulers_of_skorch():
    from torch.optim.lr_scheduler import StepLR

    decay = LRScheduler(StepLR, step_size=1, gamma=0.1)
    model = clf(callbacks=[decay], schedule="constant").fit(X, Y)
    rates = [row["lr"] for row in model.history_]
    np.testing.assert_allclose(rates, [0.02, 0.002, 0.0002])


def test_ctrl_c_in_a_callback_is_no_early_stopping():
    class Slow(Callback):
        def on_epoch_end(self, net, **kwargs):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        clf(callbacks=[Slow()]).fit(X, Y)


def test_callbacks_of_a_cached_pretraining(tmp_path):
    heard = []

    class Listen(Callback):
        def on_epoch_end(self, net, **kwargs):
            heard.append(1)

    ssl = SSLPretrainer(
        max_epochs=2, memory=str(tmp_path), callbacks=[Listen()], random_state=0
    )
    ssl.fit(X)
    assert len(heard) == 2
    ssl.fit(X)  # from the cache
    assert len(heard) == 2


def test_views_are_not_rounded_where_networks_are():
    seen = []

    class Watch(ImageViews):
        def __call__(self, batch, generator):
            view = super().__call__(batch, generator)
            seen.append(view.dtype)
            return view

    images = RNG.integers(0, 256, (20, 16, 16, 3), dtype=np.uint8)
    views = Watch(jitter=None)
    settings = {"encoder": narrow, "max_epochs": 1, "precision": "bfloat16"}
    NoisyRobustClassifier(views=views, **settings).fit(images, np.arange(20) % 2)
    SSLPretrainer(SimCLR(views=views), **settings).fit(images)
    assert set(seen) == {torch.float32}


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_losses_are_not_rounded_where_networks_are(precision):
    seen = []

    class Watch(Loss):
        def __call__(self, logits, target, index):
            probs = logits.softmax(dim=1) @ torch.eye(logits.shape[1])
            seen.append(probs.dtype)
            return -probs[torch.arange(len(target)), target].log()

    clf(loss=Watch(), precision=precision).fit(X, Y)
    assert set(seen) == {torch.float32}


def test_running_out_of_memory_names_the_batch_size():
    class Greedy(Loss):
        def __call__(self, logits, target, index):
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 9 GiB")

    with pytest.raises(torch.OutOfMemoryError, match="batch_size=60 .* epoch 1"):
        clf(loss=Greedy()).fit(X, Y)
    search = GridSearchCV(clf(), {"loss": [Greedy(), "ce"]}, cv=2, error_score=0.0)
    with pytest.warns(FitFailedWarning):
        assert search.fit(X, Y).best_params_ == {"loss": "ce"}


def test_threads_of_a_loaded_model_agree():
    model = clf().fit(X, Y)
    expected = model.predict_proba(X)
    saved = pickle.dumps(model)
    for _ in range(5):
        loaded = pickle.loads(saved)
        with ThreadPoolExecutor(8) as pool:
            for found in pool.map(loaded.predict_proba, [X] * 8):
                np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize("encoder", ["mlp", Encoder, "convnet", "shufflenet_v2_x0_5"])
def test_a_default_device_does_not_matter(encoder):
    images = RNG.integers(0, 256, (20, 32, 32, 3), dtype=np.uint8)
    x = images if encoder in ("convnet", "shufflenet_v2_x0_5") else X[:20]
    settings = {"max_epochs": 1, "encoder": encoder, "device": "cpu"}
    ssl = SSLPretrainer(random_state=0, **settings)
    expected = clf(**settings).fit(x, Y[:20]).predict_proba(x), ssl.fit_transform(x)
    with torch.device("meta"):  # as set_default_device("cuda") would
        found = clf(**settings).fit(x, Y[:20]).predict_proba(x), ssl.fit_transform(x)
    for one, other in zip(found, expected, strict=True):
        np.testing.assert_array_equal(one, other)


def test_partial_fit_after_fit_goes_on_with_the_regularisers():
    settings = {"regularizers": ["restoration"], "max_epochs": 30, "loss": "ce"}
    model = clf(**settings).fit(X, Y)
    before = model.history_[-1]["train_loss"]
    after = model.partial_fit(X, Y).history_[-1]["train_loss"]
    assert after < 1.1 * before  # with new heads, half as much again


def test_no_gradients_are_kept():
    model = clf().fit(X, Y)
    assert all(p.grad is None for p in model._network.parameters())


def test_scikit_learn_callbacks_hear_epochs():
    pytest.importorskip("sklearn.callback")

    class Epochs:
        def __init__(self):
            self.tasks = []

        def setup(self, estimator, context):
            pass

        def on_fit_task_begin(self, estimator, context):
            pass

        def on_fit_task_end(self, estimator, context):
            self.tasks.append(context.task_name)
            return self.tasks.count("epoch") == 2

        def teardown(self, estimator, context):
            pass

    callback = Epochs()
    model = clf(max_epochs=9).set_callbacks(callback).fit(X, Y)
    assert callback.tasks == ["epoch", "epoch", "fit"]
    assert len(model.history_) == 2  # it asked to stop
    callback = Epochs()
    SSLPretrainer(max_epochs=5).set_callbacks(callback).fit(X)
    assert callback.tasks.count("epoch") == 2


WITHIN_SEARCH = []


class AskWhoCalls(Callback):
    def on_train_begin(self, net, **kwargs):
        WITHIN_SEARCH.append(within_search())


def test_a_search_is_noticed():
    """Where it is, progress is not shown unless asked for."""
    from sklearn.model_selection import cross_val_score

    model = clf(callbacks=[AskWhoCalls()], max_epochs=1)
    model.fit(X, Y)
    cross_val_score(model, X, Y, cv=2)
    assert WITHIN_SEARCH == [False, True, True]


def test_nothing_global_changes():
    torch.manual_seed(1)
    np.random.seed(1)
    state, numpy_global = torch.random.get_rng_state(), np.random.get_state()[1].copy()
    flags = torch.get_num_threads(), torch.backends.cudnn.benchmark
    flags += (torch.are_deterministic_algorithms_enabled(), torch.is_grad_enabled())
    features = SSLPretrainer(max_epochs=1, random_state=0).fit_transform(X)
    model = clf().fit(features, Y)
    model.predict(X)
    pickle.loads(pickle.dumps(model)).predict(X)
    np.asarray(pickle.loads(pickle.dumps(features)))
    assert torch.random.get_rng_state().equal(state)
    assert (np.random.get_state()[1] == numpy_global).all()
    assert flags == (
        torch.get_num_threads(),
        torch.backends.cudnn.benchmark,
        torch.are_deterministic_algorithms_enabled(),
        torch.is_grad_enabled(),
    )


def test_history_tells_epochs_phases_and_rates():
    features = SSLPretrainer(max_epochs=1, random_state=0).fit_transform(X)
    model = clf(max_epochs=4, head_epochs=2).fit(features, Y)
    assert [row["phase"] for row in model.history_] == ["head"] * 2 + ["all"] * 4
    assert [row["epoch"] for row in model.history_] == [1, 2, 3, 4, 5, 6]
    rates = [row["lr"] for row in model.history_]
    assert rates[:2] == [0.02, 0.02] and rates[2:] == sorted(rates[2:], reverse=True)
    assert rates[-1] < 0.2 * 0.02  # its schedule has four epochs, not six


def test_a_second_training_waits_for_the_head_and_keeps_it():
    """Also where it would begin before the epochs of the head are over."""
    features = SSLPretrainer(max_epochs=1, random_state=0).fit_transform(X)
    loss = JointOptimization(begin=0.3, retrain=0.5)
    model = clf(loss=loss, max_epochs=2, head_epochs=4)
    for _ in range(4):
        model.partial_fit(features, Y)
    head = model.state_dict_["head.weight"]
    model.set_params(lr=1e-30, weight_decay=0.0).partial_fit(features, Y)
    assert [row["phase"] for row in model.history_] == ["head"] * 4 + ["anew"]
    np.testing.assert_array_equal(model.state_dict_["head.weight"], head)


def test_a_second_training_leaves_a_frozen_encoder_as_it_is():
    ssl = SSLPretrainer(max_epochs=1, random_state=0)
    features = ssl.fit_transform(X)
    loss = JointOptimization(begin=0.3, retrain=0.5)
    model = clf(loss=loss, max_epochs=4, freeze_encoder=True).fit(features, Y)
    assert [row["phase"] for row in model.history_] == ["head"] * 2 + ["anew"] * 2
    np.testing.assert_array_equal(model.encoder_.transform(X), ssl.transform(X))


@pytest.mark.parametrize("again", ["kept", "pickled", "saved"])
def test_partial_fit_of_other_samples_starts_their_state_anew(again, tmp_path):
    first, last = np.ones(len(Y)), np.ones(len(Y))
    first[0] = last[-1] = 0  # as many samples are left out, but other ones
    clf = NoisyRobustClassifier("elr", max_epochs=4, random_state=0)
    for _ in range(2):
        clf.partial_fit(X, Y, sample_weight=first)
    if again == "pickled":
        clf = pickle.loads(pickle.dumps(clf))
    elif again == "saved":
        clf.save(tmp_path / "clf.safetensors")
        clf = sknoisy.load(tmp_path / "clf.safetensors")
    clf.partial_fit(X, Y, sample_weight=last)
    assert np.isnan(clf.wrong_events_[-1]) and np.nanmax(clf.wrong_events_) <= 1
    clf.partial_fit(X, Y, sample_weight=last)
    clf.partial_fit(X, Y, sample_weight=last)
    assert np.nanmax(clf.wrong_events_) > 1  # the same samples: it goes on


@pytest.mark.parametrize("method", ["fit", "partial_fit"])
@pytest.mark.parametrize("kind", [NoisyRobustClassifier, CoTrainingClassifier])
def test_arguments_that_are_wrong(kind, method):
    call = getattr(kind(), method)
    with pytest.raises(TypeError, match="got an unexpected keyword argument 'weight'"):
        call(X, Y, weight=np.ones(60))
    with pytest.raises(TypeError, match="missing 1 required"):
        call()
    with pytest.raises(ValueError, match=f"{kind.__name__} requires y to be passed"):
        call(X)
    assert "Returns" in call.__doc__


def test_a_derived_class_keeps_its_own_fit():
    class Own(NoisyRobustClassifier):
        def fit(self, X, y=None):
            self.own_ = True
            return super().fit(X, y)

    model = pickle.loads(pickle.dumps(clf())).fit(X, Y)
    assert model.score(X, Y) > 0.4
    assert Own(max_epochs=1).fit(X, Y).own_


def test_cosine():
    assert cosine(0.0, rise=0.0) == 1.0
    assert cosine(0.5, rise=0.0) == pytest.approx(0.505)
    assert cosine(1.0, rise=0.0) == cosine(3.0, rise=0.0) == pytest.approx(0.01)
    assert cosine(0.05, rise=0.1) == pytest.approx(0.5)
    assert cosine(0.1, rise=0.1) == 1.0


def test_lars_steps_by_hand():
    """Norms 2 and 0.2: the rate is 0.001 * 2 / 0.2; momentum doubles, almost."""
    w = nn.Parameter(torch.ones(2, 2))
    b = nn.Parameter(torch.zeros(2))
    lars = LARS([w, b], lr=1.0, momentum=0.9, trust=0.001)
    for step, expected in [(1, 1 - 0.001), (2, 1 - 0.001 - 0.0019)]:
        w.grad, b.grad = torch.full((2, 2), 0.1), torch.full((2,), 0.1)
        lars.step()
        assert w[0, 0].item() == pytest.approx(expected, abs=1e-5)
        assert b[0].item() == pytest.approx(-0.1 if step == 1 else -0.29)


def test_lars_without_weights():
    b = nn.Parameter(torch.zeros(2))
    b.grad = torch.ones(2)
    LARS([b], lr=0.5).step()
    assert b.tolist() == [-0.5, -0.5]


# The loss's knowledge of samples ----------------------------------------------------


@pytest.mark.parametrize("name", LOSSES)
def test_every_loss_trains_searches_and_pickles(name, digits):
    from sklearn.model_selection import GridSearchCV

    images, y = digits[0].reshape(300, -1), digits[1]
    loss = LOSSES[name]()
    numbers = {k: v for k, v in loss.get_params().items() if isinstance(v, float)}
    grid = {f"loss__{k}": [v, v / 2] for k, v in numbers.items()}
    first = dict(list(grid.items())[:1]) or {"lr": [0.05, 0.1]}
    settings = {"encoder": "identity", "max_epochs": 4, "batch_size": 32, "lr": 0.1}
    model = clf(loss=name, **settings)
    search = GridSearchCV(model, first, cv=2, error_score="raise").fit(images, y)
    best = search.best_estimator_
    assert best.score(images, y) > 0.3
    loaded = pickle.loads(pickle.dumps(best))
    np.testing.assert_array_equal(loaded.predict(images), best.predict(images))


def test_elr_targets_cover_the_training_set_and_only_it():
    model = clf(loss=ELR(), batch_size=16).fit(X, Y)
    target = model.loss_state_["target"]
    assert target.shape == (60, 2)
    assert (target.sum(axis=1) > 0.3).all()
    before = target.copy()
    model.predict(RNG.normal(size=(500, 4)))
    np.testing.assert_array_equal(before, model.loss_state_["target"])


def test_label_quality_ranks_wrong_labels_low(digits):
    from sknoisy.noise import symmetric_exclusive

    images, y = digits
    noisy = symmetric_exclusive(y, 0.2, random_state=0)
    model = clf(encoder=narrow, max_epochs=15, batch_size=32).fit(images, noisy.y)
    quality = model.label_quality_
    assert quality.shape == (300,) and quality.min() >= 0 and quality.max() <= 1
    worst = np.argsort(quality)[:60]
    assert noisy.is_wrong[worst].mean() > 0.7
    assert np.corrcoef(quality, model.training_loss_)[0, 1] < -0.8


def test_label_quality_by_hand():
    """A network that cannot move: the margins are those of its fixed prediction."""

    class Still(Loss):
        def __call__(self, logits, target, index):
            return 0 * logits.sum(dim=1)

    model = clf(loss=Still(), weight_decay=0.0, encoder=Fixed, max_epochs=2).fit(X, Y)
    p = model.predict_proba(X)
    margin = np.where(Y == 1, p[:, 1] - p[:, 0], p[:, 0] - p[:, 1])
    np.testing.assert_allclose(model.label_quality_, (1 + margin) / 2, atol=1e-5)
    loss = -np.log(p[np.arange(60), Y])
    np.testing.assert_allclose(model.training_loss_, loss, rtol=1e-4)


class Fixed(nn.Module):
    """Four inputs as features; nothing depends on the batch."""

    def forward(self, x):
        return x


# One epoch more -----------------------------------------------------------------------


def test_partial_fit_is_fit_epoch_by_epoch():
    whole = clf(max_epochs=4).fit(X, Y)
    steps = clf(max_epochs=4)
    for _ in range(4):
        steps.partial_fit(X, Y)
    np.testing.assert_array_equal(whole.predict_proba(X), steps.predict_proba(X))
    np.testing.assert_array_equal(
        whole.loss_state_["target"], steps.loss_state_["target"]
    )
    assert len(steps.history_) == 4


def test_partial_fit_passes_through_the_warm_up():
    features = SSLPretrainer(max_epochs=1, random_state=0).fit_transform(X)
    whole = clf(max_epochs=2, head_epochs=2).fit(features, Y)
    steps = clf(max_epochs=2, head_epochs=2)
    for _ in range(4):
        steps.partial_fit(features, Y)
    np.testing.assert_array_equal(whole.predict_proba(X), steps.predict_proba(X))


def test_partial_fit_goes_on_after_fit_and_after_loading():
    model = clf().fit(X, Y)
    loaded = pickle.loads(pickle.dumps(model))
    before = model.predict_proba(X)
    for m in (model, loaded):
        m.partial_fit(X, Y)
        assert [row["epoch"] for row in m.history_] == [1, 2, 3, 4]
        assert m.history_[-1]["lr"] == pytest.approx(0.0002)
        assert (m.predict_proba(X) != before).any()
        np.testing.assert_allclose(m.predict_proba(X), before, atol=0.05)
    assert loaded.loss_state_["target"].sum(axis=1).min() > 0.5


def test_partial_fit_takes_changed_parameters():
    model = clf(loss="elr", max_epochs=5)
    model.partial_fit(X, Y).partial_fit(X, Y)
    for same in (model, pickle.loads(pickle.dumps(model))):
        same.set_params(loss="ce", schedule="constant", lr=0.5).partial_fit(X, Y)
        assert same.history_[-1]["lr"] == 0.5
        assert same.loss_state_ == {} and len(same.history_) == 3
        same.set_params(loss="elr").partial_fit(X, Y)
        assert same.loss_state_["target"].shape == (60, 2)


def test_partial_fit_refuses_a_single_sample():
    model = clf()
    for _ in range(2):  # at the start, and later on
        with pytest.raises(ValueError, match="X has 1 sample"):
            model.partial_fit(X[:1], Y[:1], classes=[0, 1])
        model.partial_fit(X, Y)


def test_partial_fit_takes_another_storage_without_mixing_classes():
    model = clf(loss=ELR(storage=2), lr=1e-9, weight_decay=0.0)
    model.partial_fit(X, Y).set_params(loss__storage="float32").partial_fit(X, Y)
    # what was kept is of another form: targets begin with zeros
    np.testing.assert_allclose(model.loss_state_["target"].sum(axis=1), 0.3, atol=1e-3)


def test_partial_fit_takes_changed_labels_and_sizes():
    model = clf(max_epochs=30)
    for _ in range(20):
        model.partial_fit(X, Y)
    assert model.score(X, Y) > 0.8
    for _ in range(20):
        model.partial_fit(X, 1 - Y)
    assert model.loss_state_["target"].shape == (60, 2)
    model.partial_fit(X[:50], Y[:50])
    assert model.loss_state_["target"].shape == (50, 2)


@pytest.mark.parametrize("loss", ["ce", "bootstrap_hard"])
def test_weights_that_are_finite_but_predictions_are_not(loss):
    huge = clf(loss=loss, weight_decay=1e30, max_epochs=1, batch_size=60)
    with pytest.raises(DivergenceError, match="predictions are not finite in epoch 1"):
        huge.fit(X, Y)


def test_weights_of_many_layers_need_not_be_huge_for_predictions_that_are_not_finite():
    images = np.random.RandomState(0).rand(10, 3, 8, 8).astype(np.float32)
    large = NoisyRobustClassifier("ce", lr=1e4, max_epochs=1, random_state=39)
    with pytest.raises(DivergenceError, match="predictions are not finite in epoch 1"):
        large.fit(images, np.arange(10) % 2)
