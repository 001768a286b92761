"""One training by several processes: the ranks that torchrun has started.

Each rank computes its part of every batch; :mod:`sknoisy.ranks` gathers what the loss
needs. Here is what is around a batch: ranks find each other, have the same data and
weights, average their gradients, normalise over the whole batch, and end together.
"""

import atexit
import multiprocessing
import os
import threading
import zlib
from contextlib import contextmanager, suppress
from datetime import timedelta
from types import MethodType

import torch
import torch.distributed as dist
from torch.nn import functional as F
from torch.nn.modules.batchnorm import _BatchNorm

from sknoisy import ranks

PATIENCE = timedelta(seconds=5)  # for a rank that may have failed like this one
END = timedelta(minutes=30)  # for a rank that is still about to end its fit


@contextmanager
def together():
    """In this context the ranks that torchrun started compute together.

    ``fit`` is always in it: there is nothing to call for a training. Around anything
    else, such as ``predict_proba`` or a whole search, it lets the ranks share the work;
    all of them must then do the same, with the same data. Without other ranks, and
    within itself, it changes nothing.

    Yields
    ------
    None
        The ranks are told by :mod:`torch.distributed`, if anyone asks.

    Raises
    ------
    RuntimeError
        If another rank has failed or was killed. The script must then be started again.

    Notes
    -----
    Ranks are found by the environment that torchrun sets, or by a process group of
    yours (``torch.distributed.init_process_group``). They communicate by gloo, and by
    NCCL between GPUs. What they begin with is torch's: it is set up once, when it is
    first needed, and taken down when Python ends.

    When a rank raises an exception, it waits some seconds for the others to do the
    same, as they do if a parameter is wrong. If they do not, it leaves the group; when
    its process ends, at the latest, their training ends, too.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from sknoisy import NoisyRobustClassifier
    >>> from sknoisy.training import together
    >>> X, y = load_iris(return_X_y=True)
    >>> clf = NoisyRobustClassifier(max_epochs=5, random_state=0).fit(X, y)
    >>> with together():
    ...     probabilities = clf.predict_proba(X)
    """
    if ranks.size() > 1 or not _are_there():
        yield
        return
    meeting = _Meeting.find()
    with ranks.shared_by(meeting.ranks):
        try:
            ranks.any_rank(False)  # all are here
            yield
        except BaseException as error:
            lost = meeting.is_over or not meeting.meet(failed=True)
            if lost and isinstance(error, RuntimeError):
                raise RuntimeError(
                    "another rank has failed, or was killed: the training cannot go "
                    "on. Start the script again on all ranks."
                ) from error
            raise
        if not (meeting.is_over or meeting.meet(failed=False)):
            raise RuntimeError("another rank has failed in what this one has done.")


def fell_out():
    """Tell the others that this rank's training has failed; they end theirs, too."""
    meeting = _Meeting.known
    if ranks.size() > 1 and not meeting.is_over:
        meeting.meet(failed=True)


def _are_there():
    """Whether there are other ranks."""
    if not dist.is_available():
        return False
    if dist.is_initialized():
        return dist.get_world_size() > 1
    if _Meeting.known is not None:
        return True  # which have been lost
    found = {"RANK", "WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT"} <= os.environ.keys()
    # Workers of joblib inherit torchrun's environment, but are no ranks.
    is_worker = multiprocessing.parent_process() is not None
    return found and int(os.environ["WORLD_SIZE"]) > 1 and not is_worker


