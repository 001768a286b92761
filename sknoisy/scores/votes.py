"""Votes of each sample's nearest neighbours on its label."""

import numpy as np

from sknoisy.checks import as_numbers, check_integer, check_lengths
from sknoisy.data.labels import encode_labels
from sknoisy.data.order import check_order
from sknoisy.data.weights import check_sample_weight
from sknoisy.scores.neighbors import neighbor_index
from sknoisy.scores.reading import check_positions, chunks, of_labels


def votes_from(index, codes, n_classes, sample_weight=None):
    """Return the shares of each class among the neighbours of each sample.

    Parameters
    ----------
    index : ndarray of shape (n_samples, n_neighbors), int
        Row numbers of the neighbours, as from :func:`neighbor_index`.
    codes : ndarray of shape (n_samples,), int
        Class of each sample, 0 to ``n_classes - 1``: given, or predicted.
    n_classes : int
        Number of classes.
    sample_weight : ndarray of shape (n_samples,), default=None
        Weight of each sample's vote; by default all are equal.

    Returns
    -------
    votes : ndarray of shape (n_samples, n_classes), dtype float32
        Rows sum to 1. Where all neighbours have weight 0, all shares are equal.

    Examples
    --------
    >>> import numpy as np
    >>> from sknoisy.scores import votes_from
    >>> index = np.array([[1, 2], [0, 2], [0, 1]])
    >>> votes_from(index, np.array([0, 1, 1]), n_classes=2)
    array([[0. , 1. ], [0.5, 0.5], [0.5, 0.5]], dtype=float32)
    """
    index, codes = as_numbers("index", index), as_numbers("codes", codes)
    check_integer("n_classes", n_classes)
    if index.ndim != 2 or codes.ndim != 1:
        raise ValueError(
            f"index of shape {index.shape} is not valid with codes of shape "
            f"{codes.shape}: they must be of shapes (n_samples, n_neighbors) and "
            "(n_samples,)."
        )
    check_positions("index", index, len(codes))
    check_positions("codes", codes, n_classes)
    if sample_weight is not None:
        sample_weight = as_numbers("sample_weight", sample_weight)
        valid = np.isfinite(sample_weight) & (sample_weight >= 0)
        if sample_weight.shape != codes.shape or not valid.all():
            raise ValueError(
                f"sample_weight of shape {sample_weight.shape} is not valid: it must "
                f"be of shape {codes.shape}, finite and not negative."
            )
    n_samples, n_neighbors = index.shape
    votes, even = np.empty((n_samples, n_classes), dtype=np.float32), 1 / n_classes
    for rows in chunks(n_samples, n_classes + n_neighbors):
        some = codes[index[rows]]
        cells = some + n_classes * np.arange(len(some))[:, None]
        weights = None if sample_weight is None else sample_weight[index[rows]].ravel()
        counts = np.bincount(cells.ravel(), weights, minlength=len(some) * n_classes)
        counts = counts.reshape(-1, n_classes)
        total = n_neighbors if weights is None else counts.sum(axis=1, keepdims=True)
        votes[rows] = np.where(total > 0, counts / np.where(total > 0, total, 1), even)
    return votes


def relative_votes(votes, prior):
    """Return votes divided by the class sizes, relative to the largest vote.

    Parameters
    ----------
    votes : ndarray of shape (n_samples, n_classes)
        Shares of each class among neighbours, as from :func:`votes_from`.
    prior : array-like of shape (n_classes,)
        Share of each class among all samples.

    Returns
    -------
    relative : ndarray of shape (n_samples, n_classes), dtype of `votes`
        ``votes / prior``, divided by the maximum of each row: 1 for the class that is
        most over-represented among the neighbours, 0 for classes without samples. Whole
        numbers of votes become float64.

    References
    ----------
    Feng, Tzimiropoulos and Patras, SSR: An Efficient and Robust Framework for Learning
    with Unknown Label Noise, BMVC 2022. A label is taken as right where its relative
    vote is 1.

    Examples
    --------
    >>> import numpy as np
    >>> from sknoisy.scores import relative_votes
    >>> relative_votes(np.array([[0.6, 0.4], [0.9, 0.1]]), prior=[0.8, 0.2]).round(2)
    array([[0.38, 1. ], [1. , 0.44]])
    """
    votes, prior = as_numbers("votes", votes), as_numbers("prior", prior)
    if prior.shape != votes.shape[1:]:
        raise ValueError(
            f"prior of shape {prior.shape} is not valid: it must be of shape "
            f"{votes.shape[1:]}, one share for each class."
        )
    if not (np.isfinite(prior) & (prior >= 0)).all():
        raise ValueError(
            f"prior={prior!r} is not valid: shares must be finite and not negative."
        )
    scale = np.where(prior > 0, 1 / np.where(prior > 0, prior, 1), 0)
    relative = np.empty(votes.shape, np.result_type(votes, np.float16))
    for rows in chunks(*votes.shape):
        lift = votes[rows] * scale
        most = lift.max(axis=1, keepdims=True)
        relative[rows] = lift / np.where(most > 0, most, 1)
    return relative


