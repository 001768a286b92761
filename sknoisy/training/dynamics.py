"""What training tells of each sample while it goes on."""

import numpy as np
import torch

WAITING = 2**18  # logits that wait to be counted: 1 MiB


class Dynamics:
    """What training tells of each sample, for free: its mean loss and margin.

    Batches wait until there are many numbers to count at once, which costs a small
    network's step next to nothing.

    Parameters
    ----------
    n_samples : int
        Size of the training set.
    device : torch.device
        Where the logits are.
    """

    def __init__(self, n_samples, device):
        self._sums = torch.zeros(n_samples, 3, dtype=torch.float32, device=device)
        self._waiting = []
        self._size = 0

    def update(self, logits, target, index):
        """Add a batch: cross-entropy and margin of the given labels."""
        self._waiting.append((logits.detach(), target, index))
        self._size += logits.numel()
        if self._size >= WAITING:
            self._count()

    def numpy(self):
        """Return all that is kept, ndarray of shape (n_samples, 3)."""
        self._count()
        return self._sums.cpu().numpy().copy()

    def load(self, sums):
        """Take over what :meth:`numpy` returned."""
        self._waiting, self._size = [], 0
        self._sums.copy_(torch.from_numpy(sums))

    @property
    def mean_loss(self):
        """Mean cross-entropy of each sample's label, ndarray of shape (n_samples,)."""
        return self._mean(0)

    @property
    def mean_margin(self):
        """Mean of p_y minus the largest other probability, in [-1, 1]."""
        return self._mean(1)

    @torch.no_grad()
    def _count(self):
        if not self._waiting:
            return
        logits, target, index = map(torch.cat, zip(*self._waiting, strict=True))
        self._waiting, self._size = [], 0
        log_p = logits.log_softmax(dim=1)
        given = log_p.gather(1, target[:, None])
        others = log_p.scatter_(1, target[:, None], -torch.inf).amax(dim=1)
        loss = -given[:, 0]
        margin = given[:, 0].exp() - others.exp()
        values = torch.stack([loss, margin, torch.ones_like(loss)], dim=1)
        self._sums.index_add_(0, index, values)

    def _mean(self, column):
        sums = self.numpy().astype(np.float64)
        return sums[:, column] / np.maximum(sums[:, 2], 1)