class _Meeting:
    """The process group of all ranks, and where they tell each other how a fit went.

    Their states pass by torch's key-value store, which works, too, where the ranks are
    no longer in step.
    """

    known = None

    def __init__(self):
        device = "cpu:gloo,cuda:nccl" if torch.cuda.is_available() else "gloo"
        if dist.is_initialized():
            group = dist.new_group(backend=device)  # the user's may lack the CPU
        else:
            dist.init_process_group(device)
            atexit.register(_leave)
            group = dist.group.WORLD
        self.ranks = ranks.Ranks(group)
        self.store = dist.distributed_c10d._get_default_store()
        self.n_met = 0
        self.is_over = False

    @classmethod
    def find(cls):
        """Return the meeting of this process; the ranks find each other if need be."""
        if threading.current_thread() is not threading.main_thread():
            raise ValueError(
                "n_jobs or threads are not valid around trainings that torchrun's "
                "ranks share: these must run one after the other. Pass n_jobs=None."
            )
        if cls.known is None:
            cls.known = cls()
        if cls.known.is_over:
            raise RuntimeError(
                "another rank has failed before, or was killed. Start the script again "
                "on all ranks."
            )
        return cls.known

    def meet(self, failed):
        """Wait for all ranks; return whether all are there, and did as this one did.

        If they are not, this rank leaves the group, and what the others do in it fails.
        """
        self.n_met += 1
        keys = [f"sknoisy/{self.n_met}/{rank}" for rank in range(self.ranks.size)]
        state = b"failed" if failed else b"done"
        try:
            self.store.set(keys[self.ranks.rank], state)
            self.store.wait(keys, PATIENCE if failed else END)
            agreed = all(self.store.get(key) == state for key in keys)
            if self.n_met > 2:  # all have read these
                self.store.delete_key(f"sknoisy/{self.n_met - 2}/{self.ranks.rank}")
        except RuntimeError:  # too late, or the store is gone with its rank
            agreed = False
        if not agreed:
            self._leave(keys[self.ranks.rank])
        return agreed

    def _leave(self, key):
        self.is_over = True
        with suppress(RuntimeError):
            self.store.set(key, b"left")  # who comes later need not wait
        self.ranks.leave()


def _leave():
    if dist.is_initialized():
        dist.destroy_process_group()


def check_same(data, **numbers):
    """Raise ``ValueError`` if the ranks do not train on the same data.

    Parameters
    ----------
    data : TrainingData
        The samples.
    **numbers : int
        What else must be the same, by its name.
    """
    if ranks.size() == 1:
        return
    ends = data.store.raw(torch.tensor([0, len(data) - 1], device="cpu"))
    found = {"the number of samples": len(data), "X": _checksum(ends)}
    if data.codes is not None:
        for name, values in data.labels.parts().items():
            found["y" if name == "codes" else name] = _checksum(values)
    found |= numbers
    own = torch.tensor([[*found.values()]], device="cpu")
    all_found = ranks.gathered(own, ranks.size())
    for name, values in zip(found, all_found.T.tolist(), strict=True):
        if len(set(values)) > 1:
            raise ValueError(
                f"{name} is not the same on all ranks, which train one model together. "
                "Seed whatever is random in the script; ranks that shall train models "
                "of their own must not be started by torchrun."
            )


def _checksum(tensor):
    return zlib.crc32(tensor.cpu().contiguous().numpy().tobytes())


@torch.no_grad()
def share_weights(module):
    """Give all ranks the first one's weights, running means included."""
    if ranks.size() == 1:
        return
    for tensor in [*module.parameters(), *module.buffers()]:
        tensor.copy_(ranks.from_first(tensor))


@torch.no_grad()
def average_gradients(module):
    """Replace the gradients of a module by their means over the ranks."""
    if ranks.size() == 1:
        return
    gradients = [p.grad for p in module.parameters() if p.grad is not None]
    if not gradients:  # of a step that moves nothing
        return
    means = ranks.average(torch.cat([g.flatten() for g in gradients]))
    for gradient, mean in zip(
        gradients, means.split([g.numel() for g in gradients]), strict=True
    ):
        gradient.copy_(mean.view_as(gradient))


