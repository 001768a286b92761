"""Draws estimators with parameters, and what they are fitted on; most is sensible."""

from dataclasses import dataclass, field

import numpy as np
import torch
from inputs import (
    annotations,
    given_beside,
    image_files,
    labels,
    pick,
    samples,
    soft_labels,
)
from sklearn.base import clone
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler

from sknoisy import (
    ContrastiveFineTuner,
    CoTrainingClassifier,
    LabelCleaningClassifier,
    LabelErrorDetector,
    LabelWave,
    NoisyRobustClassifier,
    PretrainedEncoder,
    PseudoLabelRefiner,
    SSLPretrainer,
    recipes,
)
from sknoisy.annotators import AnnotatorConsensus
from sknoisy.cotraining import COTRAINING_METHODS
from sknoisy.detection import DETECTION_METHODS
from sknoisy.losses import LOSSES
from sknoisy.parameters import Method
from sknoisy.regularizers import REGULARIZERS
from sknoisy.selfsup import METHODS
from sknoisy.views import RandAugment

# Of any kind, right or wrong wherever they come; none makes a training long.
ANYTHING = [
    None, True, False, -1, 0, 1, 2, 3, 0.0, 0.25, 1.0, 1.5, -0.5, np.nan, np.inf, 1e-30,
    1e30, "auto", "", "x", "none", (), (1, 2), [0.5], {}, {"a": 1}, np.float32(0.5),
    np.int64(2), np.array([1.0, 2.0]), np.array(0.5), object, b"x", 1j,
    torch.tensor(0.5), lambda *args: None,
]  # fmt: skip
CHOICES = {
    "encoder": ["auto", "mlp", "identity", "convnet", "resnet19"],
    "head": ["linear", "mlp"],
    "optimizer": ["sgd", "momentum", "lars", "adamw", "auto"],
    "schedule": ["cosine", "constant", "steps"],
    "views": ["auto", "none", RandAugment()],
    "n_test_views": [0, 1, 3],
    "lr": [1e-3, 0.1, 1.0, 1e4, 1e20, np.float32(0.1)],
    "batch_size": [2, 7, 64, "auto", np.int64(16)],
    "momentum": [0.0, 0.5, 0.999, np.float64(0.9)],
    "validation": [0.1, 0.5, 0.99, None],
    "class_weight": ["balanced", {0: 2.0}, {0: 1e-30}, None],
    "classes": [None, [0, 1], [0, 1, 2, 3, 4, 5], [*"abcde"]],
    "stopping": ["label_wave", LabelWave(window=1, patience=1, rise=0.0)],
    "max_time": [None, 5.0, 1e-3],
    "monitor": [None, 1, 2, 5],
    "lr_warmup_epochs": [0, 1, 10],
    "freeze_encoder": [True, False],
    "channels": ["auto", "first", "last"],
    "precision": ["auto", "auto", "float32", "bfloat16"],
    "head_epochs": [0, 1, "auto"],
    "max_false_alarms": [0.0, 0.05, 0.9, None],
    "cv": [2, 3, 5, "dynamics", "prefit"],
    "output": ["lazy", "array"],
    "normalization": ["auto", "data", "imagenet", None, (0.5, 0.5), ([0.5], [2.0])],
    "rule": ["confusion", "prune_by_class", "prune_by_noise_rate"],
    "loss_of": ["prediction", "label"],
    "final_labels": ["pseudo", "given"],
    "random_state": [0, np.random.RandomState(0), None],
}
CHOICES |= {
    "storage": ["float32", "float16", 2],
    "active": ["nce", "nfl"],
    "passive": ["mae", "rce"],
    "form": ["mean_of_log", "log_of_mean"],
    "weighting": ["anchor", "positive"],
    "quality": ["normalized_margin", "self_confidence"],
}
LONG = {"max_epochs", "n_iterations", "stages", "first_stages", "warmup_epochs"}
PARTS = {"image_size", "estimator", "method", "loss", "contrastive", "final_estimator"}
KEPT = {"verbose", "callbacks", "memory", "device", "compile", "n_jobs", "weights"}


@dataclass
class Case:
    """An estimator, what it is fitted on, and which parameters were changed."""

    estimator: object
    X: object
    y: object
    beside: dict = field(default_factory=dict)
    changed: list = field(default_factory=list)


def parameters(rng, estimator, share):
    """Change some parameters in place; return the names of those that were."""
    changed = []
    for name, value in estimator.get_params(deep=False).items():
        if name in LONG | KEPT | PARTS or rng.random() > share:
            continue
        if isinstance(value, Method):
            continue
        sensible = CHOICES.get(name) or around(value)
        wrong = rng.random() < 0.03
        if not (wrong or sensible):
            continue
        setattr(estimator, name, pick(rng, ANYTHING if wrong else sensible))
        changed.append(name)
    return changed


