"""What a training shows while it goes on, and what it leaves in a classifier."""

from functools import partial

import numpy as np

from sknoisy._compat import safe_indexing
from sknoisy.cotraining import CoTraining
from sknoisy.encoders.blueprint import numpy_state
from sknoisy.estimators.findings import Findings, percent
from sknoisy.training.dynamics import early_predictions
from sknoisy.training.progress import Progress


class Learning(Findings):
    """Mixin of classifiers: progress, fitted attributes, and what is said of them."""

    def _finish(self, training, classes, architecture):
        """Turn what was learned into fitted attributes, without any data."""
        self.classes_ = classes
        self.state_dict_ = numpy_state(training.network)
        self.history_ = [dict(row) for row in training.run.history]
        labelled, dynamics = training.data.labels.labelled, training.dynamics
        known = None if labelled is None else labelled.cpu().numpy()
        seen = dynamics.seen if known is None else dynamics.seen & known
        self.label_quality_ = self._of_all((1 + dynamics.mean_margin) / 2, seen)
        self.training_loss_ = self._of_all(dynamics.mean_loss, seen)
        self.wrong_events_ = self._of_all(dynamics.wrong_events, seen)
        self.prediction_changes_ = self._of_all(dynamics.prediction_changes, seen)
        self.loss_state_ = training.loss_state()
        self._dynamics = training.dynamics.numpy()
        self._first_weights = training.first_weights
        for name in ("clean_proba_", "noise_rate_", "method_params_"):
            vars(self).pop(name, None)  # of an earlier fit with another method
        if isinstance(training.loss, CoTraining):
            self._finish_cotraining(training.loss, training.dynamics, known)
        self._architecture = architecture
        self._network = training.network
        self._training = training
        training.detach()

    def _early_predictions(self):
        """Return what was predicted of each sample before labels were memorised.

        See :func:`~sknoisy.training.dynamics.early_predictions`; NaN also where a
        sample was not trained on.
        """
        early = early_predictions(self._dynamics)
        return {name: self._of_all(values) for name, values in early.items()}

    def _finish_cotraining(self, method, dynamics, known):
        """Keep what a co-training method found out about labels."""
        labelled = np.ones(len(self._dynamics), bool) if known is None else known
        clean = method.clean_probability(dynamics, labelled)
        self.clean_proba_ = self._of_all(clean, known)
        self.noise_rate_ = method.estimated_rate(clean[labelled])
        self.method_params_ = method.resolved()

    def _progress(self, training, X, y, classes, architecture):
        """Return what shows a training to the user, and to scikit-learn's callbacks."""

        def learned():
            return {
                "classes_": classes,
                "state_dict_": numpy_state(training.network),
                "_architecture": architecture,
            }

        def trained_on(values):
            return values if self._rows is None else safe_indexing(values, self._rows)

        return Progress(
            self,
            len(training.data),
            training.planned_epochs,
            training.epochs,
            X=partial(trained_on, X),
            y=partial(trained_on, y),
            learned=learned,
            limit=training.limit,
            spec=training.data.store.spec,
        )

    def _findings(self):
        doubtful = int((self.label_quality_ < 0.5).sum())
        found = [
            ("Labels that the training contradicts", f"{doubtful:,}"),
            ("Classes", len(self.classes_)),
            ("Epochs", len(self.history_)),
        ]
        if getattr(self, "noise_rate_", None) is not None:
            rate = percent(self.noise_rate_)
            found.insert(0, ("Estimated share of wrong labels", rate))
        last = self.history_[-1] if self.history_ else {}
        if "valid_acc" in last:
            accuracy = percent(last["valid_acc"])
            found.append(("Accuracy on validation labels", accuracy))
        return found
