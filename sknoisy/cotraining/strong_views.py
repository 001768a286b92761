"""Strong views, besides those of the classifier."""

from sknoisy.views.automatic import resolve_views
from sknoisy.views.base import NoViews
from sknoisy.views.randaugment import RandAugment

SMALL = 16  # pixels from which on RandAugment's operations leave enough of an image


def strong_views(views, data, **auto):
    """Return the views of samples for a value of the parameter ``views`` of a method.

    Parameters
    ----------
    views : "auto", "none" or Views
        Value of the parameter.
    data : TrainingData
        The samples. Views that are given are those of the samples, so the features that
        a frozen encoder makes of them have none.
    **auto : dict
        What "auto" means, see :func:`views_of`.
    """
    if data.frozen and not _is_auto(views):
        return NoViews()
    return views_of(data.store.spec, views, **auto)


def views_of(spec, views, of_images=None, of_vectors="none"):
    """Return the views of samples of some kind and shape, or raise ``ValueError``.

    Parameters
    ----------
    spec : InputSpec
        Kind and shape of the samples.
    views : "auto", "none" or Views
        Value of the parameter.
    of_images : "auto", "none" or Views, default=None
        What "auto" means for images of 16 pixels and more; None:
        :class:`~sknoisy.views.RandAugment`. Smaller ones have the strong views of
        :func:`sknoisy.views.resolve_views`.
    of_vectors : "auto" or "none", default="none"
        What it means for vectors and frozen features.
    """
    if _is_auto(views):
        if spec.kind == "vector":
            views = of_vectors
        elif min(spec.shape[1:]) >= SMALL:
            views = RandAugment() if of_images is None else of_images
    return resolve_views(views, spec, "strong")


def _is_auto(views):
    return isinstance(views, str) and views == "auto"
