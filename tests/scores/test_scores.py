import mmap

import numpy as np
import pytest
from scipy import stats
from scipy.stats import dirichlet_multinomial

from sknoisy.noise import class_conditional, symmetric_exclusive
from sknoisy.scores import (
    area_under_margin,
    bmm_clean_probability,
    confidence_weighted_entropy,
    confident_joint,
    confident_thresholds,
    estimate_noise_rate,
    estimate_transition_matrix,
    find_label_errors,
    gaussian_mixture,
    gmm_clean_probability,
    knn_agreement,
    knn_votes,
    label_votes,
    noise_concentration,
    normalized_margin,
    self_confidence,
    shrunk_transition_matrix,
    wrong_event_clean_probability,
)
from sknoisy.scores.confident import RULES
from sknoisy.scores.mixture import _two_means

RNG = np.random.default_rng(0)
QUALITIES = [self_confidence, normalized_margin, confidence_weighted_entropy]


def random_case(seed, n_classes, missing=False, dtype=np.float64, ties=False):
    """Labels of which about a third are random, and probabilities of all classes."""
    rng = np.random.default_rng(seed)
    concentration = rng.choice([0.05, 0.3, 1.0, 5.0])
    n = max(4 * n_classes, int(rng.choice([40, 400, 1500])))
    p = rng.dirichlet(np.full(n_classes, concentration), size=n)
    y = np.where(rng.random(n) < 0.6, p.argmax(1), rng.integers(n_classes, size=n))
    if missing:
        y[y == rng.integers(n_classes)] = 0
    if ties:
        p = np.round(10 * p)
        p[p.sum(axis=1) == 0] = 1
        p /= p.sum(axis=1, keepdims=True)
    return y, p.astype(dtype)


CASES = [
    pytest.param(dict(seed=seed, n_classes=k, missing=m, dtype=d, ties=t), id=f"{seed}")
    for seed, (k, m, d, t) in enumerate(
        [
            (2, False, np.float64, False),
            (2, False, np.float32, True),
            (3, True, np.float64, False),
            (5, False, np.float32, False),
            (10, True, np.float64, True),
            (10, False, np.float64, False),
            (37, True, np.float32, False),
            (37, False, np.float64, True),
            (100, False, np.float64, False),
            (100, True, np.float32, True),
        ]
    )
]


@pytest.fixture(scope="module")
def cleanlab():
    """The authors' code; its count, filter and rank."""
    return pytest.importorskip("cleanlab")


@pytest.mark.parametrize("case", CASES)
def test_joint_and_thresholds_are_the_authors(case, cleanlab):
    y, p = random_case(**case)
    classes = range(p.shape[1])
    theirs = cleanlab.count.get_confident_thresholds(y, p)
    np.testing.assert_array_equal(confident_thresholds(y, p, classes), theirs)
    theirs = cleanlab.count.compute_confident_joint(y, p)
    np.testing.assert_array_equal(confident_joint(y, p, classes), theirs)


@pytest.mark.filterwarnings("ignore:May not flag all")
@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("case", CASES)
def test_errors_are_the_authors(case, rule, cleanlab):
    y, p = random_case(**case)
    theirs = cleanlab.filter.find_label_issues(y, p, filter_by=rule, n_jobs=1)
    np.testing.assert_array_equal(
        find_label_errors(y, p, range(p.shape[1]), rule), theirs
    )


@pytest.mark.parametrize("score", QUALITIES)
@pytest.mark.parametrize("case", CASES)
def test_qualities_are_the_authors(case, score, cleanlab):
    y, p = random_case(**case)
    theirs = cleanlab.rank.get_label_quality_scores(y, p, method=score.__name__)
    mine = score(y, p, range(p.shape[1]))
    np.testing.assert_allclose(mine, theirs, atol=1e-6)
    assert mine.min() >= 0 and mine.max() <= 1 + 1e-6


