"""Default views."""

from sklearn.base import clone

from sknoisy.views.base import NoViews, Views
from sknoisy.views.images import ImageViews
from sknoisy.views.randaugment import RandAugment
from sknoisy.views.vectors import VectorViews


def resolve_views(views, spec, strength):
    """Return the views for a value of the parameter ``views``.

    Parameters
    ----------
    views : "auto", "none" or Views
        Value of the parameter.
    spec : InputSpec
        Kind and shape of the samples.
    strength : {"strong", "weak", "randaugment"}
        Meaning of "auto": strong views, for self-supervised learning; weak views, for
        classification; or RandAugment, for regularisers and restoration.

    Returns
    -------
    views : Views
        The views, validated.

    Notes
    -----
    "none" leaves samples unchanged. "auto" depends on the shorter side of images:

    ==================  =============================  ==============================
    samples             strong                         weak
    ==================  =============================  ==============================
    vectors             corrupted features and noise   unchanged
    images < 16 pixels  shifts by one pixel, mild      shifts by one pixel
                        crops, brightness, contrast
    images <= 64        SimCLR's views for CIFAR       shifts by an eighth, flips
    larger images       SimCLR's views for ImageNet,   resized crops, flips
                        with blur
    ==================  =============================  ==============================

    Images smaller than 16 pixels, such as digits and icons, and grey images are never
    flipped, because a mirrored character is another one.

    With "randaugment", images of 16 pixels or more get :class:`RandAugment` with a
    cutout of half the side. Vectors and smaller images get the strong views.
    """
    check_views(views)
    if isinstance(views, str):
        return _automatic(spec, strength) if views == "auto" else NoViews()
    views = clone(views)
    others = {"image": VectorViews, "vector": (ImageViews, RandAugment)}[spec.kind]
    if isinstance(views, others):
        raise ValueError(f"views={views!r} is not valid: X holds {spec.kind}s.")
    return views


def check_views(views):
    """Raise ``ValueError`` unless a value of the parameter `views` is valid."""
    if isinstance(views, str) and views in ("auto", "none"):
        return
    if not isinstance(views, Views):
        raise ValueError(
            f"views={views!r} is not valid: it must be 'auto', 'none' or an instance "
            "of a subclass of Views, such as ImageViews or VectorViews."
        )
    views.check()


def _automatic(spec, strength):
    """Return the views of "auto"."""
    strong = strength != "weak"
    if spec.kind == "vector":
        return VectorViews() if strong else NoViews()
    channels, *size = spec.shape
    side = min(size)
    if strength == "randaugment" and side >= 16:
        return RandAugment(cutout=0.5)
    flip = 0.5 if channels > 1 and side >= 16 else 0.0
    still = {"jitter": None, "gray": 0.0, "flip": flip}
    if side < 16:
        still["pad"] = 1
        if not strong:
            return ImageViews(crop_scale=None, **still)
        still["jitter"] = (0.4, 0.4, 0.0, 0.0)
        return ImageViews(crop_scale=(0.5, 1.0), **still)
    if side <= 64:
        if not strong:
            return ImageViews(crop_scale=None, pad=side // 8, **still)
        return ImageViews(flip=flip)
    if not strong:
        return ImageViews(crop_scale=(0.35, 1.0), **still)
    return ImageViews(
        crop_scale=(0.08, 1.0), jitter=(0.8, 0.8, 0.8, 0.2), blur=0.5, flip=flip
    )
