"""Batches that several processes, the ranks, share; in a single one all stays as it is.

In the context :func:`shared_by`, each rank computes its part of a batch and gathers
what the loss needs of the others. Outside of it, whatever the process, these functions
return what they are given: only what all ranks do at the same time can be shared.
"""

import os
from contextlib import contextmanager
from contextvars import ContextVar

import torch
import torch.distributed as dist

_ranks = ContextVar("ranks", default=None)  # where batches are shared
_n_rows = ContextVar("n_rows", default=None)  # of the batch that is being trained


class Ranks:
    """The ranks that share batches.

    Parameters
    ----------
    group : torch.distributed.ProcessGroup
        The processes.
    """

    def __init__(self, group):
        self.size, self.rank = dist.get_world_size(group), dist.get_rank(group)
        self._group = group

    @property
    def group(self):
        """The process group; RuntimeError once this rank has left it."""
        if self._group is None:
            raise RuntimeError("this rank has left the others.")
        return self._group

    def leave(self):
        """Leave the group, so that what others still do in it fails."""
        dist.destroy_process_group(self._group)
        self._group = None  # its connections close with the last reference


@contextmanager
def shared_by(ranks):
    """In this context these ranks share batches."""
    token = _ranks.set(ranks)
    try:
        yield
    finally:
        _ranks.reset(token)


@contextmanager
def of_batch(n_rows):
    """In this context :func:`gathered` knows how many samples a batch has."""
    token = _n_rows.set(n_rows)
    try:
        yield
    finally:
        _n_rows.reset(token)


def current():
    """Return the :class:`Ranks` that share batches here, or None."""
    return _ranks.get()


def size():
    """Return how many ranks share batches here; 1 if none do."""
    shared = _ranks.get()
    return 1 if shared is None else shared.size


def rank():
    """Return the number of this rank, from 0; 0 where nothing is shared."""
    shared = _ranks.get()
    return 0 if shared is None else shared.rank


def local_device(count):
    """Return the index of this process's GPU, of `count`, or None to leave it open."""
    local = os.environ.get("LOCAL_RANK", "")
    several = os.environ.get("WORLD_SIZE", "1") != "1"
    return int(local) % count if several and local.isdigit() else None


def own_seed(seed):
    """Return a seed of this rank's own; that of the first is `seed`, of 32 bits."""
    return seed + (rank() << 32)


def part(whole):
    """Return this rank's rows of a tensor that all ranks have.

    Parameters
    ----------
    whole : tensor of shape (n, ...)
        Parts differ in length by at most one, and come in the order of the ranks.
    """
    return whole if size() == 1 else whole.tensor_split(size())[rank()]


def gathered(part, n_rows=None):
    """Return the rows of all ranks, in their order, with gradients.

    Every rank must compute the same loss from what is gathered. Its gradient then is
    right once the gradients of the network are averaged over the ranks.

    Parameters
    ----------
    part : tensor of shape (m, ...)
        This rank's rows.
    n_rows : int, default=None
        Number of rows of all ranks; by default that of the batch that is trained.

    Returns
    -------
    whole : tensor of shape (n_rows, ...)
        In float32 if `part` has a lower precision. Without other ranks, `part`.
    """
    if size() == 1:
        return part
    if part.dtype in (torch.bfloat16, torch.float16):
        part = part.float()
    return _Gather.apply(part, _n_rows.get() if n_rows is None else n_rows)


def in_parts(network, whole):
    """Return what a network makes of a batch, of which each rank computes a part.

    Parameters
    ----------
    network : callable
        From tensors of shape (n, ...) to tensors of as many rows.
    whole : tensor of shape (n, ...)
        The same on all ranks.
    """
    if size() == 1:
        return network(whole)
    return gathered(network(part(whole)), len(whole))