@contextmanager
def normalising_together(module):
    """In this context batch normalisation is over the ranks' parts of a batch.

    torch's SyncBatchNorm is for GPUs only. Copies of the module that are made in this
    context normalise like it, but only where batches are shared.

    Parameters
    ----------
    module : torch.nn.Module
        The network.
    """
    layers = [m for m in module.modules() if isinstance(m, _BatchNorm)]
    if ranks.size() == 1:
        layers = []
    for layer in layers:
        layer.forward = MethodType(_normalize, layer)
    try:
        yield
    finally:
        for layer in layers:
            vars(layer).pop("forward", None)


def _normalize(layer, x):
    """Return what a layer of batch normalisation makes of this rank's part."""
    if not layer.training or ranks.size() == 1:
        return type(layer).forward(layer, x)
    y, mean, var, n = _BatchNormalization.apply(x, layer.weight, layer.bias, layer.eps)
    if layer.track_running_stats:
        layer.num_batches_tracked += 1
        share = layer.momentum
        if share is None:
            share = 1 / float(layer.num_batches_tracked)
        layer.running_mean.lerp_(mean.to(layer.running_mean), share)
        unbiased = var * (n / (n - 1).clamp(min=1))
        layer.running_var.lerp_(unbiased.to(layer.running_var), share)
    return y


class _BatchNormalization(torch.autograd.Function):
    """Batch normalisation by the moments of all ranks' rows.

    Both passes are those of the evaluation mode, which PyTorch computes in one kernel;
    the backward pass then subtracts what flows through the moments.
    """

    @staticmethod
    def forward(ctx, x, weight, bias, eps):
        mean, var, n = _moments(x)
        ctx.save_for_backward(x, weight, mean, var, n)
        ctx.eps, ctx.ranks = eps, ranks.current()
        ctx.mark_non_differentiable(mean, var, n)
        y = F.batch_norm(x, mean, var, weight, bias, False, 0.0, eps) if len(x) else x
        return y.clone() if y is x else y, mean, var, n

    @staticmethod
    def backward(ctx, grad, *_):
        x, weight, mean, var, n = ctx.saved_tensors
        if len(x):
            of_x, of_weight, of_bias = torch.ops.aten.native_batch_norm_backward(
                grad, x, weight, mean, var, None, None, False, ctx.eps, [True] * 3
            )
        else:
            of_x, of_weight, of_bias = x, torch.zeros_like(mean), torch.zeros_like(mean)
        sums = torch.stack([of_weight.float(), of_bias.float()])
        dist.all_reduce(sums, group=ctx.ranks.group)
        inverse = (var + ctx.eps).rsqrt()
        factor = inverse if weight is None else inverse * weight.float()
        slope = factor * inverse * sums[0] / n
        shift = slope * mean - factor * sums[1] / n
        if len(x):
            of_x = of_x.addcmul_(x, _by_channel(slope, x), value=-1)
            of_x = of_x.add_(_by_channel(shift, x))
        if weight is None:
            return of_x, None, None, None
        return of_x, of_weight.to(weight), of_bias.to(weight), None


def _by_channel(values, x):
    return values.to(x.dtype).view(-1, *[1] * (x.ndim - 2))


def _moments(x):
    """Return mean and variance of each channel over all ranks, and their count."""
    n_channels = x.shape[1]
    if x.numel() == 0:
        mean = var = torch.zeros(n_channels, dtype=torch.float32, device=x.device)
    elif x.device.type == "cpu":  # many times as fast as var_mean
        mean, var = torch.batch_norm_update_stats(x, None, None, 0.0)
    else:
        dims = [d for d in range(x.ndim) if d != 1]
        var, mean = torch.var_mean(x.float(), dims, correction=0)
    count = mean.new_full((1,), x.numel() // n_channels).float()
    own = torch.cat([mean.float(), var.float(), count])
    every = own.new_empty(ranks.size() * len(own))
    ranks.all_gather(every, own)
    means, variances, counts = every.view(ranks.size(), -1).split(
        [n_channels, n_channels, 1], dim=1
    )
    n = counts.sum()
    mean = (counts * means).sum(dim=0) / n
    var = (counts * (variances + (means - mean).square())).sum(dim=0) / n
    return mean, var, n
