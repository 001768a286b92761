"""What was found in all: a table of the classes, and what people are warned of."""

import numpy as np
from scipy.stats import rankdata

from sknoisy.data.frames import is_sparse_frame
from sknoisy.data.labels import some
from sknoisy.data.leaks import columns_like_labels
from sknoisy.detection.features import as_table
from sknoisy.encoders.features import LazyFeatures
from sknoisy.scores.distances import near_copies
from sknoisy.scores.estimates import count_pairs
from sknoisy.warning import warn

WIDE = 0.2  # intervals of the noise rate that tell little
MANY = 0.45  # share of wrong labels that may as well be classes that overlap
SURELY = 5.0  # standard deviations by which a class ranks higher than by chance
FEW = 50  # samples among which all labels may agree with predictions by chance
OFTEN = 0.1  # share of wrong predictions from which on they may look like noise


def class_table(detector):
    """Return one row for each class; see LabelErrorDetector.report."""
    codes, n = detector._codes, len(detector.classes_)
    counts = np.bincount(codes, minlength=n)
    errors = np.bincount(codes[detector.label_errors_], minlength=n)
    quality = np.bincount(codes, detector.label_quality_, minlength=n)
    wrong = np.bincount(codes, detector.error_probability_, minlength=n)
    changes = count_pairs(codes, detector._suggested, n)
    np.fill_diagonal(changes, 0)
    suggested = detector.classes_[changes.argmax(axis=1)].astype(object)
    suggested[changes.sum(axis=1) == 0] = None
    table = {
        "class": detector.classes_,
        "n_labels": counts,
        "n_errors": errors,
        "noise_rate": _means(wrong, counts),
        "mean_quality": _means(quality, counts),
        "missed": changes.sum(axis=0),
        "suggested": suggested,
    }
    try:
        import pandas as pd
    except ImportError:
        return table
    return pd.DataFrame(table)


def agreement_of(codes, pred_probs):
    """Return how many labels predictions agree with, and why that may be chance.

    Returns
    -------
    agreement : float
        The share.
    chance : str or None
        A message if labels in any other order would agree with as many, and their
        classes would be no less probable: of rare classes hardly any may be predicted.
    """
    n, n_classes = pred_probs.shape
    predicted = pred_probs.argmax(axis=1)
    agreement = float((predicted == codes).mean())
    p, q = (np.bincount(c, minlength=n_classes) / n for c in (predicted, codes))
    chance = float(p @ q)
    # Variance of the agreement if labels were shuffled: both shares are given.
    variance = max(0.0, chance + chance**2 - float((p * q * (p + q)).sum())) / n
    by_chance = agreement <= chance + 2 * np.sqrt(variance) + 1e-9
    if not (by_chance and _ranks_by_chance(codes, pred_probs)):
        return agreement, None
    why = (
        "either there are too few samples, or the classifier learned nothing by "
        "which labels could be judged. Train longer, or pass another estimator."
    )
    if p.max() == 1:
        why = (
            "all predictions are of one class. The other classes have too few "
            "samples or too many wrong labels, or the classifier learned nothing "
            "that tells them apart. The order of ranked(all_samples=True) may "
            "still be useful; or pass another estimator."
        )
    return agreement, (
        f"out-of-sample predictions agree with {agreement:.0%} of the labels, "
        f"which may be chance ({chance:.0%}): {why}"
    )


def _ranks_by_chance(codes, pred_probs):
    """Whether samples of no class surely rank higher by its probability than others.

    By Wilcoxon's rank sums. They vary more than if labels were shuffled, as each sample
    was predicted without its own label: of pure noise by up to 4 standard deviations.
    """
    n = len(codes)
    for k, of_class in enumerate(pred_probs.T):
        is_of, ranks = codes == k, rankdata(of_class)
        n_of = np.count_nonzero(is_of)
        expected = n_of * (n + 1) / 2
        deviation = np.sqrt(n_of * (n - n_of) / max(n - 1, 1)) * ranks.std()
        if ranks[is_of].sum() > expected + SURELY * deviation:
            return False
    return True


def lost_classes(classes, codes, suggested):
    """Return a message if a class has no label left among those suggested, or None."""
    lost = classes[np.setdiff1d(codes, suggested)]
    if not len(lost):
        return None
    return (
        f"no suggested label is of the classes {some(lost)}: the right labels of "
        "rare classes are hard to tell from wrong ones. Look at the samples of "
        "these classes before you accept the suggestions."
    )


