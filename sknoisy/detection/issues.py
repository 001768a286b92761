"""What to look at: wrong labels, near-duplicates and outliers, as one table."""

import numpy as np
from sklearn.utils.validation import check_is_fitted

from sknoisy.detection.features import NEIGHBORS, comparable_features, features_of
from sknoisy.scores.distances import far_samples, near_duplicates, neighbor_distances
from sknoisy.warning import warn

KINDS = ("wrong_label", "conflicting_duplicate", "near_duplicate", "outlier")


class ListingIssues:
    """Mixin of detectors: what to look at, as one table."""

    @property
    def issues_(self):
        """Suspicious labels and samples, as one table.

        The rows are sorted by kind, and by severity within a kind. Near-duplicates and
        outliers are searched for at the first access, among features that need no
        further training: those of pre-trainers at the start of the pipeline; X itself
        if it is a table of finite numbers; otherwise the output of other first steps
        that learn without labels, or the features of a fitted network. The detector
        keeps X until then; a file or pickle of it does not contain X.

        Returns
        -------
        table : pandas.DataFrame or dict of str to ndarray
            "sample", the position in X; "kind": "wrong_label", as in `label_errors_`,
            "near_duplicate", "conflicting_duplicate" if the labels of near-duplicates
            differ, or "outlier"; "severity" in [0, 1], to compare issues of a kind: the
            probability that the label is wrong, how near the duplicate is (1: a copy),
            how far away the outlier is; "label", the given one; "suggestion", another
            label, or None; "group", the number of the group of near-duplicates, or -1.
            A dict if pandas is not installed.

        Warns
        -----
        UserWarning
            If there are no features, so that only wrong labels are listed.

        See Also
        --------
        sknoisy.scores.near_duplicates : What counts as near.
        sknoisy.scores.far_samples : What counts as far.
        """
        check_is_fitted(self, "label_errors_")
        issues = self._found_issues()
        if not getattr(self, "_has_features", True):  # older files do not say
            _warn_no_features()
        return issues

    def __dir__(self):
        # scikit-learn evaluates all that it lists, and so do displays in notebooks:
        # neither may begin a search. Until it is done, the table is not listed.
        names = object.__dir__(self)
        if getattr(self, "_issues", None) is None:
            names.remove("issues_")
        return names

    def _found_issues(self):
        """Return the table; whether there are features for it is kept."""
        if getattr(self, "_issues", None) is None:
            inputs = getattr(self, "_inputs", None)
            features = None
            if inputs is not None:
                features = features_of(inputs, self.estimator_, self._rest)
            judged = self.label_errors_, self.error_probability_, self._suggested
            confidence = self.suggestion_confidence_
            self._issues = find_issues(self._codes, *judged, confidence, features)
            self._has_features = features is not None
            self._inputs = self._rest = None
        return _as_table(self._issues, self._codes, self.classes_)


def find_issues(codes, errors, error_probability, suggested, confidence, features):
    """List what is wrong with samples.

    Parameters
    ----------
    codes, suggested : ndarray of shape (n_samples,), dtype int64
        Given and suggested labels.
    errors : ndarray of shape (n_samples,), dtype bool
        Which labels are wrong.
    error_probability : ndarray of shape (n_samples,), float64
        How probably they are.
    confidence : ndarray of shape (n_samples,), float64
        How probably the suggested labels are right.
    features : ndarray or LazyFeatures of shape (n_samples, n_features), or None
        Features; with None only labels are listed.

    Returns
    -------
    issues : dict of str to ndarray
        "sample", "kind" (a position in `KINDS`), "severity", "suggestion" (a label or
        -1) and "group" (or -1).
    """
    suggestion = np.where(suggested != codes, suggested, -1)
    everywhere = np.full(len(codes), -1)
    found = [(0, errors, error_probability, suggestion, everywhere)]
    if features is not None and len(codes) > 2:
        n_neighbors = min(NEIGHBORS, len(codes) - 1)
        scaled = comparable_features(features, codes)
        index, distances = neighbor_distances(scaled, n_neighbors)
        groups, closeness = near_duplicates(index, distances)
        grouped = groups >= 0
        mixed, agreed = _labels_of_groups(groups, codes, suggested, confidence)
        found.append((1, grouped & mixed, closeness, agreed, groups))
        found.append((2, grouped & ~mixed, closeness, everywhere, groups))
        far = far_samples(distances)
        found.append((3, far > 0, far, everywhere, everywhere))
    columns = ("sample", "kind", "severity", "suggestion", "group")
    parts = {name: [] for name in columns}
    for kind, where, severity, labels, group in found:
        rows = np.flatnonzero(where)
        rows = rows[np.argsort(-severity[rows], kind="stable")]
        taken = (values[rows] for values in (severity, labels, group))
        cells = rows, np.full(len(rows), kind), *taken
        for name, cell in zip(columns, cells, strict=True):
            parts[name].append(cell)
    return {name: np.concatenate(cells) for name, cells in parts.items()}


def _as_table(issues, codes, classes):
    """Return issues with labels instead of codes; see LabelErrorDetector.issues_."""
    suggestion = classes.astype(object)[issues["suggestion"]]
    suggestion[issues["suggestion"] < 0] = None
    table = {
        "sample": issues["sample"],
        "kind": np.array(KINDS)[issues["kind"]],
        "severity": issues["severity"],
        "label": classes[codes[issues["sample"]]],
        "suggestion": suggestion,
        "group": issues["group"],
    }
    try:
        import pandas as pd
    except ImportError:
        return table
    # As objects, or pandas makes NaN of the None that stands among strings.
    return pd.DataFrame(table | {"suggestion": pd.Series(suggestion, dtype=object)})


def _warn_no_features():
    """Say that only labels are listed."""
    warn(
        "issues_ holds wrong labels only: there are no features in which "
        "near-duplicates and outliers could be found. Features are X itself if it is "
        "a table of finite numbers, the output of a pipeline's first steps that learn "
        "without labels, or those of a fitted network. They are not saved in files: "
        "read issues_ before saving.",
    )


def _labels_of_groups(groups, codes, suggested, confidence):
    """Return who is in a group of several labels, and the label to change to, or -1.

    It is the most probable one of those that are suggested for the group's samples.
    """
    mixed = np.zeros(len(codes), dtype=bool)
    agreed = np.full(len(codes), -1)
    rows = np.flatnonzero(groups >= 0)
    rows = rows[np.argsort(groups[rows], kind="stable")]
    ends = np.flatnonzero(np.diff(groups[rows])) + 1
    for members in np.split(rows, ends) if len(rows) else ():
        if len(np.unique(codes[members])) == 1:
            continue
        mixed[members] = True
        agreed[members] = np.bincount(suggested[members], confidence[members]).argmax()
    return mixed, np.where(agreed != codes, agreed, -1)
