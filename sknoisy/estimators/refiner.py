"""PseudoLabelRefiner: replaces labels by predictions that stay confident."""

from functools import partial

import numpy as np
from sklearn.base import clone
from sklearn.utils.validation import check_consistent_length

from sknoisy._compat import CallbackSupportMixin, with_callbacks
from sknoisy.checks import check_choice, check_integer, check_real, random_numbers
from sknoisy.data.labels import check_given, check_several, encode_labels
from sknoisy.data.order import check_order
from sknoisy.estimators.base import fitting_often, take_features_in
from sknoisy.estimators.base_classifier import TorchClassifier
from sknoisy.estimators.delegating import Delegating
from sknoisy.estimators.findings import Findings, percent
from sknoisy.estimators.pipelines import (
    check_labels_of,
    check_steps,
    finding_classes,
    split_pipeline,
)
from sknoisy.estimators.refinement import Refinement, given_for
from sknoisy.estimators.saving import Saved
from sknoisy.training.callbacks import unnamed
from sknoisy.training.checkpoint import Checkpoint
from sknoisy.training.progress import Tasks
from sknoisy.views.base import Views
from sknoisy.warning import warn


class PseudoLabelRefiner(Findings, CallbackSupportMixin, Delegating, Saved):
    """Train a classifier and, on the way, replace labels by its stable predictions.

    A warm-up on the given labels is followed by iterations. After certain epochs of
    each, its stages, the loss of every sample is measured. A sample whose loss was
    small at all stages gets the classifier's prediction as its label; the others keep
    theirs. In the iterations that follow, augmented copies of the samples with such a
    pseudo-label are added to the training set.

    Parameters
    ----------
    estimator : estimator instance
        A classifier whose ``partial_fit`` trains one epoch, such as
        :class:`NoisyRobustClassifier`, or a Pipeline that ends in one, whose other
        steps are fitted once. It is cloned. Its `max_epochs`, if it has that, is set to
        the number of epochs of the whole refinement, so that both end together; a
        kernel machine has no schedule and keeps its own. Epochs in which it trains its
        head alone count towards `warmup_epochs` and the first iteration, and the
        schedule then stops short of its end.
    warmup_epochs : int, default=5
        Epochs on the given labels before the first iteration.
    n_iterations : int, default=4
        Number of times that labels are refined. 0 leaves all labels as they are.
    first_stages : tuple of int, default=(2, 3, 4)
        Epochs of the first iteration, counted from 1, after which losses are measured;
        the iteration ends with the last of them.
    stages : tuple of int, default=(2, 5, 7)
        The same for later iterations.
    loss_threshold : float, default=1.0
        Losses below this cross-entropy, in nats, count as small.
    loss_of : {"prediction", "label"}, default="prediction"
        Label whose loss is measured: "prediction", the candidate pseudo-label, which is
        the prediction at the last stage of the iteration; or "label", the one that the
        sample is trained with.
    views : "auto", "none", None or Views, default="auto"
        How the copies are augmented: "auto" as in self-supervised learning, see
        :func:`sknoisy.views.resolve_views`. None: no copies are added.
    random_state : int, RandomState or None, default=None
        Source of the random views; `estimator` has its own.

    Attributes
    ----------
    labels_ : ndarray of shape (n_samples,)
        The refined labels, in the dtype of y.
    refined_ : ndarray of shape (n_samples,), bool
        Which samples have a pseudo-label; it may equal the given label.
    refined_iteration_ : ndarray of shape (n_samples,), int64
        The iteration, from 1, in which a sample last got a pseudo-label; 0: in none.
    iteration_labels_ : ndarray of shape (n_iterations, n_samples)
        The labels after each iteration; the last are ``labels_``.
    history_ : list of dict
        For each iteration "iteration", "selected" (number of samples that got a
        pseudo-label in it), "refined" (number that have one after it), "changed"
        (number of labels that it changed) and "agreement" (share of all labels that
        equal the given ones after it).
    estimator_ : estimator instance
        The fitted classifier or Pipeline.
    classes_ : ndarray of shape (n_classes,)
        The classes, in the dtype of y.
    n_features_in_ : int
        Length of axis 1 of X, where the fitted estimator has it.

    See Also
    --------
    NoisyRobustClassifier : A classifier that can be trained in this way.
    SSLPretrainer : Pre-trains the encoder, the first step in the paper.

    Notes
    -----
    The paper trains SimCLR for 30 epochs, then the classifier for 5 epochs of warm-up
    with cross-entropy and 4 iterations. It gives neither the optimiser nor the number
    of epochs in an iteration nor the final training. Here, an iteration ends with its
    last stage, the next one continues the training, and no training follows the last.
    The paper is also silent on these:

    - Which label's loss is measured. The plain reading is the label that a sample is
      trained with. But a threshold of 1 means a probability above 0.37, and a label
      that passes is nearly always the prediction already: on 1,200 digits with 40%
      symmetric noise, one label changed. The loss of the prediction finds samples that
      are "confidently predicted" at all stages, as the paper wants. On the digits it
      raised the accuracy of the labels from 60% to 97%, so it is the default.
    - What becomes of pseudo-labels in later iterations: they stay until another takes
      their place, and their samples have copies in every later iteration.
    - How many copies are added: one of each sample, augmented anew in every epoch.

    The threshold is the paper's. On 10,000 images of CIFAR-10 at 60% symmetric noise,
    2.0 was better: 59% of the labels were right in the end, and 54% with 1.0 (one
    seed).

    The state that a classifier keeps for each training sample, such as the targets of
    ELR, starts anew whenever the number of copies changes. PENCIL and Joint
    Optimization train labels of their own, and hardly learn refined ones. At each
    stage, the training set is predicted once, without augmentation. Samples and copies
    are held in memory, even if X is a memmap.

    References
    ----------
    Bala, Gupta, Behera and Sethi, Mitigating Instance-Dependent Label Noise:
    Integrating Self-Supervised Pretraining with Pseudo-Label Refinement, 2024.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from sknoisy import NoisyRobustClassifier, PseudoLabelRefiner
    >>> from sknoisy.noise import symmetric_exclusive
    >>> X, y = load_iris(return_X_y=True)
    >>> noisy = symmetric_exclusive(y, rate=0.3, random_state=0).y
    >>> clf = NoisyRobustClassifier("ce", batch_size=16, random_state=0)
    >>> labels = PseudoLabelRefiner(clf, random_state=0).fit(X, noisy).labels_
    >>> bool((labels == y).mean() > (noisy == y).mean() + 0.2)
    True
    """

    def __init__(
        self,
        estimator,
        warmup_epochs=5,
        n_iterations=4,
        first_stages=(2, 3, 4),
        stages=(2, 5, 7),
        loss_threshold=1.0,
        loss_of="prediction",
        views="auto",
        random_state=None,
    ):
        self.estimator = estimator
        self.warmup_epochs = warmup_epochs
        self.n_iterations = n_iterations
        self.first_stages = first_stages
        self.stages = stages
        self.loss_threshold = loss_threshold
        self.loss_of = loss_of
        self.views = views
        self.random_state = random_state

    @with_callbacks
    def fit(self, X, y=None, sample_weight=None, trusted=None):
        """Train, and refine the labels.

        Parameters
        ----------
        X : array-like, tensor, array of paths or LazyFeatures
            Samples, in any form that `estimator` takes.
        y : array-like of shape (n_samples,)
            Labels, some of them wrong. They are never written to.
        sample_weight : array-like of shape (n_samples,), default=None
            Weights of the samples in the training of a classifier that takes them. The
            labels of all samples are refined.
        trusted : array-like of shape (n_samples,), default=None
            True where a label is known to be right: it is kept.

        Returns
        -------
        self : PseudoLabelRefiner
            This estimator.

        Raises
        ------
        ValueError
            If y or a parameter is not valid; before training starts.
        """
        with fitting_often(self, X):
            interrupt = self._fit(X, y, sample_weight, trusted)
        if interrupt is not None:
            raise interrupt
        return self

    def _fit(self, X, y, sample_weight, trusted):
        """Fit; return the KeyboardInterrupt that ended it early, or None."""
        self._check_parameters()
        check_given(self, y)
        check_order(X, y=y, sample_weight=sample_weight, trusted=trusted)
        classes, codes = encode_labels(y)
        check_several(classes)
        estimator = finding_classes(clone(self.estimator), classes)
        front, classifier = split_pipeline(estimator)
        check_labels_of(classifier, y)
        given = given_for(classifier, len(codes), sample_weight, trusted)
        schedule = [self.first_stages] + (self.n_iterations - 1) * [self.stages]
        schedule = [sorted(stages) for stages in schedule[: self.n_iterations]]
        n_epochs = self.warmup_epochs + sum(stages[-1] for stages in schedule)
        tasks = Tasks(self, X, y, n_epochs + (front is not None))
        if front is not None:
            check_consistent_length(X, codes)
            with tasks.part("fit-front", front):
                X = front.fit_transform(X, y)
            estimator.steps = [*front.steps, estimator.steps[-1]]
        ours = isinstance(classifier, TorchClassifier)
        closed = ours and classifier._method_for(X).closed_form
        if "max_epochs" in classifier.get_params() and not closed:
            classifier.set_params(max_epochs=n_epochs)
        learned = {"estimator_": estimator, "classes_": classes}
        epoch = partial(tasks.part, "epoch", learned=lambda: learned)
        run = Refinement(self, classifier, X, classes, codes, given, epoch)
        interrupt = None
        try:
            run.train(self.warmup_epochs)
            for stages in schedule:
                run.iterate(stages)
        except KeyboardInterrupt as error:
            if not hasattr(classifier, "classes_"):
                raise
            interrupt = error  # what was learned so far can be used
        self._keep(estimator, run)
        if interrupt is None:
            tasks.end()
        return interrupt

    def fit_resample(self, X, y):
        """Refine the labels, as a sampler in a Pipeline of imbalanced-learn does.

        Parameters
        ----------
        X, y : array-like
            As for ``fit``.

        Returns
        -------
        X : array-like
            X, unchanged.
        labels : ndarray of shape (n_samples,)
            The refined labels.
        """
        return X, self.fit(X, y).labels_

    def _check_parameters(self):
        check_integer("warmup_epochs", self.warmup_epochs, low=0)
        check_integer("n_iterations", self.n_iterations, low=0)
        if self.warmup_epochs + self.n_iterations == 0:
            raise ValueError(
                "n_iterations=0 is not valid with warmup_epochs=0: nothing is trained."
            )
        for name in ("first_stages", "stages"):
            stages = getattr(self, name)
            if not isinstance(stages, (tuple, list)) or len(stages) == 0:
                raise ValueError(
                    f"{name}={stages!r} is not valid: it must be a tuple of one or "
                    "more epochs."
                )
            for epoch in stages:
                check_integer(name, epoch)
        check_real("loss_threshold", self.loss_threshold, "(0, inf)")
        check_choice("loss_of", self.loss_of, ["prediction", "label"])
        if isinstance(self.views, Views):
            self.views.check()
        else:
            check_choice("views", self.views, ["auto", "none", None])
        random_numbers(self.random_state)
        check_steps(self.estimator)
        _, classifier = split_pipeline(self.estimator)
        callbacks = unnamed(getattr(classifier, "callbacks", None))
        if any(isinstance(callback, Checkpoint) for callback in callbacks):
            warn(
                "a Checkpoint in the classifier of a PseudoLabelRefiner saves "
                "nothing, because labels change from epoch to epoch. In a pre-trainer "
                "before it, a Checkpoint works.",
            )
        for name in ("partial_fit", "predict_proba"):
            if not hasattr(classifier, name):
                raise ValueError(
                    "estimator is not valid: it must be, or end in, a classifier with "
                    f"{name}, such as NoisyRobustClassifier, and "
                    f"{type(classifier).__name__} has none."
                )

    def _keep(self, estimator, run):
        """Set the fitted attributes."""
        n = len(run.labels)
        self.classes_ = run.classes
        self.labels_ = run.classes[run.labels]
        self.iteration_labels_ = run.classes[np.reshape(run.codes, (-1, n)).astype(int)]
        self.refined_ = run.iteration > 0
        self.refined_iteration_ = run.iteration
        self.history_ = run.history
        self.estimator_ = estimator
        take_features_in(self, estimator)

    def _findings(self):
        share = percent(self.refined_.mean())
        return [
            ("Labels that were replaced", f"{self.refined_.sum():,} ({share})"),
            ("Classes", len(self.classes_)),
        ]
