"""What is given of the classes of samples: labels, hard or soft, weights, trust."""

from dataclasses import dataclass, fields

import numpy as np
import torch
from sklearn.utils.validation import has_fit_parameter

from sknoisy.checks import as_mask
from sknoisy.data.labels import counted, encode_labels, is_missing
from sknoisy.data.soft_labels import check_classes, read_table, soft_table
from sknoisy.data.weights import check_sample_weight


@dataclass(frozen=True)
class Labels:
    """What is given of some samples' classes; whatever is trivial is None.

    Its parts are arrays, and tensors once they are on a device.

    Attributes
    ----------
    codes : array of shape (n_samples,), int64
        Position of each label among the classes; of a soft label, that of its most
        probable class; -1 without a label.
    soft : array of shape (n_samples, n_classes), float32, or None
        Probabilities of the classes, all 0 without a label; None: labels are hard.
    weights : array of shape (n_samples,), float32, or None
        Weights of the samples, 1 on average; None: all are equal.
    labelled : array of shape (n_samples,), bool, or None
        Which samples have a label; None: all.
    trusted : array of shape (n_samples,), bool, or None
        Whose labels are known to be right; None: none is.

    Examples
    --------
    >>> import numpy as np
    >>> from sknoisy.data.given import read_labels
    >>> table = [[0.9, 0.1], [0.2, 0.8], [np.nan, np.nan]]
    >>> classes, labels = read_labels(table, columns=["cat", "dog"])
    >>> labels.codes, labels.labelled
    (array([ 0,  1, -1]), array([ True,  True, False]))
    """

    codes: np.ndarray
    soft: np.ndarray = None
    weights: np.ndarray = None
    labelled: np.ndarray = None
    trusted: np.ndarray = None

    def __len__(self):
        return len(self.codes)

    def parts(self):
        """Return what is not trivial, dict of str to array or tensor."""
        parts = {f.name: getattr(self, f.name) for f in fields(self)}
        return {name: part for name, part in parts.items() if part is not None}

    def arguments(self, estimator, name):
        """Return what an estimator's fit is given beside the labels, dict of arrays.

        Parameters
        ----------
        estimator : estimator
            What is fitted. What it does not take is an error if it is weights; trust is
            left out.
        name : str
            The parameter that holds it, for the error message.
        """
        if self.weights is not None:
            check_takes_weights(estimator, name)
        given = {"sample_weight": self.weights, "trusted": self.trusted}
        taken = {k: v for k, v in given.items() if has_fit_parameter(estimator, k)}
        return {name: part for name, part in taken.items() if part is not None}

    def take(self, rows):
        """Return those of some samples, by their positions or a mask."""
        return Labels(**{name: part[rows] for name, part in self.parts().items()})

    def to(self, device):
        """Return the same as tensors on a device."""
        parts = self.parts().items()
        return Labels(**{k: torch.as_tensor(v, device=device) for k, v in parts})

    def targets(self, index):
        """Return what losses take: codes, or the rows of soft labels, at an index."""
        part = self.codes if self.soft is None else self.soft
        return part.index_select(0, index)

    def distributions(self, n_classes):
        """Return probabilities (n_samples, n_classes), float32: hard labels one-hot."""
        if self.soft is not None:
            return self.soft
        known = self.codes.clamp(min=0)
        table = torch.nn.functional.one_hot(known, n_classes).float()
        return table if self.labelled is None else table * self.labelled[:, None]

    def counts(self, n_classes):
        """Return how often each class is given, ndarray of shape (n_classes,)."""
        if self.soft is not None:
            weights = np.ones(len(self)) if self.weights is None else self.weights
            return weights @ self.soft.astype(np.float64)
        codes, weights = self.codes, self.weights
        known = codes >= 0
        if not known.all():
            codes = codes[known]
            weights = None if weights is None else weights[known]
        return np.bincount(codes, weights, minlength=n_classes).astype(np.float64)

    def used(self, with_unlabelled):
        """Return what a training may use, ndarray of bool: what has a weight.

        Parameters
        ----------
        with_unlabelled : bool
            Whether samples without a label are of use.
        """
        used = np.ones(len(self), dtype=bool)
        if self.weights is not None:
            used &= self.weights > 0
        if self.labelled is not None and not with_unlabelled:
            used &= self.labelled
        return used

    def only(self, rows):
        """Return the labels of some samples; what is trivial of these is None."""
        part = self.take(rows)
        full = part.labelled is None or part.labelled.all()
        untrusted = part.trusted is None or not part.trusted.any()
        return Labels(
            part.codes,
            part.soft,
            part.weights,
            None if full else part.labelled,
            None if untrusted else part.trusted,
        )


