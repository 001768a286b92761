"""The methods by which labels are judged, as objects with parameters."""

from scipy.stats import rankdata

from sknoisy.checks import check_choice, check_integer, check_real
from sknoisy.parameters import Method
from sknoisy.scores.betas import wrong_event_clean_probability
from sknoisy.scores.confident import PRUNE_RULES, find_label_errors
from sknoisy.scores.mixture import gmm_clean_probability
from sknoisy.scores.quality import (
    normalized_margin,
    pairwise_confidence,
    self_confidence,
)

QUALITIES = {
    "normalized_margin": normalized_margin,
    "pairwise_confidence": pairwise_confidence,
    "self_confidence": self_confidence,
}


class DetectionMethod(Method):
    """Base class of detection methods, which judge labels.

    A method's ``needs`` names what it works on: "probabilities", "margins", "losses",
    "wrong_events" or "features". With "features", its `n_neighbors` is the number of
    neighbours that vote; 10 if it has none. ``judge`` takes an
    :class:`~sknoisy.detection.evidence.Evidence`. It returns which labels are wrong,
    ndarray of bool of shape (n_samples,), and their quality, floats in [0, 1] of the
    same shape; low is bad.

    A method of your own decides which labels are wrong. Those of this package rank
    labels, and decide only with ``max_false_alarms=None``: their ``ranks_only`` is
    True, and ``rule_parameters`` names the parameters that are used only in that
    decision.
    """

    needs = "probabilities"
    ranks_only = False
    rule_parameters = ()

    def judge(self, evidence):
        """Return which labels are wrong, and the quality of all."""
        raise NotImplementedError


class _Published(DetectionMethod):
    """A published rule, which the control of false alarms replaces."""

    ranks_only = True


class ConfidentLearning(_Published):
    """Confident learning: prune labels that the confident joint assigns elsewhere.

    Parameters
    ----------
    prune : str, default="prune_by_noise_rate"
        "prune_by_noise_rate", "prune_by_class", "both" or "confident_learning"; see
        :func:`sknoisy.scores.find_label_errors`. Used only with
        ``max_false_alarms=None``.
    quality : str, default="self_confidence"
        Score that ranks the labels: "self_confidence", "normalized_margin" or
        "pairwise_confidence", see :mod:`sknoisy.scores`.

    References
    ----------
    Northcutt, Jiang and Chuang, Confident Learning: Estimating Uncertainty in Dataset
    Labels, JAIR 2021.

    Examples
    --------
    >>> from sklearn.linear_model import LogisticRegression
    >>> from sknoisy import LabelErrorDetector
    >>> from sknoisy.detection.methods import ConfidentLearning
    >>> method = ConfidentLearning(prune="both")
    >>> clf = LogisticRegression()
    >>> LabelErrorDetector(clf, method=method, max_false_alarms=None)
    LabelErrorDetector(estimator=LogisticRegression(), max_false_alarms=None,
                       method=ConfidentLearning(prune='both'))
    """

    rule_parameters = ("prune",)

    def __init__(self, prune="prune_by_noise_rate", quality="self_confidence"):
        self.prune = prune
        self.quality = quality

    def check(self):
        """Raise ``ValueError`` if a parameter is not among its choices."""
        check_choice("prune", self.prune, [*PRUNE_RULES, "confident_learning"])
        check_choice("quality", self.quality, list(QUALITIES))

    def judge(self, evidence):
        """Return which labels are wrong, and the quality of all."""
        errors = find_label_errors(*evidence.labels, rule=self.prune)
        return errors, QUALITIES[self.quality](*evidence.labels)


class SelfConfidence(_Published):
    """The labels of lowest probability, as many as are confidently another class.

    References
    ----------
    Kuan and Mueller, Model-agnostic Label Quality Scoring to Detect Real-World Label
    Errors, 2022.
    """

    def judge(self, evidence):
        """Return which labels are wrong, and the quality of all."""
        errors = find_label_errors(*evidence.labels, rule="low_self_confidence")
        return errors, self_confidence(*evidence.labels)


class NormalizedMargin(_Published):
    """The labels of lowest margin, as many as are confidently another class.

    References
    ----------
    Kuan and Mueller, Model-agnostic Label Quality Scoring to Detect Real-World Label
    Errors, 2022.
    """

    def judge(self, evidence):
        """Return which labels are wrong, and the quality of all."""
        errors = find_label_errors(*evidence.labels, rule="low_normalized_margin")
        return errors, normalized_margin(*evidence.labels)


