"""
Find the wrong labels, and have them reviewed
=============================================

:class:`~sknoisy.LabelErrorDetector` says which labels are probably wrong, how sure that
is, and what they should be. People review the worst of them in a report, and their
decisions become labels.
"""

# %%
# A tenth of the labels of handwritten digits are made wrong. Without a classifier, the
# detector judges them by :class:`~sknoisy.NoisyRobustClassifier`, which it trains once;
# any scikit-learn classifier can be passed instead.

import tempfile
from pathlib import Path

import matplotlib.pyplot as plt
from sklearn.datasets import load_digits

from sknoisy import LabelErrorDetector
from sknoisy.noise import pair_flip
from sknoisy.plotting import LabelErrorDisplay, TransitionMatrixDisplay

digits = load_digits()
noisy = pair_flip(digits.target, rate=0.1, random_state=0)
detector = LabelErrorDetector(random_state=0).fit(digits.data, noisy.y)

low, high = detector.noise_rate_interval_
print(
    f"wrong: {noisy.rate:.1%}, estimated {detector.noise_rate_:.1%} "
    f"(between {low:.1%} and {high:.1%})"
)
found = noisy.is_wrong[detector.label_errors_]
print(
    f"{len(found)} called wrong, {found.mean():.0%} of these rightly; "
    f"{found.sum() / noisy.is_wrong.sum():.0%} of the wrong ones are found"
)

# %%
# These are the worst labels, and the suggestions.

LabelErrorDisplay.from_estimator(detector, digits.images, noisy.y, n_images=10)

# %%
# The transition matrix shows which classes are confused: here, each digit is taken for
# the next one.

TransitionMatrixDisplay.from_estimator(detector)
plt.show()

# %%
# The report is for the people who know the images. It is one file and works offline.
# They keep labels, take suggestions or choose other classes, and download
# ``reviewed.csv``.

folder = Path(tempfile.mkdtemp())
detector.to_html(folder / "report.html", digits.images, title="Digits")

# %%
# Here, such a file is written by hand. ``review`` returns labels to train on, and says
# which of them people decided on.

worst = detector.ranked()[:3]
lines = ["sample,given,decision,label"]
lines += [f"{i},{noisy.y[i]},take,{detector.suggested_labels_[i]}" for i in worst]
(folder / "reviewed.csv").write_text("\n".join(lines))

labels, reviewed = detector.review(folder / "reviewed.csv")
print(f"{reviewed.sum()} reviewed, {(labels != noisy.y).sum()} changed")