def around(value):
    """Return values of the kind of a number."""
    if isinstance(value, bool):
        return [True, False]
    if isinstance(value, int):
        return [value, 1, 2, value + 1]
    if isinstance(value, float):
        return [value, 0.0, value / 2, min(2 * value, 1.0), 1.0]
    return []


def method(rng, registry):
    """Return a method with some parameters changed, and the names of these."""
    one = registry[pick(rng, sorted(registry))]()
    changed = parameters(rng, one, 0.15)
    if hasattr(one, "warmup_epochs") and rng.random() < 0.5:
        one.warmup_epochs = int(rng.integers(3))
    return one, changed


def by_loss(rng, share=0.08):
    """Return a classifier with a loss, and the names of what was changed."""
    loss, changed = method(rng, LOSSES)
    one = NoisyRobustClassifier(loss if rng.random() < 0.8 else "auto")
    if rng.random() < 0.12:
        regularizer, more = method(rng, REGULARIZERS)
        one.regularizers = [regularizer]
        changed += ["regularizers", *more]
    one.set_params(max_epochs=int(rng.integers(1, 5)), random_state=0)
    return one, changed + parameters(rng, one, share)


def cotraining(rng, share=0.08):
    """Return a co-training classifier, and the names of what was changed."""
    how, changed = method(rng, COTRAINING_METHODS)
    one = CoTrainingClassifier(how)
    one.set_params(max_epochs=int(rng.integers(1, 5)), random_state=0)
    return one, changed + parameters(rng, one, share)


def classifier(rng, share=0.04):
    """Return any classifier, and the names of what was changed."""
    return (by_loss if rng.random() < 0.6 else cotraining)(rng, share)


def pretrainer(rng, share=0.08):
    """Return a pre-trainer, and the names of what was changed."""
    how, changed = method(rng, METHODS)
    one = SSLPretrainer(how, max_epochs=int(rng.integers(1, 3)), random_state=0)
    return one, changed + parameters(rng, one, share)


def linear(shape):
    """Return a module of features of samples of any shape."""
    n_values = int(np.prod(shape))
    return torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(n_values, 6))


def convolution(shape):
    """Return a module of maps of images."""
    norm = torch.nn.BatchNorm2d(4)
    return torch.nn.Sequential(torch.nn.Conv2d(shape[0], 4, 3), norm, torch.nn.ReLU())


def pretrained(rng, share=0.06):
    """Return an encoder that was trained elsewhere, and the names of what changed."""
    layers = [linear, linear, convolution, torch.nn.Linear(5, 3), torch.nn.Flatten()]
    one = PretrainedEncoder(pick(rng, layers))
    one.image_size = pick(rng, ["auto", "auto", None, 8, (6, 8)])
    return one, ["image_size", *parameters(rng, one, share)]


def supervised(rng, make):
    """Return a case of a classifier, whose labels may be soft."""
    n = int(pick(rng, [4, 13, 40, 40]))
    one, changed = make(rng)
    X, y = samples(rng, n), labels(rng, n)
    if rng.random() < 0.25:
        y, one.classes = soft_labels(rng, n)
        changed.append("classes")
    return Case(one, X, y, given_beside(rng, n), changed)


def of_files(rng, folder):
    """Return a case of image files."""
    n = int(pick(rng, [4, 13, 24]))
    one, changed = (pretrainer if rng.random() < 0.4 else classifier)(rng)
    one.image_size = pick(rng, [8, (6, 8), 16, None])
    X, y = image_files(rng, n, folder), labels(rng, n)
    return Case(one, X, y, {}, [*changed, "image_size"])


def alone(rng, make):
    """Return a case of an estimator that learns from X, and perhaps from labels."""
    n = int(pick(rng, [4, 13, 40, 40]))
    one, changed = make(rng)
    y = labels(rng, n) if rng.random() < 0.6 else None
    return Case(one, samples(rng, n), y, {}, changed)


def followed(rng, make):
    """Return a case of a pipeline whose first step makes features."""
    case = supervised(rng, classifier)
    first, more = make(rng, 0.04)
    steps = [("ssl", first), ("clf", case.estimator)]
    if rng.random() < 0.15:
        steps[1:] = [("scale", StandardScaler()), ("clf", LogisticRegression())]
    beside = {f"clf__{name}": value for name, value in case.beside.items()}
    return Case(Pipeline(steps), case.X, case.y, beside, case.changed + more)


def around_another(rng, make):
    """Return a case of a meta-estimator."""
    n = int(pick(rng, [4, 13, 40, 40]))
    clf, changed = classifier(rng)
    if rng.random() < 0.2:
        ssl, more = pretrainer(rng, 0.04)
        clf, changed = make_pipeline(ssl, clf), changed + more
    elif rng.random() < 0.1:
        clf = RandomForestClassifier(5, random_state=0)
    one, more = make(rng, clf)
    changed += [*more, *parameters(rng, one, 0.1)]
    beside = given_beside(rng, n)
    return Case(one, samples(rng, n), labels(rng, n), beside, changed)


