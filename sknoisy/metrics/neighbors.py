"""How good features are, by noisy labels: accuracy of nearest neighbours."""

from sknoisy.data.labels import encode_labels
from sknoisy.metrics.corrected import noise_corrected_accuracy
from sknoisy.scores.probabilities import check_sorted
from sknoisy.scores.votes import knn_votes


def neighbor_accuracy(
    y, features, n_neighbors=10, transition_matrix=None, classes=None
):
    """Return how well the nearest neighbours of samples predict their labels.

    Use it to choose between encoders by noisy labels, without training on them. The
    prediction for a sample is the label that most of its neighbours have.

    Parameters
    ----------
    y : array-like of shape (n_samples,)
        Given labels, some of them wrong.
    features : array-like or sparse matrix of shape (n_samples, n_features)
        An encoder's features; neighbours are found by the angle between them.
    n_neighbors : int, default=10
        Number of neighbours; take more if more labels are wrong.
    transition_matrix : array-like of shape (n_classes, n_classes), default=None
        Probability of each given label (column) for each true class (row): corrects the
        accuracy for the noise. It must be the same for all encoders that are compared,
        such as that of :meth:`NoiseCorrectedScorer.from_samples
        <sknoisy.metrics.NoiseCorrectedScorer.from_samples>`. None: the accuracy on the
        noisy labels.
    classes : array-like of shape (n_classes,), default=None
        The classes, sorted; by default the distinct labels.

    Returns
    -------
    accuracy : float
        High is good. Corrected, it may lie slightly outside [0, 1].

    Raises
    ------
    ValueError
        If lengths differ, features are not finite, or there are not more samples than
        neighbours.

    See Also
    --------
    sknoisy.scores.rankme : Needs no labels.

    Examples
    --------
    >>> from sknoisy.metrics import neighbor_accuracy
    >>> features = [[1.0, 0.0], [1.0, 0.1], [1.0, 0.2], [0.0, 1.0], [0.1, 1.0]]
    >>> neighbor_accuracy([0, 0, 1, 1, 1], features, n_neighbors=1)
    0.6
    """
    check_sorted(classes)
    classes, codes = encode_labels(y, classes)
    predicted = knn_votes(y, features, n_neighbors, classes).argmax(axis=1)
    if transition_matrix is None:
        return float((predicted == codes).mean())
    return noise_corrected_accuracy(y, classes[predicted], transition_matrix, classes)
