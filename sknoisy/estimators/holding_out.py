"""What classifiers train on, and what they hold out for validation."""

import numpy as np
import torch
from sklearn.model_selection import train_test_split
from sklearn.utils.validation import check_consistent_length

from sknoisy.data.labels import check_given, encode_labels
from sknoisy.data.subset import Subset
from sknoisy.training.run import TrainingData


class HoldingOut:
    """The part of classifiers that gives a training its samples, by `validation`."""

    def _attach(self, training, inputs, codes, classes, architecture, features=None):
        """Give a training its samples, without those that are held out.

        `features` are the lazy ones that carried these samples, if their encoder is the
        network's.
        """
        device = training.settings.device
        spec = architecture.blueprint.spec
        store = spec.open(inputs).resident(device)
        rows, held = self._split(codes)
        weights = self._class_weights(classes, codes[rows])
        weights = None if weights is None else torch.from_numpy(weights)
        codes = torch.from_numpy(codes)
        validation = None
        if isinstance(self.validation, (tuple, list)):
            validation = self._validation_data(*self.validation, classes, spec)
        elif self.validation is not None:
            held, rows = torch.from_numpy(held), torch.from_numpy(rows)
            parts = [None, None]
            if features is not None:
                parts = [features[some.numpy()] for some in (held, rows)]
            validation = TrainingData(
                Subset(store, held), codes[held], features=parts[0]
            )
            store, codes, features = Subset(store, rows), codes[rows], parts[1]
        data = TrainingData(store, codes, weights, validation, features)
        training.attach(data, len(classes))

    def _validation_data(self, X, y, classes, spec):
        """Return validation samples that were given with their labels."""
        try:
            check_given(self, y)
            _, codes = encode_labels(y, classes)
            inputs, _ = self._read(X, reset=False, spec=spec)
            check_consistent_length(inputs, codes)
            store = spec.open(inputs)
        except ValueError as error:
            raise ValueError(f"validation=(X, y) is not valid: {error}") from error
        return TrainingData(store, torch.from_numpy(codes))

    def _split(self, codes):
        """Return the rows to train on, and those that are held out, or None."""
        every = np.arange(len(codes))
        if self.validation is None or isinstance(self.validation, (tuple, list)):
            self._held_rows = None
            return every, None
        held = self._held_rows
        if held is None or held[-1] >= len(codes):
            several = every[np.bincount(codes)[codes] > 1]
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
            self._held_rows = held = np.sort(held)
        rows = np.setdiff1d(every, held)
        check_two(rows)
        return rows, held

    def _of_all(self, values):
        """Return values of all samples, NaN for those that are held out."""
        if self._held_rows is None:
            return values
        every = np.full(len(values) + len(self._held_rows), np.nan, values.dtype)
        every[np.setdiff1d(np.arange(len(every)), self._held_rows)] = values
        return every


def check_two(codes):
    """Raise ``ValueError`` if there are not two samples."""
    if len(codes) < 2:
        raise ValueError(
            "X has 1 sample: an epoch takes at least 2, for normalisation of a batch."
        )
