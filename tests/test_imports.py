"""What an import brings with it."""

import subprocess
import sys


def run_in_a_new_process(code):
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_what_is_rarely_used_is_imported_when_it_is_needed():
    code = (
        "import sys\n"
        "from sknoisy import NoisyRobustClassifier, SSLPretrainer\n"
        "late = {'PIL', 'filelock', 'jinja2', 'matplotlib', 'sklearn.neighbors',\n"
        "        'sknoisy.annotators', 'sknoisy.datasets', 'sknoisy.detection',\n"
        "        'sknoisy.plotting', 'torchvision'}\n"
        "assert not late & sys.modules.keys(), late & sys.modules.keys()\n"
    )
    run_in_a_new_process(code)


def test_a_fit_imports_what_it_needs():
    """PyTorch's compiler alone takes a second, and only optimisers need it."""
    code = (
        "import sys\n"
        "import numpy as np\n"
        "from sknoisy import NoisyRobustClassifier\n"
        "X, y = np.random.default_rng(0).normal(size=(60, 2)), np.arange(60) % 2\n"
        "clf = NoisyRobustClassifier(random_state=0).fit(X, y)\n"
        "clf.predict(X)\n"
        "late = {'sympy', 'torch._dynamo', 'torchvision'}\n"
        "assert not late & sys.modules.keys(), late & sys.modules.keys()\n"
        "NoisyRobustClassifier('elr', max_epochs=1).fit(X, y)\n"
        "assert 'torchvision' not in sys.modules\n"
    )
    run_in_a_new_process(code)
