"""
Choose a method, and stop in time, without clean labels
=======================================================

Without clean labels, there is only the accuracy on held-out noisy labels. It can be
corrected for the noise; and a training itself shows when it begins to memorise.
"""

# %%
# 40% of the labels are those of the next class: the hard case, in which a classifier
# that memorises the noise looks good on noisy labels.

import matplotlib.pyplot as plt
from sklearn.datasets import load_digits
from sklearn.model_selection import GridSearchCV, train_test_split

from sknoisy import NoisyRobustClassifier
from sknoisy.metrics import NoiseCorrectedScorer
from sknoisy.noise import pair_flip, symmetric_exclusive
from sknoisy.plotting import TrainingCurveDisplay

X, y = load_digits(return_X_y=True)
X, X_test, y, y_test = train_test_split(X, y, test_size=0.3, random_state=0)
y_pairs = pair_flip(y, rate=0.4, random_state=0).y

# %%
# One search scores as if all labels were right. The other corrects for the noise, with
# a transition matrix that is estimated from the data.

grid = {"loss": ["ce", "gce", "elr"]}
clf = NoisyRobustClassifier(encoder="mlp", max_epochs=20, random_state=0)
for scoring in ("accuracy", NoiseCorrectedScorer()):
    search = GridSearchCV(clf, grid, scoring=scoring, cv=3).fit(X, y_pairs)
    chosen = search.best_params_["loss"]
    name = scoring if isinstance(scoring, str) else "corrected"
    print(
        f"by {name:10} chosen: {chosen:4} accuracy on clean labels: "
        f"{search.score(X_test, y_test):.1%}"
    )

# %%
# As long as a network learns what is common to a class, fewer and fewer of its
# predictions change from epoch to epoch. When it begins to memorise, more of them
# change again, and the training stops.

y_noisy = symmetric_exclusive(y, rate=0.6, random_state=0).y
settings = {"loss": "ce", "encoder": "mlp", "max_epochs": 60, "random_state": 0}
for stopping in (None, "label_wave"):
    clf = NoisyRobustClassifier(stopping=stopping, **settings).fit(X, y_noisy)
    print(
        f"stopping={stopping!s:10}  {len(clf.history_):3} epochs, "
        f"accuracy on clean labels {clf.score(X_test, y_test):.1%}"
    )

TrainingCurveDisplay.from_estimator(clf, key="wrong_changes", onset=True)
plt.show()
