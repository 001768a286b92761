"""The nearest neighbours of each sample, on a GPU where networks are trained there."""

import torch

from sknoisy.scores import neighbor_index
from sknoisy.scores.neighbors import directions

PRODUCTS = 2**27  # held at a time: 512 MB of a GPU


def neighbors_on(device, features, n_neighbors, include_self=False):
    """Find the nearest neighbours of each sample, by the angle between features.

    Parameters
    ----------
    device : torch.device
        Where to search: on a GPU from CUDA, and else on the CPU.
    features : ndarray of shape (n_samples, n_features), float32
        Finite features.
    n_neighbors, include_self : int, bool
        As for :func:`sknoisy.scores.neighbor_index`.

    Returns
    -------
    index : ndarray of shape (n_samples, n_neighbors), int32
        Row numbers of the neighbours, nearest first.
    """
    if device.type != "cuda":
        return neighbor_index(features, n_neighbors, include_self)
    rows = torch.from_numpy(directions(features)).to(device)
    return nearest(rows, n_neighbors, include_self)


def nearest(rows, n_neighbors, include_self=False, products=PRODUCTS):
    """Find the samples of largest products with each sample, by all products.

    Parameters
    ----------
    rows : tensor of shape (n_samples, n_features), float32
        Directions of features, on the device that searches.
    n_neighbors, include_self : int, bool
        As for :func:`sknoisy.scores.neighbor_index`.
    products : int
        How many of them are held at a time.

    Returns
    -------
    index : ndarray of shape (n_samples, n_neighbors), int32
        Row numbers of the neighbours, nearest first; equal ones in any order.
    """
    every = torch.arange(len(rows), device=rows.device)
    found = []
    for part in every.split(max(1, products // len(rows))):
        similarity = rows[part] @ rows.T
        # Each sample is nearest to itself, also where others are as near.
        similarity[part - part[0], part] = torch.inf
        index = similarity.topk(n_neighbors + (not include_self)).indices
        found.append(index[:, not include_self :].int())
    return torch.cat(found).cpu().numpy()
