"""Batches of selected samples."""

import math

import torch

from sknoisy.data.batches import stream


class SelectedBatches:
    """Batches of the selected samples, and as many of all of them if asked for.

    In the warm-up, those of :class:`~sknoisy.data.batches.Batches`.

    Parameters
    ----------
    method : CoTraining
        Has `order`, the positions of the selected samples.
    whole : Batches
        Of all samples.
    batch_size : int
        Selected samples in a batch, at most.
    with_others : bool
        Whether a batch of any samples comes with each.
    """

    def __init__(self, method, whole, batch_size, with_others):
        self.method = method
        self.whole = whole
        self.store = whole.store
        self.batch_size = batch_size
        self.with_others = with_others

    @property
    def n_samples(self):
        """Samples in an epoch."""
        whole, method = self.whole, self.method
        return whole.n_samples if method.is_warmup else len(method.order)

    def __len__(self):
        if self.method.is_warmup:
            return len(self.whole)
        n_batches = math.ceil(self.n_samples / self.batch_size)
        return max(1, min(n_batches, self.n_samples // 2))  # none of a single sample

    def __iter__(self):
        if self.method.is_warmup:
            yield from self.whole
            return
        device, order = self.whole.device, self.method.order
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
