"""CoTrainingClassifier: networks that choose and correct what they learn from."""

from sknoisy.cotraining import COTRAINING_METHODS, CoTraining
from sknoisy.cotraining.base import check_networks
from sknoisy.estimators.base_classifier import TorchClassifier
from sknoisy.losses import LOSSES, Loss
from sknoisy.parameters import resolve

# In five of these each network learns one half of the samples; then it needs them all.
HEAD_EPOCHS = 10
FEW = 20  # epochs of networks on vectors, at most


class CoTrainingClassifier(TorchClassifier):
    """Train one or two networks that choose and correct what they learn from.

    :class:`NoisyRobustClassifier` changes the loss. These methods change what is
    trained on instead: they choose samples that are probably labelled right, or replace
    labels by predictions. None of them has to be told the noise: what the papers set
    from its true rate and kind is estimated in the warm-up.

    Parameters
    ----------
    method : str or CoTraining, default="dividemix"
        "coteaching", "coteaching_plus", "cufit", "dividemix", "dynamic_bootstrap",
        "elr_plus", "jocor", "kernel_posterior", "mentornet", "moit", "self", "ssr",
        "taks", or an object of :mod:`sknoisy.cotraining`; ``method__lambda_u`` and the
        like reach its parameters.
    encoder : str or callable, default="auto"
        "auto": the encoder of the lazy features, else "mlp" for vectors and "convnet"
        for images. See :class:`SSLPretrainer` for the other values.
    weights : str, default=None
        "imagenet" or the path of a state dict: initial weights of a torchvision
        model, which then counts as pre-trained.
    head : {"linear", "mlp"}, default="linear"
        What turns features into logits; "mlp" has one normalised hidden layer.
    freeze_encoder : bool, default=False
        Train the heads only, on features that are computed once, without views.
    views : "auto", "none" or Views, default="auto"
        Random views of the training samples; see
        :func:`sknoisy.views.resolve_views`.
    n_test_views : int, default=0
        Number of random views of each sample, by `views`, that predictions average with
        the sample itself. They then take that many times longer, and depend a little on
        the other samples. Vectors have no views.
    validation : float or (X, y), default=None
        Samples that are not trained on, for "valid_loss" and "valid_acc" in
        `history_`; see :class:`NoisyRobustClassifier`.
    classes : array-like of shape (n_classes,), default=None
        All classes, including those that do not occur in y; for soft labels, the class
        of each column of y. None: the labels in y, or the columns of a data frame.
    max_epochs : int or "auto", default="auto"
        Epochs in which all of the networks are trained. "auto": 100; 20 for vectors,
        which a network memorises sooner, except for "cufit" and "ssr", which train
        heads alone. For "kernel_posterior", this and other values of "auto" are those
        of :class:`~sknoisy.KernelPosterior`.
    max_time : float, default=None
        About how many seconds ``fit`` may take: the schedule is fitted into them, and
        so is a warm-up that is "auto", and no epoch begins that could not end in time.
        At least one epoch is trained. The result depends on the speed of the machine.
        None: no limit.
    head_epochs : int or "auto", default="auto"
        Epochs before these, in which only the heads are trained, on the frozen
        encoder's features: the warm-up of most methods. "auto": with a pre-trained
        encoder a tenth of `max_epochs`, at least ten if there are as many, and none
        from scratch.
    batch_size : int or "auto", default="auto"
        Largest number of samples in a batch; "auto" is 128, or all samples if
        there are fewer.
    lr : float or "auto", default="auto"
        Peak learning rate. "auto": 0.02; for a published encoder, 0.02 for the heads
        and then 1e-3 for all of it.
    momentum : float, default=0.9
        Momentum.
    weight_decay : float or "auto", default="auto"
        Weight decay. "auto": 5e-4.
    optimizer : {"auto", "sgd", "momentum", "lars", "adamw"}, default="auto"
        Optimiser; "sgd" has Nesterov's momentum, "momentum" is the plain one, which the
        official codes of DivideMix and ELR+ use. "auto": "sgd".
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
        Number format in which networks are trained. "auto" is bfloat16 on GPUs that
        have it and, for images, on CPUs that do, else float32. Predictions are computed
        in float32.
    compile : bool, default=False
        Whether to compile the networks. Methods that call them one by one, "dividemix",
        "elr_plus" and "dynamic_bootstrap", gain nothing after the warm-up.
    callbacks : list of skorch callbacks, default=None
        Called while all of the networks are trained, not in the epochs of the heads;
        see :class:`NoisyRobustClassifier`.
    verbose : bool, default=None
        True: a progress bar in a terminal or a notebook, elsewhere a line for each
        epoch. None: a bar for long fits in a terminal or a notebook, but not within a
        search. False: nothing.
    random_state : int, RandomState or None, default=None
        Source of all randomness. An int gives the same result on the same CPU, with
        as many threads.

    Attributes
    ----------
    classes_ : ndarray of shape (n_classes,)
        The classes, in the dtype of y.
    clean_proba_ : ndarray of shape (n_samples,)
        For each training sample, the probability that its label is right: by the
        method's own mixture, or else by two Gaussians of `training_loss_`. NaN for
        samples that are held out by `validation`.
    noise_rate_ : float
        Estimated share of wrong labels, by the networks' votes in the warm-up; NaN if
        the training ends in it. Of methods without a warm-up, and those that find the
        wrong labels themselves, the mean of ``1 - clean_proba_``, if they have no count
        of their own.
    encoder_ : TrainedEncoder
        The first network's encoder as it was trained here.
    label_quality_, training_loss_ : ndarray of shape (n_samples,)
        As in :class:`NoisyRobustClassifier`, of the networks' mean probabilities.
    wrong_events_, prediction_changes_ : ndarray of shape (n_samples,)
        As in :class:`NoisyRobustClassifier`, of the same; epochs in which a method
        makes no prediction for a sample do not count.
    loss_state_ : dict of str to ndarray
        What the method keeps of the samples that it trains on.
    history_ : list of dict
        As in :class:`NoisyRobustClassifier`.
    method_params_ : dict of str to object
        What the method's parameters that may be "auto" were in the last epoch, such as
        ``{"lambda_u": 25.0}``.
    n_features_in_ : int
        Length of axis 1 of the samples.

    See Also
    --------
    SSLPretrainer : Before this, in a Pipeline; with DivideMix it is
        Contrast-to-Divide.
    sknoisy.scores.estimate_noise_rate : The estimate of the noise, by "votes".

    Notes
    -----
    Cost and memory are those of one or two networks, as the method says. Probabilities
    are the mean of both networks', where the papers report each one's accuracy.

    In the first epochs of the warm-up, up to five, each network trains on one half of
    the samples, and the noise is estimated on the other.

    References
    ----------
    Each method names its paper: see :mod:`sknoisy.cotraining`.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from sknoisy import CoTrainingClassifier
    >>> X, y = load_iris(return_X_y=True)
    >>> clf = CoTrainingClassifier("coteaching", max_epochs=30, random_state=0)
    >>> clf.fit(X, y).score(X, y) > 0.9
    True
    """

    _registries = {"method": COTRAINING_METHODS}
    # At a constant rate a head ends far from the mean of its last steps: on 10,000
    # images of CIFAR-10 with 80% of wrong labels, it got 21% right instead of 33%.
    _head_schedule = "cosine"
    _why_kernel = "this method makes"
    _instead_of_kernel = "a method that trains networks, such as 'ssr'"

    def __init__(
        self,
        method="dividemix",
        encoder="auto",
        weights=None,
        head="linear",
        freeze_encoder=False,
        views="auto",
        n_test_views=0,
        validation=None,
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
        self.method = method
        self.encoder = encoder
        self.weights = weights
        self.head = head
        self.freeze_encoder = freeze_encoder
        self.views = views
        self.n_test_views = n_test_views
        self.validation = validation
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

    def _check_parameters(self):
        super()._check_parameters()
        self._asked()

    def _method(self, kind, encoder_given):
        return self._asked()

    def _asked(self):
        method, is_name = self.method, isinstance(self.method, str)
        if isinstance(method, Loss) or (is_name and method in LOSSES):
            raise ValueError(
                f"method={method!r} is not valid: it is not a method but a loss: use "
                f"NoisyRobustClassifier({method!r})."
            )
        method = resolve("method", method, COTRAINING_METHODS, CoTraining)
        check_networks(method)
        return method

    def _defaults(self, method, n_samples, spec, is_pretrained):
        defaults = super()._defaults(method, n_samples, spec, is_pretrained)
        few = spec.kind == "vector" and not is_pretrained
        if few and method.vector_encoder is None:
            defaults["max_epochs"] = min(defaults["max_epochs"], FEW)
        return defaults

    def _head_epochs(self, max_epochs, is_pretrained):
        if self.freeze_encoder or not is_pretrained:
            return 0
        if self.head_epochs == "auto":
            return max(min(HEAD_EPOCHS, max_epochs), max_epochs // 10)
        return int(self.head_epochs)
