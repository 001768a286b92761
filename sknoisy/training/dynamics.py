"""What training tells of each sample while it goes on."""

import numpy as np
import torch

WAITING = 2**18  # logits that wait to be counted: 1 MiB


class Dynamics:
    """What training tells of each sample, for free: losses, margins and predictions.

    Batches wait until the epoch ends, or there are many numbers to count at once: this
    costs a small network's step next to nothing.

    Parameters
    ----------
    n_samples : int
        Size of the training set.
    device : torch.device
        Where the logits are.
    """

    def __init__(self, n_samples, device):
        # Of each sample: loss, margin, predictions, wrong ones, changes of prediction.
        self._sums = torch.zeros(n_samples, 5, dtype=torch.float32, device=device)
        self._predicted = torch.full((n_samples,), -1, device=device)  # -1: not yet
        # Of this epoch the numbers of predictions, and of wrong ones; of samples that
        # were predicted before, and of those whose prediction changed; of samples whose
        # prediction was wrong before, and of those of them whose prediction changed.
        self._counts = torch.zeros(6, dtype=torch.int64, device=device)
        self._waiting = []
        self._size = 0

    def update(self, logits, target, index):
        """Add the predictions of a batch, of samples that are seen once an epoch."""
        self._waiting.append((logits.detach(), target, index))
        self._size += logits.numel()
        if self._size >= WAITING:
            self._count()

    def end_epoch(self):
        """Return what the predictions of an epoch were like.

        Returns
        -------
        shares : dict of str to float
            In [0, 1]: "wrong_events", of predictions that are not the label;
            "prediction_changes", of predictions that are not those of the epoch before;
            "wrong_changes", the same among predictions that were not the label then, 0
            if there were none. What no prediction tells is left out.
        """
        self._count()
        seen, wrong, known, changed, known_wrong, wrong_changed = self._counts.tolist()
        self._counts.zero_()
        shares = {"wrong_events": wrong / seen} if seen else {}
        if known:
            shares["prediction_changes"] = changed / known
            shares["wrong_changes"] = wrong_changed / max(known_wrong, 1)
        return shares

    def numpy(self):
        """Return all that is kept, ndarray of shape (n_samples, 6)."""
        self._count()
        kept = torch.cat([self._sums, self._predicted[:, None]], dim=1)
        return kept.cpu().numpy()

    def load(self, kept):
        """Take over what :meth:`numpy` returned; that of an older version is left."""
        if kept.shape != (len(self._sums), self._sums.shape[1] + 1):
            return
        self._waiting, self._size = [], 0
        kept = torch.from_numpy(kept)
        self._sums.copy_(kept[:, :-1])
        self._predicted.copy_(kept[:, -1])

    @property
    def mean_loss(self):
        """Mean cross-entropy of each sample's label, ndarray of shape (n_samples,)."""
        return self._mean(0)

    @property
    def mean_margin(self):
        """Mean of p_y minus the largest other probability, in [-1, 1]."""
        return self._mean(1)

    @property
    def wrong_events(self):
        """Epochs in which the prediction was not the label, (n_samples,), float32."""
        return self.numpy()[:, 3].astype(np.float32)

    @property
    def prediction_changes(self):
        """Epochs whose prediction was not that of the epoch before."""
        return self.numpy()[:, 4].astype(np.float32)

    @torch.no_grad()
    def _count(self):
        if not self._waiting:
            return
        logits, target, index = map(torch.cat, zip(*self._waiting, strict=True))
        self._waiting, self._size = [], 0
        predicted, before = logits.argmax(dim=1), self._predicted[index]
        known = before >= 0
        changed = known & (predicted != before)
        self._predicted[index] = predicted
        wrong, was_wrong = predicted != target, known & (before != target)
        every = torch.ones_like(known)
        flags = every, wrong, known, changed, was_wrong, was_wrong & changed
        self._counts += torch.stack(flags).sum(dim=1)
        # Classes first: PyTorch's softmax of few classes that lie side by side is slow.
        log_p = logits.T.contiguous().log_softmax(dim=0)
        given = log_p.gather(0, target[None])[0]
        others = log_p.scatter_(0, target[None], -torch.inf).amax(dim=0)
        loss = -given
        margin = given.exp() - others.exp()
        values = torch.stack([loss, margin, every, wrong, changed], dim=1)
        self._sums.index_add_(0, index, values)

    def _mean(self, column):
        sums = self.numpy().astype(np.float64)
        return sums[:, column] / np.maximum(sums[:, 2], 1)