def of_part(mean, n_rows):
    """Return a mean over this rank's part of a batch, weighted by the part's size.

    The mean of the results over the ranks is the mean over the batch.

    Parameters
    ----------
    mean : tensor of shape ()
        Mean over the part; if that is empty, anything.
    n_rows : int
        Number of samples of the part.
    """
    if size() == 1:
        return mean
    if n_rows == 0:
        return mean.nan_to_num()  # with its graph, whose backward pass all ranks take
    return mean * (size() * n_rows / _n_rows.get())


def average(tensor):
    """Return the mean of a tensor over the ranks, without gradients."""
    if size() == 1:
        return tensor
    total = tensor.clone()
    dist.all_reduce(total, group=_ranks.get().group)
    return total / size()


def any_rank(flag):
    """Whether a flag is set on any rank."""
    if size() == 1:
        return bool(flag)
    flag = torch.tensor([bool(flag)], dtype=torch.uint8, device="cpu")
    flags = gathered(flag, size())
    return bool(flags.any())


def all_ranks(flag):
    """Whether a flag is set on all ranks."""
    return not any_rank(not flag)


def from_first(tensor):
    """Return the first rank's values of a tensor that has one shape on all ranks."""
    if size() == 1:
        return tensor
    tensor = tensor.detach().clone(memory_format=torch.contiguous_format)
    dist.broadcast(tensor, group=_ranks.get().group, group_src=0)
    return tensor


def number_from_first(number):
    """Return the first rank's value of a float."""
    if size() == 1:
        return number
    return float(from_first(torch.tensor(number, dtype=torch.float64, device="cpu")))


def bytes_from_first(content):
    """Return the first rank's bytes, or None if it has none."""
    if size() == 1:
        return content
    n_bytes = int(
        from_first(torch.tensor(-1 if content is None else len(content), device="cpu"))
    )
    if n_bytes < 0:
        return None
    raw = torch.empty(n_bytes, dtype=torch.uint8, device="cpu")
    if rank() == 0 and n_bytes:
        raw = torch.frombuffer(bytearray(content), dtype=torch.uint8)
    return from_first(raw).numpy().tobytes()


def all_gather(every, own):
    """Write all ranks' tensors, one after the other, into a longer one."""
    # The second name is that of PyTorch before 2.14.
    gather = getattr(dist, "all_gather_single", None) or dist.all_gather_into_tensor
    gather(every, own, group=_ranks.get().group)


def cached_call(function, *args, **kwargs):
    """Call a function of a joblib cache; all ranks take its result, or none does.

    Where any rank lacks the result all compute it, for they may do so together, and
    the first rank writes it.

    Parameters
    ----------
    function : joblib.memory.MemorizedFunc
        The cached function.
    """
    if size() == 1:
        return function(*args, **kwargs)
    known = function.check_call_in_cache(*args, **kwargs)
    if all_ranks(known) or (rank() == 0 and not known):
        return function(*args, **kwargs)
    return function.func(*args, **kwargs)


class _Gather(torch.autograd.Function):
    """All ranks' rows; the gradient of a loss that every rank computes, summed."""

    @staticmethod
    def forward(ctx, part, n_rows):
        n_ranks = size()
        ctx.n_ranks, ctx.rank = n_ranks, rank()
        longest = -(-n_rows // n_ranks)
        if len(part) < longest:
            part = torch.cat([part, part.new_zeros(1, *part.shape[1:])])
        padded = part.new_empty(n_ranks * longest, *part.shape[1:])
        all_gather(padded, part.contiguous())
        n_longest = n_rows % n_ranks
        if n_longest == 0:
            return padded
        first = padded[: n_longest * longest]
        rest = padded[n_longest * longest :].unflatten(0, (-1, longest))[:, :-1]
        return torch.cat([first, rest.flatten(0, 1)])

    @staticmethod
    def backward(ctx, grad):
        return grad.tensor_split(ctx.n_ranks)[ctx.rank] * ctx.n_ranks, None
