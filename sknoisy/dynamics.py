"""What training tells of each sample while it goes on."""

import numpy as np
import torch


class Dynamics:
    """What training tells of each sample, for free: its mean loss and margin.

    Parameters
    ----------
    n_samples : int
        Size of the training set.
    device : torch.device
        Where the logits are.
    """

    def __init__(self, n_samples, device):
        self._sums = torch.zeros(3, n_samples, device=device)

    @torch.no_grad()
    def update(self, logits, target, index):
        """Add a batch: cross-entropy and margin of the given labels."""
        log_p = logits.log_softmax(dim=1)
        given = log_p.gather(1, target[:, None])
        others = log_p.scatter(1, target[:, None], -torch.inf).amax(dim=1)
        loss = -given[:, 0]
        margin = given[:, 0].exp() - others.exp()
        self._sums[:, index] += torch.stack([loss, margin, torch.ones_like(loss)])

    def numpy(self):
        """Return all that is kept, ndarray of shape (3, n_samples)."""
        return self._sums.cpu().numpy().copy()

    def load(self, sums):
        """Take over what :meth:`numpy` returned."""
        self._sums.copy_(torch.from_numpy(sums))

    @property
    def mean_loss(self):
        """Mean cross-entropy of each sample's label, ndarray of shape (n_samples,)."""
        return self._mean(0)

    @property
    def mean_margin(self):
        """Mean of p_y minus the largest other probability, in [-1, 1]."""
        return self._mean(1)

    def _mean(self, row):
        sums = self._sums.cpu().numpy().astype(np.float64)
        return sums[row] / np.maximum(sums[2], 1)
