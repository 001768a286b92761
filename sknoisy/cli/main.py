"""From arguments to an exit code."""

import logging
import os
import sys
import time
import warnings
from contextlib import contextmanager, suppress
from importlib import import_module

from sknoisy.cli.messages import printable, streams
from sknoisy.cli.parser import make_parser

FAILED, BROKEN, INTERRUPTED = 1, 2, 130
OFTEN = 10  # seconds between lines on a training


def main(argv=None):
    """Run a command.

    Parameters
    ----------
    argv : list of str, default=None
        Arguments; by default those of the process.

    Returns
    -------
    code : int
        0; 1 if a check is below ``--fail-under``; 2 if something went wrong.
    """
    args = make_parser().parse_args(argv)
    with streams(), warnings.catch_warnings(), _lines(args):
        if not args.debug:
            warnings.simplefilter("ignore")
            warnings.simplefilter("always", UserWarning)
            warnings.showwarning = _Shown()
        try:
            command = import_module(f"sknoisy.cli.{args.command}")
            return FAILED if command.run(args) else 0
        except KeyboardInterrupt:
            print("\nsknoisy: interrupted", file=sys.stderr)
            return INTERRUPTED
        except BrokenPipeError:  # who reads the output has seen enough
            with suppress(OSError, ValueError):
                os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            return 0
        except Exception as error:
            if args.debug:
                raise
            text = " ".join(str(error).split()) or type(error).__name__
            print(f"sknoisy: error: {printable(text)}", file=sys.stderr)
            return BROKEN


class _Shown:
    """Shows each warning once, in one line, without the place in the code."""

    def __init__(self):
        self._texts = set()

    def __call__(self, message, category, filename, lineno, file=None, line=None):
        text = printable(" ".join(str(message).split()))
        if text not in self._texts:
            self._texts.add(text)
            print(f"Warning: {text}", file=sys.stderr)


@contextmanager
def _lines(args):
    """Print some of the lines that the package logs, while a command runs."""
    logger = logging.getLogger("sknoisy")
    before, handler = logger.level, _SomeLines()
    if not args.quiet:
        logger.addHandler(handler)
        logger.setLevel(logging.INFO)
    try:
        yield
    finally:
        logger.removeHandler(handler)
        logger.setLevel(before)


class _SomeLines(logging.Handler):
    """Prints a line at a time, and not the next ones for some seconds."""

    def __init__(self):
        super().__init__()
        self._last = time.monotonic()

    def emit(self, record):
        from tqdm import tqdm

        if time.monotonic() - self._last > OFTEN:
            self._last = time.monotonic()
            tqdm.write(record.getMessage(), file=sys.stderr)
