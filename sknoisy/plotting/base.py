"""What the displays share: colours, figures and pictures."""

import numpy as np
from sklearn.utils.validation import check_is_fitted

from sknoisy.checks import as_numbers
from sknoisy.detection.detector import LabelErrorDetector

# Of Okabe and Ito, whose yellow is darkened for white paper, and two more.
BLUE, ORANGE, GREEN = "#0072B2", "#D55E00", "#009E73"
PALETTE = [BLUE, ORANGE, GREEN, "#CC79A7", "#000000", "#E69F00", "#56B4E9"]
PALETTE += ["#882255", "#999999", "#D9C800"]
DASHES = ["-", "--", "-.", ":", (0, (5, 1, 1, 1, 1, 1))]
MARKERS = "o^sDvP*X<>"


def pyplot():
    """Return matplotlib's pyplot, or say how to install it."""
    try:
        import matplotlib.pyplot as plt
    except ImportError as error:
        raise ImportError(
            "Displays need matplotlib: pip install matplotlib."
        ) from error
    return plt


def check_fitted(name, estimator, attribute, kind):
    """Check that a parameter is a fitted estimator of a kind."""
    if not hasattr(estimator, attribute) and not isinstance(estimator, kind):
        raise ValueError(
            f"{name}={estimator!r} is not valid: it must be a {kind.__name__}."
        )
    check_is_fitted(estimator, attribute)


def detector_of(estimator, attribute="label_errors_"):
    """Return a fitted detector: what is given, or that of a LabelCleaningClassifier."""
    detector = estimator
    if hasattr(estimator, "detector"):  # a parameter of a LabelCleaningClassifier
        check_is_fitted(estimator, "detector_")
        detector = estimator.detector_
    check_fitted("detector", detector, attribute, LabelErrorDetector)
    return detector


def as_column(name, value):
    """Return a number for each sample, float64, or raise ``ValueError``."""
    value = as_numbers(name, value).astype(np.float64)
    if value.ndim != 1 or len(value) == 0 or not np.isfinite(value).all():
        raise ValueError(
            f"{name} of shape {value.shape} is not valid: it must be finite and of "
            "shape (n_samples,), with one sample or more."
        )
    return value


def plain(name):
    """Return a name, such as of a class, as matplotlib shows it as it is.

    It takes what stands between dollars for a formula, and hides from legends what
    begins with an underscore, before which a space without width is put.
    """
    name = str(name).replace("$", r"\$")
    return f"\u200b{name}" if name.startswith("_") else name


def show_image(ax, image):
    """Draw an image, (H, W) or (H, W, C) in [0, 1], without ticks."""
    smooth = "nearest" if max(image.shape[:2]) < 64 else "auto"
    ax.imshow(image, cmap="gray", vmin=0, vmax=1, interpolation=smooth)
    ax.set(xticks=[], yticks=[])
    ax.spines[:].set_visible(False)
