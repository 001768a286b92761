"""Predictions of meta-estimators: those of the classifier that they fitted."""

from sklearn.base import ClassifierMixin, MetaEstimatorMixin
from sklearn.utils.validation import check_is_fitted

from sknoisy.scores.probabilities import in_columns


class Delegating(ClassifierMixin, MetaEstimatorMixin):
    """Mixin of meta-estimators that predict by a fitted classifier, ``estimator_``."""

    def predict(self, X):
        """Return the most probable class of each sample.

        Parameters
        ----------
        X : array-like, tensor, array of paths or LazyFeatures
            Samples, in any form that `estimator` takes.

        Returns
        -------
        labels : ndarray of shape (n_samples,)
            In the dtype of ``classes_``.
        """
        check_is_fitted(self, "estimator_")
        return self.estimator_.predict(X)

    def predict_proba(self, X):
        """Return the probability of each class.

        Parameters
        ----------
        X : array-like, tensor, array of paths or LazyFeatures
            Samples, in any form that `estimator` takes.

        Returns
        -------
        probabilities : ndarray of shape (n_samples, n_classes)
            Columns are in the order of ``classes_``; 0 for a class that the fitted
            classifier has not learned.
        """
        check_is_fitted(self, "estimator_")
        probs = self.estimator_.predict_proba(X)
        return in_columns(probs, self.estimator_.classes_, self.classes_)