def joint_by_loops(y, p):
    """Transcribe the definition, one sample at a time."""
    n = p.shape[1]
    t = [p[y == j, j].mean() if (y == j).any() else np.inf for j in range(n)]
    counts = np.zeros((n, n))
    for label, row in zip(y, p, strict=True):
        sure = [j for j in range(n) if row[j] >= t[j] - 1e-6]
        if len(sure) == 1:
            counts[label, sure[0]] += 1
        elif sure:
            counts[label, row.argmax()] += 1
    for j in range(n):
        if (y == j).any():
            counts[j, j] = max(counts[j, j], 1)
            counts[j] *= (y == j).sum() / counts[j].sum()
    return counts


@pytest.mark.parametrize("n_classes", [2, 3, 10])
def test_confident_joint_is_its_definition(n_classes):
    p = RNG.dirichlet(np.ones(n_classes) / 2, size=300)
    y = RNG.integers(n_classes, size=300)
    joint = confident_joint(y, p, classes=range(n_classes))
    assert np.abs(joint - joint_by_loops(y, p)).max() < 1  # which are not rounded
    np.testing.assert_array_equal(
        joint.sum(axis=1), np.bincount(y, minlength=n_classes)
    )


def test_class_without_samples():
    p = RNG.dirichlet(np.ones(4), size=50)
    y = RNG.integers(3, size=50)
    joint = confident_joint(y, p, classes=range(4))
    assert np.abs(joint - joint_by_loops(y, p)).max() < 1
    assert joint[3].sum() == joint[:, 3].sum() == 0
    T = estimate_transition_matrix(y, p, classes=range(4))
    assert T[3].tolist() == [0, 0, 0, 1]


@pytest.mark.parametrize("rule", RULES)
def test_chunks_do_not_show(rule, monkeypatch):
    y, p = random_case(0, 5)
    whole = [find_label_errors(y, p, rule=rule), *(score(y, p) for score in QUALITIES)]
    monkeypatch.setattr("sknoisy.scores.reading.CHUNK", 35)
    parts = [find_label_errors(y, p, rule=rule), *(score(y, p) for score in QUALITIES)]
    for one, other in zip(whole, parts, strict=True):
        np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize("ties", [False, True])
def test_size_of_classes_does_not_show(ties, monkeypatch):
    """Columns are partitioned together in small classes, one by one in large ones."""
    y, p = random_case(2, 10, ties=ties)
    together = find_label_errors(y, p)
    monkeypatch.setattr("sknoisy.scores.lowest.LONG", 0)
    np.testing.assert_array_equal(find_label_errors(y, p), together)


def test_errors_by_hand():
    """Two of the four labels 0 are confidently 1, one of the three labels 1 is 0."""
    p = np.array([0.05, 0.2, 0.9, 0.95, 0.9, 0.05, 0.1])
    p = np.stack([p, 1 - p], axis=1)
    y = [0, 0, 0, 0, 1, 1, 1]
    np.testing.assert_allclose(confident_thresholds(y, p), [0.525, 0.65])
    np.testing.assert_array_equal(confident_joint(y, p), [[2, 2], [1, 2]])
    for rule in RULES:
        errors = find_label_errors(y, p, rule=rule)
        assert np.flatnonzero(errors).tolist() == [0, 1, 4]
    np.testing.assert_allclose(self_confidence(y, p)[:2], [0.05, 0.2])
    np.testing.assert_allclose(normalized_margin(y, p)[:2], [0.05, 0.2])


@pytest.mark.parametrize("rule", RULES)
def test_right_labels_stay(rule):
    """A model that agrees with every label finds no error."""
    y = np.arange(30) % 3
    p = 0.7 * np.eye(3)[y] + 0.1
    assert not find_label_errors(y, p, rule=rule).any()


@pytest.mark.parametrize("rule", RULES[:3])
def test_every_class_keeps_a_sample(rule):
    y = np.arange(30) % 3
    p = 0.7 * np.eye(3)[(y + 1) % 3] + 0.1
    errors = find_label_errors(y, p, rule=rule)
    assert set(y[~errors]) == {0, 1, 2}


