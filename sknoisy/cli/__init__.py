"""The command line: check labels, predict, and apply what people decided.

Nothing but the standard library is imported before a command runs.
"""

from sknoisy.cli.main import main

__all__ = ["main"]
