"""What commands say while they work."""

import os
import sys
from contextlib import ExitStack, contextmanager, redirect_stderr, redirect_stdout


def say(args, text):
    """Say what is going on, unless that is not wanted."""
    if not args.quiet:
        print(printable(text), file=sys.stderr, flush=True)


@contextmanager
def streams():
    """In this context, output is lost, and no error, where a service has no streams."""
    with ExitStack() as stack:
        for stream, redirect in (
            (sys.stdout, redirect_stdout),
            (sys.stderr, redirect_stderr),
        ):
            if stream is None:
                null = stack.enter_context(open(os.devnull, "w", encoding="utf-8"))
                stack.enter_context(redirect(null))
        yield


class Output:
    """The standard output, for characters that it may lack, too, which are escaped.

    Where it is no UTF-8, as in pipes and files on Windows, a label that it lacks would
    be an error once all the work is done.
    """

    def write(self, text):
        """Write a text."""
        encoding = getattr(sys.stdout, "encoding", None) or "utf-8"
        sys.stdout.write(text.encode(encoding, "backslashreplace").decode(encoding))


def printable(text):
    """Return a text in which names of files cannot steer a terminal, nor break it.

    What is neither shown nor a line's end is escaped, such as the bytes of a name that
    are no UTF-8.
    """
    return "".join(
        c if c.isprintable() or c == "\n" else c.encode("unicode_escape").decode()
        for c in text
    )
