"""
Pre-training against noise: a figure of a paper
===============================================

How much does self-supervised pre-training add if more and more labels are wrong? The
paper "Pre-train to Gain" shows accuracy over noise; this is such a figure, in small.
:doc:`Its page </papers/pretrain_to_gain>` has what was measured on photographs.
"""

# %%
# Networks are trained from scratch, or after they have learned from the images alone.
# The pre-training sees no labels, so a single one serves all rates of noise.

import matplotlib.pyplot as plt
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split

from sknoisy import NoisyRobustClassifier, SSLPretrainer
from sknoisy.noise import symmetric_exclusive

digits = load_digits(n_class=4)
X, X_test, y, y_test = train_test_split(
    digits.images, digits.target, test_size=0.3, random_state=0
)
ssl = SSLPretrainer(max_epochs=8, random_state=0).fit(X)
features = ssl.transform(X)  # lazy: they carry the encoder, which is trained further

rates = [0.0, 0.3, 0.6]
curves = {}
for loss in ("ce", "elr"):
    for start, inputs in (("from scratch", X), ("pre-trained", features)):
        curve = []
        for rate in rates:
            labels = symmetric_exclusive(y, rate, random_state=0).y
            clf = NoisyRobustClassifier(loss, max_epochs=10, random_state=0)
            curve.append(clf.fit(inputs, labels).score(X_test, y_test))
        curves[loss, start] = curve
        print(f"{loss:4}{start:13}", " ".join(f"{score:6.1%}" for score in curve))

# %%
# Pre-training helps the more, the more labels are wrong, and a robust loss adds to it.

figure, ax = plt.subplots(figsize=(5.5, 3.4), layout="constrained")
for (loss, start), curve in curves.items():
    line = "-" if start == "pre-trained" else "--"
    color = {"ce": "tab:orange", "elr": "tab:blue"}[loss]
    ax.plot(rates, curve, line, color=color, marker="o", label=f"{loss}, {start}")
ax.set(xlabel="share of wrong labels", ylabel="accuracy on clean test labels")
ax.legend(frameon=False)
plt.show()
