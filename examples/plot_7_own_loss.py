"""
A loss of your own
==================

A loss is a class with one method. It needs no registration: pass an instance, and a
grid search reaches its parameters.
"""

# %%
# The mean absolute error resists wrong labels but learns slowly, cross-entropy the
# other way around. This loss is a weighted sum of both, as symmetric cross-entropy is
# (Wang and others, 2019).

import matplotlib.pyplot as plt
from sklearn.datasets import load_digits
from sklearn.model_selection import GridSearchCV, train_test_split
from torch.nn.functional import cross_entropy

from sknoisy import NoisyRobustClassifier
from sknoisy.losses import Loss
from sknoisy.noise import symmetric_exclusive
from sknoisy.plotting import TrainingCurveDisplay


class Mixed(Loss):
    """Cross-entropy and the mean absolute error.

    Parameters
    ----------
    share : float, default=0.1
        Weight of cross-entropy, in [0, 1].
    """

    def __init__(self, share=0.1):
        self.share = share

    def __call__(self, logits, target, index):
        """Return one loss a sample."""
        confident = logits.softmax(dim=1).gather(1, target[:, None])[:, 0]
        losses = cross_entropy(logits, target, reduction="none")
        return self.share * losses + (1 - self.share) * 2 * (1 - confident)


X, y = load_digits(return_X_y=True)
X, X_test, y, y_test = train_test_split(X, y, test_size=0.3, random_state=0)
noisy = symmetric_exclusive(y, rate=0.4, random_state=0)

# %%
# A search over its parameter, by accuracy on noisy labels that are held out.

settings = {"encoder": "mlp", "max_epochs": 20, "random_state": 0}
search = GridSearchCV(
    NoisyRobustClassifier(Mixed(), **settings),
    {"loss__share": [0.0, 0.1, 0.3, 1.0]},
    cv=3,
).fit(X, noisy.y)
print(search.best_params_)

# %%
# Training accuracy on the noisy labels hides what happens; accuracy on clean ones
# shows it. (Usually nobody has these.)

curves = {}
for share in (search.best_params_["loss__share"], 1.0):
    clf = NoisyRobustClassifier(Mixed(share), **settings)
    curve = []
    for _ in range(20):
        curve.append(
            clf.partial_fit(X, noisy.y, classes=range(10)).score(X_test, y_test)
        )
    curves[f"share {share}"] = curve
TrainingCurveDisplay.from_predictions(curves, metric="Accuracy on clean labels")
plt.show()
