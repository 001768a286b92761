"""SSLPretrainer: learns a representation of X without labels."""

from dataclasses import replace
from functools import partial
from typing import NamedTuple

import numpy as np
import torch
from torch import nn

from sknoisy import ranks
from sknoisy._compat import with_callbacks
from sknoisy.checks import check_choice, check_integer, check_lengths
from sknoisy.data.devices import generator
from sknoisy.data.given import read_labels
from sknoisy.data.labels import check_given, encode_labels
from sknoisy.data.order import check_order
from sknoisy.data.weights import check_label_weights
from sknoisy.encoders.blueprint import load_numpy_state, numpy_state
from sknoisy.encoders.features import TrainedEncoder
from sknoisy.encoders.initialization import build_heads
from sknoisy.estimators.base import TorchEstimator, fitting
from sknoisy.estimators.caching import cached_pretraining
from sknoisy.estimators.lazy import LazyTransformer, check_cache, open_memory
from sknoisy.estimators.pipelines import check_what_follows
from sknoisy.parameters import resolve
from sknoisy.selfsup import METHODS, SelfSupervised
from sknoisy.training.callbacks import check_patterns
from sknoisy.training.checkpoint import resumable
from sknoisy.training.monitor import EncoderMonitor
from sknoisy.training.pace import TimeLimit
from sknoisy.training.progress import Progress
from sknoisy.training.run import Run, TrainingData
from sknoisy.training.selfsupervised import SelfSupervisedNet


class Call(NamedTuple):
    """A call of ``fit``: a copy of the pre-trainer, for the cache, may carry it out."""

    pretrainer: object
    X: object
    y: object
    limit: TimeLimit | None