def single_labels(classes):
    """Return a message if some classes, an ndarray, have 1 sample, or None."""
    if not len(classes):
        return None
    if len(classes) == 1:
        return (
            f"y has 1 sample of the class {some(classes)}: no other can vouch for its "
            "label, which is kept. Look at it, or merge the class with another."
        )
    return (
        f"y has 1 sample of each of the classes {some(classes)}: no others can vouch "
        "for their labels, which are kept. Look at them, or merge the classes with "
        "others."
    )


def doubt_of_rate(posterior, unseen):
    """Return why nobody knows how many labels are wrong, a sentence, or None.

    If predictions were not made `unseen`, of samples that the classifier had not
    learned, but in the first epochs of a training, some labels were memorised by then.

    Labels that are wrong at random and classes that overlap look alike: labels disagree
    with the surest predictions as often as with the others.
    """
    low, high = posterior.noise_rate_interval
    if high - low > WIDE and not unseen:
        why = (
            "in its first epochs the network disagreed with as many labels, with some "
            "because they are wrong, with others because it had learned little"
        )
    elif high - low > WIDE:
        why = "there are too few samples, or predictions are wrong too often, to tell"
    elif low <= 0 and posterior.own_error > OFTEN:
        why = (
            f"predictions are wrong for about {posterior.own_error:.0%} of the "
            "samples, which alone explains the disagreement with the labels"
        )
    elif posterior.noise_rate > MANY:
        return (
            f"about {posterior.noise_rate:.0%} of the labels seem to be wrong, or the "
            "classes overlap as much, which looks the same"
        )
    else:
        return None
    return (
        f"the share of wrong labels may be anything from {low:.0%} to {high:.0%}: {why}"
    )


def table_of(X):
    """Return X as an array of numbers, or None if it is no table of numbers as given.

    Lazy features are none: to be looked at, they would have to be computed.
    """
    return None if isinstance(X, LazyFeatures) else as_table(X)


def warn_of_labels(X, codes):
    """Warn if columns of a table, of numbers or other values, are the labels."""
    is_frame = hasattr(X, "iloc") and X.ndim == 2
    if is_sparse_frame(X):  # nor are sparse matrices looked at
        return
    table = X if is_frame else table_of(X)
    if table is not None and (found := columns_like_labels(table, codes)):
        columns = "column" if len(found) == 1 else "columns"
        if is_frame:
            found = [repr(X.columns[j]) for j in found]
        warn(
            f"X seems to hold the labels themselves, in {columns} "
            f"{', '.join(map(str, found[:5]))}: each class has its own value there. A "
            "classifier that learns from it agrees with every label, even the wrong "
            "ones. Leave it out, unless it was measured.",
        )


def warn_of_near_copies(table, codes):
    """Warn if many rows of a table are near-copies of others, with their labels."""
    if share := near_copies(table, codes):
        warn(
            f"about {share:.0%} of the samples are nearly copies of others, with the "
            "same labels, as augmented or interpolated samples are. The wrong labels "
            "of copies confirm each other, so hardly any will be found. Pass groups=, "
            "with the same value for a sample and its copies, or leave the copies out.",
        )


def warn_of_memory(codes, pred_probs):
    """Warn if a classifier that was fitted before predicts each of many labels."""
    if len(codes) >= FEW and (pred_probs.argmax(axis=1) == codes).all():
        warn(
            f"the fitted classifier predicts all {len(codes)} labels. If it was "
            "fitted on these samples, it may have learned the wrong ones too, and "
            "none can be found: pass cv=5, so that each label is judged by a "
            "classifier that has not seen it.",
        )


def warn_of_doubt(doubt):
    """Warn of what :func:`doubt_of_rate` returned, unless it is None."""
    if doubt is not None:
        warn(
            f"{doubt}. Have the labels of lowest quality checked, and accept no "
            "suggestion without a look at the sample.",
        )


def _means(sums, counts):
    """Return means as floats, None where nothing is counted."""
    if (counts > 0).all():
        return sums / counts
    held = np.array(sums / np.maximum(counts, 1), dtype=object)
    held[counts == 0] = None
    return held
