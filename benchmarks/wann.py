"""WANN, a peer on embeddings: neighbours that adapt, weighted by reliability.

Di Salvo, Doerrich, Rieger and Ledig, An Embedding is Worth a Thousand Noisy Labels,
arXiv 2408.14358.
"""

import numpy as np
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.neighbors import NearestNeighbors
from sklearn.utils.validation import check_is_fitted


class WANN(ClassifierMixin, BaseEstimator):
    """Weighted adaptive nearest neighbours.

    Each training sample takes as few neighbours, an odd number, as it needs for their
    majority to be its label, without itself; its label is reliable if they are few. A
    new sample takes as many as its nearest neighbour, each with its reliability.
    """

    def __init__(self, metric="euclidean", fewest=11, most=51):
        self.metric = metric
        self.fewest = fewest
        self.most = most

    def fit(self, X, y):
        self.classes_, self.codes_ = np.unique(y, return_inverse=True)
        self.most_ = min(self.most, len(X) - 1)
        self.index_ = NearestNeighbors(n_neighbors=self.most_, metric=self.metric)
        neighbors = self.index_.fit(X).kneighbors(return_distance=False)
        votes = np.zeros((len(X), len(self.classes_)), np.int32)
        self.n_neighbors_ = np.full(len(X), self.most_)
        undecided, rows = np.ones(len(X), bool), np.arange(len(X))
        for k in range(self.most_):
            votes[rows, self.codes_[neighbors[:, k]]] += 1
            if k + 1 >= self.fewest and k % 2 == 0:
                agrees = undecided & (votes.argmax(axis=1) == self.codes_)
                self.n_neighbors_[agrees] = k + 1
                undecided &= ~agrees
        return self

    def predict(self, X):
        check_is_fitted(self)
        neighbors = self.index_.kneighbors(X, return_distance=False)
        counted = np.arange(self.most_) < self.n_neighbors_[neighbors[:, :1]]
        weights = counted / self.n_neighbors_[neighbors]
        votes, rows = np.zeros((len(X), len(self.classes_))), np.arange(len(X))
        for k in range(self.most_):
            votes[rows, self.codes_[neighbors[:, k]]] += weights[:, k]
        return self.classes_[votes.argmax(axis=1)]