def refiner(rng, clf):
    return PseudoLabelRefiner(clf, 1, 1, first_stages=(1, 2), random_state=0), []


def tuner(rng, clf):
    supcon = SSLPretrainer("supcon", max_epochs=1, random_state=0)
    return ContrastiveFineTuner(clf, supcon, random_state=0), []


def detector(rng, clf):
    how, changed = method(rng, DETECTION_METHODS)
    one = LabelErrorDetector(clf, how if rng.random() < 0.6 else "auto", cv=2)
    if how.needs in ("margins", "losses", "wrong_events") or rng.random() < 0.3:
        one.cv = "dynamics"
    return one, ["method", "cv", *changed]


def cleaning(rng, clf):
    changed = ["detector"]
    one = LabelCleaningClassifier(clf, random_state=0)
    if rng.random() < 0.5:
        one.detector, changed = detector(rng, clone(clf))
    return one, changed


def consensus(rng, clf):
    how = pick(rng, ["crowdlab", "crowdlab", "dawid_skene", "majority_vote"])
    return AnnotatorConsensus(clf, how, cv=2, random_state=0), ["method"]


def of_annotators(rng):
    """Return a case of labels by several annotators."""
    case = around_another(rng, consensus)
    case.y = annotations(rng, len(case.X) if hasattr(case.X, "__len__") else 4)
    case.beside.pop("trusted", None)
    return case


def of_recipe(rng):
    """Return a case of a paper's pipeline, with a small encoder and few epochs."""
    n = int(pick(rng, [13, 40, 40]))
    pipe = getattr(recipes, pick(rng, recipe_names()))(random_state=0)
    for name in pipe.get_params():
        last = name.rpartition("__")[2]
        if last == "encoder":
            pipe.set_params(**{name: "auto"})
        if last == "max_epochs" and "steps" not in name:
            pipe.set_params(**{name: int(rng.integers(1, 4))})
    short = {"warmup_epochs": 1, "n_iterations": 1, "first_stages": (1, 2)}
    own = pipe["clf"].get_params(deep=False).keys() & short.keys()
    pipe["clf"].set_params(**{name: short[name] for name in own})
    changed = parameters(rng, pipe["clf"], 0.04)
    return Case(pipe, samples(rng, n), labels(rng, n), {}, changed)


def comparison(rng):
    """Return the arguments of a comparison of methods."""
    n = int(pick(rng, [13, 40, 40]))
    choices = [
        lambda: {"a": classifier(rng)[0], "b": classifier(rng)[0]},
        lambda: {"forest": RandomForestClassifier(5), "ours": by_loss(rng)[0]},
        lambda: [pick(rng, sorted(LOSSES)), method(rng, LOSSES)[0]],
        lambda: pick(rng, ["ce", ["elrr"], {}, [3], None, {"a": object}]),
    ]
    chosen = {"methods": pick(rng, choices)(), "X": samples(rng, n)}
    chosen |= {"y": labels(rng, n), "cv": 2, "seeds": [0], "verbose": False}
    chosen["estimator"] = NoisyRobustClassifier(max_epochs=1)
    others = {
        "cv": [3, None, 1, "x", 0.5],
        "seeds": [0, [0, 1], [0, 0], [], [-1], "x", None],
        "scoring": ["accuracy", "f1_macro", "x", {"a": "accuracy"}, 3],
        "estimator": [None, LogisticRegression(), 3, "x"],
    }
    for name, values in others.items():
        if rng.random() < 0.08:
            chosen[name] = pick(rng, values)
    if rng.random() < 0.3:
        chosen |= {"X_test": chosen["X"], "y_test": chosen["y"]}
    return chosen


def recipe_names():
    own = vars(recipes).items()
    here = recipes.__name__
    return sorted(
        k for k, v in own if getattr(v, "__module__", "") == here and k[0] != "_"
    )


KINDS = {
    "loss": lambda rng, folder: supervised(rng, by_loss),
    "co-training": lambda rng, folder: supervised(rng, cotraining),
    "image files": of_files,
    "pre-training": lambda rng, folder: alone(rng, pretrainer),
    "published encoder": lambda rng, folder: followed(rng, pretrained),
    "pipeline": lambda rng, folder: followed(rng, pretrainer),
    "recipe": lambda rng, folder: of_recipe(rng),
    "refiner": lambda rng, folder: around_another(rng, refiner),
    "contrastive tuner": lambda rng, folder: around_another(rng, tuner),
    "detector": lambda rng, folder: around_another(rng, detector),
    "cleaning": lambda rng, folder: around_another(rng, cleaning),
    "annotators": lambda rng, folder: of_annotators(rng),
}
OFTEN = ["loss", "loss", "co-training", "co-training", "detector"]


def case_of(rng, folder):
    """Return the name of a kind of estimator, and a case of it."""
    kind = pick(rng, [*KINDS, *OFTEN])
    return kind, KINDS[kind](rng, folder)
