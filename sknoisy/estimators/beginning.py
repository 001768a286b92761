"""How the training of a classifier begins, and how it goes on after a break."""

from dataclasses import replace

import numpy as np
from torch import nn

from sknoisy.cotraining import CoTraining
from sknoisy.data.devices import generator, with_float64
from sknoisy.data.labels import check_given, check_several, warn_of_minus_one
from sknoisy.data.order import check_order
from sknoisy.encoders.architecture import Architecture
from sknoisy.encoders.blueprint import Blueprint, load_numpy_state
from sknoisy.encoders.features import LazyFeatures
from sknoisy.estimators.holding_out import check_takes, check_two
from sknoisy.parameters import comparable
from sknoisy.training.callbacks import check_patterns
from sknoisy.training.cotraining import CoTrainingNet
from sknoisy.training.phases import ClassifierTraining
from sknoisy.training.supervised import ClassifierNet
from sknoisy.views.automatic import resolve_views
from sknoisy.warning import warn

FINE_TUNING_LR = 1e-3  # of published encoders: 0.02, which heads learn at, ruins them
# Views that a head has not seen, and labels that it has memorised, give gradients of
# norm 100 and more in the first steps, which would ruin them, too.
FINE_TUNING_NORM = 1.0


class Beginning:
    """Mixin of classifiers: everything is checked, and a training made of it."""

    def _begin(self, X, y, classes=None, sample_weight=None, trusted=None):
        """Check everything; return the training, the classes and the architecture."""
        self._check_parameters()
        check_given(self, y)
        check_order(X, y=y, sample_weight=sample_weight, trusted=trusted)
        inputs, trained = self._read(X, reset=True)
        given = sample_weight, trusted
        classes, labels = self._labels(inputs, y, classes, *given)
        check_several(classes)
        warn_of_minus_one(classes)
        check_two(labels.codes)
        self._fitted_on_lazy = trained is not None
        self._held_rows = None
        pretrained = (
            trained is not None and trained.pretrained
        ) or self.weights is not None
        rows, blueprint, method = self._plan(inputs, trained, labels)
        check_takes(method, labels)
        chosen = method.vector_encoder
        is_open = self.encoder == "auto" and trained is None
        if chosen is not None and is_open and blueprint.spec.kind == "vector":
            blueprint = Blueprint(chosen, blueprint.spec)
        architecture = Architecture(
            blueprint,
            self.head,
            len(classes),
            pretrained,
            n_networks=method.n_networks,
            heads=method.heads,
            predicting=method.predicting,
        )
        seeds = self._seeds(2)
        network = architecture.build(generator(seeds[0]), load_weights=True)
        if self.freeze_encoder and not pretrained:
            _warn_of_random(network)
        if trained is not None:
            for one in getattr(network, "networks", [network]):
                load_numpy_state(one.encoder, trained.state)
        training = self._training_of(network, method, architecture, len(rows), seeds[1])
        features = X if trained is not None else None
        self._attach(training, inputs, labels, classes, architecture, features)
        return training, classes, architecture

    def _plan(self, inputs, trained, labels):
        """Return the rows to train on, the blueprint, and what trains the network."""
        rows, _ = self._split(labels, with_unlabelled=True)
        blueprint = self._blueprint(_looked_at(inputs, rows), trained)
        method = self._method(blueprint.spec.kind, self._was_given_encoder())
        if labels.labelled is not None and not self._uses_unlabelled(method):
            rows, _ = self._split(labels, with_unlabelled=False)
            blueprint = self._blueprint(_looked_at(inputs, rows), trained)
        return rows, blueprint, method

    def _training_of(self, network, method, architecture, n_samples, seed, **before):
        """Return the training of a network.

        Parameters
        ----------
        n_samples : int
            How many are trained on.
        **before : dict
            ``history`` and ``first_weights`` of a training that goes on.
        """
        spec, pretrained = architecture.blueprint.spec, architecture.pretrained
        defaults = self._defaults(method, n_samples, spec, pretrained)
        defaults["head_lr"] = defaults["lr"]
        tunes = architecture.blueprint.fixed_statistics and not self.freeze_encoder
        if tunes:
            defaults["lr"] = min(defaults["lr"], FINE_TUNING_LR)
        settings = self._settings(n_samples, spec, defaults)
        if tunes:
            settings = replace(settings, max_norm=FINE_TUNING_NORM)
        if method.needs_float64:
            settings = replace(settings, device=with_float64(settings.device))
        head_epochs = self._head_epochs(settings.max_epochs, pretrained)
        method.plan(settings.max_epochs, head_epochs)
        method.check_samples(spec)
        if self.compile:
            network.compile()
        regularizers = self._regularizers()
        if not regularizers:  # which have parameters of their own
            check_patterns(self.callbacks, dict(network.named_parameters()))
        training = ClassifierTraining(
            network.to(settings.device),
            method,
            resolve_views(self.views, spec, "weak"),
            settings,
            head_epochs,
            freeze=self.freeze_encoder,
            head_lr=defaults["head_lr"] if self.lr == "auto" else settings.lr,
            head_schedule=self._head_schedule,
            seed=seed,
            regularizers=regularizers,
            net_class=CoTrainingNet
            if isinstance(method, CoTraining)
            else ClassifierNet,
            **before,
        )
        training.parameters = comparable(self)
        return training

    def _continue(self, X, y, sample_weight=None, trusted=None):
        """Check the data of one epoch more; return what :meth:`_begin` returns."""
        self._check_parameters()
        check_given(self, y)
        check_order(X, y=y, sample_weight=sample_weight, trusted=trusted)
        inputs, _ = self._read(X, reset=False)
        given = sample_weight, trusted
        _, labels = self._labels(inputs, y, self.classes_, *given)
        check_two(labels.codes)
        known = self.classes_, self._architecture
        training = getattr(self, "_training", None)
        if training is not None and training.parameters == comparable(self):
            training.network.to(training.settings.device)
            check_takes(training.loss, labels)
            self._attach(training, inputs, labels, *known, self._features(X, training))
            return training, *known
        before = self._rows
        # Loaded from a file, or with other parameters: the optimiser starts anew, and
        # so does the network, of which a callback may have frozen a part.
        self._network = None
        method = self._method(self._known_spec().kind, self._was_given_encoder())
        check_takes(method, labels)
        rows, _ = self._split(labels, self._uses_unlabelled(method))
        training = self._training_of(
            self._network_on("cpu"),
            method,
            self._architecture,
            len(rows),
            seed=self._seeds(2)[1] + len(self.history_),
            history=self.history_,
            first_weights=self._first_weights,
        )
        self._attach(training, inputs, labels, *known, self._features(X, training))
        training.restore(self.loss_state_, self._dynamics, before)
        return training, *known

    def _features(self, X, training):
        """Return X if it has the features of an encoder that is not trained yet."""
        if not (isinstance(X, LazyFeatures) and self._carries(X, training.network)):
            return None
        X.computed()  # which X keeps; parts of it would be computed in each call
        return X


def _warn_of_random(network):
    """Warn if the encoder that stays as it is has weights that nothing was taught."""
    one = getattr(network, "networks", [network])[0]
    if any(True for _ in getattr(one, "encoder", nn.Identity()).parameters()):
        warn(
            "freeze_encoder=True keeps random weights: X holds no features of a "
            "pre-trained encoder, and no weights were passed. Put an SSLPretrainer or "
            "a PretrainedEncoder in front, or train the encoder too.",
        )


def _looked_at(inputs, rows):
    """Return the samples that set range and moments: not what is left out."""
    if len(rows) == len(inputs) or isinstance(inputs, np.memmap):
        return inputs
    return inputs[rows]
