"""What people are warned of before a kernel machine learns their labels."""

from sknoisy.scores.distances import near_copies
from sknoisy.warning import warn


def warn_of_near_copies(features, labels):
    """Warn if many samples are near-copies of others, with their labels.

    Parameters
    ----------
    features : tensor of shape (n_samples, d)
        The samples.
    labels : Labels
        Their labels.
    """
    codes = labels.codes
    if labels.labelled is not None:
        features, codes = features[labels.labelled], codes[labels.labelled]
    if near_copies(features.cpu().numpy(), codes.cpu().numpy()):
        # Without the share, so that all folds of a search warn in the same words, which
        # Python shows once.
        warn(
            "many samples are nearly copies of others, with the same labels, as "
            "augmented or interpolated samples are. The wrong labels of copies confirm "
            "each other, so hardly any will be corrected. Train without the copies, or "
            "find wrong labels by LabelErrorDetector().fit(X, y, groups=...) first."
        )
