"""The views that "auto" stands for."""

from sknoisy.views.base import NoViews, Views
from sknoisy.views.images import ImageViews
from sknoisy.views.randaugment import RandAugment
from sknoisy.views.vectors import VectorViews


def resolve_views(views, spec, strength):
    """Return the views that a parameter's value stands for.

    Parameters
    ----------
    views : "auto", "none", Views
        The parameter.
    spec : InputSpec
        What the samples are.
    strength : {"strong", "weak", "randaugment"}
        What "auto" stands for: strong views, for self-supervised learning, weak ones,
        for classification, or RandAugment, for what is to be restored.

    Returns
    -------
    views : Views
        For "auto": vectors get :class:`VectorViews` (strong) or none (weak).
        Images under 16 pixels (digits, icons): shifts by one pixel and, strong,
        mild crops and brightness, but no flips, which would make other characters.
        Grey images are not flipped either. Up to 64 pixels: the views of SimCLR
        for CIFAR (strong), or padding crop and flip (weak). Larger images: those
        for ImageNet, with blur (strong), or resized crop and flip (weak). With
        "randaugment", images of 16 pixels or more get :class:`RandAugment` with a
        cutout of half the side, and all else the strong views.
    """
    if isinstance(views, str) and views == "auto":
        return _automatic(spec, strength)
    if isinstance(views, str) and views == "none":
        return NoViews()
    if not isinstance(views, Views):
        raise ValueError(
            f"views={views!r} is not valid: it must be 'auto', 'none' or an instance "
            "of Views, such as ImageViews or VectorViews."
        )
    views.check()
    others = {"image": VectorViews, "vector": (ImageViews, RandAugment)}[spec.kind]
    if isinstance(views, others):
        raise ValueError(f"views={views!r} is not valid: X holds {spec.kind}s.")
    return views


def _automatic(spec, strength):
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
