"""What commands say while they work."""

import sys


def say(args, text):
    """Say what is going on, unless that is not wanted."""
    if not args.quiet:
        print(printable(text), file=sys.stderr, flush=True)


def printable(text):
    """Return a text in which names of files cannot steer a terminal, nor break it.

    What is neither shown nor a line's end is escaped, such as the bytes of a name that
    are no UTF-8.
    """
    return "".join(
        c if c.isprintable() or c == "\n" else c.encode("unicode_escape").decode()
        for c in text
    )