def test_inputs_are_left_as_they_are():
    y, p = random_case(0, 5)
    copies = y.copy(), p.copy()
    y.flags.writeable = p.flags.writeable = False
    for rule in RULES:
        find_label_errors(y, p, rule=rule)
    for score in QUALITIES:
        score(y, p)
    np.testing.assert_array_equal(y, copies[0])
    np.testing.assert_array_equal(p, copies[1])


def test_whole_numbers_and_columns_in_memory():
    y, p = random_case(5, 10)
    errors = find_label_errors(y, p)
    np.testing.assert_array_equal(errors, find_label_errors(y, np.asfortranarray(p)))
    assert find_label_errors([0, 0, 0, 1], [[1, 0], [1, 0], [0, 1], [0, 1]]).sum() == 1


def test_little_memory_beside_the_probabilities():
    """Some 45 bytes a sample; the authors' code takes twice the probabilities' size."""
    import tracemalloc

    rng = np.random.default_rng(0)
    p = rng.random((200_000, 50), dtype=np.float32)
    p /= p.sum(axis=1, keepdims=True)
    y = rng.integers(50, size=len(p))
    tracemalloc.start()
    find_label_errors(y, p, rule="both")
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 0.25 * p.nbytes


@pytest.mark.parametrize("method, atol", [("confident_joint", 0.05), ("anchor", 0.02)])
def test_known_noise_is_recovered(method, atol):
    """With the true posterior of the noisy labels, both estimates find T."""
    T = np.array([[0.7, 0.2, 0.1], [0.0, 0.9, 0.1], [0.3, 0.0, 0.7]])
    clean = np.arange(3000) % 3
    noisy = class_conditional(clean, T, random_state=0)
    posterior = T[clean]
    if method == "confident_joint":  # which wants the posterior of the clean ones
        posterior = 0.95 * np.eye(3)[clean] + 0.05 / 3
    estimate = estimate_transition_matrix(noisy.y, posterior, method=method)
    np.testing.assert_allclose(estimate, T, atol=atol)
    np.testing.assert_allclose(estimate.sum(axis=1), 1)


def test_anchor_by_hand():
    """At 75% of 5, the second highest is the limit, and the third highest is taken."""
    p = np.array([[0.8, 0.2], [0.1, 0.9], [1.0, 0.0], [0.3, 0.7], [0.4, 0.6]])
    y = [0, 1, 0, 1, 1]
    top = estimate_transition_matrix(y, p, method="anchor", percentile=100)
    np.testing.assert_allclose(top, [[1.0, 0.0], [0.1, 0.9]])
    lower = estimate_transition_matrix(y, p, method="anchor", percentile=75)
    np.testing.assert_allclose(lower, [[0.4, 0.6], [0.4, 0.6]])


def test_anchor_is_the_authors():
    """Largest probability below the percentile: giorgiop/loss-correction, noise.py."""
    p = RNG.dirichlet(np.ones(4), size=500)
    anchors = []
    for column in p.T:
        limit = np.percentile(column, 97, method="higher")
        anchors.append(np.where(column >= limit, 0, column).argmax())
    T = estimate_transition_matrix(p.argmax(axis=1), p, method="anchor")
    np.testing.assert_allclose(T, p[anchors])


def test_votes_by_hand():
    """Of 6 samples, 2 vote for each of 2 classes with a share of 2/3."""
    p = np.array([0.9, 0.8, 0.6, 0.4, 0.2, 0.1])
    p, y = np.stack([p, 1 - p], axis=1), [0, 1, 1, 0, 1, 1]
    np.testing.assert_array_equal(label_votes(y, p, share=2 / 3), [[1, 1], [0, 2]])
    T = estimate_transition_matrix(y, p, method="votes", share=2 / 3)
    np.testing.assert_allclose(T, [[0.5, 0.5], [0.0, 1.0]])
    # By default a tenth votes: here one sample, the surest.
    np.testing.assert_array_equal(label_votes(y, p), [[1, 0], [0, 1]])
    assert estimate_noise_rate(y, p, method="votes") == 0


