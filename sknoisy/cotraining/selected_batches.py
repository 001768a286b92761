"""Batches of selected samples."""

import math

import torch

from sknoisy.data.batches import stream


class SelectedBatches:
    """Batches of the selected samples, and as many of all of them if asked for.

    Parameters
    ----------
    order : tensor of shape (n_selected,), int64
        Positions of the selected samples, in the order of their batches.
    whole : Batches
        Batches of all samples.
    batch_size : int
        Selected samples in a batch, at most.
    with_others : bool
        Whether a batch of any samples comes with each.
    """

    def __init__(self, order, whole, batch_size, with_others):
        self.order = order
        self.whole = whole
        self.store = whole.store
        self.batch_size = batch_size
        self.with_others = with_others

    @property
    def n_samples(self):
        """Samples in an epoch."""
        return len(self.order)

    def __len__(self):
        n_batches = math.ceil(self.n_samples / self.batch_size)
        return max(1, min(n_batches, self.n_samples // 2))  # none of a single sample

    def __iter__(self):
        device, order = self.whole.device, self.order
        selected = stream(self.store, order, len(self), device, shared=True)
        if not self.with_others:
            yield from selected
            return
        every = torch.randperm(
            len(self.store), generator=self.whole.generator, device="cpu"
        )
        every = every.repeat(math.ceil(len(order) / len(every)))[: len(order)]
        others = stream(self.store, every, len(self), device, shared=True)
        for (index, batch), (_, other) in zip(selected, others, strict=True):
            yield index, batch, other
