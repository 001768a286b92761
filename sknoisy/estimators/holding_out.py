"""What classifiers train on, and what they hold out for validation."""

import numpy as np
import torch
from sklearn.model_selection import train_test_split
from sklearn.utils.validation import check_consistent_length

from sknoisy.data.given import read_labels
from sknoisy.data.labels import check_given
from sknoisy.data.order import check_order
from sknoisy.data.subset import Subset
from sknoisy.training.run import TrainingData


class HoldingOut:
    """The part of classifiers that gives a training its samples.

    Left out are samples of weight 0, those that `validation` holds out, and, where the
    loss or method has no use for them, those without a label.
    """

    def _attach(self, training, inputs, labels, classes, architecture, features=None):
        """Give a training its samples.

        `features` are the lazy ones that carried these samples, if their encoder is the
        network's.
        """
        device = training.settings.device
        spec = architecture.blueprint.spec
        store = spec.open(inputs).resident(device)
        rows, held = self._split(labels, self._uses_unlabelled(training.loss))
        validation = None
        if isinstance(self.validation, (tuple, list)):
            validation = self._validation_data(*self.validation, classes, spec)
        elif held is not None:
            scored = held[labels.used(with_unlabelled=False)[held]]
            if len(scored) == 0:
                raise ValueError(
                    "none of the samples that validation holds out since the first "
                    "call has both a label and a weight: at least one must."
                )
            validation = _part(store, labels, features, scored)
        data = TrainingData(store, labels, features=features)
        if len(rows) < len(labels):
            data = _part(store, labels, features, rows)
        weights = self._class_weights(classes, data.labels)
        data.class_weights = None if weights is None else torch.from_numpy(weights)
        data.validation = validation
        training.attach(data, len(classes))

    def _validation_data(self, X, y, classes, spec):
        """Return validation samples that were given with their labels."""
        try:
            check_given(self, y)
            check_order(X, y=y)
            _, labels = read_labels(y, classes, self.classes)
            inputs, _ = self._read(X, reset=False, spec=spec)
            check_consistent_length(inputs, labels.codes)
            if labels.labelled is not None:
                raise ValueError("some of y's rows are NaN, which cannot be scored.")
            store = spec.open(inputs)
        except ValueError as error:
            raise ValueError(f"validation=(X, y) is not valid: {error}") from error
        return TrainingData(store, labels)

    def _split(self, labels, with_unlabelled):
        """Return the rows to train on, and those that are held out, or None."""
        used = labels.used(with_unlabelled)
        held = self._held_rows = self._hold_out(labels)
        if held is not None:
            used[held] = False
        rows = np.flatnonzero(used)
        check_left(labels, rows)
        check_two(rows)
        self._n_given, self._rows = len(labels), None if used.all() else rows
        return rows, held

    def _hold_out(self, labels):
        """Return the rows that `validation` holds out, or None."""
        if self.validation is None or isinstance(self.validation, (tuple, list)):
            return None
        held, codes = self._held_rows, labels.codes
        if held is not None and held[-1] < len(codes):
            return held
        scored = np.flatnonzero(labels.used(with_unlabelled=False))
        several = scored[np.bincount(codes[scored])[codes[scored]] > 1]
        # A training that goes on from a file must hold out the same, always.
        seed = 0 if self.random_state is None else self._seeds(3)[2]
        try:
            # The only sample of a class is trained on.
            _, held = train_test_split(
                several,
                test_size=float(self.validation),
                stratify=codes[several],
                random_state=seed,
            )
        except ValueError as error:
            raise ValueError(
                f"validation={self.validation!r} is not valid: {error}"
            ) from error
        return np.sort(held)

    def _uses_unlabelled(self, method):
        """Whether samples without a label are trained on."""
        return method.unlabelled

    def _of_all(self, values, known=None):
        """Return values of all samples, NaN for those that are not trained on.

        Parameters
        ----------
        values : ndarray of shape (n_trained,)
            Values of the samples that are.
        known : ndarray of shape (n_trained,), bool, default=None
            Which of these have a value, because they have a label; by default all.
        """
        if known is not None:
            values = np.where(known, values, np.nan)
        if self._rows is None:
            return values
        every = np.full(self._n_given, np.nan, values.dtype)
        every[self._rows] = values
        return every


def _part(store, labels, features, rows):
    """Return some of the samples."""
    features = None if features is None else features[rows]
    subset = Subset(store, torch.from_numpy(rows))
    return TrainingData(subset, labels.only(rows), features=features, rows=rows)


def check_takes(method, labels):
    """Raise ``ValueError`` if labels are soft and a loss or method takes hard ones."""
    if labels.soft is not None and not method.soft_labels:
        raise ValueError(
            f"y holds soft labels, which {type(method).__name__} does not take: pass "
            "hard ones, y.argmax(axis=1), or a loss or method whose soft_labels is "
            "True, such as any loss of sknoisy."
        )


def check_left(labels, rows):
    """Raise ``ValueError`` if the labels that are left have one class."""
    if len(rows) == len(labels):
        return
    left = np.unique(labels.codes[rows])
    if len(left[left >= 0]) < 2:
        raise ValueError(
            "y has only one class among the samples that have a weight and are not "
            "held out: at least 2 classes are needed."
        )


def check_two(codes):
    """Raise ``ValueError`` if there are not two samples."""
    if len(codes) < 2:
        raise ValueError(
            "X has 1 sample: training needs at least 2, to normalise batches."
        )