def test_votes_do_not_mind_a_classifier_that_is_poor_elsewhere():
    """It is right where it is sure, and guesses half of the samples."""
    rng = np.random.default_rng(0)
    clean = rng.integers(4, size=8000)
    noisy = symmetric_exclusive(clean, 0.3, random_state=0).y
    sure = rng.random(8000) < 0.5
    p = np.where(sure[:, None], 0.9 * np.eye(4)[clean] + 0.025, 0)
    p[~sure] = rng.dirichlet(np.full(4, 5.0), size=(~sure).sum())
    rate = estimate_noise_rate(noisy, p, method="votes")
    assert rate == pytest.approx(0.3, abs=0.03)
    assert estimate_noise_rate(noisy, p) > 0.33


def test_concentration_is_without_bias():
    rng = np.random.default_rng(0)
    found = []
    for _ in range(2000):  # three uniform wrong labels of each class
        votes = 9 * np.eye(5, dtype=int)
        for row, wrong in zip(votes, np.arange(5), strict=True):
            others = np.delete(np.arange(5), wrong)
            np.add.at(row, rng.choice(others, size=3), 1)
        found.append(noise_concentration(votes))
    assert np.mean(found) == pytest.approx(0, abs=0.01)
    pair_flip = 9 * np.eye(5) + 3 * np.roll(np.eye(5), 1, axis=1)
    assert noise_concentration(pair_flip) == 1
    assert noise_concentration(9 * np.eye(5)) == 0
    # Of two classes: shares of 3/12 and 2/20, of which ten times as many make sure, and
    # of one class alone.
    votes = np.array([[9, 3], [2, 18]])
    assert noise_concentration(votes) == 0
    assert noise_concentration(10 * votes) == pytest.approx(0.15 / 0.35)
    assert noise_concentration([[9, 0], [5, 5]]) == 1


@pytest.mark.parametrize("rate", [0.0, 0.2, 0.5])
@pytest.mark.parametrize("method", ["confident_joint", "votes"])
def test_noise_rate_on_real_digits(method, rate):
    from sklearn.datasets import load_digits
    from sklearn.linear_model import LogisticRegression
    from sklearn.model_selection import cross_val_predict
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    X, y = load_digits(return_X_y=True)
    noisy = symmetric_exclusive(y, rate, random_state=0)
    clf = make_pipeline(StandardScaler(), LogisticRegression(C=0.01))
    p = cross_val_predict(clf, X, noisy.y, method="predict_proba")
    found = estimate_noise_rate(noisy.y, p, method=method)
    assert found == pytest.approx(rate, abs=0.08)


@pytest.mark.parametrize(
    "function",
    [confident_joint, confident_thresholds, find_label_errors, *QUALITIES],
)
@pytest.mark.parametrize(
    "y, p, message",
    [
        ([0, 1], [[0.5, 0.5]], r"shape \(1, 2\) is not valid: y has 2 labels"),
        ([0, 1], [0.5, 0.5], r"shape \(2,\) is not valid"),
        ([0, 1], np.full((2, 3), 1 / 3), "3 columns, but there are 2 classes"),
        ([0, 1], [[np.nan, 1], [0, 1]], "NaN"),
        ([0, 1], [[0.5, 0.6], [0, 1]], "they sum to 1 to 1.1; see row 0"),
        ([0, 1], [[0, 1], [0, 0.98765]], "they sum to 0.98765 to 1; see row 1"),
        ([0, 1], [[-0.5, 1.5], [0, 1]], "but the lowest is -0.5"),
    ],
)
def test_bad_input(y, p, message, function):
    with pytest.raises(ValueError, match=message):
        function(y, p)


