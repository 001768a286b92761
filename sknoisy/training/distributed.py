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
from collections import deque
from contextlib import contextmanager, suppress
from datetime import timedelta

import torch
import torch.distributed as dist

from sknoisy import ranks

PATIENCE = timedelta(seconds=5)  # for a rank that may have failed like this one
END = timedelta(minutes=30)  # for a rank that is still about to end its fit
BUCKET = 2**18  # gradients that are sent at a time, of a MiB


@contextmanager
def together():
    """Let the processes that torchrun started, the ranks, share the work.

    ``fit`` does this by itself. Around other code, such as ``predict_proba`` or a whole
    search, use this context manager; all ranks must then run the same code with the
    same data. If there are no other ranks, or within another such context, it has no
    effect.

    Yields
    ------
    None
        :mod:`torch.distributed` tells the rank of a process and their number.

    Raises
    ------
    RuntimeError
        If another rank has failed or was killed. The script must then be started again.

    Notes
    -----
    Ranks are found by the environment variables that torchrun sets, or by a process
    group of your own (``torch.distributed.init_process_group``). They communicate by
    gloo, and by NCCL between GPUs. The process group is created when it is first
    needed, and destroyed when Python ends.

    When a rank raises an exception, it waits some seconds for the others to raise one,
    too, as they do if a parameter is wrong. If they do not, it leaves the group. The
    training of the others then ends when its process ends, at the latest.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from sknoisy import NoisyRobustClassifier
    >>> from sknoisy.training import together
    >>> X, y = load_iris(return_X_y=True)
    >>> clf = NoisyRobustClassifier(random_state=0).fit(X, y)
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
            raise RuntimeError("another rank has failed where this one succeeded.")


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
                f"{name} is not the same on all ranks, which train one model "
                "together. Seed whatever is random in the script; ranks that train "
                "models of their own must not be started by torchrun."
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


@contextmanager
def averaging_gradients(module):
    """In this context, a backward pass leaves the means of gradients over the ranks.

    Some are sent while others are still computed.

    Parameters
    ----------
    module : torch.nn.Module
        The network. All ranks compute the same of its gradients, in the same order.
    """
    if ranks.size() == 1:
        yield
        return
    # The last layers have their gradients first.
    weights = [p for p in reversed([*module.parameters()]) if p.requires_grad]
    sending = _Sending(weights)
    hooks = [w.register_post_accumulate_grad_hook(sending.arrived) for w in weights]
    try:
        yield
    finally:
        for hook in hooks:
            hook.remove()
    sending.finish()


class _Sending:
    """Gradients on their way to the other ranks, in buckets.

    Parameters
    ----------
    weights : list of Parameter
        About in the order in which their gradients arrive.
    """

    def __init__(self, weights):
        self.waiting = deque(_buckets(weights))
        self.sent = []
        self.here = set()
        self.ranks = ranks.current()  # a thread of autograd does not know it

    def arrived(self, weight):
        """Send the next buckets, if the gradient of this weight was the last of them.

        Buckets are sent in one order, in which all ranks receive them.
        """
        self.here.add(weight)
        while self.waiting and self.here.issuperset(self.waiting[0]):
            self._send(self.waiting.popleft())

    def finish(self):
        """Send the other gradients, and write the means of all to their places."""
        while self.waiting:  # some weights may have none
            self._send([w for w in self.waiting.popleft() if w.grad is not None])
        for work, bucket, sums in self.sent:
            work.wait()
            sums /= self.ranks.size
            parts = sums.split([weight.numel() for weight in bucket])
            for weight, part in zip(bucket, parts, strict=True):
                weight.grad.copy_(part.view_as(weight))

    def _send(self, bucket):
        if bucket:
            sums = torch.cat([weight.grad.flatten() for weight in bucket])
            work = dist.all_reduce(sums, group=self.ranks.group, async_op=True)
            self.sent.append((work, bucket, sums))


def _buckets(weights):
    """Yield lists of weights that together have at most BUCKET numbers, or one each."""
    bucket, size = [], 0
    for weight in weights:
        if bucket and size + weight.numel() > BUCKET:
            yield bucket
            bucket, size = [], 0
        bucket.append(weight)
        size += weight.numel()
    yield bucket
