"""The labels of one training set while a classifier refines them."""

from inspect import signature

import numpy as np

from sknoisy.data.devices import generator, resolve_device
from sknoisy.data.given import check_trusted
from sknoisy.data.weights import check_sample_weight
from sknoisy.estimators.base import drawn_seeds
from sknoisy.estimators.copies import AugmentedCopies
from sknoisy.scores.probabilities import losses_of


def consensus(losses, threshold):
    """Return which samples have a small loss at every stage.

    Parameters
    ----------
    losses : array-like of shape (n_stages, n_samples)
        Cross-entropy of each sample at each stage.
    threshold : float
        Losses below this value count as small.

    Returns
    -------
    selected : ndarray of shape (n_samples,), bool
        Whether all of a sample's losses are small.

    Examples
    --------
    >>> from sknoisy.estimators.refinement import consensus
    >>> consensus([[0.2, 0.2, 3.0], [0.9, 1.1, 0.1]], threshold=1.0)
    array([ True, False, False])
    """
    return (np.asarray(losses) < threshold).all(axis=0)


def given_for(classifier, n_samples, sample_weight, trusted):
    """Check the weights and the trust in labels that a classifier is trained with.

    Parameters
    ----------
    classifier : classifier
        With ``partial_fit``.
    n_samples : int
        Number of samples.
    sample_weight, trusted : array-like of shape (n_samples,) or None
        What is given beside the labels.

    Returns
    -------
    given : dict of str to ndarray
        "sample_weight" and "trusted", if they are given and not trivial.
    """
    weights = check_sample_weight(sample_weight, n_samples)
    given = {"sample_weight": weights, "trusted": check_trusted(trusted, n_samples)}
    if weights is not None and "sample_weight" not in taken_by(classifier):
        raise ValueError(
            "sample_weight is not valid with estimator="
            f"{classifier!r}, whose partial_fit takes none."
        )
    return {name: values for name, values in given.items() if values is not None}


def taken_by(classifier):
    """Return the names of the arguments of a classifier's ``partial_fit``."""
    return signature(classifier.partial_fit).parameters


class Refinement:
    """The labels of one training set, and the classifier that refines them.

    `epoch` makes the context of each epoch, which shows how far it is.
    """

    def __init__(self, refiner, classifier, X, classes, codes, given, epoch):
        self.refiner = refiner
        self.classifier = classifier
        self.X = X
        self.classes = classes
        self.epoch = epoch
        self.given = codes
        trusted = given.get("trusted")
        self.open = np.ones(len(codes), bool) if trusted is None else ~trusted
        names = taken_by(classifier)
        self.beside = {name: v for name, v in given.items() if name in names}
        self.labels = codes.copy()
        self.iteration = np.zeros(len(codes), np.int64)
        self.codes = []  # labels after each iteration
        self.history = []
        self.copies = None if refiner.views is None else self._copies()

    def _copies(self):
        params = self.classifier.get_params()
        device = resolve_device(params.get("device", "cpu"))
        (seed,) = drawn_seeds(self.refiner.random_state, 1)
        return AugmentedCopies(
            self.X,
            self.refiner.views,
            device,
            generator(seed, device),
            params.get("channels", "auto"),
            params.get("image_size"),
        )

    def train(self, epochs):
        """Train on all samples, and on copies of those with a pseudo-label."""
        index = np.flatnonzero(self.iteration)
        if self.copies is None:
            index = index[:0]
        labels = self.labels
        held = getattr(self.classifier, "_held_rows", None)
        if held is not None:
            # What is held out for validation keeps its label, and has no copy.
            index = np.setdiff1d(index, held)
            labels = labels.copy()
            labels[held] = self.given[held]
        beside = {name: np.r_[v, v[index]] for name, v in self.beside.items()}
        labels = self.classes[np.r_[labels, labels[index]]]
        for _ in range(epochs):
            X = self.X if self.copies is None else self.copies.extend(index)
            with self.epoch():
                self.classifier.partial_fit(X, labels, classes=self.classes, **beside)

    def iterate(self, stages):
        """Train through the stages of an iteration, then refine the labels."""
        probs, done = [], 0
        for epoch in stages:
            self.train(epoch - done)
            done = epoch
            probs.append(self.classifier.predict_proba(self.X))
        predicted = probs[-1].argmax(axis=1)
        measured = self.labels if self.refiner.loss_of == "label" else predicted
        losses = [losses_of(measured, stage) for stage in probs]
        selected = consensus(losses, self.refiner.loss_threshold) & self.open
        refined = np.where(selected, predicted, self.labels)
        self.iteration[selected] = len(self.history) + 1
        self.history.append(
            {
                "iteration": len(self.history) + 1,
                "selected": int(selected.sum()),
                "refined": int((self.iteration > 0).sum()),
                "changed": int((refined != self.labels).sum()),
                "agreement": float((refined == self.given).mean()),
            }
        )
        self.labels = refined
        self.codes.append(refined)
