"""Batches of samples, shuffled and streamed to a device."""

import math
from collections import deque
from concurrent.futures import ThreadPoolExecutor

import torch

from sknoisy.data.devices import move
from sknoisy.ranks import part

AHEAD = 2  # batches that are read ahead, and so how many are in memory


def stream(store, order, batches, device, shared=False):
    """Yield the batches of a store; a thread reads ahead where reading takes time.

    Parameters
    ----------
    store : ArrayStore or PathStore
        The samples.
    order : tensor of shape (n_samples,), int64
        Positions of the samples, on the CPU.
    batches : int or list of int
        The number of batches, whose sizes then differ by at most one, or the size of
        each.
    device : torch.device
        Device of the batches.
    shared : bool, default=False
        Whether each of several ranks takes its part of the samples of a batch: see
        :mod:`sknoisy.ranks`.

    Yields
    ------
    index : tensor of shape (n,), int64
        Positions of the samples of a batch, on `device`; those of all ranks.
    batch : tensor of shape (n, ...), float32
        The samples, on `device`.
    """
    own = part if shared else _all_of
    if store.is_ready(device):
        for index in _parts(order.to(device), batches):
            yield index, store.fetch(own(index), device)
        return
    on_gpu = torch.device(device).type == "cuda"

    def read(index, taken):
        raw = store.raw(taken)
        return (index.pin_memory(), raw.pin_memory()) if on_gpu else (index, raw)

    def finish(future):
        index, raw = (move(tensor, device) for tensor in future.result())
        return index, store.spec.prepare(raw)

    waiting = deque()
    pool = ThreadPoolExecutor(1)
    try:
        for index in _parts(order, batches):
            waiting.append(pool.submit(read, index, own(index)))
            if len(waiting) > AHEAD:
                yield finish(waiting.popleft())
        while waiting:
            yield finish(waiting.popleft())
    finally:
        pool.shutdown(cancel_futures=True)


def _parts(order, batches):
    """Yield the positions of each batch; there may be a million of them."""
    if isinstance(batches, int):
        shortest, n_longer = divmod(len(order), batches)
        sizes = (shortest + (i < n_longer) for i in range(batches))
    else:
        sizes = batches
    start = 0
    for size in sizes:
        yield order[start : start + size]
        start += size


def _all_of(index):
    return index


class Batches:
    """Shuffled batches whose sizes differ by at most one.

    No small batch is left over at the end, so batch normalisation always works. With a
    batch size of 2 and an odd number of samples, one batch has 3. Iterators yield
    pairs ``index, batch``, as :func:`stream` does; ranks share them.

    Parameters
    ----------
    store : ArrayStore or PathStore
        The samples.
    batch_size : int
        The largest size of a batch.
    generator : torch.Generator
        Random numbers for the order. It is on the CPU, so that the order is the same
        on every device.
    device : torch.device
        Device of the batches.
    """

    def __init__(self, store, batch_size, generator, device):
        self.store = store
        self.generator = generator
        self.device = device
        self.n_samples = len(store)
        whole = math.ceil(self.n_samples / batch_size)
        self.n_batches = max(1, min(whole, self.n_samples // 2))

    def __len__(self):
        return self.n_batches

    def __iter__(self):
        order = torch.randperm(self.n_samples, generator=self.generator, device="cpu")
        return stream(self.store, order, self.n_batches, self.device, shared=True)
