"""
Embeddings: one line instead of logistic regression
===================================================

Features of a foundation model, or any table of numbers, go into
:class:`~sknoisy.NoisyRobustClassifier` as they are. Here 40% of the labels are wrong,
and more of them where classes look alike, as with people's mistakes.
"""

# %%
# Digits as vectors stand for embeddings. Their noise depends on the instance, which is
# harder than labels that are wrong at random.

import matplotlib.pyplot as plt
from sklearn.datasets import load_digits
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import train_test_split
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from sknoisy import NoisyRobustClassifier
from sknoisy.noise import instance_dependent

X, y = load_digits(return_X_y=True)
X, X_test, y, y_test = train_test_split(X, y, test_size=0.3, random_state=0)
noisy = instance_dependent(y, 0.4, X, random_state=0)
print(f"{noisy.rate:.0%} of {len(y)} labels are wrong")

# %%
# These are the classifiers that one would try first, and ours, with their defaults.
# They are scored on clean labels that none of them has seen.

classifiers = {
    "logistic regression": make_pipeline(
        StandardScaler(), LogisticRegression(max_iter=1000)
    ),
    "15 neighbours": KNeighborsClassifier(15),
    "random forest": RandomForestClassifier(min_samples_leaf=5, random_state=0),
    "sknoisy": NoisyRobustClassifier(random_state=0),
}
scores = {
    name: classifier.fit(X, noisy.y).score(X_test, y_test)
    for name, classifier in classifiers.items()
}

figure, ax = plt.subplots(figsize=(6, 2.4), layout="constrained")
bars = ax.barh(list(scores), list(scores.values()))
ax.bar_label(bars, fmt="{:.1%}", padding=4)
ax.set(xlim=(0, 1.1), xlabel="accuracy on clean test labels")
ax.invert_yaxis()

# %%
# For every training label, the classifier also says how well it agrees with what was
# learned.

clf = classifiers["sknoisy"]
quality = clf.label_quality_
print(
    f"mean quality of right labels {quality[~noisy.is_wrong].mean():.2f}, "
    f"of wrong ones {quality[noisy.is_wrong].mean():.2f}"
)