class SSLPretrainer(LazyTransformer, TorchEstimator):
    """Pre-train an encoder on X alone, by self-supervised learning.

    A representation that is learned without labels cannot be misled by wrong ones.
    ``transform`` returns lazy features. Other estimators take them for an array of the
    encoder's features; the classifiers of this package find the samples and the encoder
    in them, and fine-tune the encoder.

    Parameters
    ----------
    method : str or SelfSupervised, default="simclr"
        The self-supervised method: "barlow_twins", "byol", "moco", "restoration",
        "simclr" or "vicreg", which learn without labels, or "supcon", which learns from
        y; ``method__temperature`` and the like set its parameters.
    encoder : str or callable, default="auto"
        "auto" ("mlp" for vectors, "convnet" for images), "mlp", "convnet", "resnet18",
        "resnet34", "resnet50", "preact_resnet18", the name of a torchvision
        classification model, a module class or a function that returns a module; the
        last two are called with the shape of a sample if they take an argument. The
        ResNets are meant for GPUs.
    weights : str, default=None
        "imagenet" or the path of a state dict: initial weights of a torchvision
        model.
    max_epochs : int, default=200
        Number of passes over X.
    max_time : float, default=None
        Approximate limit of the duration of ``fit``, in seconds. The schedule is
        shortened to fit, and no epoch begins that could not end in time, but at least
        one epoch is trained. The result depends on the speed of the machine. None: no
        limit.
    batch_size : int or "auto", default="auto"
        Largest number of samples in a batch; "auto" is 256, or all samples if
        there are fewer.
    lr : float, default=0.4
        Peak learning rate, for the default optimiser and batch size.
    momentum : float, default=0.9
        Momentum.
    weight_decay : float, default=1e-4
        Weight decay.
    optimizer : {"lars", "sgd", "momentum", "adamw"}, default="lars"
        Optimiser; "sgd" uses Nesterov momentum, "momentum" classical momentum.
    schedule : {"cosine", "constant", "steps"}, default="cosine"
        How the learning rate changes after its rise. "steps": it falls to a tenth after
        half of the epochs, and to a hundredth after three quarters.
    lr_warmup_epochs : int, default=10
        Number of epochs at the start in which the learning rate rises; at most a tenth
        of all epochs.
    image_size : int or (int, int), default=None
        Height and width to which image files are resized; needed if X holds paths.
    channels : {"auto", "first", "last"}, default="auto"
        Position of the channel axis in 4-D images.
    output : {"lazy", "array"}, default="lazy"
        Whether ``transform`` returns :class:`~sknoisy.encoders.features.LazyFeatures`
        or an ndarray. ``set_output(transform="pandas")`` makes it a data frame.
    memory : str, path or joblib.Memory, default=None
        Where to cache trained encoders. They are reused for the same X, parameters and
        code of your own in these, and, if the method learns from labels, the same y and
        weights. None: no cache.
    device : str, default="auto"
        "auto" (a GPU if there is one), "cpu", "cuda", "cuda:1", "mps".
    precision : {"auto", "float32", "bfloat16"}, default="auto"
        Number format in which the encoder is trained. "auto" is bfloat16 on GPUs that
        have it and, for images, on CPUs that do, else float32. On a CPU, "auto"
        computes features in float32.
    compile : bool, default=False
        Whether to compile the encoder, which pays off in long fits.
    monitor : int, default=None
        Number of epochs between evaluations of the encoder; one more follows the last
        epoch. Each adds to ``history_`` the "rankme" and "lidar" of at most 1,000
        samples, and, if ``fit`` gets labels, the "neighbor_accuracy" by these labels. A
        warning says if the encoder collapses. The training itself does not change.
        None: no evaluation.
    callbacks : list of skorch callbacks, default=None
        Callbacks of skorch that the guide lists, or your own, called during training.
        An LRScheduler needs ``schedule="constant"`` and ``lr_warmup_epochs=0``.
    verbose : bool, default=None
        True: a progress bar in a terminal or a notebook, elsewhere a line for each
        epoch. None: a bar for long fits in a terminal or a notebook, but not within a
        search. False: nothing.
    random_state : int, RandomState or None, default=None
        Source of all randomness. An int gives the same result on the same CPU, with the
        same number of threads.

    Attributes
    ----------
    encoder_ : TrainedEncoder
        The encoder, with its weights as NumPy arrays.
    heads_ : dict of str to ndarray
        Weights of the method's heads, if it keeps them, as "restoration" does; else
        empty.
    history_ : list of dict
        For each epoch "epoch", "train_loss", "lr" (of its last step), "dur" (seconds),
        what callbacks record, and what `monitor` adds.
    n_features_in_ : int
        Length of axis 1 of X.

    See Also
    --------
    NoisyRobustClassifier : Fine-tunes the encoder on noisy labels.

    References
    ----------
    Chen et al., A Simple Framework for Contrastive Learning of Visual
    Representations, ICML 2020. Zbontar et al., Barlow Twins: Self-Supervised
    Learning via Redundancy Reduction, ICML 2021. On noisy labels: Ciortan, Dupuis
    and Peel, A Framework using Contrastive Learning for Classification with Noisy
    Labels, 2021.

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from sknoisy import SSLPretrainer
    >>> X = load_digits().images[:100]
    >>> features = SSLPretrainer(max_epochs=2, random_state=0).fit_transform(X)
    >>> features.shape
    (100, 192)
    """

    _registries = {"method": METHODS}
    _min_samples = 2

    def __init__(
        self,
        method="simclr",
        encoder="auto",
        weights=None,
        max_epochs=200,
        max_time=None,
        batch_size="auto",
        lr=0.4,
        momentum=0.9,
        weight_decay=1e-4,
        optimizer="lars",
        schedule="cosine",
        lr_warmup_epochs=10,
        image_size=None,
        channels="auto",
        output="lazy",
        memory=None,
        device="auto",
        precision="auto",
        compile=False,
        monitor=None,
        callbacks=None,
        verbose=None,
        random_state=None,
    ):
        self.method = method
        self.encoder = encoder
        self.weights = weights
        self.max_epochs = max_epochs
        self.max_time = max_time
        self.batch_size = batch_size
        self.lr = lr
        self.momentum = momentum
        self.weight_decay = weight_decay
        self.optimizer = optimizer
        self.schedule = schedule
        self.lr_warmup_epochs = lr_warmup_epochs
        self.image_size = image_size
        self.channels = channels
        self.output = output
        self.memory = memory
        self.device = device
        self.precision = precision
        self.compile = compile
        self.monitor = monitor
        self.callbacks = callbacks
        self.verbose = verbose
        self.random_state = random_state

    # Not in fit's signature: scikit-learn takes a weight for a number of equal samples,
    # and these are probabilities of labels.
    __metadata_request__fit = {"sample_weight": None}

    @with_callbacks
    def fit(self, X, y=None, **weights):
        """Pre-train the encoder.

        Parameters
        ----------
        X : array-like, tensor, array of paths or LazyFeatures
            Vectors (n, d), images (n, H, W), (n, H, W, C) or (n, C, H, W), uint8 or
            float, or n paths of image files. With lazy features, training continues
            from the encoder that they carry.
        y : array-like of shape (n_samples,), default=None
            Labels, for a method that learns from them; else ignored.
        **weights : dict
            ``sample_weight``, array-like of shape (n_samples,): how far each label is
            trusted, in [0, 1], by default 1; ignored if y is.

        Returns
        -------
        self : SSLPretrainer
            This estimator.

        Raises
        ------
        ValueError
            If X or a parameter is not valid; before training starts. In a Pipeline
            that ends in a classifier of this package, the same for y and the
            parameters of the steps that follow.
        DivergenceError
            If the loss is no longer finite.
        """
        for name in weights:
            if name != "sample_weight":
                raise TypeError(
                    f"fit got an unexpected keyword argument {name!r}: besides X and "
                    "y it takes 'sample_weight' only."
                )
        interrupt, limit = None, self._time_limit()
        with fitting(self):
            self._check_parameters()
            check_what_follows(self, y)
            check_order(X, y=y, **weights)
            inputs, trained = self._read(X, reset=True)
            labels = self._labels(inputs, y, **weights)
            memory = open_memory(self.memory)
            cached = partial(cached_pretraining, self, memory)
            pretrain = self._pretrain if memory is None else cached
            call, seeds = Call(self, X, y, limit), self._seeds(5)
            try:
                learned = pretrain(inputs, trained, labels, call, seeds)
            except KeyboardInterrupt as error:
                if not hasattr(error, "learned"):
                    raise
                learned, interrupt = error.learned, error
            vars(self).update(_attributes(self.device, *learned))
        if interrupt is not None:
            raise interrupt
        return self

    def _check_parameters(self):
        super()._check_parameters()
        self._method()
        check_choice("output", self.output, ["lazy", "array"])
        check_cache(self.memory)
        if self.monitor is not None:
            check_integer("monitor", self.monitor)

    def _rising_epochs(self):
        check_integer("lr_warmup_epochs", self.lr_warmup_epochs, low=0)
        return min(self.lr_warmup_epochs, self.max_epochs // 10)

    def _labels(self, inputs, y, sample_weight=None):
        """Return codes and weights of the labels, or nothing if they are not used."""
        if not self._method().uses_labels:
            if y is not None:  # what comes after this would find out late
                check_lengths(X=inputs, y=y)
            return ()
        check_given(self, y)
        _, codes = encode_labels(y)
        check_lengths(X=inputs, y=codes)
        return codes, check_label_weights(sample_weight, len(codes))

    def _monitored(self, y):
        """Return codes of labels that only the monitor looks at, or None."""
        if self.monitor is None or y is None:
            return None
        is_soft = np.ndim(y) == 2 and np.shape(y)[1] > 1 and not hasattr(y, "columns")
        columns = np.arange(np.shape(y)[1]) if is_soft else None
        return read_labels(y, columns=columns)[1].codes

    def _method(self):
        return resolve("method", self.method, METHODS, SelfSupervised)

    def _pretrain(self, inputs, trained, labels, call, seeds):
        """Return the trained encoder, the heads that are kept, and the history.

        Parameters
        ----------
        inputs : ndarray, tensor or array of paths
            The samples.
        trained : TrainedEncoder or None
            What lazy features carry: where training starts.
        labels : tuple of ndarray
            Codes and weights, or nothing.
        call : Call
            What the user has called.
        seeds : list of int
            Drawn by `random_state`.
        """
        asked = call.pretrainer
        method = self._method()
        blueprint = self._blueprint(inputs, trained)
        spec = blueprint.spec
        store = spec.open(inputs)
        defaults = {"batch_size": min(256, len(store))}
        share = self._rising_epochs() / self.max_epochs
        settings = self._settings(len(store), spec, defaults, lr_warmup=share)
        settings = replace(settings, **asked._reporting())
        blueprint = blueprint.with_training_statistics()
        networks, heads = self._networks(method, blueprint, trained, len(store), seeds)
        encoder = networks["encoder"]
        run = Run(self.max_epochs, limit=call.limit)
        check_patterns(asked.callbacks, dict(networks.named_parameters()))
        net = SelfSupervisedNet(
            networks,
            method,
            settings,
            run,
            generator=generator(seeds[3]),
            view_generator=generator(ranks.own_seed(seeds[2]), settings.device),
            views=_pair_of_views(method, spec),
            labels=[torch.from_numpy(v).to(settings.device) for v in labels],
        ).initialize()
        data = TrainingData(store.resident(settings.device))
        if self.monitor is not None:
            net.monitor = EncoderMonitor(
                data.store,
                net.views,
                every=self.monitor,
                seed=seeds[2],
                device=settings.device,
                codes=self._monitored(call.y),
            )

        def learned():
            state, kept = numpy_state(encoder), heads if method.keeps_heads else {}
            trained = TrainedEncoder(blueprint, state, encoder.n_features)
            return trained, numpy_state(nn.ModuleDict(kept)), run.history

        epochs = self.max_epochs
        shown = {
            "X": call.X,
            "y": call.y,
            "learned": lambda: _attributes(asked.device, *learned()),
            "limit": call.limit,
            "spec": spec,
        }
        # What fails after the last epoch, too, can be gone on from.
        with resumable(asked, net, inputs, trained, labels):
            size = len(store), epochs, net.epochs_
            with Progress(asked, *size, **shown) as run.progress:
                try:
                    net.train_epochs(data, epochs - net.epochs_)
                except KeyboardInterrupt as error:
                    if run.history:
                        error.learned = learned()  # it can be used
                    raise
            return learned()

    def _networks(self, method, blueprint, trained, n_samples, seeds):
        """Return all networks of a training, and the method's heads among them."""
        encoder = blueprint.build(generator(seeds[0]), load_weights=True)
        if trained is not None:
            load_numpy_state(encoder, trained.state)
        heads = build_heads(method, encoder, generator=generator(seeds[1]))
        networks = nn.ModuleDict({"encoder": encoder, **heads})
        method.start(networks, n_samples, generator(seeds[4]))
        if self.compile:
            encoder.compile()
        return networks, heads

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.target_tags.required = getattr(
            METHODS.get(self.method) if isinstance(self.method, str) else self.method,
            "uses_labels",
            False,
        )
        return tags


def _attributes(device, encoder, heads, history):
    """Return the fitted attributes of a pre-trainer."""
    encoder.device = device
    return {
        "encoder_": encoder,
        "heads_": heads,
        "history_": history,
        "_n_features_out": encoder.n_features,
    }


def _pair_of_views(method, spec):
    """Return the augmentations of both views."""
    views = method.make_views(spec)
    if not isinstance(views, (tuple, list)) or len(views) != 2:
        raise ValueError(
            f"{type(method).__name__}.make_views returned {views!r}: it must return "
            "two augmentations, one for each view."
        )
    return views
