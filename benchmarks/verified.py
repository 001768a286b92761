"""How each implementation was verified, and by which test.

"run": results equal those of the authors' released code, which the test runs.
"steps": value, gradient and state equal, over several steps, a separate transcription
of the formulas of the authors' code, or of the paper where there is no code.
"gradient": value and gradient equal a NumPy transcription of the formula.
"value": the value does, and its parts have the gradients that they should have.
"parts": each formula is checked by hand, the training as a whole is not.
"""

LOSSES = "tests/losses/test_losses.py"
STEPS = "tests/losses/test_ten_steps.py"
LEARNED = "tests/losses/test_learned_transition.py"
NETWORKS = "tests/cotraining/test_cotraining.py"
SSR = "tests/cotraining/test_ssr_cufit.py"
SHORT = "tests/cotraining/test_short_trainings.py"
SCORES = "tests/scores/test_scores.py"
MIXTURE = "tests/scores/test_mixture.py"
BETAS = "tests/scores/test_betas.py"
NEIGHBORS = "tests/scores/test_neighbors.py"

_gradient = ("gradient", f"{LOSSES}::test_gradient_is_the_values")
_value = ("value", f"{LOSSES}::test_value_is_the_formula")

VERIFIED = {
    # losses
    "ael": _gradient,
    "agce": _gradient,
    "anl_ce": _gradient,
    "anl_fl": ("gradient", f"{LOSSES}::test_focal_factors_have_no_gradient"),
    "aul": _gradient,
    "backward": ("gradient", f"{LOSSES}::test_gradients_of_corrections_by_hand"),
    "bootstrap_hard": _gradient,
    "bootstrap_progressive": _gradient,
    "bootstrap_soft": _gradient,
    "ce": _gradient,
    "cores": ("steps", f"{STEPS}::test_cores"),
    "elr": ("steps", f"{STEPS}::test_elr"),
    "focal": _gradient,
    "forward": ("gradient", f"{LOSSES}::test_gradients_of_corrections_by_hand"),
    "gce": _gradient,
    "gce_truncated": ("steps", f"{STEPS}::test_truncated_gce"),
    "imae": ("gradient", f"{LOSSES}::test_imae_weighs_gradients"),
    "joint_optimization": ("steps", f"{STEPS}::test_joint_optimization"),
    "js": _gradient,
    "label_smoothing": _gradient,
    "mae": _gradient,
    "nce": _gradient,
    "nce_ael": _gradient,
    "nce_agce": _gradient,
    "nce_aul": _gradient,
    "nce_mae": _gradient,
    "nce_rce": _gradient,
    "nfl": ("gradient", f"{LOSSES}::test_focal_factors_have_no_gradient"),
    "nfl_mae": _value,
    "nfl_rce": _value,
    "noise_layer": ("steps", f"{LEARNED}::test_twenty_steps"),
    "pencil": ("steps", f"{STEPS}::test_pencil"),
    "phuber": _gradient,
    "rce": _gradient,
    "sce": _gradient,
    "sop": ("steps", f"{LOSSES}::test_ten_steps_of_sop_are_the_official_codes"),
    "volminnet": ("steps", f"{LEARNED}::test_twenty_steps"),
    # self-supervised methods
    "barlow_twins": ("parts", "tests/selfsup/test_selfsup.py::test_redundancy_by_hand"),
    "byol": (
        "steps",
        "tests/selfsup/test_moving_averages.py::test_three_steps_of_byol",
    ),
    "moco": (
        "steps",
        "tests/selfsup/test_moving_averages.py::test_three_steps_of_moco",
    ),
    "simclr": (
        "value",
        "tests/selfsup/test_selfsup.py::test_nt_xent_is_the_papers_loop",
    ),
    "supcon": (
        "value",
        "tests/selfsup/test_supcon.py::test_the_loss_is_the_papers_loop",
    ),
    "vicreg": (
        "value",
        "tests/selfsup/test_selfsup.py::test_vicreg_terms_are_the_papers_loops",
    ),
    # several networks
    "coteaching": (
        "parts",
        f"{NETWORKS}::test_each_network_learns_what_the_other_chooses",
    ),
    "coteaching_plus": (
        "parts",
        f"{NETWORKS}::test_co_teaching_plus_trains_where_networks_disagree",
    ),
    "cufit": ("parts", f"{SSR}::test_cascade_by_hand"),
    "disc": (
        "steps",
        "tests/cotraining/test_disc.py::test_a_short_training_is_the_official_codes",
    ),
    "dividemix": ("steps", f"{SHORT}::test_dividemix"),
    "dynamic_bootstrap": (
        "parts",
        f"{NETWORKS}::test_dynamic_bootstrapping_penalizes_after_the_warm_up",
    ),
    "elr_plus": ("steps", f"{SHORT}::test_elr_plus"),
    "gjs": (
        "value",
        f"{NETWORKS}::test_gjs_compares_two_views_with_the_label",
    ),
    "ido": (
        "steps",
        "tests/cotraining/test_ido.py::test_a_short_training_is_the_formula",
    ),
    "jocor": ("gradient", f"{NETWORKS}::test_joint_loss_gradient"),
    "mentornet": ("parts", f"{NETWORKS}::test_curriculum_by_hand"),
    "moit": (
        "parts",
        "tests/cotraining/test_moit.py::test_the_contrastive_loss_is_mixed_as_the_samples",
    ),
    "self": (
        "steps",
        "tests/cotraining/test_self_ensemble.py::test_a_short_training_is_the_formula",
    ),
    "ssr": ("steps", f"{SHORT}::test_ssr_plus"),
    "taks": (
        "steps",
        "tests/cotraining/test_taks.py::test_a_short_training_is_the_algorithm",
    ),
    # detection
    "confident_learning": ("run", f"{SCORES}::test_errors_are_the_authors"),
    "self_confidence": ("run", f"{SCORES}::test_qualities_are_the_authors"),
    "normalized_margin": ("run", f"{SCORES}::test_qualities_are_the_authors"),
    "loss_gmm": ("run", f"{MIXTURE}::test_gmm_is_scikit_learns_step_by_step"),
    "area_under_margin": (
        "value",
        f"{SCORES}::test_area_under_margin_is_a_mean_over_epochs",
    ),
    "wrong_events": (
        "value",
        f"{BETAS}::test_wrong_events_in_each_class_by_the_published_steps",
    ),
    "knn_agreement": ("value", f"{NEIGHBORS}::test_knn_votes_are_counted"),
    # annotators
    "crowdlab": (
        "run",
        "tests/annotators/test_annotators.py::test_crowdlab_is_the_authors",
    ),
    "dawid_skene": (
        "run",
        "tests/annotators/test_annotators.py::test_votes_and_dawid_skene_are_crowd_kits",
    ),
}


def how(name):
    """Return in a word how the last part of a method's name was verified."""
    found = VERIFIED.get(name.strip("`").rpartition("+")[2])
    return found[0] if found else ""
