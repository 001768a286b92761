"""
A table with categories and missing values
==========================================

scikit-learn prepares the columns; the classifier takes what comes out.
"""

# %%
# These are measurements of tumours, with some columns turned into categories, and some
# values of the other columns removed.

import numpy as np
import pandas as pd
from sklearn.compose import make_column_transformer
from sklearn.datasets import load_breast_cancer
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

from sknoisy import LabelCleaningClassifier, NoisyRobustClassifier
from sknoisy.noise import symmetric_exclusive

X, y = load_breast_cancer(return_X_y=True, as_frame=True)
rng = np.random.default_rng(0)
names = ["mean radius", "mean texture", "mean symmetry"]
levels = ["low", "middle", "high"]
for name in names:
    X[name] = pd.qcut(X[name], 3, labels=levels).astype(object)
numeric = [name for name in X if name not in names]
X[numeric] = X[numeric].mask(rng.random((len(X), len(numeric))) < 0.05)
X.iloc[:4, :5]

# %%
# A third of the labels are made wrong.

X, X_test, y, y_test = train_test_split(X, y, test_size=0.3, random_state=0)
y_noisy = symmetric_exclusive(y, rate=0.33, random_state=0).y

prepare = make_column_transformer(
    (make_pipeline(SimpleImputer(), StandardScaler()), numeric),
    (OneHotEncoder(), names),
    sparse_threshold=0,  # a dense array
)
for classifier in (LogisticRegression(), NoisyRobustClassifier(random_state=0)):
    pipe = make_pipeline(prepare, classifier).fit(X, y_noisy)
    print(f"{type(classifier).__name__:22}{pipe.score(X_test, y_test):.1%}")

# %%
# Who wants to keep a classifier, such as boosted trees, trains it on cleaned labels.
# What prepares the columns for it does so for the detector that judges the labels, too.

trees = make_pipeline(prepare, HistGradientBoostingClassifier(random_state=0))
cleaned = LabelCleaningClassifier(trees, random_state=0)
for name, classifier in {"as they are": trees, "cleaned": cleaned}.items():
    score = classifier.fit(X, y_noisy).score(X_test, y_test)
    print(f"boosted trees, labels {name:13}{score:.1%}")
