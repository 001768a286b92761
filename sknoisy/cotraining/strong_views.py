"""Strong views of what the classifier's own views have changed before."""

from sknoisy.views.automatic import resolve_views
from sknoisy.views.randaugment import RandAugment

SMALL = 16  # pixels from which on RandAugment's operations leave enough of an image


def strong_views(views, spec):
    """Return the views for a value of the parameter ``views`` of a method.

    Parameters
    ----------
    views : "auto", "none" or Views
        Value of the parameter. "auto": :class:`~sknoisy.views.RandAugment` for images
        of 16 pixels and more, the strong views of :func:`sknoisy.views.resolve_views`
        for smaller images, and none for vectors.
    spec : InputSpec
        Kind and shape of the samples.
    """
    if isinstance(views, str) and views == "auto":
        if spec.kind == "vector":
            views = "none"
        elif min(spec.shape[1:]) >= SMALL:
            views = RandAugment()
    return resolve_views(views, spec, "strong")
