"""Code that tests run in a process of its own."""

import subprocess
import sys


def run_python(code, *arguments, ends_with=0, **settings):
    """Run code in a new process, and return what `subprocess.run` does.

    It has to end with the given code. The settings are those of `subprocess.run`.
    Python looks for no garbage there: among all that is imported, it takes seconds.
    """
    start = "import atexit, gc; gc.disable(); atexit.register(gc.freeze)\n"
    command = [sys.executable, "-c", start + code, *map(str, arguments)]
    ended = subprocess.run(command, capture_output=True, text=True, **settings)
    assert ended.returncode == ends_with, ended.stderr
    return ended
