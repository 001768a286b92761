"""Trainings that are the same on one rank and on several; a script of each rank, too.

As a script: ``distributed_cases.py FOLDER NAME...`` writes what each training learns to
FOLDER, a file for each case and rank. Without arguments, it forks ranks as it is asked,
which need not import again what takes seconds.
"""

import gc
import os
import signal
import sys
from functools import cache
from pathlib import Path

import numpy as np
import torch
from sklearn.datasets import load_digits
from skorch.callbacks import Callback
from torch import nn

from sknoisy import (
    Checkpoint,
    CoTrainingClassifier,
    NoisyRobustClassifier,
    PseudoLabelRefiner,
    SSLPretrainer,
    ranks,
)
from sknoisy.cotraining import COTRAINING_METHODS
from sknoisy.encoders.networks import ConvNet
from sknoisy.losses import LOSSES, Loss
from sknoisy.losses.learner import Learner
from sknoisy.regularizers import REGULARIZERS
from sknoisy.selfsup import METHODS, SimCLR
from sknoisy.training import together
from sknoisy.views import ImageViews

WIDTHS = {"hidden_features": 16, "projection_features": 8}


def smooth(shape):
    """Return an encoder without kinks, at which rounding would be magnified."""
    net = nn.Sequential(nn.Linear(*shape, 12), nn.BatchNorm1d(12), nn.Tanh())
    net.n_features = 12
    return net


def thinner(shape):
    """Return the encoder of images with a third of its channels."""
    return ConvNet(shape, width=16)


digits = cache(load_digits)


def data(n=45):
    """Return vectors and labels, a fifth of them wrong."""
    X, y = digits(n_class=3, return_X_y=True)
    y = y[:n].copy()
    y[::5] = (y[::5] + 1) % 3
    return X[:n] + np.random.default_rng(0).normal(size=(n, 64)), y


def method_without_views(kind):
    """Return a method or regulariser that draws no views, with small heads."""
    known = kind().get_params(deep=False)
    given = {"views": "none", "queue_size": 20, "warmup_epochs": 1, **WIDTHS}
    return kind(**{k: v for k, v in given.items() if k in known})


def is_a_formula(loss):
    """Whether the loss of a sample depends on its logits and its label alone."""
    hooks = (name for name, of_class in vars(Learner).items() if callable(of_class))
    if any(getattr(type(loss), hook) is not getattr(Loss, hook) for hook in hooks):
        return False
    batch = torch.arange(24.0).view(8, 3).sin(), torch.arange(8) % 3, torch.arange(8)
    halves = zip(*(part.split(4) for part in batch), strict=True)
    return torch.cat([loss(*half) for half in halves]).allclose(loss(*batch))


# Batches of 15, which two ranks share as 8 and 7.
SHORT = {"encoder": smooth, "max_epochs": 3, "batch_size": 16, "random_state": 0}
SLOW = SHORT | {"lr": 1e-3, "views": "none"}


def cases():
    """Return estimators by name; all are trained on :func:`data`."""
    found = {
        f"ssl-{name}": SSLPretrainer(
            method_without_views(kind), lr=1e-3, optimizer="sgd", **SHORT
        )
        for name, kind in METHODS.items()
    }
    found |= {
        f"loss-{name}": NoisyRobustClassifier(name, **SLOW)
        for name, kind in LOSSES.items()
        if name in ("ce", "gce") or not is_a_formula(kind())
    }
    found |= {
        f"cotraining-{name}": CoTrainingClassifier(method_without_views(kind), **SLOW)
        for name, kind in COTRAINING_METHODS.items()
        if name != "kernel_posterior"
    }
    found |= {
        f"regularizer-{name}": NoisyRobustClassifier(
            regularizers=[method_without_views(kind)], **SLOW
        )
        for name, kind in REGULARIZERS.items()
    }
    found["kernel"] = NoisyRobustClassifier(random_state=0)
    found["frozen"] = NoisyRobustClassifier(
        "elr", freeze_encoder=True, class_weight="balanced", **SLOW
    )
    found["validation"] = NoisyRobustClassifier("ce", validation=0.3, **SLOW)
    return found


def learned(estimator):
    """Return all that was learned, as arrays by name."""
    found = {"loss": [row["train_loss"] for row in estimator.history_]}
    if hasattr(estimator, "encoder_") and not hasattr(estimator, "state_dict_"):
        return found | estimator.encoder_.state | estimator.heads_
    if "valid_loss" in estimator.history_[0]:
        found["valid_loss"] = [row["valid_loss"] for row in estimator.history_]
    found |= {f"state_{k}": v for k, v in estimator.loss_state_.items()}
    found |= {"label_quality": estimator.label_quality_} | estimator.state_dict_
    return {k: np.asarray(v) for k, v in found.items()}


def fitted(name):
    """Return a fitted estimator of :func:`cases`."""
    return cases()[name].fit(*data())


def images():
    """Return images of digits, and their labels."""
    X, y = digits(n_class=4, return_X_y=True)
    return X.reshape(-1, 8, 8).astype(np.float32) / 16, y


def with_views(seed):
    """Return a classifier that was trained on random views of images."""
    X, y = images()
    clf = NoisyRobustClassifier(
        "elr",
        encoder=thinner,
        views=ImageViews(pad=1),
        max_epochs=6,
        batch_size=60,
        random_state=seed,
    )
    return clf.fit(X[:300], y[:300])


