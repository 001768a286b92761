"""How good an encoder is, by its features alone: effective ranks."""

import numpy as np
from scipy.linalg import solve_triangular

from sknoisy.checks import check_real
from sknoisy.scores.neighbors import safe_scale
from sknoisy.scores.reading import check_features

ADDED_SHARE = 1e-7  # added to shares of singular values, so that none is 0


def rankme(features):
    """Return the effective number of dimensions that features fill.

    Parameters
    ----------
    features : array-like of shape (n_samples, n_features)
        Features, such as an encoder's; a few thousand samples are enough.

    Returns
    -------
    rank : float
        From 1, where all samples are equal up to a factor, to
        ``min(n_samples, n_features)``. High is good.

    Raises
    ------
    ValueError
        If features are not finite, not two-dimensional or all zero.

    See Also
    --------
    lidar : Number of dimensions that tell samples from each other, despite views.

    Notes
    -----
    The rank is ``exp(-sum(p * log(p)))``, where p are the singular values of the
    features divided by their sum, plus 1e-7. Features are not centred. The paper
    reports that the rank orders encoders of one method by their accuracy; different
    methods should not be compared by it. The paper takes the output of the projection
    head; here, pass the features that will be used.

    References
    ----------
    Garrido et al., RankMe: Assessing the Downstream Performance of Pretrained
    Self-Supervised Representations by Their Rank, ICML 2023.

    Examples
    --------
    >>> import numpy as np
    >>> from sknoisy.scores import rankme
    >>> round(rankme(np.eye(5)), 3), round(rankme(np.ones((5, 3))), 3)
    (5.0, 1.0)
    """
    features = check_features(features, dtype=np.float64)
    features = features / safe_scale(features)
    # Singular values of a tall matrix are roots of the eigenvalues of its square.
    square = features.T @ features if len(features) > features.shape[1] else None
    if square is None:
        return _effective_number(np.linalg.svd(features, compute_uv=False))
    return _effective_number(np.sqrt(np.linalg.eigvalsh(square).clip(min=0)))


def lidar(features, delta=1e-4):
    """Return the effective number of dimensions that tell samples from each other.

    Parameters
    ----------
    features : array-like of shape (n_samples, n_views, n_features)
        Features of several random views of each sample.
    delta : float, default=1e-4
        Added to the variances within samples.

    Returns
    -------
    rank : float
        At least 1, and at most the number of features. High is good.

    Raises
    ------
    ValueError
        If features are not finite, or of less than two samples or views.

    Notes
    -----
    Each sample is a class, and its views are the members of that class. Let B be the
    covariance of the means of the samples, and W the mean covariance within samples
    plus ``delta`` times the identity. The formula is that of :func:`rankme`, with the
    eigenvalues of ``W**-0.5 @ B @ W**-0.5`` instead of singular values. Directions in
    which samples differ no more than their views do not count. The paper takes 1,000
    samples and 50 views.

    References
    ----------
    Thilak et al., LiDAR: Sensing Linear Probing Performance in Joint Embedding SSL
    Architectures, ICLR 2024.

    Examples
    --------
    >>> import numpy as np
    >>> from sknoisy.scores import lidar
    >>> samples = np.random.default_rng(0).normal(size=(500, 1, 4))
    >>> views = samples + 0.1 * np.random.default_rng(1).normal(size=(500, 3, 4))
    >>> round(lidar(views), 1)
    4.0
    """
    check_real("delta", delta, "(0, inf)")
    features = check_features(features, dtype=np.float64, allow_nd=True)
    if features.ndim != 3 or min(features.shape[:2]) < 2:
        raise ValueError(
            f"features of shape {features.shape} is not valid: it must be of shape "
            "(n_samples, n_views, n_features), with two samples and views or more."
        )
    n_samples, _, n_features = features.shape
    means = features.mean(axis=1)
    inside = (features - means[:, None]).reshape(-1, n_features)
    # W = root.T @ root and B are not formed: squares of large numbers would round away
    # what differs little, and delta.
    stacked = [inside / np.sqrt(len(inside)), np.sqrt(delta) * np.eye(n_features)]
    root = np.linalg.qr(np.vstack(stacked), mode="r")
    between = (means - means.mean(axis=0)) / np.sqrt(n_samples)
    whitened = solve_triangular(root, between.T, trans="T")
    whitened = whitened / safe_scale(whitened)
    values = np.linalg.eigvalsh(whitened @ whitened.T)
    return _effective_number(values.clip(min=0))


def _effective_number(values):
    """Return the exponential of the entropy of values, as shares of their sum."""
    if values.sum() <= 0:
        raise ValueError("features are not valid: they do not differ, or are zero.")
    p = values / values.sum() + ADDED_SHARE
    return float(np.exp(-np.sum(p * np.log(p))))
