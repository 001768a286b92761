"""What the labels of a sample's nearest neighbours tell of its own."""

import numpy as np
from sklearn.neighbors import NearestNeighbors
from sklearn.preprocessing import normalize
from sklearn.utils import check_array, check_consistent_length

from sknoisy.data.labels import encode_labels
from sknoisy.parameters import check_integer
from sknoisy.scores.probabilities import chunks, of_labels


def knn_votes(y, features, n_neighbors=10, classes=None):
    """Return the shares of each label among the neighbours of each sample.

    No sample is its own neighbour, so the shares serve as out-of-sample probabilities.

    Parameters
    ----------
    y : array-like of shape (n_samples,)
        Given labels.
    features : array-like or sparse matrix of shape (n_samples, n_features)
        Features, such as a pre-trained encoder's; neighbours are found by their angle.
    n_neighbors : int, default=10
        Number of neighbours.
    classes : array-like of shape (n_classes,), default=None
        The classes; by default the sorted distinct labels.

    Returns
    -------
    votes : ndarray of shape (n_samples, n_classes), dtype float32
        Rows sum to 1; columns are in the order of `classes`.

    Raises
    ------
    ValueError
        If lengths differ, features are not finite, or there are not more samples than
        neighbours.

    References
    ----------
    Zhu, Dong and Liu, Detecting Corrupted Labels Without Training a Model to Predict,
    ICML 2022, "SimiFeat-V", there with two samples for each image.

    Examples
    --------
    >>> from sknoisy.scores import knn_votes
    >>> features = [[1.0, 0.0], [1.0, 0.1], [1.0, 0.2], [0.0, 1.0], [0.1, 1.0]]
    >>> knn_votes([0, 0, 0, 1, 1], features, n_neighbors=1)[:, 0]
    array([1., 1., 1., 0., 0.], dtype=float32)
    """
    check_integer("n_neighbors", n_neighbors)
    classes, codes = encode_labels(y, classes)
    features = check_array(features, accept_sparse="csr", input_name="features")
    check_consistent_length(features, codes)
    if n_neighbors >= len(codes):
        raise ValueError(
            f"n_neighbors={n_neighbors!r} is not valid: it must be less than the "
            f"{len(codes)} samples."
        )
    directions = normalize(features)
    search = NearestNeighbors(n_neighbors=n_neighbors).fit(directions)
    votes = np.empty((len(codes), len(classes)), dtype=np.float32)
    n_classes = len(classes)
    # kneighbors() without samples leaves each sample out of its own neighbours.
    neighbors = codes[search.kneighbors(return_distance=False)]
    for rows in chunks(*votes.shape):
        some = neighbors[rows]
        cells = some + n_classes * np.arange(len(some))[:, None]
        counts = np.bincount(cells.ravel(), minlength=len(some) * n_classes)
        votes[rows] = counts.reshape(-1, n_classes) / n_neighbors
    return votes


def knn_agreement(y, features, n_neighbors=10):
    """Return the share of each sample's neighbours that have its label.

    Parameters
    ----------
    y : array-like of shape (n_samples,)
        Given labels.
    features : array-like or sparse matrix of shape (n_samples, n_features)
        Features; neighbours are found by their angle.
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
