"""Copies: equal samples with equal labels, which vouch for each other."""

import torch

PART = 2**11  # rows that are compared at once
DIFFERENT = 0.01  # share of equal samples whose labels may differ
CHANCE = 0.01  # equal samples that chance explains, as a share of all that are equal


def copies_of(X, given):
    """Return what each sample is a copy of, or None if there are no copies.

    If a sample is left out and its copy is not, the copy tells its label, right or
    wrong. But equal samples may be evidence of each other, too: where each was labelled
    anew, labels differ, and where columns have few values, samples are equal by chance.

    Parameters
    ----------
    X : tensor of shape (n_samples, d), float32
        The samples.
    given : tensor of shape (n_samples, n)
        What is given of their classes, such as probabilities; all 0 without a label.

    Returns
    -------
    originals : tensor of shape (n_samples,), int64, or None
        Position of the first of the samples that are equal to each; its own, if none
        is. None if there are no copies, or if more than 1% of them have another label
        than the first sample, or if independent columns would make 1% of them equal.

    Examples
    --------
    >>> import torch
    >>> from sknoisy.data.copies import copies_of
    >>> X = torch.randn(4, 8, generator=torch.Generator().manual_seed(0))
    >>> given = torch.eye(4)[:, :2]
    >>> copies_of(torch.cat([X, X[2:]]), torch.cat([given, given[2:]]))
    tensor([0, 1, 2, 3, 2, 3])
    """
    originals = _first_equal(X)
    every = torch.arange(len(X), device=X.device)
    copies = (originals != every).nonzero()[:, 0]
    if len(copies) == 0:
        return None
    ours, others = given[copies], given[originals[copies]]
    known = (ours.sum(dim=1) > 0) & (others.sum(dim=1) > 0)
    different = (ours != others).any(dim=1) & known
    if different.sum() > DIFFERENT * known.sum() or _equal_by_chance(X, len(copies)):
        return None
    return originals


def totals(values, originals):
    """Return the sums of values over the copies of each sample, and itself.

    Parameters
    ----------
    values : tensor of shape (n_samples, ...)
        What is summed.
    originals : tensor of shape (n_samples,), int64
        What :func:`copies_of` returns.
    """
    return torch.zeros_like(values).index_add(0, originals, values)[originals]


def _first_equal(X):
    """Return the position of the first sample that is equal to each, (n_samples,)."""
    every = torch.arange(len(X), device=X.device)
    hashes = torch.cat([_hashes(part) for part in X.split(PART)])
    distinct, group = hashes.unique(return_inverse=True)
    first = torch.full_like(distinct, len(X))
    first = first.scatter_reduce(0, group, every, "amin")[group]
    repeated = (first != every).nonzero()[:, 0]
    for rows in repeated.split(PART):  # hashes may be equal by chance
        others = (X[rows] != X[first[rows]]).any(dim=1)
        first[rows[others]] = rows[others]
    return first


def _hashes(X):
    """Return numbers that are the same for equal rows, int64; zeros have no sign."""
    generator = torch.Generator("cpu").manual_seed(0)
    shape, largest = (X.shape[1],), 2**62
    factors = torch.randint(largest, shape, generator=generator, device="cpu")
    mixed = (X + 0.0).view(torch.int32).long() * (2 * factors + 1).to(X.device)
    return (mixed ^ (mixed >> 32)).sum(dim=1)


def _equal_by_chance(X, n_equal):
    """Whether rows of independent columns with these values would be equal, too."""
    n_samples, expected = len(X), len(X) * (len(X) - 1) / 2
    for column in X.T:
        _, counts = column.unique(return_counts=True)
        expected *= float((counts / n_samples).square().sum())
        if expected < CHANCE * n_equal:
            return False
    return True
