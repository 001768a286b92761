"""NoisyRobustClassifier: trains a network on labels that are partly wrong."""

from collections import OrderedDict
from dataclasses import dataclass

import numpy as np
from scipy.special import log_softmax, softmax
from sklearn.base import ClassifierMixin
from sklearn.utils.validation import check_consistent_length, check_is_fitted
from torch import nn

from sknoisy.augment import resolve_views
from sknoisy.base import TorchEstimator, generator
from sknoisy.devices import forward_all, resolve_device
from sknoisy.encoders import Blueprint, build, load_numpy_state, numpy_state
from sknoisy.finetuning import FineTuning
from sknoisy.labels import check_given, check_several, encode_labels
from sknoisy.losses import LOSSES, Loss
from sknoisy.parameters import check_choice, check_integer, resolve
from sknoisy.progress import Progress, with_callbacks
from sknoisy.regularizers import REGULARIZERS, Regularizer


class NoisyRobustClassifier(ClassifierMixin, TorchEstimator):
    """Train a network on noisy labels with a robust loss.

    Given lazy features of :class:`SSLPretrainer`, it fine-tunes the encoder that they
    carry: first the head alone, with the encoder frozen, then all of it. Given
    anything else, it trains an encoder from scratch.

    Parameters
    ----------
    loss : str or Loss, default="elr"
        The loss: a key of ``sknoisy.losses.LOSSES``, such as "ce", "elr" or "nfl_rce";
        ``loss__lam`` and the like reach its parameters.
    encoder : str or callable, default="auto"
        "auto": the encoder of the lazy features, else "mlp" for vectors and "convnet"
        for images. See :class:`SSLPretrainer` for the other values.
    weights : str, default=None
        "imagenet" or the path of a state dict: initial weights of a torchvision
        model, which then counts as pre-trained.
    head : {"linear", "mlp"}, default="linear"
        What turns features into logits; "mlp" has one normalised hidden layer.
    freeze_encoder : bool, default=False
        Train the head only, on features that are computed once, without views.
    views : "auto", "none" or Views, default="auto"
        Random views of the training samples; see
        :func:`sknoisy.augment.resolve_views`.
    regularizers : list of str or Regularizer, default=None
        Losses of the features that are added to that of the labels while all of the
        network is trained: "clustering", "restoration" or objects, see
        ``sknoisy.regularizers``.
    max_epochs : int, default=100
        Epochs in which all of the network is trained.
    warmup_epochs : int or "auto", default="auto"
        Epochs before, in which the head alone is trained on the frozen encoder's
        features. "auto": a tenth of `max_epochs`, at least one, with a pre-trained
        encoder, and none from scratch.
    batch_size : int or "auto", default="auto"
        Largest number of samples in a batch; "auto" is 128, or all of fewer.
    lr : float, default=0.02
        Peak learning rate.
    momentum : float, default=0.9
        Momentum.
    weight_decay : float, default=1e-3
        Weight decay.
    optimizer : {"sgd", "lars", "adamw"}, default="sgd"
        Optimiser.
    schedule : {"cosine", "constant", "steps"}, default="cosine"
        Learning rate over the epochs; "steps": a tenth from half of them, a hundredth
        from three quarters.
    image_size : int or (int, int), default=None
        Height and width that image files are brought to; needed where X holds paths.
    channels : {"auto", "first", "last"}, default="auto"
        Where 4-D images keep their channels.
    device : str, default="auto"
        "auto" (a GPU if there is one), "cpu", "cuda", "cuda:1", "mps".
    precision : {"auto", "float32", "bfloat16"}, default="auto"
        "auto" is bfloat16 on GPUs that have it.
    compile : bool, default=False
        Whether to compile the network, which pays for itself on long fits; training
        with regularisers is not compiled.
    callbacks : list of skorch callbacks, default=None
        Called while all of the network is trained, not in the warm-up.
    verbose : bool, default=None
        True: a progress bar. None: a bar for long fits, in a terminal or a notebook,
        but not within a search.
    random_state : int, RandomState or None, default=None
        Source of all randomness. An int gives the same result on the same CPU.

    Attributes
    ----------
    classes_ : ndarray of shape (n_classes,)
        The classes, in the dtype of y.
    label_quality_ : ndarray of shape (n_samples,)
        For each training sample, how well its label agrees with what the network
        learned, in [0, 1]; low is bad. It is (1 + m) / 2 with m the mean over the
        epochs of the margin: the label's probability minus the largest other one.
    training_loss_ : ndarray of shape (n_samples,)
        For each training sample, the mean over the epochs of its cross-entropy.
    loss_state_ : dict of str to ndarray
        What the loss keeps for each training sample, such as the targets of ELR.
    history_ : list of dict
        For each epoch "epoch", "phase" ("head" where the head alone is trained, "all",
        or "anew" where a loss trains a second time), "train_loss", "lr" (at its end)
        and "dur" (seconds).
    n_features_in_ : int
        Length of axis 1 of the samples.

    See Also
    --------
    SSLPretrainer : Pre-trains the encoder.

    Notes
    -----
    Warm-up and fine-tuning follow Ciortan, Dupuis and Peel (2021), section 4. Their
    head is "mlp"; their warm-up passes images through the frozen encoder in every
    epoch, this one computes its features once.

    References
    ----------
    Ciortan, Dupuis and Peel, A Framework using Contrastive Learning for
    Classification with Noisy Labels, 2021. `label_quality_`: Pleiss et al.,
    Identifying Mislabeled Data using the Area Under the Margin Ranking, NeurIPS 2020,
    there on logits.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from sknoisy import NoisyRobustClassifier
    >>> X, y = load_iris(return_X_y=True)
    >>> clf = NoisyRobustClassifier(max_epochs=30, random_state=0).fit(X, y)
    >>> clf.score(X, y) > 0.9
    True
    """

    _registries = {"loss": LOSSES}
    _ephemeral = ("_network", "_training")

    def __init__(
        self,
        loss="elr",
        encoder="auto",
        weights=None,
        head="linear",
        freeze_encoder=False,
        views="auto",
        regularizers=None,
        max_epochs=100,
        warmup_epochs="auto",
        batch_size="auto",
        lr=0.02,
        momentum=0.9,
        weight_decay=1e-3,
        optimizer="sgd",
        schedule="cosine",
        image_size=None,
        channels="auto",
        device="auto",
        precision="auto",
        compile=False,
        callbacks=None,
        verbose=None,
        random_state=None,
    ):
        self.loss = loss
        self.encoder = encoder
        self.weights = weights
        self.head = head
        self.freeze_encoder = freeze_encoder
        self.views = views
        self.regularizers = regularizers
        self.max_epochs = max_epochs
        self.warmup_epochs = warmup_epochs
        self.batch_size = batch_size
        self.lr = lr
        self.momentum = momentum
        self.weight_decay = weight_decay
        self.optimizer = optimizer
        self.schedule = schedule
        self.image_size = image_size
        self.channels = channels
        self.device = device
        self.precision = precision
        self.compile = compile
        self.callbacks = callbacks
        self.verbose = verbose
        self.random_state = random_state

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
        self : NoisyRobustClassifier
            This estimator.

        Raises
        ------
        ValueError
            If X, y or a parameter is not valid; before training starts.
        DivergenceError
            If the loss is no longer finite.
        """
        training, *known = self._begin(X, y)
        progress = Progress(
            self, len(training.data), training.planned_epochs, self.verbose
        )
        try:
            training.run(training.planned_epochs, progress)
        except KeyboardInterrupt:
            self._finish(training, *known)  # what was learned so far can be used
            raise
        finally:
            progress.close()
        return self._finish(training, *known)

    def partial_fit(self, X, y, classes=None):
        """Train one epoch from the current state.

        The first call starts a training as ``fit`` does; later ones go on with the
        optimiser, the schedule and what is kept for each sample. After `max_epochs`
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
        self : NoisyRobustClassifier
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
        resolve("loss", self.loss, LOSSES, Loss)
        check_choice("head", self.head, list(HEADS))
        check_choice("freeze_encoder", self.freeze_encoder, [True, False])
        check_integer("warmup_epochs", self.warmup_epochs, low=0, other="auto")
        if self._regularizers() and self.freeze_encoder:
            raise ValueError(
                f"regularizers={self.regularizers!r} is not valid with "
                "freeze_encoder=True: they train the encoder."
            )

    def _regularizers(self):
        given = self.regularizers
        if given is not None and not isinstance(given, (list, tuple)):
            raise ValueError(
                f"regularizers={given!r} is not valid: it must be None or a list of "
                f"names, of {sorted(REGULARIZERS)}, or of instances of Regularizer."
            )
        return [
            resolve("regularizers", value, REGULARIZERS, Regularizer)
            for value in given or ()
        ]

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
        architecture = Architecture(blueprint, self.head, len(classes), pretrained)
        seeds = self._seeds(2)
        network = architecture.build(generator(seeds[0]), load_weights=True)
        if trained is not None:
            load_numpy_state(network.encoder, trained.state)
        training = self._training_of(network, architecture, len(codes), seeds[1])
        training.attach(blueprint.spec.open(inputs), codes, len(classes))
        return training, classes, architecture

    def _training_of(self, network, architecture, n_samples, seed, **before):
        spec = architecture.blueprint.spec
        settings = self._settings(n_samples, spec, "classifier")
        warmup = self.warmup_epochs
        if warmup == "auto":
            warmup = max(1, self.max_epochs // 10) if architecture.pretrained else 0
        if self.compile:
            network.compile()
        training = FineTuning(
            network.to(settings.device),
            resolve("loss", self.loss, LOSSES, Loss),
            resolve_views(self.views, spec, "weak"),
            settings,
            warmup_epochs=0 if self.freeze_encoder else warmup,
            freeze=self.freeze_encoder,
            seed=seed,
            regularizers=self._regularizers(),
            **before,
        )
        training.parameters = self._parameters()
        return training

    def _parameters(self):
        """Return the parameters in a form that compares."""
        return {k: repr(v) for k, v in self.get_params().items()}

    def _continue(self, X, y):
        """Check the data of one epoch more; return what :meth:`_begin` returns."""
        self._check_parameters()
        check_given(self, y)
        inputs, _ = self._read(X, reset=False)
        _, codes = encode_labels(y, self.classes_)
        check_consistent_length(inputs, codes)
        _check_two(codes)
        known = self.classes_, self._architecture
        store = self._architecture.blueprint.spec.open(inputs)
        training = getattr(self, "_training", None)
        if training is not None and training.parameters == self._parameters():
            training.network.to(training.settings.device)
            training.attach(store, codes, len(self.classes_))
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
        training.attach(store, codes, len(self.classes_))
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
            self._network = self._architecture.build()
            load_numpy_state(self._network, self.state_dict_)
        return self._network.to(device)

    def _features_hint(self, X):
        if not self._architecture.pretrained or np.ndim(X) != 2:
            return ""
        return (
            "This classifier was fitted on lazy features: it predicts on "
            f"{self._architecture.blueprint.spec}, or on lazy features of them, "
            "not on an array of features."
        )


@dataclass(frozen=True)
class Architecture:
    """What it takes to build a classifier's network again.

    Attributes
    ----------
    blueprint : Blueprint
        Of the encoder.
    head : str
        A key of ``HEADS``.
    n_classes : int
        Outputs of the head.
    pretrained : bool
        Whether the encoder was trained before.
    """

    blueprint: Blueprint
    head: str
    n_classes: int
    pretrained: bool

    def build(self, generator=None, load_weights=False):
        """Return a new network, with submodules ``encoder`` and ``head``."""
        encoder = self.blueprint.build(generator, load_weights)
        widths = encoder.n_features, self.n_classes
        head = build(HEADS[self.head], *widths, generator=generator)
        return nn.Sequential(OrderedDict(encoder=encoder, head=head))


def _check_two(codes):
    if len(codes) < 2:
        raise ValueError(
            "X has 1 sample: an epoch takes at least 2, for normalisation of a batch."
        )


def _mlp_head(n_features, n_classes):
    return nn.Sequential(
        nn.Linear(n_features, n_features, bias=False),
        nn.BatchNorm1d(n_features),
        nn.ReLU(inplace=True),
        nn.Linear(n_features, n_classes),
    )


HEADS = {"linear": nn.Linear, "mlp": _mlp_head}
