"""What fitted classifiers do: probabilities, features, and the whole as a module."""

import numpy as np
from scipy.special import log_softmax, softmax
from sklearn.utils.validation import check_is_fitted

from sknoisy.cotraining.ensembles import mean_log_proba
from sknoisy.data.devices import resolve_device, resolve_precision
from sknoisy.data.spec import InputSpec
from sknoisy.encoders.blueprint import load_numpy_state, numpy_state
from sknoisy.encoders.export import ProbabilityModule
from sknoisy.encoders.features import LazyFeatures, TrainedEncoder
from sknoisy.encoders.inference import forward_all
from sknoisy.estimators.base import TorchEstimator
from sknoisy.estimators.over_views import over_views
from sknoisy.views.automatic import resolve_views
from sknoisy.warning import warn


class Predicting(TorchEstimator):
    """The part of classifiers that works on their fitted attributes.

    These are ``classes_``, ``state_dict_``, ``_architecture`` and ``_fitted_on_lazy``;
    and on the parameters `device`, `views` and `n_test_views`.
    """

    @property
    def encoder_(self):
        """The encoder as it was trained; the first one, if there are several."""
        check_is_fitted(self, "classes_")
        encoder = self._built().encoder
        return TrainedEncoder(
            self._architecture.blueprint,
            numpy_state(encoder),
            encoder.n_features,
            self.device,
        )

    def to_module(self):
        """Return the whole classifier as one PyTorch module, for other programs.

        It takes raw samples and includes their scaling and layout. It is for
        ``torch.export``, ONNX, or tools that explain predictions. Image files must be
        decoded first, to RGB (n, height, width, 3) from 0 to 255, in the size that this
        was fitted with. The random views of `n_test_views` are left out.

        Returns
        -------
        module : torch.nn.Module
            Maps tensors like X to probabilities (n, n_classes), float32, in the order
            of ``classes_``; on the CPU, in evaluation mode, with weights of its own.
            Its ``network`` has the encoder and the head.

        Examples
        --------
        >>> import torch
        >>> from sklearn.datasets import load_iris
        >>> from sknoisy import NoisyRobustClassifier
        >>> X, y = load_iris(return_X_y=True)
        >>> clf = NoisyRobustClassifier(random_state=0).fit(X, y)
        >>> clf.to_module()(torch.from_numpy(X[:2])).shape
        torch.Size([2, 3])
        """
        check_is_fitted(self, "classes_")
        return ProbabilityModule(self._known_spec(), self._built()).eval()

    @np.errstate(under="ignore")
    def predict_proba(self, X):
        """Return the probability of each class.

        Parameters
        ----------
        X : array-like, tensor, array of paths or LazyFeatures
            Samples like those that ``fit`` got, raw or as lazy features.

        Returns
        -------
        probabilities : ndarray of shape (n_samples, n_classes), dtype float32
            Columns are in the order of ``classes_``.
        """
        return softmax(self._logits(X), axis=1)

    @np.errstate(under="ignore")
    def predict_log_proba(self, X):
        """Return the logarithm of each class's probability.

        Parameters
        ----------
        X : array-like, tensor, array of paths or LazyFeatures
            As for ``predict_proba``.

        Returns
        -------
        log_probabilities : ndarray of shape (n_samples, n_classes), dtype float32
            Columns are in the order of ``classes_``.
        """
        return log_softmax(self._logits(X), axis=1)

    def predict(self, X):
        """Return the most probable class of each sample.

        Parameters
        ----------
        X : array-like, tensor, array of paths or LazyFeatures
            As for ``predict_proba``.

        Returns
        -------
        labels : ndarray of shape (n_samples,)
            In the dtype of ``classes_``.
        """
        codes = self._logits(X).argmax(axis=1)
        return self.classes_[codes]

    def _logits(self, X):
        """Return logits, or log probabilities of several networks, (n, n_classes)."""
        check_is_fitted(self, "classes_")
        inputs, _ = self._read(X, reset=False)
        spec = self._known_spec()
        device = resolve_device(self.device, fallback=True)
        network = self._network_on(device)
        if self._has_features(X, device) and self._carries(X, network):
            features = np.asarray(X.computed())
            spec = InputSpec("vector", features.shape[1:], "vector")
            logits = forward_all(network.head, spec.open(features), device)
        else:
            views = resolve_views(self.views, spec, "weak")
            network = over_views(network, views, self.n_test_views, device)
            logits = forward_all(network, spec.open(inputs), device)
        if logits.ndim == 2:
            return logits
        predicting = self._architecture.predicting
        return mean_log_proba(logits if predicting is None else logits[:, predicting])

    def _has_features(self, X, device):
        """Whether X holds features such as predictions are made of."""
        if not (isinstance(X, LazyFeatures) and X.is_computed and self.freeze_encoder):
            return False
        in_float32 = resolve_precision(X.encoder.precision, device) is None
        return in_float32 and self.n_test_views == 0

    def _carries(self, X, network):
        """Whether lazy features are what a network's encoder makes of its samples."""
        own, other = self._architecture.blueprint, X.encoder.blueprint
        if (own.spec, own.image_size) != (other.spec, other.image_size):
            return False  # with the same weights, too, features are others
        ours, theirs = network.encoder.state_dict(), X.encoder.state
        # Of an encoder that was trained, the first weights differ.
        return ours.keys() == theirs.keys() and all(
            np.array_equal(ours[name].cpu().numpy(), theirs[name]) for name in ours
        )

    def _read(self, X, reset, spec=None):
        if isinstance(X, LazyFeatures) and not (reset or self._fitted_on_lazy):
            warn(
                "this classifier was fitted on an array of features: it predicts from "
                "features, and did not fine-tune the encoder that lazy features "
                "carry. A step between the encoder and the classifier may have turned "
                "them into an array.",
            )
            X = np.asarray(X)
        return super()._read(X, reset, spec)

    def _built(self):
        """Return a new network with the fitted weights, on the CPU."""
        network = self._architecture.build()
        load_numpy_state(network, self.state_dict_)
        return network

    def _network_on(self, device):
        """Return the network that is kept for predictions, on a device."""
        if getattr(self, "_network", None) is None:
            self._network = self._built().to(device)  # whole, for other threads see it
        return self._network.to(device)

    def _known_spec(self):
        return self._architecture.blueprint.spec

    def _features_hint(self, X):
        if not self._architecture.pretrained or np.ndim(X) != 2:
            return ""
        return (
            "This classifier was fitted on lazy features: it predicts on "
            f"{self._architecture.blueprint.spec}, or on lazy features of them, "
            "not on an array of features."
        )
