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
    labels by predictions. None of them needs to be told the rate or the kind of noise:
    what the papers set from the true values is estimated in the warm-up.

    Parameters
    ----------
    method : str or CoTraining, default="dividemix"
        "coteaching", "coteaching_plus", "cufit", "disc", "dividemix",
        "dynamic_bootstrap", "elr_plus", "gjs", "ido", "jocor", "kernel_posterior",
        "mentornet", "moit", "self", "ssr", "taks", or an object of
        :mod:`sknoisy.cotraining`; ``method__lambda_u`` and the like set its parameters.
    encoder : str or callable, default="auto"
        "auto": the encoder of the lazy features, else "mlp" for vectors and "convnet"
        for images. See :class:`SSLPretrainer` for the other values.
    weights : str, default=None
        "imagenet" or the path of a state dict: initial weights of a torchvision
        model, which then counts as pre-trained.
    head : {"linear", "mlp"}, default="linear"
        Layers that turn features into logits; "mlp" has one normalised hidden layer.
    freeze_encoder : bool, default=False
        Whether to train only the heads, on features that are computed once, without
        views.
    views : "auto", "none" or Views, default="auto"
        Random views of the training samples; see
        :func:`sknoisy.views.resolve_views`.
    n_test_views : int, default=0
        Number of random views of each sample, drawn by `views`, that predictions
        average over, together with the sample itself. Predicting then takes that many
        times longer, and predictions depend slightly on the other samples. Vectors have
        no views.
    validation : float or (X, y), default=None
        Held-out samples, for "valid_loss" and "valid_acc" in `history_`; see
        :class:`NoisyRobustClassifier`.
    classes : array-like of shape (n_classes,), default=None
        All classes, including those that do not occur in y; for soft labels, the class
        of each column of y. None: the labels in y, or the columns of a data frame.
    max_epochs : int or "auto", default="auto"
        Number of epochs in which the networks are trained as a whole. "auto": 100; 20
        for vectors, whose labels a network memorises quickly, except for "cufit" and
        "ssr", which train heads alone. For "kernel_posterior", this and other values of
        "auto" are those of :class:`~sknoisy.KernelPosterior`.
    max_time : float, default=None
        Approximate limit of the duration of ``fit``, in seconds. The schedule and a
        warm-up that is "auto" are shortened to fit, and no epoch begins that could not
        end in time, but at least one epoch is trained. The result depends on the speed
        of the machine. None: no limit.
    head_epochs : int or "auto", default="auto"
        Number of additional epochs at the start, in which only the heads are trained,
        on the frozen encoder's features: the warm-up of most methods. "auto": with a
        pre-trained encoder a tenth of `max_epochs`, but at least ten, or `max_epochs`
        if that is fewer. Without one, there are none.
    batch_size : int or "auto", default="auto"
        Largest number of samples in a batch; "auto" is 128, or all samples if
        there are fewer.
    lr : float or "auto", default="auto"
        Peak learning rate. "auto": 0.02; for a published encoder, 0.02 while only the
        heads are trained, then 1e-3.
    momentum : float, default=0.9
        Momentum.
    weight_decay : float or "auto", default="auto"
        Weight decay. "auto": 5e-4.
    optimizer : {"auto", "sgd", "momentum", "lars", "adamw"}, default="auto"
        Optimiser; "sgd" uses Nesterov momentum, "momentum" classical momentum, which
        the official codes of DivideMix and ELR+ use. "auto": "sgd".
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
        Whether to compile the networks. Methods that call them one by one, "dividemix",
        "elr_plus" and "dynamic_bootstrap", gain nothing after the warm-up.
    callbacks : list of skorch callbacks, default=None
        Called while the networks are trained as a whole, not while only the heads are;
        see :class:`NoisyRobustClassifier`.
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
    clean_proba_ : ndarray of shape (n_samples,)
        For each training sample, the probability that its label is right: by the
        method's own mixture, or else by a mixture of two Gaussians fitted to
        `training_loss_`. NaN for samples that are held out by `validation`.
    noise_rate_ : float
        Estimated share of wrong labels, by the networks' votes in the warm-up; NaN if
        the training ends in the warm-up. For methods without a warm-up, and those that
        find the wrong labels themselves, it is their own count, or else the mean of
        ``1 - clean_proba_``.
    encoder_ : TrainedEncoder
        The trained encoder of the first network.
    label_quality_, training_loss_ : ndarray of shape (n_samples,)
        As in :class:`NoisyRobustClassifier`, by the networks' mean probabilities.
    wrong_events_, prediction_changes_ : ndarray of shape (n_samples,)
        As in :class:`NoisyRobustClassifier`, by the same probabilities; epochs in which
        a method makes no prediction for a sample do not count.
    loss_state_ : dict of str to ndarray
        What the method keeps of the samples that it trains on.
    history_ : list of dict
        As in :class:`NoisyRobustClassifier`.
    method_params_ : dict of str to object
        Values in the last epoch of the method's parameters that may be "auto", such as
        ``{"lambda_u": 25.0}``.
    n_features_in_ : int
        Length of axis 1 of the samples.

    See Also
    --------
    SSLPretrainer : Pre-trains the encoder; with DivideMix this is Contrast-to-Divide.
    sknoisy.scores.estimate_noise_rate : Estimates the noise, here by "votes".

    Notes
    -----
    Each method says whether it trains one network or two, which decides time and
    memory. Probabilities are the mean of both networks'; the papers report the accuracy
    of each.

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
