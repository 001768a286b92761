"""What commands say while they work."""

import sys


def say(args, text):
    """Say what is going on, unless that is not wanted."""
    if not args.quiet:
        print(text, file=sys.stderr, flush=True)
