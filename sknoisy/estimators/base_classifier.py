"""What classifiers share: training in one go or by epochs, and prediction."""

import numpy as np
import torch
from sklearn.base import ClassifierMixin
from sklearn.utils.validation import check_consistent_length

from sknoisy._compat import with_callbacks
from sknoisy.checks import check_choice, check_integer, check_real
from sknoisy.data.given import read_labels
from sknoisy.data.inputs import as_inputs, is_paths
from sknoisy.data.labels import check_given, check_listed, check_several
from sknoisy.data.order import check_order
from sknoisy.data.soft_labels import check_classes
from sknoisy.encoders.features import LazyFeatures
from sknoisy.encoders.heads import HEADS
from sknoisy.estimators.base import fitting
from sknoisy.estimators.beginning import Beginning
from sknoisy.estimators.holding_out import HoldingOut, check_takes
from sknoisy.estimators.learning import Learning
from sknoisy.estimators.predicting import Predicting
from sknoisy.training.checkpoint import resumable
from sknoisy.warning import warn

# Parameters that a kernel machine lacks, and their defaults.
OF_NETWORKS = {"head": "linear", "head_epochs": "auto", "schedule": "cosine"}


class TorchClassifier(Beginning, Learning, ClassifierMixin, HoldingOut, Predicting):
    """Base class of classifiers; a subclass says what trains its network.

    It defines ``_method``, which returns a checked Loss or CoTraining, and
    ``_head_epochs``.
    """

    _ephemeral = ("_network", "_training")
    _auto = "auto"
    _head_schedule = "constant"
    # For a warning: why there is a kernel machine, and what trains a network instead.
    _why_kernel = _instead_of_kernel = ""

    @with_callbacks
    def fit(self, X, y=None, sample_weight=None, trusted=None):
        """Train on noisy labels.

        Parameters
        ----------
        X : array-like, tensor, array of paths or LazyFeatures
            Vectors (n, d), images (n, H, W), (n, H, W, C) or (n, C, H, W), uint8 or
            float, n paths of image files, or the output of ``SSLPretrainer.transform``.
        y : array-like of shape (n_samples,) or (n_samples, n_classes)
            Labels, some of them wrong: integers, booleans or strings. Or soft labels,
            the probability of each class; the columns are `classes`, or those of a data
            frame. Rows of NaN are samples without a label.
        sample_weight : array-like of shape (n_samples,), default=None
            Weights of the samples, whose scale does not matter; by default, all are
            equal. Samples of weight 0 are left out.
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
            self._note_first(training)
            training.stopping = self._stopping(training.loss)
            training.limit = limit
            if limit is not None:
                self._check_trains_once(training)
            planned = training.planned_epochs
            given = {"sample_weight": sample_weight, "trusted": trusted}
            given = [(k, v) for k, v in given.items() if v is not None]
            # What fails after the last epoch, too, can be gone on from.
            with resumable(self, training, X, y, *given) as interrupts:
                with self._progress(training, X, y, *known) as bar:
                    try:
                        training.train_epochs(planned - training.epochs, bar)
                    except KeyboardInterrupt as error:
                        if not training.epochs:
                            raise
                        interrupt = error  # what was learned so far can be used
                        interrupts.append(error)
                training.settle()
                if interrupt is None:
                    training.forget_momentum()
                self._finish(training, *known)
        if interrupt is not None:
            raise interrupt
        return self

    def partial_fit(self, X, y=None, classes=None, sample_weight=None, trusted=None):
        """Train one epoch from the current state.

        The first call starts a training as ``fit`` does. Later calls continue it, with
        the same optimiser, schedule and state of each sample; the first call after
        ``fit`` continues with a new optimiser. After `max_epochs` the learning rate
        stays at its last value. Parameters that you change between calls take effect in
        the next epoch, with a new optimiser, except for `validation` and for `encoder`,
        `weights` and `head`, which define the network.

        Parameters
        ----------
        X, y : array-like
            As for ``fit``. X must hold the same samples in the same order in every
            call, because the loss and ``label_quality_`` identify samples by their
            position. So this is not for streams of data: if X has another length, the
            state of the samples starts anew. y may change, but losses that train labels
            of their own (PENCIL, Joint Optimization) keep to their own. The kernel
            machine, the default on vectors, is fitted anew by each call, and forgets
            the samples of earlier calls.
        classes : array-like of shape (n_classes,), default=None
            All classes that y may ever hold; by default those of the first y.
        sample_weight, trusted : array-like of shape (n_samples,), default=None
            As for ``fit``. If other samples than before are left out, the state of the
            loss starts anew.

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
                    before = getattr(self, "_training", None)
                    first = None if before is None else before.first
                    training, *known = self._continue(X, y, *given)
                    self._note_first(training, first)
                else:
                    training, *known = self._begin(X, y, classes, *given)
                    self._note_first(training)
                trains = True
                training.train_epochs(1)
                self._finish(training, *known)
        except BaseException:
            if begun and trains:
                # The epoch is lost: go on from the attributes that the last one left.
                self._network = self._training = None
            raise
        return self

    def _note_first(self, training, before=None):
        """Keep the first sample of a closed form; warn if it was another one before."""
        if not training.loss.closed_form:
            return
        index = torch.zeros(1, dtype=torch.int64, device="cpu")
        training.first = training.data.store.fetch(index, "cpu")
        if before is not None and not torch.equal(before, training.first):
            warn(
                "partial_fit forgets the samples of earlier calls: the kernel machine "
                f"that {self._why_kernel} is fitted to the samples of this call "
                "alone. Pass all samples in each call, or to fit."
            )

    def score(self, X, y, sample_weight=None):
        """Return the accuracy of the predictions.

        Parameters
        ----------
        X : array-like of shape (n_samples, ...)
            Samples, as for ``predict``.
        y : array-like of shape (n_samples,)
            True labels; soft labels are refused.
        sample_weight : array-like of shape (n_samples,), default=None
            Weights of the samples.

        Returns
        -------
        accuracy : float
            Share of the labels that are predicted correctly.

        Raises
        ------
        ValueError
            If y holds soft labels, or y or the weights have the index of X in another
            order.
        """
        check_order(X, y=y, sample_weight=sample_weight)
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

    def _method(self, kind, encoder_given):
        """Return what trains the network, a checked Loss or CoTraining.

        Parameters
        ----------
        kind : {"image", "vector"}
            What the samples are.
        encoder_given : bool
            Whether lazy features or `weights` bring an encoder, trained or not.
        """
        raise NotImplementedError

    def _was_given_encoder(self):
        """Whether lazy features or `weights` brought an encoder to this fit."""
        return self._fitted_on_lazy or self.weights is not None

    def _method_for(self, X=None, is_lazy=False):
        """Return what would train the network on some samples.

        Parameters
        ----------
        X : array-like or LazyFeatures of shape (n_samples, ...), default=None
            What is trained on; None: vectors, which steps before make.
        is_lazy : bool, default=False
            Whether these are lazy features.
        """
        is_lazy = is_lazy or isinstance(X, LazyFeatures)
        inputs = None if X is None or is_lazy else as_inputs(X)
        if not (inputs is None or hasattr(inputs, "ndim")):
            inputs = np.asarray(inputs)  # of lists
        is_table = inputs is None or (inputs.ndim == 2 and not is_paths(inputs))
        given = is_lazy or self.weights is not None
        return self._method("vector" if is_table else "image", given)

    def _asked(self):
        """Return the loss or method that was asked for, checked; None for "auto"."""
        raise NotImplementedError

    def takes_soft_labels(self):
        """Whether y may hold probabilities of the classes, by the loss or method."""
        method = self._asked()
        return method is None or method.soft_labels

    def _check_trains_once(self, training):
        """Raise ``ValueError`` if only a part of a training could be limited."""
        if training.phases[-1].anew:
            raise ValueError(
                f"max_time={self.max_time!r} is not valid with loss={training.loss}, "
                "which trains the network a second time: pass max_epochs that fit, or "
                "a loss that trains it once (JointOptimization(retrain=0))."
            )

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
        defaults = method.defaults(n_samples)
        if method.closed_form:
            self._warn_of_ignored(defaults)
        return defaults

    def _warn_of_ignored(self, defaults):
        """Warn if parameters were set that a closed form does not have."""
        idle = {**defaults, **OF_NETWORKS}
        given = {name: getattr(self, name) for name in sorted(idle)}
        ignored = [
            f"{name}={value!r}"
            for name, value in given.items()
            if value not in ("auto", idle[name])
        ]
        if ignored:
            warn(
                f"setting {', '.join(ignored)} changes nothing: the kernel machine "
                f"that {self._why_kernel} is solved in closed form. Pass "
                f"{self._instead_of_kernel}, or leave it at 'auto'."
            )

    def _head_epochs(self, max_epochs, is_pretrained):
        """Return the number of epochs that train the head alone, before all others."""
        raise NotImplementedError

    def _stopping(self, method):
        """Return what may end a training by this method early, or None."""
        return None

    def _regularizers(self):
        """Return the regularisers of the training."""
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
