"""Ctrl-C that is lost on the way.

Python raises ``KeyboardInterrupt`` wherever it happens to be. If that is in a function
that C code calls, in one that NumPy tries, say, or while an object is collected as
garbage, then it may be dropped, and the training would go on.
"""

import signal
import threading
from contextlib import contextmanager

_pressed = False  # whether the user has pressed Ctrl-C, in the main thread's fit


@contextmanager
def heeding_interrupts():
    """In this context, the main thread's, a Ctrl-C that is lost is noticed.

    The handler of Python is in its place again afterwards; another one stays there.
    """
    global _pressed
    if not _is_main() or signal.getsignal(signal.SIGINT) != signal.default_int_handler:
        yield
        return

    def handler(number, frame):
        global _pressed
        _pressed = True
        signal.default_int_handler(number, frame)

    _pressed = False
    signal.signal(signal.SIGINT, handler)
    try:
        yield
    finally:
        if signal.getsignal(signal.SIGINT) is handler:
            signal.signal(signal.SIGINT, signal.default_int_handler)


def raise_lost_interrupt():
    """Raise ``KeyboardInterrupt`` if there was one, and it was lost."""
    global _pressed
    if _pressed and _is_main():
        _pressed = False
        raise KeyboardInterrupt


def _is_main():
    return threading.current_thread() is threading.main_thread()
