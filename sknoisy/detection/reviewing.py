"""The page on which people review labels, and the way back from their decisions."""

from pathlib import Path

import numpy as np
from sklearn.utils.validation import check_is_fitted

from sknoisy._compat import num_samples
from sknoisy.checks import as_path, check_integer
from sknoisy.data.order import names_of, refuse_order
from sknoisy.detection.decisions import decided_label, named_label, read_decisions
from sknoisy.detection.page import render
from sknoisy.estimators.findings import Findings, percent
from sknoisy.files import replacing


class Reviewing(Findings):
    """Mixin of detectors: a page for people, and labels from what they decided."""

    def _findings(self):
        n_errors, n = self.label_errors_.sum(), len(self.label_errors_)
        return [
            ("Labels called wrong", f"{n_errors:,} of {n:,}"),
            ("Estimated share of wrong labels", self._rate()),
            ("Classes", len(self.classes_)),
            ("To review them", "to_html(path, X)"),
        ]

    def _rate(self):
        """Return the noise rate with its interval, as people read it."""
        if self.by_chance_:
            return "unknown"
        low, high = map(percent, self.noise_rate_interval_)
        return f"{percent(self.noise_rate_)} ({low} to {high})"

    def to_html(
        self,
        path,
        X=None,
        *,
        names=None,
        n_shown=300,
        title="Label check",
        unreadable=(),
    ):
        """Write a page on which people can review what was found.

        The page is a single file that needs no network. It shows what was checked and
        how, the estimated noise, which classes are confused, and the most suspicious
        samples. There, people keep labels, take suggestions or choose other classes,
        and download their decisions as a CSV file, which :meth:`review` reads.

        Parameters
        ----------
        path : str or path-like
            Where to write the page. An existing file is replaced.
        X : array-like of shape (n_samples, ...), default=None
            What to show for each sample, in the order of ``fit``: images, paths of
            image files, texts, or a table. It may differ from what the detector was
            fitted on. By default, the image files that it was fitted on, if any;
            otherwise, no pictures.
        names : array-like of shape (n_samples,), default=None
            Names of the samples. By default, the paths that the detector was fitted on;
            otherwise the index of its X or y, if they are pandas objects with an index
            other than 0, 1 and so on; otherwise positions.
        n_shown : int, default=300
            Largest number of suspicious labels to show; a third as many samples are
            shown for each other kind in ``issues_``. Each adds some kilobytes.
        title : str, default="Label check"
            Heading of the page.
        unreadable : sequence of (str, str), default=()
            Files that were left out, and why; the page lists them.

        Raises
        ------
        ValueError
            If X or names is not as long as the labels, or X is in another order.

        Examples
        --------
        >>> import tempfile
        >>> from sklearn.datasets import load_digits
        >>> from sklearn.linear_model import LogisticRegression
        >>> from sknoisy import LabelErrorDetector
        >>> digits = load_digits()
        >>> X, y = digits.data[:300] / 16, digits.target[:300]
        >>> y[5] = 8
        >>> detector = LabelErrorDetector(LogisticRegression(), random_state=0)
        >>> page = tempfile.mkdtemp() + "/report.html"
        >>> detector.fit(X, y).to_html(page, digits.images[:300])
        """
        check_is_fitted(self, "label_errors_")
        check_integer("n_shown", n_shown, low=0)
        paths = getattr(self, "_paths", None)
        known = getattr(self, "_names", None)
        X = paths if X is None else X
        if names is None:
            names = known if paths is None else paths
        if names is not None:
            names = np.asarray(names)  # of pandas, it may have another index
        for name, value in (("X", X), ("names", names)):
            n = len(self.label_errors_) if value is None else num_samples(value)
            if n != len(self.label_errors_):
                raise ValueError(
                    f"{name} has {n} samples, but the detector was fitted on "
                    f"{len(self.label_errors_)}: pass the samples of fit, in their "
                    "order."
                )
        if hasattr(X, "iloc"):
            n = len(self.label_errors_)
            fitted = np.arange(n).astype(str) if known is None else known
            what = (
                "X has the index of fit in another order. Pass the samples in their "
                "order, or X.reset_index(drop=True) if they are."
            )
            refuse_order(fitted, names_of(X), what)
        path = Path(as_path("path", path))
        unreadable = [(str(file), str(why)) for file, why in unreadable]
        page = render(self, X, names, n_shown, title, unreadable, path.parent)
        how = {"encoding": "utf-8", "errors": "backslashreplace"}
        with replacing(path, mode="w", **how) as file:
            file.write(page)

    def review(self, path):
        r"""Return the labels after people reviewed them.

        Parameters
        ----------
        path : str or path-like
            The CSV file from the page of :meth:`to_html`, perhaps edited. Of its
            columns, "sample" (position in X), "given", "decision" ("keep", "take",
            "other" or "skip") and "label" are read; the label may be empty for "keep"
            and "take". Spaces around decisions and labels are ignored, and so are rows
            without a decision.

        Returns
        -------
        labels : ndarray of shape (n_samples,)
            The given labels, replaced where people decided on others. The detector does
            not change.
        reviewed : ndarray of shape (n_samples,), dtype bool
            Which labels people decided on; those that were skipped are not.

        Raises
        ------
        ValueError
            If the file is not such a table, or was made for other labels; the message
            names the line.

        Examples
        --------
        >>> import tempfile
        >>> from sklearn.datasets import load_iris
        >>> from sklearn.linear_model import LogisticRegression
        >>> from sknoisy import LabelErrorDetector
        >>> X, y = load_iris(return_X_y=True)
        >>> y[7] = 2
        >>> clf = LogisticRegression(max_iter=1000)
        >>> detector = LabelErrorDetector(clf, random_state=0).fit(X, y)
        >>> path = tempfile.mkdtemp() + "/reviewed.csv"
        >>> with open(path, "w") as file:
        ...     _ = file.write("sample,given,decision,label\n7,2,take,0\n")
        >>> labels, reviewed = detector.review(path)
        >>> int(labels[7]), int(reviewed.sum())
        (0, 1)
        """
        check_is_fitted(self, "label_errors_")
        codes = self._codes.copy()
        reviewed = np.zeros(len(codes), dtype=bool)
        classes = [str(name) for name in self.classes_]
        for place, row in read_decisions(str(as_path("path", path)), ["sample"]):
            try:
                i = _sample_of(row, self._codes, classes)
                known = classes[self._codes[i]], classes[self._suggested[i]]
                code = classes.index(decided_label(row, *known, classes))
            except ValueError as error:
                raise ValueError(f"{place}: {error}") from None
            if reviewed[i] and codes[i] != code:
                raise ValueError(
                    f"{place}: sample {i} occurs twice, with different labels."
                )
            codes[i], reviewed[i] = code, True
        return self.classes_[codes], reviewed


def _sample_of(row, given, classes):
    """Return the position of the sample of a row, whose label must be the given one."""
    try:
        i = float(row["sample"])  # pandas writes 3.0 where a cell is empty
        i = int(i) if i.is_integer() else -1
    except ValueError:
        i = -1
    if not 0 <= i < len(given):
        raise ValueError(
            f"sample={row['sample']!r} is not valid: it must be a position in X, 0 to "
            f"{len(given) - 1}."
        )
    label = classes[given[i]]
    if named_label(row["given"], classes) != label:
        raise ValueError(
            f"sample {i} has the label {label!r}, but the file says {row['given']!r}: "
            "it was made for other labels."
        )
    return i
