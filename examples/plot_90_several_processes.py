"""
Several processes
=================

Searches and detectors run their folds in parallel processes. Pre-trained encoders are
kept in a cache that all of them share.
"""

# %%
# ``n_jobs`` is all that is needed. With torchrun, one training runs on several
# processes or GPUs: see :doc:`/scaling`.

import tempfile
import time

from sklearn.datasets import load_digits
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import Pipeline

from sknoisy import NoisyRobustClassifier, SSLPretrainer
from sknoisy.noise import symmetric_exclusive

digits = load_digits(n_class=5)
y_noisy = symmetric_exclusive(digits.target, rate=0.4, random_state=0).y

# %%
# The pre-trainer learns nothing from labels, so the grid below needs one pre-training
# for each fold, not one for each candidate. The cache makes sure of that.

pipe = Pipeline(
    [
        ("ssl", SSLPretrainer(max_epochs=5, memory=tempfile.mkdtemp(), random_state=0)),
        ("clf", NoisyRobustClassifier(max_epochs=5, random_state=0)),
    ]
)
search = GridSearchCV(pipe, {"clf__loss": ["ce", "elr", "gce"]}, cv=2, n_jobs=2)
started = time.perf_counter()
search.fit(digits.images, y_noisy)
print(f"{time.perf_counter() - started:.0f} s, chosen: {search.best_params_}")
