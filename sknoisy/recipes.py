"""Each paper's whole pipeline by name, with its settings.

A recipe returns an unfitted Pipeline; every setting is a keyword, such as
``clf__max_epochs=3`` or ``ssl__method="barlow_twins"``, as in its ``set_params``.
The encoder is a ResNet18, which is for images and made for GPUs; for vectors, or on a
CPU, pass ``ssl__encoder="auto"``, or ``clf__encoder="auto"`` where there is no "ssl".
What papers leave open has this package's defaults.

What each gains over its own backbone on a part of CIFAR-10, with a small network, is in
the benchmarks; none was run with its own network and epochs yet.
"""

from sklearn.base import clone
from sklearn.pipeline import Pipeline

from sknoisy.checks import random_numbers
from sknoisy.cotraining import DivideMix
from sknoisy.estimators.classifier import NoisyRobustClassifier
from sknoisy.estimators.contrastive import ContrastiveFineTuner
from sknoisy.estimators.cotraining import CoTrainingClassifier
from sknoisy.estimators.pretrainer import SSLPretrainer
from sknoisy.estimators.refiner import PseudoLabelRefiner
from sknoisy.losses import ELR, ProgressiveBootstrap
from sknoisy.parameters import seed_parts
from sknoisy.regularizers import ClusteringRegularizer, RestorationRegularizer
from sknoisy.selfsup import SimCLR, SupCon


def pretrain_to_gain(random_state=None, **params):
    """Self-supervised pre-training, then plain training on the noisy labels.

    Steps: "ssl", an :class:`~sknoisy.SSLPretrainer`, and "clf", a
    :class:`~sknoisy.NoisyRobustClassifier`.

    Parameters
    ----------
    random_state : int, RandomState or None, default=None
        Seeds every part that has no seed of its own.
    **params : dict
        Parameters of the pipeline, such as ``ssl__method="barlow_twins"``.

    Returns
    -------
    pipeline : Pipeline
        Unfitted.

    Raises
    ------
    ValueError
        If the pipeline has no such parameter.

    Notes
    -----
    Written from the paper's abstract alone: SimCLR or Barlow Twins without labels, then
    "standard supervised training", which is taken as cross-entropy. The abstract does
    not name the encoder; here it is a ResNet18, as in the other papers. Epochs,
    batches, optimisers and the head's warm-up are the defaults of this package.

    References
    ----------
    Pre-train to Gain: Robust Learning Without Clean Labels, 2025, arXiv:2511.20844.

    Examples
    --------
    >>> from sknoisy.recipes import pretrain_to_gain
    >>> pipe = pretrain_to_gain(ssl__method="barlow_twins", random_state=0)
    >>> pipe["ssl"].method, pipe["clf"].loss
    ('barlow_twins', 'ce')
    """
    pipeline = Pipeline(
        [
            ("ssl", SSLPretrainer("simclr", encoder="resnet18")),
            ("clf", NoisyRobustClassifier("ce")),
        ]
    )
    return _with(pipeline, random_state, params)


def robust_feature_learning(random_state=None, **params):
    """Progressive self-bootstrapping on features that restore and cluster samples.

    One step: "clf", a :class:`~sknoisy.NoisyRobustClassifier`.

    Parameters
    ----------
    random_state : int, RandomState or None, default=None
        Seeds every part that has no seed of its own.
    **params : dict
        Parameters of the pipeline, such as ``clf__max_epochs=50``.

    Returns
    -------
    pipeline : Pipeline
        Unfitted.

    Raises
    ------
    ValueError
        If the pipeline has no such parameter.

    Notes
    -----
    From the paper, section 4: ResNet18, 300 epochs (50 on Clothing1M), SGD with
    momentum 0.9, learning rate 0.1 that falls to a tenth after half and again after
    three quarters of the epochs, weight decay 1e-4, batches of 128 (32 on Clothing1M).
    SGD uses Nesterov momentum here.

    The paper is silent on the weight of the mutual information, the number of clusters,
    the decoder, how alpha falls, the classifier's own augmentation, and the settings of
    RandAugment, which makes its regularisers' views. See
    :class:`~sknoisy.regularizers.ClusteringRegularizer`,
    :class:`~sknoisy.regularizers.RestorationRegularizer` and
    :class:`~sknoisy.ProgressiveBootstrap` for what was chosen, here with power=3.

    The ablation of table 4 is a search over ``clf__loss`` in "ce" and
    "bootstrap_progressive", and over ``clf__regularizers`` in None, ["restoration"],
    ["clustering"] and both.

    References
    ----------
    Tai, Jhang and Hwang, Robust Feature Learning against Noisy Labels, 2023.

    Examples
    --------
    >>> from sknoisy.recipes import robust_feature_learning
    >>> pipe = robust_feature_learning(clf__regularizers=["restoration"])
    >>> pipe["clf"].loss, pipe["clf"].max_epochs
    (ProgressiveBootstrap(power=3.0), 300)
    """
    classifier = NoisyRobustClassifier(
        ProgressiveBootstrap(power=3.0),
        encoder="resnet18",
        regularizers=[RestorationRegularizer(), ClusteringRegularizer()],
        max_epochs=300,
        batch_size=128,
        lr=0.1,
        momentum=0.9,
        weight_decay=1e-4,
        optimizer="sgd",
        schedule="steps",
    )
    return _with(Pipeline([("clf", classifier)]), random_state, params)