class AreaUnderMargin(_Published):
    """The labels of low margin, averaged over the epochs of a training.

    Parameters
    ----------
    threshold : float, default=0.0
        Labels with a mean margin below this, in [-1, 1], are called wrong. At 0,
        another class was more probable than the label, on average. Used only with
        ``max_false_alarms=None``.

    Notes
    -----
    Pleiss et al. take margins of logits, and find the threshold by training twice with
    samples that are given a class of their own. Here, margins are those of
    probabilities, from a single training.

    References
    ----------
    Pleiss et al., Identifying Mislabeled Data using the Area Under the Margin Ranking,
    NeurIPS 2020.
    """

    needs = "margins"
    rule_parameters = ("threshold",)

    def __init__(self, threshold=0.0):
        self.threshold = threshold

    def check(self):
        """Raise ``ValueError`` if a parameter is out of its range."""
        check_real("threshold", self.threshold, "[-1, 1]")

    def judge(self, evidence):
        """Return which labels are wrong, and the quality of all."""
        return evidence.margins < (1 + self.threshold) / 2, evidence.margins


class LossGMM(_Published):
    """The labels whose loss belongs to the worse of two Gaussians.

    Parameters
    ----------
    threshold : float, default=0.5
        Labels whose posterior of being right is below this, in (0, 1), are called
        wrong. Used only with ``max_false_alarms=None``.
    max_iter : int, default=10
        Largest number of steps of expectation maximisation.

    References
    ----------
    Li, Socher and Hoi, DivideMix: Learning with Noisy Labels as Semi-supervised
    Learning, ICLR 2020.
    """

    needs = "losses"
    rule_parameters = ("threshold",)

    def __init__(self, threshold=0.5, max_iter=10):
        self.threshold = threshold
        self.max_iter = max_iter

    def check(self):
        """Raise ``ValueError`` if a parameter is out of its range."""
        check_real("threshold", self.threshold, "(0, 1)")
        check_integer("max_iter", self.max_iter)

    def judge(self, evidence):
        """Return which labels are wrong, and the quality of all."""
        quality = gmm_clean_probability(evidence.losses, self.max_iter)
        return quality < self.threshold, quality


class KNNAgreement(_Published):
    """The labels that the nearest neighbours in feature space outvote.

    Parameters
    ----------
    n_neighbors : int, default=10
        Number of neighbours. In features of encoders they are found by the angle; in
        tables by the angle, or by the distance with or without scaled columns,
        whichever finds neighbours that agree with the labels most often.

    References
    ----------
    Zhu, Dong and Liu, Detecting Corrupted Labels Without Training a Model to Predict,
    ICML 2022.
    """

    needs = "features"

    def __init__(self, n_neighbors=10):
        self.n_neighbors = n_neighbors

    def check(self):
        """Raise ``ValueError`` if a parameter is out of its range."""
        check_integer("n_neighbors", self.n_neighbors)

    def judge(self, evidence):
        """Return which labels are wrong, and the quality of all."""
        errors = find_label_errors(*evidence.labels, rule="predicted_neq_given")
        return errors, self_confidence(*evidence.labels)


class WrongEvents(_Published):
    """The labels that too many epochs of a training did not predict.

    Labels are ranked by the number of epochs that missed them, and equal numbers by the
    mean loss: with N the largest number and r the share of samples of lower loss, the
    quality of a label that n epochs missed is ``1 - (n + r) / (N + 1)``.

    Parameters
    ----------
    threshold : float, default=0.5
        Labels whose posterior of being right is below this, in (0, 1), are called
        wrong. Used only with ``max_false_alarms=None``.
    max_iter : int, default=20
        Number of steps of expectation maximisation in each class, for that decision
        only.

    See Also
    --------
    sknoisy.scores.wrong_event_clean_probability : The posterior.

    Notes
    -----
    The authors weigh labels by the posterior. But there are few different numbers of
    epochs, and posteriors that are fitted in each class rank the labels of that class
    only. In 48 trainings of an `mlp`, on 1,078 digits and 2,000 embeddings with six
    noises, by two losses, for 15 and 50 epochs, the average precision was 0.683 by the
    posterior, 0.702 by the numbers, 0.719 by the mean loss and 0.728 by this quality,
    which was at most 0.018 below the mean loss.

    References
    ----------
    Zhang et al., Handling Label Noise via Instance-Level Difficulty Modeling and
    Dynamic Optimization, NeurIPS 2025, arXiv:2505.00812.
    """

    needs = "wrong_events"
    rule_parameters = ("threshold", "max_iter")

    def __init__(self, threshold=0.5, max_iter=20):
        self.threshold = threshold
        self.max_iter = max_iter

    def check(self):
        """Raise ``ValueError`` if a parameter is out of its range."""
        check_real("threshold", self.threshold, "(0, 1)")
        check_integer("max_iter", self.max_iter)

    def judge(self, evidence):
        """Return which labels are wrong, and the quality of all."""
        events = evidence.wrong_events
        clean = wrong_event_clean_probability(evidence.codes, events, self.max_iter)
        share = (rankdata(evidence.losses) - 0.5) / len(events)
        quality = 1 - (events + share) / (events.max() + 1)
        return clean < self.threshold, quality


DETECTION_METHODS = {
    "area_under_margin": AreaUnderMargin,
    "confident_learning": ConfidentLearning,
    "knn_agreement": KNNAgreement,
    "loss_gmm": LossGMM,
    "normalized_margin": NormalizedMargin,
    "self_confidence": SelfConfidence,
    "wrong_events": WrongEvents,
}
