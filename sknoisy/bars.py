"""Progress bars that change nothing in the process."""

import sys
import threading
from functools import cache


def bar(*args, **settings):
    """Return a progress bar of tqdm, which see for the arguments.

    tqdm's own bars make a lock for several processes, which settles for good how this
    process starts others, and a thread that watches the bars, even if none is shown.
    """
    if getattr(sys.stderr, "closed", sys.stderr is None):
        settings["disable"] = True  # a service may have nothing to draw it on
    return _quiet_class()(*args, **settings)


@cache
def _quiet_class():
    from tqdm.auto import tqdm  # imports a notebook's widgets, where there is one

    class Bar(tqdm):
        _lock = threading.RLock()
        monitor_interval = 0

    return Bar