def contrast_to_divide(random_state=None, **params):
    """Self-supervised pre-training, then DivideMix.

    Steps: "ssl", an :class:`~sknoisy.SSLPretrainer`, and "clf", a
    :class:`~sknoisy.CoTrainingClassifier`.

    Parameters
    ----------
    random_state : int, RandomState or None, default=None
        Seeds every part that has no seed of its own.
    **params : dict
        Parameters of the pipeline, such as ``clf__method__lambda_u=25``.

    Returns
    -------
    pipeline : Pipeline
        Unfitted.

    Raises
    ------
    ValueError
        If the pipeline has no such parameter.

    Notes
    -----
    From the official code: SimCLR with a ResNet18, five epochs of warm-up of the whole
    networks, 360 epochs, SGD with momentum 0.9 at 0.02 and weight decay 5e-4, batches
    of 64 labelled and 64 unlabelled samples, up to 200 steps of the mixture. Its
    learning rate falls to a tenth every 150 epochs; here, it falls to a tenth after
    half of the epochs, and to a hundredth after three quarters. It clips gradients in
    the warm-up, which this does not. :class:`~sknoisy.DivideMix` lists the other
    differences. The weight of unlabelled samples and the threshold, which users set
    there, are estimated here.

    In the five epochs of warm-up, each network learns from one half of the samples, so
    that the noise can be estimated; ``clf__head_epochs="auto"`` and
    ``clf__method__warmup_epochs="auto"`` train the heads first instead, for longer.

    References
    ----------
    Zheltonozhskii et al., Contrast to Divide: Self-Supervised Pre-Training for Learning
    with Noisy Labels, WACV 2022.

    Examples
    --------
    >>> from sknoisy.recipes import contrast_to_divide
    >>> pipe = contrast_to_divide(clf__max_epochs=100, random_state=0)
    >>> pipe["clf"].method.warmup_epochs, pipe["clf"].head_epochs
    (5, 0)
    """
    classifier = CoTrainingClassifier(
        DivideMix(warmup_epochs=5, mixture_steps=200),
        head_epochs=0,
        max_epochs=360,
        batch_size=128,
        lr=0.02,
        momentum=0.9,
        weight_decay=5e-4,
        optimizer="momentum",
        schedule="steps",
    )
    ssl = SSLPretrainer(SimCLR(), encoder="resnet18")
    return _with(Pipeline([("ssl", ssl), ("clf", classifier)]), random_state, params)


