"""Code that tests run in a process of its own."""

import subprocess
import sys


def run_python(code, *arguments, **settings):
    """Run code in a new process, and return what `subprocess.run` does.

    Python looks for no garbage there: among all that is imported, it takes seconds.
    """
    start = "import atexit, gc; gc.disable(); atexit.register(gc.freeze)\n"
    command = [sys.executable, "-c", start + code, *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, **settings)
