"""What an import brings with it."""

import subprocess
import sys


def test_what_is_rarely_used_is_imported_when_it_is_needed():
    code = (
        "import sys\n"
        "from sknoisy import NoisyRobustClassifier, SSLPretrainer\n"
        "late = {'PIL', 'filelock', 'jinja2', 'matplotlib', 'sklearn.neighbors',\n"
        "        'sknoisy.annotators', 'sknoisy.datasets', 'sknoisy.detection',\n"
        "        'sknoisy.plotting', 'torchvision'}\n"
        "assert not late & sys.modules.keys(), late & sys.modules.keys()\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
