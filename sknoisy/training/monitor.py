"""How an encoder gets on while it is pre-trained: effective ranks and neighbours."""

import numpy as np
import torch

from sknoisy.data.devices import generator, to_channels_last
from sknoisy.data.subset import Subset
from sknoisy.encoders.inference import in_order
from sknoisy.encoders.modes import evaluating
from sknoisy.scores.representation import lidar, rankme
from sknoisy.scores.votes import knn_votes
from sknoisy.views.base import random_view
from sknoisy.warning import warn

SAMPLES = 1_000  # that are looked at, at most
SAMPLES_OF_VIEWS, VIEWS = 250, 4  # of these, for LiDAR
COLLAPSED = 0.05  # RankMe, as a share of the possible, below which there is a warning
NEIGHBORS = 10


class EncoderMonitor:
    """Scores an encoder on the same samples and views, every some epochs.

    Parameters
    ----------
    store : ArrayStore or PathStore
        The training samples.
    views : pair of Views
        Makes the views.
    every : int
        Epochs from one look to the next; the last epoch is looked at, too.
    seed : int
        Seed of the samples and views.
    device : torch.device
        Device of the encoder.
    codes : ndarray of shape (n_samples,), int64, default=None
        Codes of the given labels, if there are any; -1 of a sample that has none.
    """

    def __init__(self, store, views, every, seed, device, codes=None):
        rows = np.random.default_rng(seed).permutation(len(store))[:SAMPLES]
        self.store = Subset(store, torch.from_numpy(rows))
        self.codes = None if codes is None else codes[rows]
        self.views = views
        self.every = every
        self.seed = seed
        self.device = device
        self._warned = False

    def is_due(self, epoch, n_epochs):
        """Whether to look at the encoder after an epoch, counted from 1."""
        return epoch % self.every == 0 or epoch == n_epochs

    def __call__(self, encoder, epoch):
        """Return scores by name; warn if the encoder has collapsed."""
        with evaluating(encoder), torch.no_grad():
            batches = in_order(self.store, self.device)
            features = self._features(encoder, (batch for _, batch in batches))
            found = {"rankme": self._rank(features, epoch)}
            views = self._views()
            if views is not None:
                n = len(views) // VIEWS
                seen = self._features(encoder, views.split(n)).reshape(VIEWS, n, -1)
                found["lidar"] = _effective(lidar, seen.swapaxes(0, 1))
        if self.codes is not None:
            known = self.codes >= 0
            found |= _by_neighbors(self.codes[known], features[known])
        return found

    def _features(self, encoder, batches):
        outputs = [encoder(to_channels_last(batch)).float() for batch in batches]
        return torch.cat(outputs).cpu().numpy()

    def _views(self):
        """Return views of some samples, one after the other, on the device."""
        n = min(SAMPLES_OF_VIEWS, len(self.store))
        if n < 2:
            return None
        batch = self.store.fetch(torch.arange(n, device="cpu"), self.device)
        random = generator(self.seed, self.device)
        pairs = [random_view(self.views[i % 2], batch, random) for i in range(VIEWS)]
        return torch.cat(pairs)

    def _rank(self, features, epoch):
        rank, possible = _effective(rankme, features), min(features.shape)
        if rank < COLLAPSED * possible and not self._warned:
            self._warned = True
            warn(
                f"the encoder has collapsed: after epoch {epoch} its features fill "
                f"{rank:.1f} of {possible} dimensions (RankMe). They may no longer "
                "tell samples apart. Try a smaller lr, or another method.",
            )
        return rank


def _by_neighbors(codes, features):
    """Return how often most neighbours have a sample's label, by name."""
    if len(codes) <= NEIGHBORS:
        return {}
    votes = knn_votes(codes, features, NEIGHBORS)
    predicted = np.unique(codes)[votes.argmax(axis=1)]
    return {"neighbor_accuracy": float((predicted == codes).mean())}


def _effective(score, features):
    """Return a score, or 1 of features that do not differ at all."""
    try:
        return score(features)
    except ValueError:
        return 1.0
