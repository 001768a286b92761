"""What classifiers share: training in one go or by epochs, and prediction."""

import warnings
from dataclasses import replace

import numpy as np
from sklearn.base import ClassifierMixin
from sklearn.utils.validation import check_consistent_length
from torch import nn

from sknoisy._compat import with_callbacks
from sknoisy.cotraining import CoTraining
from sknoisy.data.devices import generator
from sknoisy.data.given import read_labels
from sknoisy.data.labels import check_given, check_listed, check_several
from sknoisy.data.soft_labels import check_classes
from sknoisy.encoders.architecture import Architecture
from sknoisy.encoders.blueprint import Blueprint, load_numpy_state
from sknoisy.encoders.heads import HEADS
from sknoisy.estimators.base import fitting
from sknoisy.estimators.holding_out import HoldingOut, check_takes, check_two
from sknoisy.estimators.learning import Learning
from sknoisy.estimators.predicting import Predicting
from sknoisy.parameters import check_choice, check_integer, check_real, comparable
from sknoisy.training.callbacks import check_patterns
from sknoisy.training.checkpoint import resumable
from sknoisy.training.cotraining import CoTrainingNet
from sknoisy.training.phases import ClassifierTraining
from sknoisy.training.supervised import ClassifierNet
from sknoisy.views.automatic import resolve_views

FINE_TUNING_LR = 1e-3  # of published encoders: 0.02, which heads learn at, ruins them
# Views that a head has not seen, and labels that it has memorised, give gradients of
# norm 100 and more in the first steps, which would ruin them, too.
FINE_TUNING_NORM = 1.0