@pytest.mark.parametrize("function", [confident_joint, self_confidence])
def test_rounding_is_forgiven(function):
    y, p = random_case(3, 5)
    whole = function(y, p)
    copy = p.copy()
    for near in (1.002 * p, 0.991 * p, p - 1e-9 * (p == p.min())):
        np.testing.assert_allclose(function(y, near), whole, atol=1e-6)
    half = p.astype(np.float16)
    assert np.abs(half.astype(np.float64) - p).max() > 1e-5
    np.testing.assert_allclose(self_confidence(y, half), self_confidence(y, p), 1e-3)
    np.testing.assert_array_equal(p, copy)
    row = [1 + 1e-9, -1e-9, 0]
    assert self_confidence([0, 1, 2], [row, [0, 1, 0], [0, 0, 1]]).tolist() == [1, 1, 1]


@pytest.mark.parametrize("labels", [["cat", "dog", "eel"], [5, 6, 7], [0.0, 1.0, 2.0]])
def test_columns_by_name(labels):
    pd = pytest.importorskip("pandas")
    y, p = random_case(3, 3)
    y = np.array(labels)[y]
    expected = self_confidence(y, p)
    frame = pd.DataFrame(p, columns=labels)
    turned = frame[labels[::-1]]
    text = turned.rename(columns=str)
    positions = pd.DataFrame(p)
    for probs in (frame, turned, text, positions):
        np.testing.assert_array_equal(self_confidence(y, probs), expected)
    np.testing.assert_array_equal(
        area_under_margin(y, [turned]), area_under_margin(y, [p])
    )
    for columns in (["cat", "dog", "fox"], ["cat", "dog", "dog"], [1, 2, 3]):
        with pytest.raises(ValueError, match="columns .* do not match the classes"):
            self_confidence(y, pd.DataFrame(p, columns=columns))


@pytest.mark.parametrize(
    "function", [self_confidence, estimate_noise_rate, area_under_margin]
)
@pytest.mark.parametrize("classes", [["dog", "cat"], ["cat", "cat"]])
def test_classes_are_sorted_as_columns_are(function, classes):
    p = np.array([[0.9, 0.1], [0.1, 0.9]])
    p = p[None] if function is area_under_margin else p
    with pytest.raises(ValueError, match=r"classes=\['.*sorted and distinct"):
        function(["cat", "dog"], p, classes=classes)


def test_string_labels():
    p = [[0.9, 0.1], [0.2, 0.8]]
    assert estimate_noise_rate(["cat", "dog"], p) == 0


def test_unknown_rule():
    with pytest.raises(ValueError, match="rule='prune' is not valid: .*'both'"):
        find_label_errors([0, 1], np.eye(2), rule="prune")


@pytest.mark.parametrize("score", [normalized_margin, confidence_weighted_entropy])
def test_one_class(score):
    with pytest.raises(ValueError, match="only one class"):
        score([1, 1], [[1.0], [1.0]])


def test_area_under_margin_is_a_mean_over_epochs():
    y, logits = random_case(1, 4)[0], RNG.normal(size=(3, 400, 4))
    y = np.resize(y, 400)
    masked = np.where(np.eye(4, dtype=bool)[y], -np.inf, logits)
    own = np.take_along_axis(logits, y[None, :, None], axis=2)[..., 0]
    expected = (own - masked.max(axis=2)).mean(axis=0)
    one_by_one = (epoch for epoch in logits)
    np.testing.assert_allclose(area_under_margin(y, one_by_one, range(4)), expected)
    np.testing.assert_allclose(area_under_margin(y, logits, range(4)), expected)
    with pytest.raises(ValueError, match="epoch 1 are not valid"):
        area_under_margin(y, [logits[0], logits[0, :3]], range(4))
    with pytest.raises(ValueError, match="logits is empty"):
        area_under_margin(y, [], range(4))


def test_gmm_finds_two_known_gaussians():
    rng = np.random.default_rng(0)
    wrong = np.arange(5000) < 1500
    losses = np.where(wrong, rng.normal(3, 0.5, 5000), rng.normal(0.5, 0.3, 5000))
    clean = gmm_clean_probability(losses)
    assert ((clean < 0.5) == wrong).mean() > 0.99
    np.testing.assert_allclose(gmm_clean_probability(7 * losses - 3), clean, atol=1e-9)


