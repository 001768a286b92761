"""Label quality, label errors and noise estimates: plain NumPy functions.

`pred_probs` should be out-of-sample, such as from ``cross_val_predict``: a network that
was trained on the labels agrees with them, right or wrong.
"""

from sknoisy.scores.betas import (
    beta_mixture,
    bmm_clean_probability,
    wrong_event_clean_probability,
)
from sknoisy.scores.confident import (
    confident_joint,
    confident_thresholds,
    find_label_errors,
)
from sknoisy.scores.consensus import hoc_noise_rate, hoc_transition_matrix
from sknoisy.scores.distances import (
    far_samples,
    near_duplicates,
    neighbor_distances,
)
from sknoisy.scores.estimates import (
    estimate_noise_rate,
    estimate_transition_matrix,
    label_votes,
    noise_concentration,
    shrunk_transition_matrix,
)
from sknoisy.scores.mixture import (
    LossMixture,
    gaussian_mixture,
    gmm_clean_probability,
)
from sknoisy.scores.neighborhoods import neighbor_label_votes
from sknoisy.scores.neighbors import neighbor_index
from sknoisy.scores.posterior import (
    LabelPosterior,
    label_posterior,
    limit_false_alarms,
)
from sknoisy.scores.quality import (
    area_under_margin,
    confidence_weighted_entropy,
    normalized_margin,
    pairwise_confidence,
    self_confidence,
)
from sknoisy.scores.relabeling import relabel_priority
from sknoisy.scores.representation import lidar, rankme
from sknoisy.scores.soft import soft_labels
from sknoisy.scores.trusted import trusted_transition_matrix
from sknoisy.scores.votes import (
    knn_agreement,
    knn_votes,
    relative_votes,
    votes_from,
)

__all__ = [
    "LabelPosterior",
    "LossMixture",
    "area_under_margin",
    "beta_mixture",
    "bmm_clean_probability",
    "confidence_weighted_entropy",
    "confident_joint",
    "confident_thresholds",
    "estimate_noise_rate",
    "estimate_transition_matrix",
    "far_samples",
    "find_label_errors",
    "gaussian_mixture",
    "gmm_clean_probability",
    "hoc_noise_rate",
    "hoc_transition_matrix",
    "knn_agreement",
    "knn_votes",
    "label_posterior",
    "label_votes",
    "lidar",
    "limit_false_alarms",
    "near_duplicates",
    "neighbor_distances",
    "neighbor_index",
    "neighbor_label_votes",
    "noise_concentration",
    "normalized_margin",
    "pairwise_confidence",
    "rankme",
    "relabel_priority",
    "relative_votes",
    "self_confidence",
    "shrunk_transition_matrix",
    "soft_labels",
    "trusted_transition_matrix",
    "votes_from",
    "wrong_event_clean_probability",
]