class TorchClassifier(Learning, ClassifierMixin, HoldingOut, Predicting):
    """Base class of classifiers; a subclass says what trains its network.

    It defines ``_method``, which returns a checked Loss or CoTraining, and
    ``_head_epochs``.
    """

    _ephemeral = ("_network", "_training")
    _auto = "auto"
    _head_schedule = "constant"

    @with_callbacks
    def fit(self, X, y=None, sample_weight=None, trusted=None):
        """Train on noisy labels.

        Parameters
        ----------
        X : array-like, tensor, array of paths or LazyFeatures
            Vectors (n, d), images (n, H, W), (n, H, W, C) or (n, C, H, W), uint8 or
            float, n paths of image files, or what ``SSLPretrainer.transform`` returns.
        y : array-like of shape (n_samples,) or (n_samples, n_classes)
            Labels, some of them wrong: integers, booleans or strings. Or soft labels,
            the probability of each class, whose columns are those of `classes`, or of
            a data frame; rows of NaN are samples without a label.
        sample_weight : array-like of shape (n_samples,), default=None
            Weights of the samples, whose scale does not matter; by default all are
            equal. Those of weight 0 are left out.
        trusted : array-like of shape (n_samples,), default=None
            True where a label is known to be right; by default, none is.

        Returns
        -------
        self : estimator instance
            This estimator. A fit that fails, or is interrupted before its first epoch
            is done, leaves it as it was.

        Raises
        ------
        ValueError
            If X, y or a parameter is not valid; before training starts.
        DivergenceError
            If the loss is no longer finite.
        """
        interrupt, limit = None, self._time_limit()
        with fitting(self):
            training, *known = self._begin(X, y, None, sample_weight, trusted)
            training.stopping = self._stopping(training.loss)
            training.limit = limit
            planned = training.planned_epochs
            given = {"sample_weight": sample_weight, "trusted": trusted}
            given = [(k, v) for k, v in given.items() if v is not None]
            with (
                resumable(self, training, X, y, *given) as interrupts,
                self._progress(training, X, y, *known) as bar,
            ):
                try:
                    training.train_epochs(planned - training.epochs, bar)
                except KeyboardInterrupt as error:
                    if not training.epochs:
                        raise
                    interrupt = error  # what was learned so far can be used
                    interrupts.append(error)
            training.settle()
            training.limit = training.run.limit = None
            if interrupt is None:
                training.forget_momentum()
            self._finish(training, *known)
        if interrupt is not None:
            raise interrupt
        return self

    def partial_fit(self, X, y=None, classes=None, sample_weight=None, trusted=None):
        """Train one epoch from the current state.

        The first call starts a training as ``fit`` does; later ones go on with the
        optimiser, the schedule and what is kept for each sample; the first one after
        ``fit`` does so with the optimiser anew. After `max_epochs`
        the learning rate stays at its end. Parameters that were changed in between
        hold from the next epoch on, but for `encoder`, `weights` and `head`, which make
        the network; the optimiser then starts anew.

        Parameters
        ----------
        X, y : array-like
            As for ``fit``. X must hold the same samples in the same order in every
            call, for the loss and ``label_quality_`` know samples by their position;
            y may change, but losses that train labels of their own (PENCIL, Joint
            Optimization) then keep to these. X of another length starts their state
            anew. This is not for streams of data.
        classes : array-like of shape (n_classes,), default=None
            All classes that y may ever hold; by default those of the first y.
        sample_weight, trusted : array-like of shape (n_samples,), default=None
            As for ``fit``. Where other samples than before are left out, the state of
            the loss starts anew.

        Returns
        -------
        self : estimator instance
            This estimator.
        """
        begun, trains = hasattr(self, "classes_"), False
        try:
            with fitting(self):
                given = sample_weight, trusted
                if begun:
                    training, *known = self._continue(X, y, *given)
                else:
                    training, *known = self._begin(X, y, classes, *given)
                trains = True
                training.train_epochs(1)
                self._finish(training, *known)
        except BaseException:
            if begun and trains:
                # The epoch is lost: go on from the attributes that the last one left.
                self._network = self._training = None
            raise
        return self

    def score(self, X, y, sample_weight=None):
        """Return how often predictions are the labels.

        Parameters
        ----------
        X : array-like of shape (n_samples, ...)
            Samples, as for ``predict``.
        y : array-like of shape (n_samples,)
            True labels, hard ones.
        sample_weight : array-like of shape (n_samples,), default=None
            Weights of the samples.

        Returns
        -------
        accuracy : float
            Share of the labels that are predicted.

        Raises
        ------
        ValueError
            If y holds soft labels.
        """
        shape = np.shape(y)
        if len(shape) == 2 and shape[1] > 1:
            raise ValueError(
                f"y of shape {shape} is not valid: score takes hard labels, one for "
                "each sample, and no soft labels. Pass the most probable classes, or "
                "compare predict_proba(X) with y."
            )
        return super().score(X, y, sample_weight)

    def _check_parameters(self):
        super()._check_parameters()
        check_choice("head", self.head, list(HEADS))
        check_choice("freeze_encoder", self.freeze_encoder, [True, False])
        check_integer("head_epochs", self.head_epochs, low=0, other="auto")
        check_integer("n_test_views", self.n_test_views, low=0)
        if self.classes is not None:
            check_classes(self.classes)
        if self.validation is None or isinstance(self.validation, (tuple, list)):
            if self.validation is not None and len(self.validation) != 2:
                raise ValueError(
                    "validation is not valid: it must be None, a share of the samples, "
                    f"or a pair (X, y), but it has {len(self.validation)} elements."
                )
        else:
            check_real("validation", self.validation, "(0, 1)")

    def _method(self, spec, is_pretrained):
        """Return what trains the network, a checked Loss or CoTraining.

        Parameters
        ----------
        spec : InputSpec
            What the samples are.
        is_pretrained : bool
            Whether the encoder was pre-trained.
        """
        raise NotImplementedError

    def _asked(self):
        """Return the loss or method that was asked for, checked; None for "auto"."""
        raise NotImplementedError

    def takes_soft_labels(self):
        """Whether y may hold probabilities of the classes, by the loss or method."""
        method = self._asked()
        return method is None or method.soft_labels

    def _check_ahead(self, y):
        """Check labels that this will be given once the steps before it are trained."""
        check_given(self, y)
        classes, labels = read_labels(y, None, self.classes)
        check_several(classes)
        self._class_weights(classes, labels)
        method = self._asked()
        if method is not None:
            check_takes(method, labels)

    def _defaults(self, method, n_samples, spec, is_pretrained):
        """Return what parameters are that are "auto", dict of str to object."""
        return method.defaults(n_samples)

    def _head_epochs(self, max_epochs, is_pretrained):
        """Return the number of epochs that train the head alone, before all others."""
        raise NotImplementedError

    def _stopping(self, method):
        """Return what may end a training by this method early, or None."""
        return None

    def _regularizers(self):
        return ()

    def _class_weights(self, classes, labels):
        """Return the weight of each class, ndarray of float32, or None."""
        return None

    def _labels(self, inputs, y, classes, sample_weight, trusted):
        """Check what is given of the samples' classes; return the classes, Labels."""
        if classes is not None:
            check_listed(classes)
            classes = np.unique(np.asarray(classes))
        given = sample_weight, trusted
        classes, labels = read_labels(y, classes, self.classes, *given)
        check_consistent_length(inputs, labels.codes)
        return classes, labels

    def _begin(self, X, y, classes=None, sample_weight=None, trusted=None):
        """Check everything; return the training, the classes and the architecture."""
        self._check_parameters()
        check_given(self, y)
        inputs, trained = self._read(X, reset=True)
        given = sample_weight, trusted
        classes, labels = self._labels(inputs, y, classes, *given)
        check_several(classes)
        check_two(labels.codes)
        self._fitted_on_lazy = trained is not None
        self._held_rows = None
        pretrained = (
            trained is not None and trained.pretrained
        ) or self.weights is not None
        rows, blueprint, method = self._plan(inputs, trained, labels, pretrained)
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

    def _plan(self, inputs, trained, labels, pretrained):
        """Return the rows to train on, the blueprint, and what trains the network."""
        rows, _ = self._split(labels, with_unlabelled=True)
        blueprint = self._blueprint(_looked_at(inputs, rows), trained)
        method = self._method(blueprint.spec, pretrained)
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
        spec = architecture.blueprint.spec
        known = n_samples, spec, architecture.pretrained
        defaults = self._defaults(method, *known)
        defaults["head_lr"] = defaults["lr"]
        tunes = architecture.blueprint.fixed_statistics and not self.freeze_encoder
        if tunes:
            defaults["lr"] = min(defaults["lr"], FINE_TUNING_LR)
        settings = self._settings(n_samples, spec, defaults)
        if tunes:
            settings = replace(settings, max_norm=FINE_TUNING_NORM)
        head_epochs = self._head_epochs(settings.max_epochs, architecture.pretrained)
        method.plan(settings.max_epochs, head_epochs)
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
            self.freeze_encoder,
            defaults["head_lr"] if self.lr == "auto" else settings.lr,
            self._head_schedule,
            seed,
            regularizers,
            CoTrainingNet if isinstance(method, CoTraining) else ClassifierNet,
            **before,
        )
        training.parameters = comparable(self)
        return training

    def _continue(self, X, y, sample_weight=None, trusted=None):
        """Check the data of one epoch more; return what :meth:`_begin` returns."""
        self._check_parameters()
        check_given(self, y)
        inputs, _ = self._read(X, reset=False)
        given = sample_weight, trusted
        _, labels = self._labels(inputs, y, self.classes_, *given)
        check_two(labels.codes)
        known = self.classes_, self._architecture
        training = getattr(self, "_training", None)
        if training is not None and training.parameters == comparable(self):
            training.network.to(training.settings.device)
            check_takes(training.loss, labels)
            self._attach(training, inputs, labels, *known)
            return training, *known
        # Loaded from a file, or with other parameters: the optimiser starts anew, and
        # so does the network, of which a callback may have frozen a part.
        self._network = None
        method = self._method(self._known_spec(), self._architecture.pretrained)
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
        self._attach(training, inputs, labels, *known)
        training.restore(self.loss_state_, self._dynamics)
        return training, *known


def _warn_of_random(network):
    """Warn if the encoder that stays as it is has weights that nothing was taught."""
    one = getattr(network, "networks", [network])[0]
    if any(True for _ in getattr(one, "encoder", nn.Identity()).parameters()):
        warnings.warn(
            "freeze_encoder=True keeps random weights: X holds no features of a "
            "pre-trained encoder, and there are no weights. Put an SSLPretrainer or a "
            "PretrainedEncoder in front, or train the encoder, too.",
            UserWarning,
            stacklevel=5,
        )


def _looked_at(inputs, rows):
    """Return the samples that set range and moments: not what is left out."""
    if len(rows) == len(inputs) or isinstance(inputs, np.memmap):
        return inputs
    return inputs[rows]
