"""IDO: its loss and its weights by hand, and a training against the formulas."""

import numpy as np
import pytest
import torch
from scipy import stats

from sknoisy import IDO, CoTrainingClassifier
from sknoisy.cotraining.ido import dynamic_losses
from sknoisy.scores import wrong_event_clean_probability
from sknoisy.views import VectorViews, Views

RNG = np.random.default_rng(0)
Y = np.arange(60) % 3
X = (RNG.normal(size=(60, 4)) + 2 * np.eye(3, 4)[Y]).astype(np.float32)
NOISY = np.where(np.arange(60) < 15, (Y + 1) % 3, Y)
SETTINGS = {"batch_size": 8, "lr": 0.1, "random_state": 0}


def softmax(logits):
    powers = np.exp(logits - logits.max(axis=1, keepdims=True))
    return powers / powers.sum(axis=1, keepdims=True)


def losses_by_hand(weak, strong, targets, clean, consistency):
    """Return the losses of the paper; targets (n, n_classes)."""
    p, q = softmax(weak), softmax(strong)
    learned = -(targets * np.log(p)).sum(axis=1) - (targets * np.log(q)).sum(axis=1)
    mean = (p.clip(1e-4, 1 - 1e-4) + q.clip(1e-4, 1 - 1e-4)) / 2
    entropy = -(mean * np.log(mean)).sum(axis=1)
    difference = ((weak - strong) ** 2).mean(axis=1)
    return clean * learned + consistency * difference + (1 - clean) * entropy


def test_losses_by_hand():
    weak, strong = 3 * RNG.normal(size=(2, 20, 5))
    clean, consistency = RNG.uniform(size=(2, 20))
    codes = RNG.integers(5, size=20)
    expected = losses_by_hand(weak, strong, np.eye(5)[codes], clean, consistency)
    given = [torch.from_numpy(a) for a in (weak, strong, codes, clean, consistency)]
    np.testing.assert_allclose(dynamic_losses(*given), expected)
    soft = RNG.dirichlet(np.ones(5), size=20)
    given[2] = torch.from_numpy(soft)
    constant = 2 * stats.entropy(soft, axis=1) * clean  # does not move the network
    expected = losses_by_hand(weak, strong, soft, clean, consistency) - constant
    np.testing.assert_allclose(dynamic_losses(*given), expected)


def test_a_label_that_is_surely_wrong_is_not_learned():
    logits = torch.tensor([[2.0, 0.0, -1.0]], requires_grad=True)
    weights = torch.zeros(1), torch.ones(1)
    for target in (0, 2):
        loss = dynamic_losses(logits, logits, torch.tensor([target]), *weights)
        (gradient,) = torch.autograd.grad(loss.sum(), logits)
        assert gradient[0, 0] < 0 < gradient[0, 1]  # entropy: the first gets surer


class Dimmed(Views):
    """A strong view without randomness."""

    def __call__(self, batch, generator):
        return 0.6 * batch + 0.2


class Watched(IDO):
    """Keeps what a training does, and computes the losses of its steps by hand."""

    def start(self, *args):
        super().start(*args)
        self.events = np.zeros(60, int)

    def batch_loss(self, net, index, batch):
        rows, warmup = index.numpy(), self.is_warmup
        with torch.no_grad():
            views = batch, Dimmed()(batch, None)
            weak, strong = (net.module_(view)[:, 0].double().numpy() for view in views)
        loss = super().batch_loss(net, index, batch)
        self.events[rows] += weak.argmax(axis=1) != NOISY[rows]
        targets = np.eye(3)[NOISY[rows]]
        if warmup:
            expected = -(targets * np.log(softmax(weak))).sum(axis=1)
        else:
            self.events[rows] += strong.argmax(axis=1) != NOISY[rows]
            clean, difficulty = self.of_counts[:, NOISY[rows], self.events[rows]]
            trusted = net.trusted(index)
            clean = clean if trusted is None else np.where(trusted, 1, clean)
            expected = losses_by_hand(weak, strong, targets, clean, clean * difficulty)
        assert loss.item() == pytest.approx(expected.mean(), rel=1e-4)
        return loss

    def before_epoch(self, net):
        super().before_epoch(net)
        if not self.is_warmup:
            self.of_counts = weights_by_hand(self.events)


def weights_by_hand(events):
    """Return the factors of the paper for each class and number of wrong events."""
    weights = np.empty((2, 3, events.max() + 3))
    for k in range(3):
        of_class = events[NOISY == k]
        low, high = of_class.min(), of_class.max()
        x = ((of_class - low) / (high - low)).clip(1e-3, 1 - 1e-3)
        share, betas = 1 - x, []
        for _ in range(20):
            betas = [moments(x, share), moments(x, 1 - share)]
            betas[0][2] = betas[0][2] if betas[0][2] >= 1.02 else 1.1
            betas[1][1] = betas[1][1] if betas[1][1] >= 1.02 else 1.1
            few, many = (w * stats.beta.pdf(x, a, b) for w, a, b in betas)
            share = few / (few + many)
        counts = np.arange(events.max() + 3)
        x = ((counts - low) / (high - low)).clip(1e-3, 1 - 1e-3)
        few, many = (w * stats.beta.pdf(x, a, b) for w, a, b in betas)
        clean = few / (few + many)
        _, alpha, beta = betas[0]
        left = x < alpha / (alpha + beta)  # both ways from there it does not rise
        clean[~left] = np.minimum.accumulate(clean[~left])
        clean[left] = [clean[i:][left[i:]].max() for i in np.flatnonzero(left)]
        clean[left] = np.maximum(clean[left], clean[~left][0])
        few, many = (stats.beta.cdf(x, a, b) for _, a, b in betas)
        weights[:, k] = clean, few + (1 - many)
    return weights