def knn_votes(
    y,
    features,
    n_neighbors=10,
    classes=None,
    include_self=False,
    sample_weight=None,
):
    """Return the shares of each label among the neighbours of each sample.

    Unless `include_self` is set, they can be used as out-of-sample probabilities.

    Parameters
    ----------
    y : array-like of shape (n_samples,)
        Given labels.
    features : array-like or sparse matrix of shape (n_samples, n_features)
        Features, such as a pre-trained encoder's; neighbours are found by the angle
        between features.
    n_neighbors : int, default=10
        Number of neighbours.
    classes : array-like of shape (n_classes,), default=None
        The classes; by default the sorted distinct labels.
    include_self : bool, default=False
        Whether each sample is one of its own neighbours.
    sample_weight : array-like of shape (n_samples,), default=None
        Weight of each sample's vote, at least 0; by default all are equal.

    Returns
    -------
    votes : ndarray of shape (n_samples, n_classes), dtype float32
        Rows sum to 1; columns are in the order of `classes`.

    Raises
    ------
    ValueError
        If lengths differ, features are not finite, or there are too few samples for
        so many neighbours.

    References
    ----------
    Zhu, Dong and Liu, Detecting Corrupted Labels Without Training a Model to Predict,
    ICML 2022: "SimiFeat-V", which takes two samples of each image.

    Examples
    --------
    >>> from sknoisy.scores import knn_votes
    >>> features = [[1.0, 0.0], [1.0, 0.1], [1.0, 0.2], [0.0, 1.0], [0.1, 1.0]]
    >>> knn_votes([0, 0, 0, 1, 1], features, n_neighbors=1)[:, 0]
    array([1., 1., 1., 0., 0.], dtype=float32)
    """
    check_order(y, called="y", features=features)
    classes, codes = encode_labels(y, classes)
    check_lengths(features=features, y=codes)
    weights = check_sample_weight(sample_weight, len(codes))
    index = neighbor_index(features, n_neighbors, include_self)
    return votes_from(index, codes, len(classes), weights)


def knn_agreement(y, features, n_neighbors=10):
    """Return the share of each sample's neighbours that have its label.

    Parameters
    ----------
    y : array-like of shape (n_samples,)
        Given labels.
    features : array-like or sparse matrix of shape (n_samples, n_features)
        Features; neighbours are found by the angle between them.
    n_neighbors : int, default=10
        Number of neighbours.

    Returns
    -------
    quality : ndarray of shape (n_samples,), dtype float32
        In [0, 1]; low is bad.

    Raises
    ------
    ValueError
        If lengths differ, features are not finite, or there are not more samples than
        neighbours.

    References
    ----------
    Wilson, Asymptotic Properties of Nearest Neighbor Rules Using Edited Data, 1972.

    Examples
    --------
    >>> from sknoisy.scores import knn_agreement
    >>> features = [[1.0, 0.0], [1.0, 0.1], [1.0, 0.2], [0.0, 1.0], [0.1, 1.0]]
    >>> knn_agreement([0, 1, 0, 1, 1], features, n_neighbors=1)
    array([0., 0., 0., 1., 1.], dtype=float32)
    """
    _, codes = encode_labels(y)
    return of_labels(codes, knn_votes(y, features, n_neighbors))
