"""What training tells of each sample while it goes on."""

import numpy as np
import torch

WAITING = 2**18  # logits that wait to be counted: 1 MiB
# Columns of what is kept of each sample.
LOSS, MARGIN, N_PREDICTIONS, N_WRONG, N_CHANGES = range(5)


def early_predictions(kept):
    """Return what was predicted of each sample before labels were memorised.

    Parameters
    ----------
    kept : ndarray of shape (n_samples, 11)
        What :meth:`Dynamics.numpy` returned.

    Returns
    -------
    early : dict of str to ndarray of shape (n_samples,), float32
        Means over the early epochs: "label", the probability of the label; "other",
        that of the best other class. "others" is the code of that class in the last of
        them. NaN for samples that were not predicted in these epochs.
    """
    label, other, n, others = kept[:, -5:-1].T
    times = np.maximum(n, 1)
    early = {"label": label / times, "other": other / times, "others": others}
    return {k: np.where(n > 0, v, np.float32(np.nan)) for k, v in early.items()}


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

    Notes
    -----
    A network learns what is common to a class before it memorises single labels. So
    what it says of a sample in its first epochs is nearly what it would say if it had
    not seen the label: these *early* predictions are also kept on their own. They end
    where the changes among wrong predictions are no longer fewer than in the epoch
    before, as Yuan, Feng and Liu (ICLR 2024) stop a training, there among all.
    """

    def __init__(self, n_samples, device):
        # Of each sample, as the columns are named; the first two are sums.
        self._sums = torch.zeros(n_samples, 5, dtype=torch.float32, device=device)
        self._predicted = torch.full((n_samples,), -1, device=device)  # -1: not yet
        # Of this epoch the numbers of predictions, and of wrong ones; of samples that
        # were predicted before, and of those whose prediction changed; of samples whose
        # prediction was wrong before, and of those of them whose prediction changed.
        self._counts = torch.zeros(6, dtype=torch.int64, device=device)
        self._waiting = []
        self._size = 0
        # Of each sample, of the early epochs: sums of the probabilities of the label
        # and of the best other class, number of predictions, the last such class.
        self._early = torch.zeros(n_samples, 4, dtype=torch.float32, device=device)
        self._epoch = None  # label, other, that class, of this epoch alone; NaN: unseen
        self._wrong_changes = torch.inf  # of the last early epoch; -1 once it is over

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
        self._end_early_epoch(shares.get("wrong_changes"))
        return shares

    def numpy(self):
        """Return all that is kept, ndarray of shape (n_samples, 11)."""
        self._count()
        changes = torch.full_like(self._early[:, :1], self._wrong_changes)
        parts = self._sums, self._predicted[:, None], self._early, changes
        return torch.cat(parts, dim=1).cpu().numpy()

    def load(self, kept):
        """Take over what :meth:`numpy` returned; that of an older version is left."""
        n, n_sums = self._sums.shape
        if kept.shape != (n, n_sums + 6):
            return
        self._waiting, self._size, self._epoch = [], 0, None
        kept = torch.tensor(kept, device="cpu")
        self._sums.copy_(kept[:, :n_sums])
        self._predicted.copy_(kept[:, n_sums])
        self._early.copy_(kept[:, n_sums + 1 : -1])
        self._wrong_changes = float(kept[0, -1])

    @property
    def seen(self):
        """Which samples were predicted at all, ndarray of shape (n_samples,), bool."""
        return self._column(N_PREDICTIONS) > 0

    @property
    def mean_loss(self):
        """Mean cross-entropy of each sample's label, ndarray of shape (n_samples,)."""
        return self._mean(LOSS)

    @property
    def mean_margin(self):
        """Mean of p_y minus the largest other probability, in [-1, 1]."""
        return self._mean(MARGIN)

    @property
    def wrong_events(self):
        """Epochs in which the prediction was not the label, (n_samples,), float32."""
        return self._column(N_WRONG)

    @property
    def prediction_changes(self):
        """Epochs whose prediction was not that of the epoch before."""
        return self._column(N_CHANGES)

    def _end_early_epoch(self, wrong_changes):
        """Add the epoch to the early ones, unless memorisation has begun."""
        epoch, self._epoch = self._epoch, None
        if epoch is None:
            return
        if wrong_changes is not None:
            wrong_changes = float(np.float32(wrong_changes))  # as in files
            if wrong_changes >= self._wrong_changes:
                self._wrong_changes = -1.0
                return
            self._wrong_changes = wrong_changes
        seen = ~epoch[:, 0].isnan()
        self._early[:, :2] += epoch[:, :2].nan_to_num()
        self._early[:, 2] += seen
        self._early[:, 3] = torch.where(seen, epoch[:, 2], self._early[:, 3])

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
        others, classes = log_p.scatter_(0, target[None], -torch.inf).max(dim=0)
        label, other = given.exp(), others.exp()
        values = torch.stack([-given, label - other, every, wrong, changed], dim=1)
        self._sums.index_add_(0, index, values)
        if self._wrong_changes >= 0:
            if self._epoch is None:
                self._epoch = torch.full_like(self._early[:, :3], torch.nan)
            self._epoch[index] = torch.stack([label, other, classes], dim=1)

    def _column(self, column):
        self._count()
        return self._sums[:, column].cpu().numpy().copy()

    def _mean(self, column):
        sums = self._column(column).astype(np.float64)
        return sums / np.maximum(self._column(N_PREDICTIONS), 1)
