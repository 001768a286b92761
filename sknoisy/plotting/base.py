"""What the displays share: colours, figures and pictures."""

from sklearn.utils.validation import check_is_fitted

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


def show_image(ax, image):
    """Draw an image, (H, W) or (H, W, C) in [0, 1], without ticks."""
    smooth = "nearest" if max(image.shape[:2]) < 64 else "auto"
    ax.imshow(image, cmap="gray", vmin=0, vmax=1, interpolation=smooth)
    ax.set(xticks=[], yticks=[])
    ax.spines[:].set_visible(False)
