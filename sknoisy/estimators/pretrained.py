"""PretrainedEncoder: an encoder with published weights, or with a user's own."""

from sknoisy.checks import check_choice, check_lengths
from sknoisy.data.devices import generator, resolve_device
from sknoisy.data.inputs import check_image_size, is_paths
from sknoisy.data.order import check_order
from sknoisy.data.spec import InputSpec
from sknoisy.encoders.blueprint import Blueprint, numpy_state
from sknoisy.encoders.features import TrainedEncoder
from sknoisy.encoders.modules import Template, copied, input_of
from sknoisy.encoders.named import (
    make_module,
    takes_shape,
    with_n_features,
)
from sknoisy.encoders.published import (
    IMAGENET,
    is_published,
    published_input,
    with_moments,
)
from sknoisy.encoders.weights import load_weights
from sknoisy.estimators.base import TorchEstimator, fitting
from sknoisy.estimators.lazy import LazyTransformer, check_cache, open_memory
from sknoisy.estimators.pipelines import check_what_follows
from sknoisy.estimators.pretrained_checks import (
    check_encoder,
    check_kind,
    check_normalization,
    check_pickles,
    check_weights,
    is_text,
)


class PretrainedEncoder(LazyTransformer, TorchEstimator):
    """Load an encoder that was trained elsewhere; nothing is trained here.

    ``transform`` returns lazy features. Other estimators take them for an array of the
    encoder's features; the classifiers of this package find the samples and the encoder
    in them, and fine-tune the encoder, or leave it as it is with
    ``freeze_encoder=True``. :class:`SSLPretrainer` trains it further on X alone.

    A fitted estimator contains the weights, so a pickle of it can be loaded without
    their original file and without a connection.

    Parameters
    ----------
    encoder : str, callable or torch.nn.Module, default="resnet18"
        One of

        - the name of a classification model of torchvision;
        - "timm/" and the name of a model of timm, such as
          "timm/vit_small_patch14_dinov2.lvd142m". This needs the package timm;
        - "convnet", "preact_resnet18" or "mlp", with a file of weights;
        - a module, with its weights, that returns features (n, n_features), or maps
          (n, n_features, h, w), which are averaged. The module itself is not changed;
        - a function or a class that returns such a module. It is called with the shape
          of a sample if it needs an argument. Searches copy a module for each
          candidate, and the cache of a Pipeline does not recognise it; a function is
          neither copied nor compared by its weights.
    weights : str, path or None, default="auto"
        "auto": the published weights, which are downloaded once, or the weights that
        the module has. "imagenet": the published weights of a model of torchvision. A
        path: a file with a state dict, or in the safetensors format; the weights of
        its head are left out. None: a named encoder with random weights, for
        comparison.
    image_size : int, (int, int), "auto" or None, default="auto"
        Height and width of images at the encoder's input. Image files are read at this
        size; images in arrays are resized to it by the network, after views. "auto":
        the size that the encoder was trained on, if that is known; otherwise arrays
        are not resized, and files need a size. None: arrays are not resized. Small
        images are faster but give worse features: see Notes.
    channels : {"auto", "first", "last"}, default="auto"
        Position of the channel axis in 4-D images.
    normalization : "auto", "imagenet", "data", None or (mean, std), default="auto"
        Mean and standard deviation that samples are normalised with; images are scaled
        to [0, 1] before. "auto": those that the encoder was trained with, if they are
        known; otherwise "imagenet" for RGB images, "data" for vectors and other
        images. "data": those of each channel or feature of X. None: no normalisation.
        A pair: two numbers, or two sequences with one number for each channel or
        feature.
    output : {"lazy", "array"}, default="lazy"
        Whether ``transform`` returns :class:`~sknoisy.encoders.features.LazyFeatures`
        or an ndarray. ``set_output(transform="pandas")`` makes it a data frame.
    memory : str, path or joblib.Memory, default=None
        Where to cache features. They are reused for the same X and encoder. None: no
        cache.
    device : str, default="auto"
        "auto" (a GPU if there is one), "cpu", "cuda", "cuda:1", "mps".
    precision : {"auto", "float32", "bfloat16"}, default="auto"
        Number format in which features are computed; "auto" is bfloat16 on GPUs that
        have it, else float32.

    Attributes
    ----------
    encoder_ : TrainedEncoder
        The encoder, with its weights as NumPy arrays.
    n_features_in_ : int
        Length of axis 1 of X.

    See Also
    --------
    SSLPretrainer : Trains an encoder on X alone.
    NoisyRobustClassifier : Fine-tunes the encoder on noisy labels.

    Notes
    -----
    Published encoders get grey images as RGB images of three equal channels.

    The size and the normalisation matter. In one run, logistic regression on features
    of an EfficientNet-Lite0, for 600 images of CIFAR-10 (five classes, 13% wrong
    labels), had an accuracy of 0.50 at the images' 32 pixels, 0.71 at 64 and 0.79 at
    128. At 128 it had 0.75 with ImageNet's normalisation, which is not this network's.

    Images are resized and cropped to the centre; the evaluation of published models
    often crops a small margin as well.

    Examples
    --------
    ``PretrainedEncoder("resnet50")`` downloads the weights of ImageNet. Here, a module
    stands for one that you have trained:

    >>> from sklearn.datasets import load_digits
    >>> from sknoisy import PretrainedEncoder
    >>> from torch import nn
    >>> X = load_digits().images[:100]
    >>> mine = nn.Sequential(nn.Conv2d(1, 8, 3), nn.ReLU())
    >>> PretrainedEncoder(mine).fit_transform(X)
    LazyFeatures(shape=(100, 8), encoder=Sequential)
    """

    def __init__(
        self,
        encoder="resnet18",
        weights="auto",
        image_size="auto",
        channels="auto",
        normalization="auto",
        output="lazy",
        memory=None,
        device="auto",
        precision="auto",
    ):
        self.encoder = encoder
        self.weights = weights
        self.image_size = image_size
        self.channels = channels
        self.normalization = normalization
        self.output = output
        self.memory = memory
        self.device = device
        self.precision = precision

    def fit(self, X, y=None):
        """Load the encoder, for samples like those of X.

        Parameters
        ----------
        X : array-like, tensor or array of paths
            Vectors (n, d), images (n, H, W), (n, H, W, C) or (n, C, H, W), uint8 or
            float, or n paths of image files.
        y : array-like of shape (n_samples,), default=None
            Ignored.

        Returns
        -------
        self : PretrainedEncoder
            This estimator.

        Raises
        ------
        ValueError
            If X or a parameter is not valid, or if the weights do not belong to the
            encoder.
        OSError
            If the published weights cannot be downloaded.
        """
        with fitting(self):
            return self._fit(X, y)

    def _fit(self, X, y):
        self._check_parameters()
        check_what_follows(self, y)
        check_order(X, y=y)
        inputs, trained = self._read(X, reset=True)
        if y is not None:  # what comes after this would find out late
            check_lengths(X=inputs, y=y)
        if trained is not None:
            raise ValueError(
                f"X holds lazy features of the encoder {str(trained)!r}, but "
                "PretrainedEncoder has an encoder of its own: pass the samples."
            )
        self.encoder_ = self._load(inputs)
        self._n_features_out = self.encoder_.n_features
        return self

    def _check_parameters(self):
        check_choice("channels", self.channels, ["auto", "first", "last"])
        check_choice("output", self.output, ["lazy", "array"])
        check_choice("precision", self.precision, ["auto", "float32", "bfloat16"])
        if self.image_size is not None and not is_text(self.image_size, "auto"):
            check_image_size(self.image_size)
        check_encoder(self.encoder)
        check_weights(self.weights, self.encoder)
        check_normalization(self.normalization)
        check_cache(self.memory)
        resolve_device(self.device)

    def _load(self, inputs):
        """Return the encoder with its weights, for samples like `inputs`."""
        module = known = None
        if is_published(self.encoder):
            known = published_input(self.encoder)
        elif not isinstance(self.encoder, str) and not takes_shape(self.encoder):
            module = copied(make_module(self.encoder))
            known = input_of(module)
        size = self._size(inputs, known)
        of_files = size if is_paths(inputs) else None
        spec = InputSpec.learn(inputs, self.channels, of_files)
        check_kind(self.encoder, spec)
        spec = self._normalized(spec, known)
        resized = spec.kind == "image" and size not in (None, spec.shape[1:])
        blueprint = Blueprint(
            self.encoder, spec, self.weights, size if resized else None, published=True
        )
        if isinstance(self.encoder, str):
            whole = blueprint.build(generator(0), load_weights=True)
        else:
            if module is None:
                module = copied(make_module(self.encoder, blueprint.shape))
            if self.weights not in (None, "auto"):
                load_weights(module, self.weights)
            name = type(module).__name__
            module = with_n_features(module, blueprint.shape, name)
            blueprint.encoder = Template(module, name)
            if self.memory is not None:
                check_pickles(blueprint.encoder)
            whole = blueprint.build()
            whole[-1].load_state_dict(module.state_dict())
        pretrained = self.weights is not None or not isinstance(self.encoder, str)
        blueprint.fixed_statistics = pretrained
        return TrainedEncoder(
            blueprint,
            numpy_state(whole),
            whole.n_features,
            self.device,
            self.precision,
            pretrained,
        )

    def _size(self, inputs, known):
        """Return height and width that images are resized to, or None."""
        if not is_text(self.image_size, "auto"):
            size = self.image_size
            if size is None and not is_paths(inputs):
                return None
            return check_image_size(size)
        if known is None and is_paths(inputs):
            raise ValueError(
                "image_size='auto' is not valid: X holds paths, and the size that "
                "the encoder was trained on is not known. Pass a size in pixels."
            )
        return None if known is None else tuple(known.size)

    def _normalized(self, spec, known):
        """Return a spec with the moments that `normalization` stands for."""
        given = self.normalization
        is_image = spec.kind == "image"
        if is_text(given, "auto"):
            is_rgb = is_image and spec.shape[0] == 3
            given = known[1:] if known else "imagenet" if is_rgb else "data"
        if is_text(given, "data"):
            return spec
        if is_text(given, "imagenet") and not is_image:
            raise ValueError(
                "normalization='imagenet' is not valid: it is made for images, but X "
                f"holds {spec}."
            )
        if given is None:
            given = 0.0, 1.0
        moments = IMAGENET if is_text(given, "imagenet") else given
        try:
            return with_moments(spec, *moments)
        except ValueError as error:
            raise ValueError(
                f"normalization={self.normalization!r} is not valid: {error}"
            ) from error

    def _features_memory(self):
        return open_memory(self.memory)