def contrastive_framework(random_state=None, **params):
    """Contrastive pre-training, a robust classifier, and contrastive fine-tuning.

    Steps: "ssl", an :class:`~sknoisy.SSLPretrainer`, and "clf", a
    :class:`~sknoisy.ContrastiveFineTuner`. With ``clf=NoisyRobustClassifier("elr",
    head="mlp", batch_size=256)``, it is the first phase alone, without fine-tuning.

    Parameters
    ----------
    random_state : int, RandomState or None, default=None
        Seeds every part that has no seed of its own.
    **params : dict
        Parameters of the pipeline, such as ``clf__estimator__loss="nfl_rce"`` or
        ``clf__contrastive__max_epochs=50``.

    Returns
    -------
    pipeline : Pipeline
        Unfitted.

    Raises
    ------
    ValueError
        If the pipeline has no such parameter.

    Notes
    -----
    From the paper: SimCLR with a ResNet18, batches of 256, a classifier with one hidden
    normalised layer whose head is trained first, SGD with momentum 0.9 and a cosine
    schedule, ELR with lam=3 and beta=0.7. Cross-entropy ("ce") and "nfl_rce", whose
    defaults are the paper's, are its other losses; ELR had "the best overall results".
    The contrastive loss is equation 8 as it is printed: the mean inside the logarithm,
    the anchor's weight. The paper's views blur images. The default views blur only
    images above 64 pixels; SimCLR itself did not blur CIFAR-10.

    It is silent on epochs (except the 200 of its baseline without pre-training),
    learning rates, weight decay and temperatures; here they are this package's
    defaults: 200 epochs of each pre-training and 100 of each classifier, after 10 of
    its head. :class:`~sknoisy.ContrastiveFineTuner` says what it leaves open in
    fine-tuning, and what was measured: with ELR, ``clf__final_labels="given"`` ended
    higher.

    References
    ----------
    Ciortan, Dupuis and Peel, A Framework using Contrastive Learning for Classification
    with Noisy Labels, 2021, sections 4 and 5.2.

    Examples
    --------
    >>> from sknoisy.recipes import contrastive_framework
    >>> pipe = contrastive_framework(clf__estimator__loss="ce", random_state=0)
    >>> pipe["clf"].estimator.head, pipe["clf"].contrastive.method.form
    ('mlp', 'log_of_mean')
    """
    classifier = NoisyRobustClassifier(
        ELR(lam=3.0, beta=0.7),
        head="mlp",
        batch_size=256,
        momentum=0.9,
        optimizer="sgd",
        schedule="cosine",
    )
    method = SupCon(form="log_of_mean", weighting="anchor")
    tuner = ContrastiveFineTuner(classifier, SSLPretrainer(method, batch_size=256))
    ssl = SSLPretrainer(SimCLR(), encoder="resnet18", batch_size=256)
    return _with(Pipeline([("ssl", ssl), ("clf", tuner)]), random_state, params)


def idn_hybrid(random_state=None, **params):
    """Self-supervised pre-training, then training with refinement of the labels.

    Steps: "ssl", an :class:`~sknoisy.SSLPretrainer`, and "clf", a
    :class:`~sknoisy.PseudoLabelRefiner`.

    Parameters
    ----------
    random_state : int, RandomState or None, default=None
        Seeds every part that has no seed of its own.
    **params : dict
        Parameters of the pipeline, such as ``clf__n_iterations=2``.

    Returns
    -------
    pipeline : Pipeline
        Unfitted.

    Raises
    ------
    ValueError
        If the pipeline has no such parameter.

    Notes
    -----
    From the paper: 30 epochs of SimCLR, 5 of warm-up on the noisy labels with
    cross-entropy, 4 iterations with stages after epochs 2, 3 and 4 of the first and 2,
    5 and 7 of the others, a loss threshold of 1, SimCLR's augmentation for the copies
    of pseudo-labelled samples. The paper blurs images in both. The default views blur
    only images above 64 pixels; SimCLR itself did not blur CIFAR-10.

    It is silent on the encoder, here a ResNet18 as in the other papers, and on batches
    and optimisers, here the defaults, with a cosine schedule over all 30 epochs of the
    classifier. The whole network is trained in the warm-up too: "the model is trained".
    :class:`~sknoisy.PseudoLabelRefiner` says what the paper leaves open in refinement.

    References
    ----------
    Bala, Gupta, Behera and Sethi, Mitigating Instance-Dependent Label Noise:
    Integrating Self-Supervised Pretraining with Pseudo-Label Refinement, 2024.

    Examples
    --------
    >>> from sknoisy.recipes import idn_hybrid
    >>> pipe = idn_hybrid(clf__loss_threshold=0.5)
    >>> pipe["ssl"].max_epochs, pipe["clf"].stages
    (30, (2, 5, 7))
    """
    refiner = PseudoLabelRefiner(
        NoisyRobustClassifier("ce", head_epochs=0),
        warmup_epochs=5,
        n_iterations=4,
        first_stages=(2, 3, 4),
        stages=(2, 5, 7),
        loss_threshold=1.0,
    )
    ssl = SSLPretrainer(SimCLR(), encoder="resnet18", max_epochs=30)
    return _with(Pipeline([("ssl", ssl), ("clf", refiner)]), random_state, params)


def _with(pipeline, random_state, params):
    """Set some parameters of a pipeline, and the seeds that it does not have."""
    pipeline = clone(pipeline.set_params(**params))
    if random_state is not None:
        seed_parts(pipeline, random_numbers(random_state))
    return pipeline
