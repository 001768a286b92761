"""NoisyRobustClassifier: trains a network on labels that are partly wrong."""

from inspect import signature

from sknoisy.cotraining import COTRAINING_METHODS, CoTraining, KernelPosterior
from sknoisy.data.weights import check_class_weight, class_weights
from sknoisy.estimators.base_classifier import TorchClassifier
from sknoisy.losses import ELR, LOSSES, Loss
from sknoisy.parameters import resolve
from sknoisy.regularizers import REGULARIZERS, Regularizer
from sknoisy.training.stopping import STOPPING, LabelWave

KERNEL = "kernel_posterior"


class NoisyRobustClassifier(TorchClassifier):
    """Train a network with a robust loss, or a kernel machine, on noisy labels.

    On lazy features, the output of an :class:`SSLPretrainer`, it fine-tunes the encoder
    that they carry: it trains first the head alone, with the encoder frozen, then the
    whole network. On other images, it trains an encoder from scratch. On vectors, such
    as embeddings and tables, it fits a kernel machine by default.

    Parameters
    ----------
    loss : str, Loss or KernelPosterior, default="auto"
        The loss: a key of ``sknoisy.losses.LOSSES``, such as "ce", "elr" or "nfl_rce";
        ``loss__lam`` and the like set its parameters. "auto": "elr" if there is an
        encoder to train. There is none for the features of a frozen encoder, or for
        vectors with `encoder` "auto". For these, "auto" is not a loss but
        "kernel_posterior", a :class:`~sknoisy.KernelPosterior`, which corrects the
        labels that it learns from. Setting ``loss__lam`` or the like turns "auto" into
        "elr"; setting ``loss__n_rounds`` or ``loss__n_landmarks`` turns it into
        "kernel_posterior".
    encoder : str or callable, default="auto"
        "auto": the encoder of lazy features; "convnet" for other images; for vectors
        "mlp", or none if `loss` is "auto" too. "identity": no encoder; vectors are
        scaled as a whole, not by column. See :class:`SSLPretrainer` for the other
        values.
    weights : str, default=None
        "imagenet" or the path of a state dict: initial weights of a torchvision
        model, which then counts as pre-trained.
    head : {"linear", "mlp"}, default="linear"
        Layers that turn features into logits; "mlp" has one normalised hidden layer.
    freeze_encoder : bool, default=False
        Whether to train only the head, on features that are computed once, without
        views. If False, a published encoder (from :class:`PretrainedEncoder` or
        `weights`) is trained too, but keeps the statistics of its batch normalisation.
    views : "auto", "none" or Views, default="auto"
        Random views of the training samples; see
        :func:`sknoisy.views.resolve_views`.
    n_test_views : int, default=0
        Number of random views of each sample, drawn by `views`, that predictions
        average over, together with the sample itself. Predicting then takes that many
        times longer, and predictions depend slightly on the other samples. Vectors have
        no views.
    regularizers : list of str or Regularizer, default=None
        Losses on the features that are added to the loss on the labels while the whole
        network is trained: "clustering", "restoration" or objects of
        ``sknoisy.regularizers``.
    class_weight : dict, "balanced" or None, default=None
        Weight of the loss of each label; "balanced": inversely proportional to how
        often the label is given. The loss of a batch is the weighted mean. If most
        labels of a rare class are wrong, a larger weight mostly falls on wrong labels.
    validation : float or (X, y), default=None
        Held-out samples, whose cross-entropy and accuracy are computed after each
        epoch: "valid_loss" and "valid_acc" in `history_`, which skorch's EarlyStopping
        can monitor. A float in (0, 1) holds out that share of the samples, stratified
        by label, but never the only sample of a class. A pair gives other samples and
        their labels. None: no validation.
    stopping : {"label_wave"} or LabelWave, default=None
        Rule that ends ``fit`` when predictions begin to change more from epoch to
        epoch, a sign of memorisation, and restores the weights from before that; see
        :class:`~sknoisy.LabelWave`. ``stopping__patience`` and the like set its
        parameters. Not for the kernel machine. None: ``fit`` trains all epochs.
    classes : array-like of shape (n_classes,), default=None
        All classes, including those that do not occur in y; for soft labels, the class
        of each column of y. None: the labels in y, or the columns of a data frame.
    max_epochs : int or "auto", default="auto"
        Number of epochs in which the whole network is trained. "auto": 100; 20 for
        vectors, whose labels a network memorises quickly; 1 for
        :class:`~sknoisy.KernelPosterior`, for which more make no difference.
    max_time : float, default=None
        Approximate limit of the duration of ``fit``, in seconds. The schedule and the
        stages of a loss are shortened to fit, and no epoch begins that could not end in
        time, but at least one epoch is trained. The result depends on the speed of the
        machine. Not for losses that train twice, such as "joint_optimization". None: no
        limit.
    head_epochs : int or "auto", default="auto"
        Number of additional epochs at the start, in which only the head is trained, on
        the frozen encoder's features. "auto": with a pre-trained encoder a tenth of
        `max_epochs`, at least one; otherwise none.
    batch_size : int or "auto", default="auto"
        Largest number of samples in a batch; "auto" is 128, or all samples if
        there are fewer.
    lr : float or "auto", default="auto"
        Peak learning rate. "auto": 0.02; for a published encoder, 0.02 while only its
        head is trained, then 1e-3. For this and the next parameters,
        :class:`~sknoisy.KernelPosterior` has its own values of "auto".
    momentum : float, default=0.9
        Momentum.
    weight_decay : float or "auto", default="auto"
        Weight decay. "auto": 1e-3.
    optimizer : {"auto", "sgd", "momentum", "lars", "adamw"}, default="auto"
        Optimiser; "sgd" uses Nesterov momentum, "momentum" classical momentum. "auto":
        "sgd".
    schedule : {"cosine", "constant", "steps"}, default="cosine"
        How the learning rate changes over the epochs. "steps": it falls to a tenth
        after half of them, and to a hundredth after three quarters.
    image_size : int or (int, int), default=None
        Height and width to which image files are resized; needed if X holds paths.
    channels : {"auto", "first", "last"}, default="auto"
        Position of the channel axis in 4-D images.
    device : str, default="auto"
        "auto" (a GPU if there is one), "cpu", "cuda", "cuda:1", "mps".
    precision : {"auto", "float32", "bfloat16"}, default="auto"
        Number format in which networks are trained. "auto" is bfloat16 on GPUs that
        have it and, for images, on CPUs that do, else float32. Predictions are computed
        in float32.
    compile : bool, default=False
        Whether to compile the network, which pays off in long fits; training with
        regularisers is not compiled.
    callbacks : list of skorch callbacks, default=None
        Callbacks of skorch that the guide lists, or your own. They are called while the
        whole network is trained, not while only its head is. An LRScheduler needs
        ``schedule="constant"``.
    verbose : bool, default=None
        True: a progress bar in a terminal or a notebook, elsewhere a line for each
        epoch. None: a bar for long fits in a terminal or a notebook, but not within a
        search. False: nothing.
    random_state : int, RandomState or None, default=None
        Source of all randomness. An int gives the same result on the same CPU, with the
        same number of threads.

    Attributes
    ----------
    classes_ : ndarray of shape (n_classes,)
        The classes, in the dtype of y.
    encoder_ : TrainedEncoder
        The trained encoder: ``encoder_.transform(X)`` returns features of arrays or
        paths.
    label_quality_ : ndarray of shape (n_samples,)
        For each training sample, how well its label agrees with what the network
        learned, in [0, 1]; low is bad. It is (1 + m) / 2, where m is the margin, the
        label's probability minus the largest other one, averaged over the epochs. NaN
        for samples that are held out by `validation`.
    training_loss_ : ndarray of shape (n_samples,)
        For each training sample, its cross-entropy, averaged over the epochs.
    wrong_events_ : ndarray of shape (n_samples,)
        For each training sample, the number of epochs in which the prediction was not
        its label. Predictions are made for the view that is trained on, before the
        optimiser's step.
    prediction_changes_ : ndarray of shape (n_samples,)
        For each training sample, the number of epochs in which the prediction differed
        from that of the epoch before.
    loss_state_ : dict of str to ndarray
        What the loss keeps for each sample that it trains on, such as the targets of
        ELR.
    stopped_epoch_ : int or None
        The epoch, counted from 1, that `stopping` went back to. The weights, the state
        of the loss and the attributes of each sample are those after this epoch;
        `history_` also holds the later epochs. None if all epochs were trained.
    history_ : list of dict
        For each epoch "epoch", "phase" ("head" where the head alone is trained, "all",
        or "anew" where a loss trains a second time), "train_loss", "valid_loss" and
        "valid_acc" (with `validation`), "wrong_events" (share of the predictions that
        are not the label), "prediction_changes" (share that differ from the epoch
        before) and "wrong_changes" (the same among predictions that were not the label
        in the epoch before), both from the second epoch on, "lr" (of its last step),
        "dur" (seconds), and what callbacks record.
    clean_proba_ : ndarray of shape (n_samples,)
        For each training sample, the probability that its label is right; NaN for
        samples that are held out by `validation`. Only the kernel machine has this and
        the next two attributes.
    noise_rate_ : float
        Estimated share of wrong labels.
    method_params_ : dict of str to object
        Values that the kernel machine chose for its parameters that are "auto":
        ``{"n_landmarks": 1000}``.
    n_features_in_ : int
        Length of axis 1 of the samples.

    See Also
    --------
    SSLPretrainer : Pre-trains the encoder.

    Notes
    -----
    The training of the head alone and the fine-tuning follow Ciortan, Dupuis and Peel
    (2021), section 4. Their head is "mlp", and they pass images through the frozen
    encoder in every epoch; here, its features are computed once.

    References
    ----------
    Ciortan, Dupuis and Peel, A Framework using Contrastive Learning for
    Classification with Noisy Labels, 2021. `label_quality_`: Pleiss et al.,
    Identifying Mislabeled Data using the Area Under the Margin Ranking, NeurIPS 2020,
    there on logits. `wrong_events_`: Zhang et al., Handling Label Noise via
    Instance-Level Difficulty Modeling and Dynamic Optimization, NeurIPS 2025.
    `prediction_changes_`: Yuan, Feng and Liu, Early Stopping Against Label Noise
    Without Validation Data, ICLR 2024.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from sknoisy import NoisyRobustClassifier
    >>> X, y = load_iris(return_X_y=True)
    >>> clf = NoisyRobustClassifier(random_state=0).fit(X, y)  # a kernel machine
    >>> clf.score(X, y) > 0.9
    True
    >>> clf = NoisyRobustClassifier("gce", max_epochs=30, random_state=0)  # a network
    >>> clf.fit(X, y).score(X, y) > 0.9
    True
    """

    # "auto" has the parameters of what it stands for where an encoder is trained.
    _registries = {
        "loss": LOSSES | {"auto": ELR, KERNEL: KernelPosterior},
        "stopping": STOPPING,
    }
    _why_kernel = "vectors get"
    _instead_of_kernel = (
        "a loss that trains a network, as in NoisyRobustClassifier('elr')"
    )

    def __init__(
        self,
        loss="auto",
        encoder="auto",
        weights=None,
        head="linear",
        freeze_encoder=False,
        views="auto",
        n_test_views=0,
        regularizers=None,
        class_weight=None,
        validation=None,
        stopping=None,
        classes=None,
        max_epochs="auto",
        max_time=None,
        head_epochs="auto",
        batch_size="auto",
        lr="auto",
        momentum=0.9,
        weight_decay="auto",
        optimizer="auto",
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
        self.n_test_views = n_test_views
        self.regularizers = regularizers
        self.class_weight = class_weight
        self.validation = validation
        self.stopping = stopping
        self.classes = classes
        self.max_epochs = max_epochs
        self.max_time = max_time
        self.head_epochs = head_epochs
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

    def set_params(self, **params):  # noqa: D102
        loss = params.get("loss", self.loss)
        if isinstance(loss, str) and loss == "auto":
            names = {f"loss__{name}" for name in signature(KernelPosterior).parameters}
            if names & params.keys():
                params = {**params, "loss": KERNEL}
        return super().set_params(**params)

    def _check_parameters(self):
        super()._check_parameters()
        asked = self._asked()
        check_class_weight(self.class_weight)
        if self.stopping is not None:
            resolve("stopping", self.stopping, STOPPING, LabelWave, True)
        if not self._regularizers():
            return
        closed = asked is not None and asked.closed_form
        if self.freeze_encoder or closed:
            other = "freeze_encoder=True" if self.freeze_encoder else f"loss={asked}"
            raise ValueError(
                f"regularizers={self.regularizers!r} is not valid with {other}: they "
                "train the encoder."
            )

    def _asked(self):
        """Return the loss that was asked for, checked; None for "auto"."""
        loss, is_name = self.loss, isinstance(self.loss, str)
        if is_name and loss == "auto":
            return None
        if isinstance(loss, KernelPosterior) or (is_name and loss == KERNEL):
            return resolve("loss", loss, COTRAINING_METHODS, KernelPosterior)
        if isinstance(loss, CoTraining) or (is_name and loss in COTRAINING_METHODS):
            raise ValueError(
                f"loss={loss!r} is not valid: it is not a loss but a method: use "
                f"CoTrainingClassifier({loss!r})."
            )
        return resolve("loss", loss, self._registries["loss"], Loss)

    def _method(self, kind, encoder_given):
        loss = self._asked()
        if loss is not None:
            return loss
        vectors = kind == "vector" and not encoder_given and self.encoder == "auto"
        fixed = vectors or (encoder_given and self.freeze_encoder)
        plain = self.head == "linear" and not self._regularizers()
        no_views = isinstance(self.views, str)  # "auto" and "none" leave vectors alone
        return KernelPosterior() if fixed and plain and no_views else ELR()

    def _defaults(self, method, n_samples, spec, is_pretrained):
        if method.closed_form:
            return super()._defaults(method, n_samples, spec, is_pretrained)
        few = spec.kind == "vector" and not is_pretrained
        return {
            "max_epochs": 20 if few else 100,
            "batch_size": min(128, n_samples),
            "lr": 0.02,
            "weight_decay": 1e-3,
            "optimizer": "sgd",
        }

    def _stopping(self, method):
        if self.stopping is None:
            return None
        if method.closed_form:
            raise ValueError(
                f"stopping={self.stopping!r} is not valid with loss={self.loss!r} "
                "where no encoder is trained: the kernel machine corrects the labels, "
                "and none is memorised. Pass stopping=None, or a loss such as 'ce'."
            )
        stopping = resolve("stopping", self.stopping, STOPPING, LabelWave, True)
        stopping.start()
        return stopping

    def _finish(self, training, *known):
        super()._finish(training, *known)
        self.stopped_epoch_ = training.stopped_epoch

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

    def _class_weights(self, classes, labels):
        return class_weights(self.class_weight, classes, labels.counts(len(classes)))

    def _uses_unlabelled(self, method):
        return super()._uses_unlabelled(method) or bool(self._regularizers())

    def _head_epochs(self, max_epochs, is_pretrained):
        if self.freeze_encoder:
            return 0
        if self.head_epochs == "auto":
            return max(1, max_epochs // 10) if is_pretrained else 0
        return int(self.head_epochs)