def read_labels(y, classes=None, columns=None, sample_weight=None, trusted=None):
    """Check all that is given of the samples' classes.

    Parameters
    ----------
    y : array-like of shape (n_samples,) or (n_samples, n_classes), or data frame
        Labels; or probabilities of the classes, where `columns` or the columns of a
        data frame say which classes these are. Rows of NaN are without a label.
    classes : ndarray of shape (n_classes,), default=None
        All classes; by default `columns`, the columns of the frame, or the labels.
    columns : array-like of shape (n_classes,), default=None
        The class of each column of `y`.
    sample_weight, trusted : array-like of shape (n_samples,), default=None
        Weights, and a mask of labels that are known to be right.

    Returns
    -------
    classes : ndarray of shape (n_classes,)
        The classes, sorted.
    labels : Labels
        The labels. Where all are one-hot, they are hard.

    Raises
    ------
    ValueError
        If anything is not valid.
    """
    if columns is not None:
        columns = check_classes(columns)
    table, names = soft_table(y, columns)
    soft = labelled = None
    if table is None:
        classes, codes = encode_labels(y, columns if classes is None else classes)
    else:
        classes, codes, soft, labelled = read_table(table, names, classes)
    weights = check_sample_weight(sample_weight, len(codes))
    trusted = check_trusted(trusted, len(codes), labelled)
    return classes, Labels(codes, soft, weights, labelled, trusted)


def check_takes_weights(estimator, name):
    """Raise ``ValueError`` if an estimator, the parameter `name`, takes no weights."""
    if not has_fit_parameter(estimator, "sample_weight"):
        raise ValueError(
            f"sample_weight is not valid with {name}={estimator!r}, whose fit takes "
            "none."
        )


def check_groups(groups, n_samples):
    """Raise if there are groups, but not one for each sample."""
    if groups is None:
        return
    shape = np.shape(groups)
    if shape != (n_samples,):
        raise ValueError(
            f"groups of shape {shape} is not valid: it must be of shape "
            f"({n_samples},), the group of each sample."
        )
    missing = [is_missing(group) for group in np.asarray(groups, dtype=object)]
    if any(missing):
        n_missing = counted(sum(missing), "missing value")
        raise ValueError(
            f"groups is not valid: it holds {n_missing}, the first at index "
            f"{missing.index(True)}. Give each of these samples a group of its own."
        )


def check_trusted(trusted, n_samples, labelled=None):
    """Return the mask of trusted samples; None if there is none.

    Parameters
    ----------
    trusted : array-like of shape (n_samples,) or None
        Booleans, or 0 and 1.
    n_samples : int
        Number of samples.
    labelled : ndarray of shape (n_samples,), bool, default=None
        Which samples have a label; by default all.
    """
    if trusted is None:
        return None
    mask = as_mask("trusted", trusted, n_samples)
    unknown = np.zeros(n_samples, dtype=bool) if labelled is None else mask & ~labelled
    if unknown.any():
        raise ValueError(
            f"trusted is not valid: {unknown.sum()} trusted samples have no label, the "
            f"first at index {unknown.argmax()}."
        )
    return mask if mask.any() else None