def accuracy_with_views(seed):
    """Return the accuracy of :func:`with_views` on other images."""
    X, y = images()
    return with_views(seed).score(X[300:], y[300:])


def views():
    """Views of rank and network are random, what is learned is equal on all ranks."""
    X, y = images()
    clf = with_views(seed=0)
    return learned(clf) | {"accuracy": clf.score(X[300:], y[300:])}


def ssl_views():
    """Self-supervised learning, by random views."""
    X, _ = data()
    return learned(SSLPretrainer(SimCLR(**WIDTHS), **SHORT).fit(X))


def unseeded():
    """Ranks draw the same seeds where there is no random_state."""
    clf = cases()["loss-elr"].set_params(random_state=None)
    return learned(clf.fit(*data()))


def refined():
    """A refiner without a random_state, with views of its own."""
    X, y = images()
    clf = cases()["loss-ce"].set_params(encoder=thinner, views="none")
    refiner = PseudoLabelRefiner(clf, 1, 1, (1, 2)).fit(X[:60], y[:60])
    return learned(refiner.estimator_) | {"labels": refiner.labels_}


def prediction():
    """Probabilities by all ranks together, and by this one."""
    X, _ = data()
    clf = fitted("loss-ce")
    with together():
        shared, n_ranks = clf.predict_proba(X), ranks.size()
    return {"own": clf.predict_proba(X), "shared": shared, "n_ranks": n_ranks}


def different():
    """Ranks that were given different labels."""
    X, y = data()
    other = y if os.environ["RANK"] == "0" else y[::-1].copy()
    clf = cases()["loss-ce"]
    try:
        clf.fit(X, other)
    except ValueError as error:
        message = str(error)
    return {"message": message, "then": clf.set_params(lr=0.1).fit(X, y).score(X, y)}


def memory():
    """The same pre-training twice, with a cache."""
    X, _ = data()
    folder = Path(sys.argv[1]) / "cache"
    ssl = SSLPretrainer(SimCLR(**WIDTHS), memory=str(folder), **SHORT)
    first, second = (ssl.fit(X).encoder_.state["1.0.weight"] for _ in range(2))
    n_entries = len(list(folder.glob("**/_pretrain_cached/*/output.pkl")))
    return {"first": first, "second": second, "n_entries": n_entries}


class Falling(Callback):
    """Ends the second rank when its third epoch begins."""

    def __init__(self, fall):
        self.fall = fall

    def on_epoch_begin(self, net, **kwargs):
        if net.epochs_done == 2 and os.environ.get("RANK") == "1":
            self.fall()


def kill():
    """End this process, as a machine that fails does."""
    os.kill(os.getpid(), signal.SIGKILL)


def fail():
    """Raise what no other rank raises."""
    raise ValueError("only this rank")


def checkpointed(folder=None, *others):
    """Return a classifier whose training is kept in files, if there is a folder."""
    callbacks = [] if folder is None else [Checkpoint(folder), *others]
    clf = NoisyRobustClassifier("elr", callbacks=callbacks, **SLOW)
    return clf.fit(*data())


def killed():
    """A training whose second rank is killed."""
    return learned(checkpointed(Path(sys.argv[1]) / "kept", Falling(kill)))


def resumed():
    """A training that goes on from a file."""
    return learned(checkpointed(Path(sys.argv[1]) / "kept"))


def failing():
    """A training whose second rank raises an exception."""
    clf = NoisyRobustClassifier("elr", callbacks=[Falling(fail)], **SLOW)
    return learned(clf.fit(*data()))


SPECIAL = [
    "views",
    "ssl_views",
    "unseeded",
    "refined",
    "prediction",
    "different",
    "memory",
]


def run(folder, names):
    """Train some cases, and write what they learn."""
    rank, known = os.environ.get("RANK", "alone"), cases()
    for name in names:
        found = learned(fitted(name)) if name in known else globals()[name]()
        np.savez(Path(folder) / f"{name}.{rank}.npz", **found)


def fork_ranks():
    """Fork ranks as each line of the input asks, and print how they ended.

    A line has the number of ranks, their port, a folder and a case. A rank returns from
    here with arguments of its own; what it writes is in FOLDER/RANK.txt.
    """
    for line in sys.stdin:
        n_ranks, port, *arguments = line.split()
        found = {"WORLD_SIZE": n_ranks, "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port}
        started = []
        for rank in range(int(n_ranks)):
            started.append(os.fork())
            if started[-1] == 0:
                signal.alarm(120)  # ends it where it hangs
                os.environ |= found | {"RANK": str(rank), "LOCAL_RANK": "0"}
                sys.argv[1:] = arguments
                with open(Path(arguments[0]) / f"{rank}.txt", "wb") as output:
                    os.dup2(output.fileno(), 1)
                    os.dup2(output.fileno(), 2)
                return
        codes = [os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) for pid in started]
        print(*codes, flush=True)
    sys.exit()


if __name__ == "__main__":
    import distributed_cases  # by its name, as the tests do: checkpoints know it
    import torch._dynamo  # as the first optimiser would

    gc.freeze()  # what is imported: to collect it takes each rank seconds, at its end
    torch.set_num_threads(1)
    if len(sys.argv) == 1:
        distributed_cases.fork_ranks()
    distributed_cases.run(sys.argv[1], sys.argv[2:])
