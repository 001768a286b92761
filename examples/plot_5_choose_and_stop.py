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
# One score takes all labels for right. The other corrects for the noise, with a
# transition matrix that is estimated from the data. Both prefer the robust losses, but
# only the second comes near the accuracy on clean labels, which is shown beside it.

grid = {"loss": ["ce", "gce", "elr"]}
clf = NoisyRobustClassifier(encoder="mlp", max_epochs=20, random_state=0)
scoring = {
    "noisy": "accuracy",
    "corrected": NoiseCorrectedScorer.from_samples(X, y_pairs),
}
search = GridSearchCV(clf, grid, scoring=scoring, refit="corrected", cv=3)
found = search.fit(X, y_pairs).cv_results_
for i, loss in enumerate(grid["loss"]):
    noisy, corrected = found["mean_test_noisy"][i], found["mean_test_corrected"][i]
    clean = clf.set_params(loss=loss).fit(X, y_pairs).score(X_test, y_test)
    print(f"{loss:4} noisy {noisy:.2f}, corrected {corrected:.2f}, clean {clean:.2f}")
print("chosen:", search.best_params_["loss"])

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
