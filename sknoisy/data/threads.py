"""How many threads PyTorch uses on a CPU that other processes use, too."""

import logging
import os
import threading
import time
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from statistics import median

import torch

from sknoisy import ranks
from sknoisy.data.devices import refuse_fork

LOGGER = logging.getLogger("sknoisy")
FRESH = 10  # seconds for which an answer counts
SLOW = 5  # how much longer than in one thread the parts of a sum may take in several
GRAIN = 2**15  # elements; PyTorch computes fewer in one thread

_wanted = ContextVar("threads where all cores are free", default=None)
_answers = {}  # number of threads: when it was asked, how many may be used
_told = False  # whether this process has said that it uses fewer
_setting = threading.Lock()


@contextmanager
def free_threads():
    """In this context, PyTorch uses at most as many threads as there are free cores.

    PyTorch divides most operations among its threads, and waits for the last one. If
    another process has its core, that is for some milliseconds, even if the operation
    takes microseconds: on two cores, of which another process used one, trainings of
    small networks took 15 to 40 times as long with two threads as with one.

    What is inside may be long, so let parts of it, such as epochs, be in such a context
    of their own. It asks anew, and may use more threads again. Nothing is changed if
    the environment variable OMP_NUM_THREADS is set, nor where ranks compute together,
    whose sums must be rounded alike.
    """
    with _setting:
        before = torch.get_num_threads()
    wanted = _wanted.get() or before
    if wanted == 1 or "OMP_NUM_THREADS" in os.environ or ranks.size() > 1:
        yield
        return
    refuse_fork()  # which the question, too, would wait in for ever
    inside = _wanted.set(wanted)
    try:
        _use(_usable(wanted), wanted)
        yield
    finally:
        _wanted.reset(inside)
        _use(before, wanted)


def _usable(wanted):
    """Return how many of so many threads do not wait for cores; as just answered."""
    global _told
    asked, usable = _answers.get(wanted, (-FRESH, wanted))
    if time.monotonic() - asked < FRESH:
        return usable
    before, usable = torch.get_num_threads(), wanted
    try:
        _use(usable, wanted)
        while usable > 1 and _wait_for_cores(usable):
            usable //= 2
            _use(usable, wanted)
    finally:
        _use(before, wanted)
    _answers[wanted] = time.monotonic(), usable
    if usable < wanted and not _told:
        _told = True
        LOGGER.warning(
            "Too few of the processor's cores are free, so PyTorch uses %d of its %d "
            "threads: it would be slower with all. The environment variable "
            "OMP_NUM_THREADS sets a number of threads that is kept.",
            usable,
            wanted,
        )
    return usable


def _wait_for_cores(n_threads):
    """Whether threads take far longer for their parts of a sum than one for all."""
    values = torch.zeros(n_threads * GRAIN, device="cpu")
    parts = values.split(GRAIN)
    values.add_(1)  # wakes the threads
    together = _seconds(lambda: values.add_(1))
    one_by_one = _seconds(lambda: [part.add_(1) for part in parts])
    return together > SLOW * one_by_one


def _seconds(function):
    """Return the median time of five calls, of which two may be interrupted."""
    times = []
    for _ in range(5):
        begin = time.perf_counter()
        function()
        times.append(time.perf_counter() - begin)
    return median(times)


def _use(n_threads, wanted):
    """Let PyTorch use so many threads in this one, and in new ones as many as wanted.

    A thread takes the last number that any has set when it first uses PyTorch, and
    keeps it: it would keep fewer even when all cores are free.
    """
    with _setting:
        if torch.get_num_threads() == n_threads:
            return
        torch.set_num_threads(n_threads)
        if n_threads != wanted:
            other = threading.Thread(target=torch.set_num_threads, args=(wanted,))
            with suppress(RuntimeError):  # a process that ends starts no threads
                other.start()
                other.join()