def moments(x, share):
    mean = (share @ x) / share.sum()
    variance = share @ (x - mean) ** 2 / share.sum() + 1e-6
    both = mean * (1 - mean) / variance - 1
    return [share.mean(), mean * both, (1 - mean) * both]


def test_a_short_training_is_the_formula():
    """The loss of each step, by weights that were fitted to events counted by hand."""
    method = Watched(views=Dimmed(), warmup_epochs=4)
    clf = CoTrainingClassifier(method, max_epochs=9, **SETTINGS).fit(X, NOISY)
    events = clf.loss_state_["wrong_events"]
    assert 0 < events.max() <= 4 + 2 * 5
    wrong = NOISY != Y
    assert events[wrong].mean() > 2 * events[~wrong].mean()
    assert clf.clean_proba_[wrong].mean() < 0.3 < 0.7 < clf.clean_proba_[~wrong].mean()


def test_trusted_labels_are_right_in_all_weights():
    method, trusted = Watched(views=Dimmed(), warmup_epochs=4), np.arange(60) < 30
    clf = CoTrainingClassifier(method, max_epochs=9, **SETTINGS)
    clf.fit(X, NOISY, trusted=trusted)
    np.testing.assert_array_equal(clf.clean_proba_[trusted], 1)
    assert clf.clean_proba_[~trusted].min() < 1


def test_probabilities_are_those_of_the_score():
    fitted = []

    class Fitted(IDO):
        def before_epoch(self, net):
            super().before_epoch(net)
            if not self.is_warmup:
                events = self.state_["wrong_events"]
                clean = self._weights[0, torch.from_numpy(NOISY), events]
                fitted.append((clean.numpy(), events.numpy().copy()))

    CoTrainingClassifier(Fitted(), max_epochs=6, **SETTINGS).fit(X, NOISY)
    assert len(fitted) == 4
    for clean, events in fitted:
        expected = wrong_event_clean_probability(NOISY, events)
        np.testing.assert_allclose(clean, expected, rtol=1e-4, atol=1e-9)


def test_labels_that_were_never_missed_are_learned():
    """Nothing is told apart where all have as many wrong events."""
    easy = 20 * np.eye(3, dtype=np.float32)[Y]
    method = IDO(warmup_epochs=0)
    clf = CoTrainingClassifier(method, max_epochs=1, **SETTINGS | {"batch_size": 60})
    clf.fit(easy, Y)
    np.testing.assert_array_equal(clf.clean_proba_, 1)


def test_the_training_goes_on_from_before_predictions_changed_more():
    """With a rate this high, predictions soon change more from epoch to epoch."""
    states, predicted, begun = [], [], []

    class Kept(IDO):
        def before_epoch(self, net):
            own = net.module_.state_dict()
            states.append({name: tensor.clone() for name, tensor in own.items()})
            predicted.append(self._predicted.clone())
            super().before_epoch(net)
            if self.epoch == self.warmup_epochs_:
                own = net.module_.state_dict()
                begun.append({name: tensor.clone() for name, tensor in own.items()})

    settings = SETTINGS | {"lr": 3.0, "schedule": "constant", "encoder": "mlp"}
    CoTrainingClassifier(Kept(warmup_epochs=8), max_epochs=10, **settings).fit(X, NOISY)
    changes = [
        60,
        *((b != a).sum() for a, b in zip(predicted[1:8], predicted[2:9], strict=True)),
    ]
    rises = [e for e in range(1, 8) if changes[e] >= changes[e - 1]]
    assert rises and rises[0] < 7  # else the weights of the last epoch would do
    base = states[rises[0]]  # after the epoch before the first rise
    assert begun[0].keys() == base.keys()
    for name, tensor in begun[0].items():
        torch.testing.assert_close(tensor, base[name], rtol=0, atol=0)
    assert not all(states[8][name].equal(base[name]) for name in base)


@pytest.mark.parametrize(("n_then", "lr"), [(60, 0.02), (50, 0.01)])
def test_a_break_in_the_warm_up_is_no_rise(n_then, lr):
    """With another training or other samples, epochs are compared anew."""
    risen = []

    class Kept(IDO):
        def before_epoch(self, net):
            super().before_epoch(net)
            risen.append(self._has_risen)

    method, settings = Kept(warmup_epochs=6), SETTINGS | {"lr": 0.01}
    clf = CoTrainingClassifier(method, max_epochs=8, **settings)
    for _ in range(3):
        clf.partial_fit(X, NOISY, classes=[0, 1, 2])
    clf.set_params(lr=lr)  # another one is a new training, as after reading a file
    for _ in range(2):
        clf.partial_fit(X[:n_then], NOISY[:n_then])
    assert risen == [False] * 5


def test_the_warm_up_is_a_third_after_that_of_the_head():
    plan = IDO()
    plan.plan(15, 0)
    assert plan.warmup_epochs_ == 5  # of the paper
    plan.plan(30, 12)
    assert plan.warmup_epochs_ == 22
    plan.plan(1, 0)
    assert plan.warmup_epochs_ == 1


def test_strong_views_make_a_difference():
    def proba(**parameters):
        clf = CoTrainingClassifier(IDO(**parameters), max_epochs=6, **SETTINGS)
        return clf.fit(X, NOISY).predict_proba(X)

    none = proba()
    np.testing.assert_array_equal(none, proba(views="none"))
    assert not np.array_equal(none, proba(views=VectorViews()))
