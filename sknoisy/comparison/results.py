"""What a comparison found: rows, means and error bars."""

from dataclasses import dataclass

import numpy as np


@dataclass(repr=False)
class Comparison:
    """Scores of methods by seeds and folds; prints as a table of means and errors.

    Attributes
    ----------
    rows : list of dict
        One for each method, seed and fold: "method", "seed", "fold", the scores,
        "seconds" of ``fit``, "n_train" and "n_test", the numbers of samples.
    scores : list of str
        Names of the scores; methods are ranked by the first.
    """

    rows: list
    scores: list

    @property
    def best(self):
        """Name of the method whose mean of the first score is highest."""
        return self._summary()["method"][0]

    def to_frame(self):
        """Return the rows.

        Returns
        -------
        table : pandas.DataFrame or dict of str to list
            One row for each method, seed and fold; a dict of columns if pandas is not
            installed.
        """
        names = list(self.rows[0])
        return _frame({name: [row[name] for row in self.rows] for name in names})

    def summary(self):
        """Return the mean of each score over seeds and folds, with error bars.

        Returns
        -------
        table : pandas.DataFrame or dict of str to list
            One row for each method, best first: "method", for each score its mean and
            "..._error", the standard error; "behind", how far the first score is below
            that of the best method, and "behind_error", the standard error of this
            difference; "seconds" of a fit. A dict of columns if pandas is not
            installed.

        Notes
        -----
        The differences are taken fold by fold. Trainings of a cross-validation share
        samples, so the variance of their mean is not that of independent ones:
        following Nadeau and Bengio it is ``(1 / n + n_test / n_train)`` times the
        variance between the n folds of all seeds. Errors of a single fold are NaN.

        References
        ----------
        Nadeau and Bengio, Inference for the Generalization Error, Machine Learning
        2003.
        """
        return _frame(self._summary())

    def __repr__(self):
        summary = self._summary()
        lines = [["method", *self.scores, "behind", "seconds"]]
        for i, name in enumerate(summary["method"]):
            line = [name]
            for score in (*self.scores, "behind"):
                error = summary[f"{score}_error"][i]
                line.append(f"{summary[score][i]:.3f} ± {error:.3f}")
            lines.append([*line, f"{summary['seconds'][i]:.1f}"])
        widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
        return "\n".join(
            "  ".join(
                [line[0].ljust(widths[0])]
                + [c.rjust(w) for c, w in zip(line[1:], widths[1:], strict=True)]
            )
            for line in lines
        )

    def _summary(self):
        by_method = {}
        for row in self.rows:
            by_method.setdefault(row["method"], []).append(row)
        first = self.scores[0]
        means = {m: _mean(rows, first) for m, rows in by_method.items()}
        order = sorted(means, key=lambda m: (np.isnan(means[m]), -means[m]))
        best = _column(by_method[order[0]], first)
        table = {"method": order}
        for score in self.scores:
            table[score] = [_mean(by_method[m], score) for m in order]
            table[f"{score}_error"] = [
                _error(_column(by_method[m], score), by_method[m]) for m in order
            ]
        behind = [best - _column(by_method[m], first) for m in order]
        table["behind"] = [float(np.mean(b)) for b in behind]
        table["behind_error"] = [
            _error(b, by_method[m]) for b, m in zip(behind, order, strict=True)
        ]
        table["seconds"] = [_mean(by_method[m], "seconds") for m in order]
        return table


def _column(rows, name):
    """Return a score by seeds and folds, in their order."""
    ordered = sorted(rows, key=lambda row: (row["seed"], row["fold"]))
    return np.array([row[name] for row in ordered])


def _mean(rows, name):
    return float(np.mean([row[name] for row in rows]))


def _error(values, rows):
    """Return the standard error of a mean over trainings that share samples."""
    if len(values) < 2:
        return float("nan")
    shared = np.mean([row["n_test"] / row["n_train"] for row in rows])
    return float(np.sqrt(np.var(values, ddof=1) * (1 / len(values) + shared)))


def _frame(table):
    try:
        import pandas as pd
    except ImportError:
        return table
    return pd.DataFrame(table)
