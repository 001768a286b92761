"""Tables of numbers and categories as arrays of numbers."""

import numpy as np
from sklearn.base import TransformerMixin
from sklearn.utils.validation import check_is_fitted

from sknoisy.data.labels import some
from sknoisy.estimators.saving import Saved

MOST = 50  # categories of a column; rarer ones are treated as unknown
FEW = 10  # rows, of which texts may all differ by chance


class Columns(TransformerMixin, Saved):
    """Scale columns of numbers, and give each category a column of its own.

    Unlike scikit-learn's transformers, it is saved to files without code.

    Attributes
    ----------
    columns_ : list of str
        Columns of the training table.
    numbers_ : list of str
        Those that hold numbers.
    moments_ : ndarray of shape (3, n_numbers), float64
        Their median, which stands for missing values, mean and standard deviation.
    categories_ : dict of str to list of str
        The most frequent values of the other columns.
    ignored_ : list of str
        Columns that only name the rows: text that is another in every row, and numbers
        that count them, as the index does that pandas writes.
    """

    def fit(self, X, y=None):
        """Learn from a pandas.DataFrame."""
        self.columns_ = [str(name) for name in X.columns]
        X = X.set_axis(self.columns_, axis="columns")
        numbers = [*X.select_dtypes(["number", "bool"]).columns]
        counts = [name for name in numbers if _counts_rows(X[name])]
        self.numbers_ = [name for name in numbers if name not in counts]
        values = X[self.numbers_].astype(float).replace([np.inf, -np.inf], np.nan)
        medians = values.median().fillna(0)
        filled = values.fillna(medians)
        deviations = filled.std(ddof=0)
        self.moments_ = np.array(
            [medians, filled.mean(), deviations.where(deviations > 0, 1)]
        ).reshape(3, len(self.numbers_))
        others = [name for name in self.columns_ if name not in numbers]
        others = {name: X[name].astype(str).value_counts() for name in others}
        names = [k for k, v in others.items() if len(v) == len(X) > FEW]
        self.ignored_ = counts + names
        self.categories_ = {
            name: counts.index[:MOST].tolist()
            for name, counts in others.items()
            if name not in self.ignored_
        }
        if not self.numbers_ and not self.categories_:
            raise ValueError(
                f"the table has no column to learn from: {some(self.ignored_)} only "
                "name the rows. Compute embeddings of texts before"
            )
        return self

    @property
    def needed_(self):
        """Names of the columns that are used."""
        return [*self.numbers_, *self.categories_]

    @property
    def texts_(self):
        """Names of the columns of categories."""
        return [*self.categories_]

    def describe(self):
        """Return what is made of the columns, a sentence."""
        texts = [f"{name!r} ({len(v)})" for name, v in self.categories_.items()]
        told = [
            f"numbers {some(self.numbers_)}" if self.numbers_ else "",
            f"categories {', '.join(texts)}" if texts else "",
            f"ignored, as they only name the rows, {some(self.ignored_)}"
            if self.ignored_
            else "",
        ]
        return f"Columns: {'; '.join(filter(None, told))}."

    def transform(self, X):
        """Return an array (n_samples, n_features), float64, of a DataFrame."""
        check_is_fitted(self)
        X = X.set_axis([str(name) for name in X.columns], axis="columns")
        missing = [name for name in self.needed_ if name not in X.columns]
        if missing:
            raise ValueError(
                f"the table lacks the columns {missing}, which the model was trained on"
            )
        medians, means, deviations = self.moments_
        numbers = [_as_numbers(name, X[name]) for name in self.numbers_]
        numbers = np.array(numbers, dtype=float).reshape(-1, len(X)).T
        numbers = np.where(np.isfinite(numbers), numbers, medians)
        parts = [(numbers - means) / deviations]
        for name, values in self.categories_.items():
            given = np.array(X[name].astype(str), dtype=object)
            parts.append(given[:, None] == np.array(values, dtype=object))
        return np.hstack(parts).astype(float)


def _as_numbers(name, column):
    """Return a column of numbers, or raise ``ValueError`` by its name."""
    try:
        return column.to_numpy(dtype=float, na_value=np.nan)
    except (TypeError, ValueError) as error:
        raise ValueError(
            f"the column {name!r} holds more than the numbers that the model was "
            f"trained on: {error}"
        ) from error


def _counts_rows(column):
    """Whether numbers are those of the rows, up to where the count begins."""
    if len(column) <= FEW or column.dtype.kind not in "iu":
        return False
    return len(np.unique(column.to_numpy() - column.index.to_numpy())) == 1
