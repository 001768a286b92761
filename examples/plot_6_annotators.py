"""
Labels of several annotators
============================

Three people label the same samples, one of them with care, and one without. Who is
right? :class:`~sknoisy.annotators.AnnotatorConsensus` weighs their labels by how far
each person can be trusted, and trains on the result.
"""

# %%
# Not everyone labels everything: the table has gaps.

import numpy as np
import pandas as pd
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split

from sknoisy import NoisyRobustClassifier
from sknoisy.annotators import AnnotatorConsensus
from sknoisy.noise import symmetric_exclusive

X, y = load_digits(return_X_y=True)
X, X_test, y, y_test = train_test_split(X, y, test_size=0.3, random_state=0)
rng = np.random.default_rng(0)
rates = {"Ada": 0.1, "Ben": 0.4, "Cem": 0.6}
table = pd.DataFrame(
    {
        name: symmetric_exclusive(y, rate, random_state=i).y
        for i, (name, rate) in enumerate(rates.items())
    }
).mask(rng.random((len(y), 3)) < 0.3)
table = table.fillna({"Ada": pd.Series(y)[table.isna().all(axis=1)]})
table.head()

# %%
# Any classifier can be trained on the consensus. CROWDLAB also uses its predictions for
# samples that it was not trained on, so more of its consensus is right. The classifier
# here corrects wrong labels itself, and learns as well from the majority vote.

clf = NoisyRobustClassifier(random_state=0)
for method in ("majority_vote", "crowdlab"):
    consensus = AnnotatorConsensus(clf, method=method, random_state=0).fit(X, table)
    print(
        f"{method:14} consensus right: {(consensus.labels_ == y).mean():.1%}, "
        f"accuracy on new samples: {consensus.score(X_test, y_test):.1%}"
    )

# %%
# The result says how far each annotator can be trusted, and which samples should be
# labelled again first.

for name, quality in zip(
    consensus.annotators_, consensus.annotator_quality_, strict=True
):
    print(f"{name} {quality:.2f}")
print("next:", consensus.relabel_order_[:5])