def test_gmm_is_scikit_learns():
    from sklearn.mixture import GaussianMixture

    rng = np.random.default_rng(1)
    losses = np.r_[rng.exponential(0.3, 3000), rng.normal(3, 1, 2000).clip(0)]
    x = (losses / losses.max() - losses.min() / losses.max())[:, None]
    theirs = GaussianMixture(2, tol=1e-8, max_iter=1000, reg_covar=5e-4, random_state=0)
    posterior = theirs.fit(x).predict_proba(x)[:, theirs.means_.argmin()]
    mine = gmm_clean_probability(losses, max_iter=1000, tol=1e-8)
    np.testing.assert_allclose(mine, posterior, atol=1e-3)


def random_losses(kind, n, rng):
    return {
        "exponential": lambda: rng.exponential(size=n),
        "two normals": lambda: np.r_[rng.normal(0, 0.2, n), rng.normal(3, 1, n // 3)],
        "two values": lambda: np.r_[0.0, 1.0, rng.integers(0, 2, n)],
        "one outlier": lambda: np.r_[1e-8 * rng.random(n), 1.0],
        "mostly zero": lambda: np.r_[np.zeros(n), rng.random(2)],
        "far from zero": lambda: 1e8 + 1e6 * rng.random(n),
    }[kind]()


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@pytest.mark.parametrize("settings", [(1, 1e-2), (10, 1e-2), (200, 1e-4)])
@pytest.mark.parametrize(
    "kind",
    [
        "exponential",
        "two normals",
        "two values",
        "one outlier",
        "mostly zero",
        "far from zero",
    ],
)
def test_gmm_is_scikit_learns_step_by_step(kind, settings):
    """From the same start, which scikit-learn draws at random."""
    from sklearn.mixture import GaussianMixture

    class FromTwoMeans(GaussianMixture):
        def _initialize_parameters(self, X, random_state, xp=None):
            low = (X[:, 0] <= _two_means(X[:, 0])).astype(float)
            self._initialize(X, np.stack([low, 1 - low], axis=1))

    max_iter, tol = settings
    rng = np.random.default_rng(0)
    for n in (3, 30, 2000):
        losses = random_losses(kind, n, rng)
        x = ((losses - losses.min()) / np.ptp(losses))[:, None]
        theirs = FromTwoMeans(2, max_iter=max_iter, tol=tol, reg_covar=5e-4).fit(x)
        mine = gaussian_mixture(losses, max_iter, tol)
        low = theirs.means_.argmin()
        posterior = theirs.predict_proba(x)[:, low]
        np.testing.assert_allclose(mine.clean_probability, posterior, atol=1e-6)
        weights = theirs.weights_[[low, 1 - low]]
        np.testing.assert_allclose(mine.weights, weights, atol=1e-6)


def test_gmm_degenerate():
    assert gmm_clean_probability([2.0, 2.0, 2.0]).tolist() == [1, 1, 1]
    assert gmm_clean_probability([0.0, 1.0]).round(6).tolist() == [1, 0]
    for losses in ([1.0], [1.0, np.nan], [[1.0, 2.0]]):
        with pytest.raises(ValueError, match="losses of shape"):
            gmm_clean_probability(losses)
    with pytest.raises(ValueError, match="tol=0 is not valid"):
        gmm_clean_probability([1.0, 2.0], tol=0)


@pytest.mark.parametrize("share, betas", [(0.6, (2, 8, 8, 2)), (0.5, (1, 12, 5, 3))])
def test_bmm_finds_two_known_betas(share, betas):
    from scipy.stats import beta

    rng = np.random.default_rng(0)
    right = rng.random(4000) < share
    x = np.where(right, rng.beta(*betas[:2], 4000), rng.beta(*betas[2:], 4000))
    low, high = share * beta.pdf(x, *betas[:2]), (1 - share) * beta.pdf(x, *betas[2:])
    clean = bmm_clean_probability(7 * x + 3, max_iter=50)
    assert np.abs(clean - low / (low + high)).mean() < 0.03
    assert ((clean > 0.5) == right).mean() > ((low > high) == right).mean() - 0.01
    np.testing.assert_allclose(bmm_clean_probability(x, max_iter=50), clean, atol=1e-9)
    assert ((bmm_clean_probability(x) > 0.5) == right).mean() > 0.9


def test_bmm_never_rises_with_the_loss():
    rng = np.random.default_rng(0)
    for betas in [(0.5, 20, 3, 3), (2, 5, 5, 2), (30, 90, 1, 1), (1, 3, 1, 2)]:
        x = np.r_[rng.beta(*betas[:2], 500), rng.beta(*betas[2:], 500)]
        clean = bmm_clean_probability(x)
        assert (np.diff(clean[np.argsort(x)]) <= 0).all()
        assert ((clean >= 0) & (clean <= 1)).all()


def test_bmm_degenerate():
    assert bmm_clean_probability([2.0] * 4).tolist() == [1] * 4
    for losses in ([1.0] * 3, [1.0, 2.0, 3.0, np.nan], np.ones((2, 2))):
        with pytest.raises(ValueError, match="at least 4"):
            bmm_clean_probability(losses)
    for bad in [(95, 5), (-1, 95), 5, (5, "95")]:
        with pytest.raises(ValueError, match="percentiles=.* is not valid"):
            bmm_clean_probability([0.0, 1.0, 2.0, 3.0], percentiles=bad)


# Wrong events ------------------------------------------------------------------------


def published_posterior(events):
    """The published steps, in a plain loop: Beta(1, 2) and Beta(2, 1), half each."""
    x = (events - events.min()) / np.ptp(events)
    x = x.clip(1e-3, 1 - 1e-3)
    shapes, weights = [[1.0, 2.0], [2.0, 1.0]], [0.5, 0.5]

    def posterior():
        low, high = (
            w * stats.beta.pdf(x, *s) for w, s in zip(weights, shapes, strict=True)
        )
        return low / (low + high)

    for _ in range(20):
        p = posterior()
        for k, share in enumerate((p, 1 - p)):
            mean = np.average(x, weights=share)
            variance = np.average((x - mean) ** 2, weights=share)
            both = mean * (1 - mean) / variance - 1
            shapes[k], weights[k] = [mean * both, (1 - mean) * both], share.mean()
        if shapes[0][1] < 1.02:
            shapes[0][1] = 1.1
        if shapes[1][0] < 1.02:
            shapes[1][0] = 1.1
    return posterior()


def test_wrong_events_in_each_class_by_the_published_steps():
    rng = np.random.default_rng(0)
    y = np.repeat([3, 5], 300)
    rates = np.where(np.arange(600) % 5 == 0, 0.8, np.where(y == 3, 0.1, 0.4))
    events = rng.binomial(40, rng.beta(20 * rates, 20 * (1 - rates)))
    clean = wrong_event_clean_probability(y, events)
    for label in (3, 5):
        own, found = events[y == label], clean[y == label]
        expected = published_posterior(own)
        between = (own > np.percentile(own, 30)) & (own < own.max())
        np.testing.assert_allclose(found[between], expected[between], atol=1e-3)
        assert (np.diff(found[np.argsort(own)]) <= 0).all()
        alone = wrong_event_clean_probability(np.zeros(300), own)
        np.testing.assert_array_equal(found, alone)


def test_wrong_events_degenerate():
    clean = wrong_event_clean_probability
    assert clean([0] * 4 + [1] * 4, [0] * 4 + [7] * 4).tolist() == [1] * 8
    y, events = ["a"] * 20 + ["b"] * 2, [*range(10), *range(30, 40), 5, 35]
    few = clean(y, events)[-2:]  # by the mixture of all
    np.testing.assert_array_equal(few, clean(["a"] * 22, events)[-2:])
    assert few[0] > 0.9 and few[1] < 0.1
    with pytest.raises(ValueError, match=r"wrong_events of shape \(3,\) are not valid"):
        clean([0] * 3, [1, 2, 3])
    with pytest.raises(ValueError, match=r"y of shape \(5,\) is not valid with"):
        clean([0] * 5, [1, 2, 3, 4])
    with pytest.raises(ValueError, match="max_iter=0"):
        clean([0] * 4, [1, 2, 3, 4], max_iter=0)


def test_knn_votes_are_counted():
    X, y = RNG.normal(size=(60, 5)), RNG.integers(3, size=60)
    directions = X / np.linalg.norm(X, axis=1, keepdims=True)
    similarity = directions @ directions.T
    np.fill_diagonal(similarity, -np.inf)
    nearest = y[np.argsort(-similarity, axis=1)[:, :4]]
    expected = (nearest[:, :, None] == np.arange(3)).mean(axis=1)
    np.testing.assert_allclose(knn_votes(y, X, n_neighbors=4), expected)
    agreement = knn_agreement(y, X, n_neighbors=4)
    np.testing.assert_allclose(agreement, expected[np.arange(60), y])


@pytest.mark.parametrize(
    "features, n_neighbors, message",
    [
        (np.zeros((3, 2)), 1, "inconsistent numbers of samples"),
        (np.zeros((4, 2)), 4, "n_neighbors=4 is not valid: .* less than the 4"),
        (np.zeros((4, 2)), 0, "n_neighbors=0 is not valid"),
        (np.full((4, 2), np.nan), 1, "features contains NaN"),
    ],
)
def test_bad_features(features, n_neighbors, message):
    with pytest.raises(ValueError, match=message):
        knn_votes([0, 1, 0, 1], features, n_neighbors)


@pytest.mark.parametrize("noise", ["symmetric", "pair"])
def test_shrunk_transition_matrix(noise):
    """The strength is the likeliest by SciPy's distribution."""
    n, rng = 4, np.random.default_rng(0)
    T = 0.6 * np.eye(n) + 0.4 * np.roll(np.eye(n), 1, axis=1)
    if noise == "symmetric":
        T = np.full((n, n), 0.2 / (n - 1)) + (0.8 - 0.2 / (n - 1)) * np.eye(n)
    votes = np.stack([rng.multinomial(30, row) for row in T])
    rate = 1 - votes.trace() / votes.sum()
    mean = np.where(np.eye(n), 1 - rate, rate / (n - 1))
    likely = [
        dirichlet_multinomial.logpmf(votes, k * mean, 30).sum()
        for k in 2.0 ** np.arange(16)
    ]
    k = 2.0 ** np.argmax(likely)
    found = shrunk_transition_matrix(votes)
    np.testing.assert_allclose(found, (votes + k * mean) / (30 + k))
    assert k > 50 if noise == "symmetric" else k < 5
    error, raw = np.abs(found - T).sum(), np.abs(votes / 30 - T).sum()
    assert error < raw if noise == "symmetric" else error < 1.3 * raw + 0.2


def test_shrunk_transition_matrix_without_noise():
    np.testing.assert_array_equal(shrunk_transition_matrix(9 * np.eye(3)), np.eye(3))
    np.testing.assert_array_equal(shrunk_transition_matrix([[5]]), [[1.0]])


@pytest.mark.parametrize("private", ["bytes", "file", "memmap"])
def test_probabilities_in_private_memory_are_left_as_they_are(tmp_path, private):
    probs = np.random.default_rng(0).dirichlet(np.ones(3), 500)
    if private == "bytes":
        memory = mmap.mmap(-1, probs.nbytes, mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
        mapped = np.ndarray(probs.shape, buffer=memory)
    else:
        path = tmp_path / "probs"
        path.write_bytes(bytes(probs.nbytes))
        if private == "memmap":
            mapped = np.memmap(path, float, "c", shape=probs.shape)[:]
        else:
            with path.open("r+b") as file:
                memory = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_COPY)
            mapped = np.ndarray(probs.shape, buffer=memory)
    mapped[:] = probs
    find_label_errors(np.arange(500) % 3, mapped)
    np.testing.assert_array_equal(mapped, probs)
