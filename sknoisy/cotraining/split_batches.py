"""Batches of labelled and unlabelled samples, for one network at a time."""

import math
from typing import NamedTuple

import torch

from sknoisy.data.batches import stream


class Turn(NamedTuple):
    """Whose step it is.

    Attributes
    ----------
    network : int
        Which network trains.
    n_labelled : int
        How many samples of the batch are labelled; they come first.
    done : float
        Share of the network's epoch that is done.
    """

    network: int
    n_labelled: int
    done: float


class SplitBatches:
    """Batches of labelled and as many unlabelled samples, for one network at a time.

    Parameters
    ----------
    splits : list of (tensor, tensor)
        For each network, positions of its labelled and of its unlabelled samples.
    networks : list of torch.nn.Module
        The networks, which take turns.
    whole : Batches
        Batches of all samples.
    batch_size : int
        Labelled and unlabelled samples together, at most.
    """

    def __init__(self, splits, networks, whole, batch_size):
        self.splits = splits
        self.networks = networks
        self.whole = whole
        self.store = whole.store
        self.n_labelled = max(1, batch_size // 2)

    @property
    def n_samples(self):
        """Samples in an epoch, counted as often as they are trained on."""
        counts = [
            len(labelled) * (2 if len(unlabelled) else 1)
            for labelled, unlabelled in self.splits
        ]
        return sum(counts)

    def __len__(self):
        return sum(self._steps(*split) for split in self.splits)

    def __iter__(self):
        for k, (labelled, unlabelled) in enumerate(self.splits):
            self.networks[k].train()
            self.networks[1 - k].eval()
            parts = labelled.tensor_split(self._steps(labelled, unlabelled))
            others = self._cycle(unlabelled, len(labelled))
            others = others.split([len(part) if len(others) else 0 for part in parts])
            index = [torch.cat(pair) for pair in zip(parts, others, strict=True)]
            sizes = [len(part) for part in index]
            order, device = torch.cat(index), self.whole.device
            batches = stream(self.store, order, sizes, device, shared=True)
            for done, (part, batch) in enumerate(zip(parts, batches, strict=True)):
                yield *batch, Turn(k, len(part), done / len(parts))

    def _steps(self, labelled, unlabelled):
        steps = math.ceil(len(labelled) / self.n_labelled)
        # A single sample has no batch statistics.
        return steps if len(unlabelled) else min(steps, max(1, len(labelled) // 2))

    def _cycle(self, index, n):
        """Return `n` of some samples, each as often as the others but for one."""
        if len(index) == 0:
            return index
        rounds = math.ceil(n / len(index))
        generator = self.whole.generator
        shuffled = [
            index[torch.randperm(len(index), generator=generator, device="cpu")]
            for _ in range(rounds)
        ]
        return torch.cat(shuffled)[:n]
