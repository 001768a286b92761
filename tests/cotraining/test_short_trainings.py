"""Short trainings by DivideMix, ELR+ and SSR+, against the steps of their papers.

The steps are written out with the batches and the random numbers of our training.
"""

import copy

import numpy as np
import pytest
import torch
from sklearn.neighbors import NearestNeighbors
from torch import nn
from torch.nn import functional as F

from sknoisy import SSR, CoTrainingClassifier, DivideMix, ELRPlus
from sknoisy.scores import gmm_clean_probability
from sknoisy.views import Views

RNG = np.random.default_rng(0)
Y = np.arange(60) % 3
X = (RNG.normal(size=(60, 4)) + 2 * np.eye(3, 4)[Y]).astype(np.float32)
NOISY = np.where(np.arange(60) % 3 == np.arange(60) // 20, (Y + 1) % 3, Y)
INPUTS, GIVEN = torch.from_numpy(X), torch.from_numpy(NOISY)
SETTINGS = {
    "batch_size": 16,
    "lr": 0.1,
    "optimizer": "momentum",
    "momentum": 0.0,
    "weight_decay": 0.0,
    "schedule": "constant",
    "random_state": 0,
}


def small(shape):
    net = nn.Sequential(nn.Linear(*shape, 8), nn.BatchNorm1d(8), nn.Tanh())
    net.n_features = 8
    return net


class Jittered(Views):
    def __call__(self, batch, generator):
        return batch + 0.1 * torch.randn(batch.shape, generator=generator)


class Doubled(Views):
    """A strong view without randomness."""

    def __call__(self, batch, generator):
        return 2 * batch


class Step:
    """What a step begins with: samples, and the states of the random numbers."""

    def __init__(self, method, net, index, batch, others):
        self.epoch, self.index = method.epoch, index
        self.batch, self.others = batch.clone(), others
        self.learned = torch.ones(len(index), 2, dtype=bool)
        if method.in_halves:
            half = method.state_["half"][index]
            self.learned = half[:, None] == torch.arange(2)
        self.rng = copy.deepcopy(method.rng)
        self.orders, self.views = (
            torch.Generator().set_state(one.get_state())
            for one in (net.generator, net.view_generator)
        )

    def view(self, batch, jitter):
        """Return the next random view."""
        if not jitter:
            return batch
        return batch + 0.1 * torch.randn(batch.shape, generator=self.views)

    def mixed(self, inputs, targets, alpha):
        """Return inputs and targets that are mixed in pairs, the first one mostly."""
        lam = self.rng.beta(alpha, alpha)
        lam = max(lam, 1 - lam)
        other = torch.randperm(len(inputs), generator=self.orders)
        return tuple(
            lam * values + (1 - lam) * values[other] for values in (inputs, targets)
        )


def watched(kind, *args, **params):
    """Return a method that keeps its steps, and the networks before the first one."""

    class Watched(kind):
        steps, networks = [], []

        def batch_loss(self, net, index, batch, *others):
            if not self.steps:
                self.networks.append(copy.deepcopy(net.module_))
            self.steps.append(Step(self, net, index, batch, others))
            return super().batch_loss(net, index, batch, *others)

    return Watched(*args, **params)


def epochs_of(method):
    """Return the steps of each epoch."""
    last = method.steps[-1].epoch
    return [[s for s in method.steps if s.epoch == e] for e in range(last + 1)]


def warm_up_loss(module, step, jitter, penalty=0.0):
    """Return the cross-entropy of both networks, and their negative entropy."""
    logits, loss = module(step.view(step.batch, jitter)), 0.0
    for k, rows in enumerate(step.learned.T):
        if rows.any():
            log_p = logits[rows, k].log_softmax(dim=1)
            loss = loss + F.nll_loss(log_p, GIVEN[step.index][rows])
            loss = loss + penalty * (log_p.exp() * log_p).sum(dim=1).mean()
    return loss


def logits_of_all(module):
    """Return the logits of all samples, without views and in evaluation mode."""
    with torch.no_grad():
        return module.eval()(INPUTS)


def same_weights(ours, module):
    expected = module.state_dict()
    for name, values in ours.state_dict().items():
        torch.testing.assert_close(values, expected[name], rtol=1e-3, atol=1e-5)


# DivideMix ----------------------------------------------------------------------------


def dividemix_targets(own, other, views, n, given, clean, temperature):
    """Return what the n labelled and the other samples are to be learned as."""
    with torch.no_grad():
        p = own(torch.cat(views)).softmax(dim=1).chunk(len(views))
        unseen = torch.cat([view[n:] for view in views])
        q = other(unseen).softmax(dim=1).chunk(len(views))
    p, q = sum(p) / len(views), sum(q) / len(views)
    clean = clean[:, None]
    refined = clean * F.one_hot(given, 3) + (1 - clean) * p[:n]
    powers = torch.cat([refined, (p[n:] + q) / 2]) ** (1 / temperature)
    return powers / powers.sum(dim=1, keepdim=True)


def dividemix_loss(own, other, step, clean, method, jitter):
    turn = step.others[0]
    k, n = turn.network, turn.n_labelled
    own.train(), other.eval()
    views = [step.view(step.batch, jitter) for _ in range(2 if jitter else 1)]
    labelled = step.index[:n]
    targets = dividemix_targets(
        *(own, other, views, n),
        GIVEN[labelled],
        clean[labelled, 1 - k],
        method.temperature,
    )
    targets = torch.cat(len(views) * [targets])
    inputs, targets = step.mixed(torch.cat(views), targets, method.alpha)
    log_p = own(inputs).log_softmax(dim=1)
    is_labelled = (torch.arange(len(step.index)) < n).repeat(len(views))
    of_labelled = -(targets * log_p).sum(dim=1)[is_labelled].mean()
    of_others = (log_p.exp() - targets).square()[~is_labelled].mean()
    prior = torch.full((3,), 1 / 3)
    penalty = (prior * (prior / log_p.exp().mean(dim=0)).log()).sum()
    rise = (step.epoch - method.warmup_epochs + turn.done) / method.rampup_epochs
    weight = method.lambda_u * min(1.0, rise)
    return of_labelled + weight * of_others + penalty


@pytest.mark.parametrize("jitter", [True, False], ids=["two views", "vectors"])
def test_dividemix(jitter):
    method = watched(
        DivideMix,
        lambda_u=5.0,
        p_threshold=0.6,
        loss_history=2,
        confidence_penalty=True,
        alpha=2.0,
        rampup_epochs=3,
        warmup_epochs=7,  # of five, one half of the samples is learned
    )
    clf = CoTrainingClassifier(
        method,
        small,
        views=Jittered() if jitter else "none",
        max_epochs=12,
        **SETTINGS,
    ).fit(X, NOISY)
    steps, (module,) = epochs_of(method), method.networks
    optimizer = torch.optim.SGD(module.parameters(), lr=0.1)
    history, sizes = [], []
    for epoch, of_epoch in enumerate(steps):
        if epoch >= 7:
            logits = logits_of_all(module)
            losses = [
                F.cross_entropy(logits[:, k], GIVEN, reduction="none") for k in (0, 1)
            ]
            history.append([(x - x.min()) / (x.max() - x.min()) for x in losses])
            means = [sum(kept) / len(kept) for kept in zip(*history[-2:], strict=True)]
            clean = np.stack([gmm_clean_probability(m.double()) for m in means], axis=1)
            clean = torch.from_numpy(clean).float()
            for k in (0, 1):  # split by the probabilities of the other network
                turns = [s for s in of_epoch if s.others[0].network == k]
                labelled = [s.index[: s.others[0].n_labelled] for s in turns]
                others = [s.index[s.others[0].n_labelled :] for s in turns]
                expected = (clean[:, 1 - k] >= 0.6).nonzero()[:, 0]
                assert sorted(torch.cat(labelled).tolist()) == expected.tolist()
                assert not set(torch.cat(others).tolist()) & set(expected.tolist())
                sizes.append(len(expected))
        module.train()
        for step in of_epoch:
            if epoch < 7:
                loss = warm_up_loss(module, step, jitter, penalty=1.0)
            else:
                k = step.others[0].network
                pair = module.networks[k], module.networks[1 - k]
                loss = dividemix_loss(*pair, step, clean, method, jitter)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
    assert 10 < min(sizes) and max(sizes) < 60
    same_weights(clf._network, module)
    torch.testing.assert_close(
        torch.from_numpy(clf.loss_state_["clean_proba"]), clean, rtol=1e-3, atol=1e-3
    )


# ELR+ ---------------------------------------------------------------------------------


def elr_plus_loss(module, averages, targets, step, method):
    """Return the sum of both networks' losses; update the targets of the samples."""
    index, view = step.index, step.view(step.batch, True)
    given, loss = F.one_hot(GIVEN[index], 3).float(), 0.0
    with torch.no_grad():
        probs = averages(view).softmax(dim=2)
    for k, network in enumerate(module.networks):
        kept = method.beta * targets[k][index] + (1 - method.beta) * probs[:, 1 - k]
        targets[k][index] = kept
        pair = torch.cat([given, kept], dim=1)
        inputs, pair = step.mixed(view, pair, method.alpha)
        log_p = network(inputs).log_softmax(dim=1)
        loss = loss - (pair[:, :3] * log_p).sum(dim=1).mean()
        agreement = (pair[:, 3:] * log_p.exp().clamp(1e-4, 1 - 1e-4)).sum(dim=1)
        loss = loss + method.lam * (1 - agreement).log().mean()
    return loss


def test_elr_plus():
    method = watched(ELRPlus, lam=2.0, beta=0.6, decay=0.9, warmup_epochs=2)
    clf = CoTrainingClassifier(
        method, small, views=Jittered(), max_epochs=8, **SETTINGS
    ).fit(X, NOISY)
    steps, (module,) = epochs_of(method), method.networks
    optimizer = torch.optim.SGD(module.parameters(), lr=0.1)
    targets, done = torch.zeros(2, 60, 3), 0
    for epoch, of_epoch in enumerate(steps):
        if epoch == 2:
            averages = copy.deepcopy(module).train()
        for step in of_epoch:
            if epoch < 2:
                loss = warm_up_loss(module, step, True)
            else:
                loss = elr_plus_loss(module, averages, targets, step, method)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            done += 1 / len(of_epoch) / len(steps)
            if epoch >= 2:  # the decay rises until half of the training is done
                decay = 0.9 * np.exp(-5 * (1 - min(1.0, 2 * done)) ** 2)
                with torch.no_grad():
                    pairs = zip(averages.parameters(), module.parameters(), strict=True)
                    for mean, now in pairs:
                        mean.copy_(decay * mean + (1 - decay) * now)
    same_weights(clf._network, module)
    for k in (0, 1):
        found = torch.from_numpy(clf.loss_state_[f"target_{k}"])
        torch.testing.assert_close(found, targets[k], rtol=1e-3, atol=1e-4)


# SSR+ ---------------------------------------------------------------------------------


def ssr_selection(features, logits, method):
    """Return the labels to learn, the votes for the given ones, and what is selected.

    ``votes[c]`` is the share of class c among the neighbours, over its share of all.
    """
    surest, best = logits.softmax(dim=1).max(dim=1)
    labels = torch.where(surest > method.relabel_threshold, best, GIVEN).numpy()
    search = NearestNeighbors(n_neighbors=method.n_neighbors, metric="cosine")
    near = search.fit(features).kneighbors(features, return_distance=False)
    shares = np.bincount(labels, minlength=3) / 60
    votes = np.stack([(labels[near] == c).mean(axis=1) for c in range(3)], axis=1)
    votes = votes / shares
    relative = votes / votes.max(axis=1, keepdims=True)
    selected = relative[np.arange(60), labels] >= method.select_threshold
    return torch.from_numpy(labels), relative[np.arange(60), NOISY], selected


def ssr_loss(module, step, labels, method):
    """Return the loss of two strong views of a batch, and the consistency of others."""
    n, (others,) = len(step.batch), step.others
    weak = step.view(torch.cat([step.batch, step.batch, others, others]), True)
    strong, (first, second) = 2 * weak[: 2 * n], weak[2 * n :].chunk(2)
    rows = F.one_hot(labels[step.index], 3).float().repeat(2, 1)
    inputs, rows = step.mixed(strong, rows, method.alpha)
    loss = F.cross_entropy(module(inputs)[:, 0], rows)
    encoder, projector = module.networks[0].encoder, module.projector
    with torch.no_grad():
        target = projector(encoder(second))
    predicted = module.predictor(projector(encoder(2 * first)))
    cosines = (predicted * target).sum(dim=1) / (
        predicted.norm(dim=1) * target.norm(dim=1)
    )
    return loss - method.consistency * cosines.mean()


def test_ssr_plus():
    method = watched(
        SSR,
        relabel_threshold=0.5,
        select_threshold=0.9,
        n_neighbors=7,
        consistency=0.5,
        views=Doubled(),
    )
    clf = CoTrainingClassifier(
        method, small, views=Jittered(), max_epochs=8, **SETTINGS
    ).fit(X, NOISY)
    (module,) = method.networks
    optimizer = torch.optim.SGD(module.parameters(), lr=0.1)
    counts = []
    for of_epoch in epochs_of(method):
        logits = logits_of_all(module)[:, 0]
        with torch.no_grad():
            features = module.networks[0].encoder(INPUTS)
        labels, clean, selected = ssr_selection(features, logits, method)
        counts.append([int((labels != GIVEN).sum()), int(selected.sum())])
        index = torch.cat([step.index for step in of_epoch])
        drawn = index.bincount(minlength=60).numpy()
        assert drawn[~selected].sum() == 0
        for c in range(3):  # twenty of each class, all about equally often
            of_class = drawn[selected & (labels.numpy() == c)]
            assert of_class.sum() == 20 and np.ptp(of_class) <= 1
        module.train()
        for step in of_epoch:
            loss = ssr_loss(module, step, labels, method)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
    relabelled, selected = np.array(counts).T
    assert relabelled.max() > 5 and 15 < selected.min() < selected.max() < 60
    same_weights(clf._network, module)
    np.testing.assert_array_equal(clf.loss_state_["labels"], labels)
    np.testing.assert_allclose(clf.loss_state_["clean_proba"], clean, rtol=1e-4)
