"""What is known of the labels of a data set, whatever says so."""

from dataclasses import dataclass, replace

import numpy as np

from sknoisy.scores.posterior import label_posterior, posterior_of
from sknoisy.scores.probabilities import best_others, check_probabilities, losses_of

LEAST_PROBABILITY = 1e-6  # of a class that early epochs say nothing of


@dataclass(frozen=True)
class Evidence:
    """What is known about the labels; what is not known is None.

    Attributes
    ----------
    codes : ndarray of shape (n_samples,), dtype int64
        Column of each label.
    others : ndarray of shape (n_samples,), dtype int64
        The most probable class other than the label.
    pred_probs : ndarray of shape (n_samples, n_classes)
        Out-of-sample probabilities.
    losses : ndarray of shape (n_samples,)
        Cross-entropy of each label, in nats.
    margins : ndarray of shape (n_samples,)
        (1 + margin) / 2, averaged over a training, in [0, 1].
    early : ndarray of shape (n_samples, 2)
        Mean probabilities of the label and of the best other class in the epochs before
        a training memorised labels.
    estimator : classifier
        The fitted classifier, where there is a single one.
    n_votes : int
        Number of votes that `pred_probs` are shares of.
    n_classes : int
        Number of classes.
    wrong_events : ndarray of shape (n_samples,)
        Number of epochs of a training whose prediction was not the label.
    inputs : array-like or LazyFeatures of shape (n_samples, ...)
        What `estimator` was given, or else what all classifiers were given.
    source : str
        Where the evidence comes from, in words.
    rest : estimator
        Unfitted pipeline or classifier, of which the folds fitted clones to `inputs`.
    """

    codes: np.ndarray
    others: np.ndarray
    pred_probs: np.ndarray = None
    losses: np.ndarray = None
    margins: np.ndarray = None
    early: np.ndarray = None
    estimator: object = None
    n_votes: int = None
    n_classes: int = None
    wrong_events: np.ndarray = None
    inputs: object = None
    rest: object = None
    source: str = None

    @property
    def labels(self):
        """Labels, probabilities and classes, as the functions of scores take them."""
        return self.codes, self.pred_probs, np.arange(self.n_classes)

    def probabilities(self):
        """Return probabilities of the classes, made up where there are none."""
        probs = self.pred_probs
        if probs is None:
            return _of_early(self)
        if self.n_votes is not None:
            # One vote more, of the class sizes: no vote at all is no certainty.
            sizes = np.bincount(self.codes, minlength=self.n_classes) / len(self.codes)
            return (self.n_votes * probs + sizes) / (self.n_votes + 1)
        return probs

    def posterior(self, trusted=None):
        """Return what is known of the true classes, a LabelPosterior.

        Parameters
        ----------
        trusted : ndarray of shape (n_samples,), bool, default=None
            Which labels are right; by default none is known to be.

        Returns
        -------
        posterior : LabelPosterior
            Probabilities of the labels.
        """
        classes, probs = np.arange(self.n_classes), self.probabilities()
        if self.pred_probs is not None:
            return label_posterior(self.codes, probs, classes, trusted)
        found = posterior_of(self.codes, probs, trusted, unseen=False)
        # What was memorised by then is missed; what was not predicted may be wrong.
        low, high = found.noise_rate_interval
        missed = self.early[:, 1] > self.early[:, 0]
        if trusted is not None:
            missed = missed & ~trusted
        ends = low, max(high, float(missed.mean()))
        return replace(found, noise_rate_interval=ends)

    def keeping(self, rows):
        """Return the same, but with certain labels in some rows.

        Parameters
        ----------
        rows : ndarray of shape (n_samples,), bool
            The rows.

        Returns
        -------
        evidence : Evidence
            A copy, in which these labels have the probability 1 and no loss.
        """
        certain = {"losses": 0, "margins": 1, "wrong_events": 0, "early": (1, 0)}
        certain["pred_probs"] = np.eye(self.n_classes)[self.codes[rows]]
        changed = {}
        for name, values in certain.items():
            if (given := getattr(self, name)) is not None:
                changed[name] = given.copy()
                changed[name][rows] = values
        return replace(self, **changed)


def are_alone(codes):
    """Return which labels no other sample has, and none can vouch for."""
    return np.bincount(codes)[codes] == 1


def of_probabilities(codes, pred_probs, n_classes, **known):
    """Return the Evidence of out-of-sample probabilities.

    Parameters
    ----------
    codes : ndarray of shape (n_samples,), dtype int64
        Column of each label.
    pred_probs : ndarray of shape (n_samples, n_classes)
        The probabilities, which are checked.
    n_classes : int
        Number of classes.
    **known : object
        Other fields of :class:`Evidence`, such as its `source`.
    """
    _, _, pred_probs = check_probabilities(codes, pred_probs, np.arange(n_classes))
    others, _ = best_others(codes, pred_probs)
    losses = losses_of(codes, pred_probs)
    return Evidence(codes, others, pred_probs, losses, n_classes=n_classes, **known)


def _of_early(evidence):
    """Return probabilities with those of labels and of the best other classes."""
    codes, n_classes = evidence.codes, evidence.n_classes
    rows = np.arange(len(codes))
    own, other = evidence.early.astype(np.float64).clip(min=LEAST_PROBABILITY).T
    # The other classes share the rest, but none has more than the best other one.
    rest = np.clip(1 - own - other, 0, None) / max(n_classes - 2, 1)
    rest = np.minimum(rest, other).clip(min=LEAST_PROBABILITY)
    probs = np.repeat(rest[:, None], n_classes, axis=1)
    probs[rows, evidence.others] = other
    probs[rows, codes] = own
    return probs / probs.sum(axis=1, keepdims=True)
