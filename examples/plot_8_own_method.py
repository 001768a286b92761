"""
A self-supervised and a co-training method of your own
======================================================

Both are classes of a few lines that fit into the estimators without registration.
"""

# %%
# Two views of an image should have the same features. But what keeps the features of
# all images from becoming the same? Here, as in SimSiam (Chen and He, 2021), a
# predictor for one view, and no gradient through the other.

import torch
from sklearn.datasets import load_digits
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import train_test_split
from sklearn.pipeline import make_pipeline
from torch import nn
from torch.nn.functional import cosine_similarity

from sknoisy import CoTrainingClassifier, SSLPretrainer
from sknoisy.cotraining import CoTraining, chosen_mean, given_losses
from sknoisy.noise import symmetric_exclusive
from sknoisy.selfsup import SelfSupervised

digits = load_digits()
X, X_test, y, y_test = train_test_split(
    digits.images, digits.target, test_size=0.3, random_state=0
)
noisy = symmetric_exclusive(y, rate=0.4, random_state=0)


class SimSiam(SelfSupervised):
    """Predict one view's projection from the other's."""

    def __init__(self, dim=64, views="auto"):
        self.dim = dim
        self.views = views

    def build(self, encoder):
        """Return the heads by name."""
        d = self.dim
        return {
            "projector": nn.Sequential(
                nn.Linear(encoder.n_features, d), nn.BatchNorm1d(d)
            ),
            "predictor": nn.Sequential(
                nn.Linear(d, d // 2),
                nn.BatchNorm1d(d // 2),
                nn.ReLU(),
                nn.Linear(d // 2, d),
            ),
        }

    def loss(self, networks, first, second):
        """Return the loss of two views of a batch."""
        z = networks["projector"](networks["encoder"](torch.cat([first, second])))
        p = networks["predictor"](z)
        one, other = z.detach().chunk(2)
        return -(cosine_similarity(p, torch.cat([other, one])).mean())


ssl = SSLPretrainer(SimSiam(), max_epochs=10, random_state=0)
probe = make_pipeline(ssl, LogisticRegression(max_iter=500)).fit(X, y)
print(f"linear probe on its features: {probe.score(X_test, y_test):.1%}")

# %%
# The co-training method has three networks. Each learns only those labels that the
# network before it agrees with. The pixels are passed as vectors.


class Agreement(CoTraining):
    """Each network learns where another agrees with the label."""

    n_networks = 3

    def loss(self, net, index, batch):
        """Return the loss of a batch, after the warm-up."""
        logits, target = net.observed_logits(index, batch), net.targets(index)
        agrees = logits.argmax(dim=2).roll(1, dims=1) == target[:, None]
        losses = given_losses(logits, target)
        return chosen_mean(losses.flatten(), agrees.flatten())


settings = {"max_epochs": 15, "random_state": 0}
for method in ("coteaching", Agreement()):
    clf = CoTrainingClassifier(method, **settings)
    clf.fit(X.reshape(len(X), -1), noisy.y)
    name = method if isinstance(method, str) else type(method).__name__
    print(f"{name:12}{clf.score(X_test.reshape(len(X_test), -1), y_test):.1%}")
