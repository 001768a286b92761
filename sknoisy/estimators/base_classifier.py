"""What classifiers share: training in one go or by epochs, and prediction."""

import numpy as np
from scipy.special import log_softmax, softmax
from sklearn.base import ClassifierMixin
from sklearn.utils.validation import check_consistent_length, check_is_fitted

from sknoisy._compat import with_callbacks
from sknoisy.data.devices import generator, resolve_device
from sknoisy.data.labels import check_given, check_several, encode_labels
from sknoisy.encoders.architecture import HEADS, Architecture
from sknoisy.encoders.blueprint import load_numpy_state, numpy_state
from sknoisy.encoders.features import TrainedEncoder
from sknoisy.encoders.inference import forward_all
from sknoisy.estimators.base import TorchEstimator
from sknoisy.parameters import check_choice, check_integer, comparable
from sknoisy.training.checkpoint import resumable
from sknoisy.training.progress import Progress
from sknoisy.views.automatic import resolve_views


class TorchClassifier(ClassifierMixin, TorchEstimator):
    """Base class of classifiers; a subclass says how its network is trained.

    It defines ``_make_training``, which returns a ClassifierTraining.
    """

    _ephemeral = ("_network", "_training")
    _n_networks = None  # of an ensemble

    @with_callbacks
    def fit(self, X, y):
        """Train on noisy labels.

        Parameters
        ----------
        X : array-like, tensor, array of paths or LazyFeatures
            Vectors (n, d), images (n, H, W), (n, H, W, C) or (n, C, H, W), uint8 or
            float, n paths of image files, or what ``SSLPretrainer.transform`` returns.
        y : array-like of shape (n_samples,)
            Labels, some of them wrong: integers, booleans or strings.

        Returns
        -------
        self : estimator instance
            This estimator.

        Raises
        ------
        ValueError
            If X, y or a parameter is not valid; before training starts.
        DivergenceError
            If the loss is no longer finite.
        """
        training, *known = self._begin(X, y)
        planned = training.planned_epochs
        with (
            resumable(self, training, X, y),
            Progress(self, len(training.data), planned, training.epochs) as progress,
        ):
            try:
                training.run(planned - training.epochs, progress)
            except KeyboardInterrupt:
                self._finish(training, *known)  # what was learned so far can be used
                raise
        training.forget_momentum()
        return self._finish(training, *known)

    def partial_fit(self, X, y, classes=None):
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

        Returns
        -------
        self : estimator instance
            This estimator.
        """
        begun = hasattr(self, "classes_")
        training, *known = self._continue(X, y) if begun else self._begin(X, y, classes)
        try:
            training.run(1)
        except BaseException:
            # The epoch is lost: go on from the attributes that the last one left.
            self._network = self._training = None
            raise
        return self._finish(training, *known)

    @property
    def encoder_(self):
        """The encoder as it was trained; of several networks, the first one's."""
        check_is_fitted(self, "classes_")
        network = self._architecture.build()
        load_numpy_state(network, self.state_dict_)
        encoder = network.encoder
        return TrainedEncoder(
            self._architecture.blueprint,
            numpy_state(encoder),
            encoder.n_features,
            self.device,
        )

    def predict_proba(self, X):
        """Return the probability of each class.

        Parameters
        ----------
        X : array-like, tensor, array of paths or LazyFeatures
            Samples like those that ``fit`` got, raw or as lazy features.

        Returns
        -------
        probabilities : ndarray of shape (n_samples, n_classes), dtype float32
            Columns are in the order of ``classes_``.
        """
        return softmax(self._logits(X), axis=1)

    def predict_log_proba(self, X):
        """Return the logarithm of each class's probability.

        Parameters
        ----------
        X : array-like, tensor, array of paths or LazyFeatures
            As for ``predict_proba``.

        Returns
        -------
        log_probabilities : ndarray of shape (n_samples, n_classes), dtype float32
            Columns are in the order of ``classes_``.
        """
        return log_softmax(self._logits(X), axis=1)

    def predict(self, X):
        """Return the most probable class of each sample.

        Parameters
        ----------
        X : array-like, tensor, array of paths or LazyFeatures
            As for ``predict_proba``.

        Returns
        -------
        labels : ndarray of shape (n_samples,)
            In the dtype of ``classes_``.
        """
        codes = self._logits(X).argmax(axis=1)
        return self.classes_[codes]

    def _check_parameters(self):
        super()._check_parameters()
        check_choice("head", self.head, list(HEADS))
        check_choice("freeze_encoder", self.freeze_encoder, [True, False])
        check_integer("warmup_epochs", self.warmup_epochs, low=0, other="auto")

    def _make_training(self, network, architecture, settings, views, **kwargs):
        """Return the training of a network on its device."""
        raise NotImplementedError

    def _class_weights(self, classes, codes):
        """Return the weight of each class, ndarray of float32, or None."""
        return None

    def _begin(self, X, y, classes=None):
        """Check everything; return the training, the classes and the architecture."""
        self._check_parameters()
        check_given(self, y)
        inputs, trained = self._read(X, reset=True)
        classes, codes = encode_labels(y, classes)
        check_consistent_length(inputs, codes)
        check_several(classes)
        _check_two(codes)
        blueprint = self._blueprint(inputs, trained)
        pretrained = trained is not None or self.weights is not None
        architecture = Architecture(
            blueprint, self.head, len(classes), pretrained, self._n_networks
        )
        seeds = self._seeds(2)
        network = architecture.build(generator(seeds[0]), load_weights=True)
        if trained is not None:
            for one in getattr(network, "networks", [network]):
                load_numpy_state(one.encoder, trained.state)
        training = self._training_of(network, architecture, len(codes), seeds[1])
        weights = self._class_weights(classes, codes)
        training.attach(blueprint.spec.open(inputs), codes, len(classes), weights)
        return training, classes, architecture

    def _training_of(self, network, architecture, n_samples, seed, **before):
        spec = architecture.blueprint.spec
        settings = self._settings(n_samples, spec, "classifier")
        views = resolve_views(self.views, spec, "weak")
        if self.compile:
            network.compile()
        network = network.to(settings.device)
        training = self._make_training(
            network, architecture, settings, views, seed=seed, **before
        )
        training.parameters = comparable(self)
        return training

    def _continue(self, X, y):
        """Check the data of one epoch more; return what :meth:`_begin` returns."""
        self._check_parameters()
        check_given(self, y)
        inputs, _ = self._read(X, reset=False)
        _, codes = encode_labels(y, self.classes_)
        check_consistent_length(inputs, codes)
        _check_two(codes)
        known = self.classes_, self._architecture
        data = (
            self._architecture.blueprint.spec.open(inputs),
            codes,
            len(self.classes_),
            self._class_weights(self.classes_, codes),
        )
        training = getattr(self, "_training", None)
        if training is not None and training.parameters == comparable(self):
            training.network.to(training.settings.device)
            training.attach(*data)
            return training, *known
        # Loaded from a file, or with other parameters: the optimiser starts anew.
        training = self._training_of(
            self._network_on("cpu"),
            self._architecture,
            len(codes),
            seed=self._seeds(2)[1] + len(self.history_),
            history=self.history_,
            first_weights=self._first_weights,
        )
        training.attach(*data)
        training.restore(self.loss_state_, self._dynamics)
        return training, *known

    def _finish(self, training, classes, architecture):
        """Turn what was learned into fitted attributes, without any data."""
        self.classes_ = classes
        self.state_dict_ = numpy_state(training.network)
        self.history_ = training.history
        self.label_quality_ = (1 + training.dynamics.mean_margin) / 2
        self.training_loss_ = training.dynamics.mean_loss
        self.loss_state_ = training.loss_state()
        self._dynamics = training.dynamics.numpy()
        self._first_weights = training.first_weights
        self._architecture = architecture
        self._network = training.network
        self._training = training
        training.detach()
        return self

    def _logits(self, X):
        check_is_fitted(self, "classes_")
        inputs, _ = self._read(X, reset=False)
        store = self._architecture.blueprint.spec.open(inputs)
        device = resolve_device(self.device, fallback=True)
        return forward_all(self._network_on(device), store, device)

    def _network_on(self, device):
        if getattr(self, "_network", None) is None:
            network = self._architecture.build()
            load_numpy_state(network, self.state_dict_)
            self._network = network.to(device)  # whole, for other threads see it
        return self._network.to(device)

    def _known_spec(self):
        return self._architecture.blueprint.spec

    def _features_hint(self, X):
        if not self._architecture.pretrained or np.ndim(X) != 2:
            return ""
        return (
            "This classifier was fitted on lazy features: it predicts on "
            f"{self._architecture.blueprint.spec}, or on lazy features of them, "
            "not on an array of features."
        )


def _check_two(codes):
    if len(codes) < 2:
        raise ValueError(
            "X has 1 sample: an epoch takes at least 2, for normalisation of a batch."
        )
