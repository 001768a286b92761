"""
Texts: words, and which labels are wrong
========================================

scikit-learn counts the words; their singular vectors are a table like any other. Who
has embeddings of a language model goes on as with
:ref:`embeddings <sphx_glr_auto_examples_plot_1_embeddings.py>`.
"""

# %%
# The texts are the documentation of functions, which is installed already. Where a
# function comes from is the class. Of the labels, 40% are made wrong.

import inspect

import numpy as np
import scipy
import sklearn
import torch
from sklearn.decomposition import TruncatedSVD
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import train_test_split
from sklearn.pipeline import make_pipeline

from sknoisy import LabelCleaningClassifier, LabelErrorDetector, NoisyRobustClassifier
from sknoisy.metrics import detection_average_precision
from sknoisy.noise import symmetric_exclusive

sources = {
    "arrays": [np, np.linalg, np.fft],
    "statistics": [scipy.stats],
    "signals": [scipy.signal, scipy.ndimage],
    "functions": [scipy.special],
    "learning": [sklearn.metrics, sklearn.linear_model, sklearn.decomposition],
    "networks": [torch.nn.functional, torch.nn],
}
texts, y = [], []
for label, modules in sources.items():
    for module in modules:
        for name in dir(module):
            text = inspect.getdoc(getattr(module, name)) or ""
            if text.startswith(f"{name}("):  # the arguments, before the text
                text = text.partition("\n\n")[2]
            words = text.split()
            if len(words) >= 40 and not name.startswith("_"):
                texts.append(" ".join(words[:40]))
                y.append(label)
texts, texts_test, y, y_test = train_test_split(
    texts, np.array(y), test_size=0.3, stratify=y, random_state=0
)
noisy = symmetric_exclusive(y, rate=0.4, random_state=0)
print(f"{len(texts)} texts, such as this one of class {y[0]}:\n{texts[0][:200]} ...")

# %%
# Logistic regression on words is what one would try first. ``TruncatedSVD`` makes a
# dense table of 256 columns of the words, for our classifier. To keep logistic
# regression, train it on cleaned labels.

words = TfidfVectorizer(sublinear_tf=True, min_df=2)
logistic = make_pipeline(words, LogisticRegression())
pipelines = {
    "logistic regression": logistic,
    "the same on cleaned labels": LabelCleaningClassifier(logistic, random_state=0),
    "sknoisy": make_pipeline(
        words,
        TruncatedSVD(256, random_state=0),
        NoisyRobustClassifier(random_state=0),
    ),
}
for name, pipe in pipelines.items():
    print(f"{name:28}{pipe.fit(texts, noisy.y).score(texts_test, y_test):.1%}")

# %%
# The detector takes the words as they are, a sparse table. These are the labels of
# lowest quality, with what it suggests instead.

table = words.fit_transform(texts)
detector = LabelErrorDetector(random_state=0).fit(table, noisy.y)
for i in detector.ranked()[:5]:
    suggested = detector.suggested_labels_[i]
    print(f"{noisy.y[i]} -> {suggested} (right: {y[i]}): {texts[i][:60]} ...")
low, high = detector.noise_rate_interval_
print(
    f"estimated to be wrong: {detector.noise_rate_:.0%}, within {low:.0%} to {high:.0%}"
)
score = detection_average_precision(noisy.is_wrong, detector.label_quality_)
print(f"average precision of the ranks: {score:.2f}")
