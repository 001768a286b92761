import mmap

import numpy as np
import pytest

from sknoisy.scores import (
    area_under_margin,
    confidence_weighted_entropy,
    confident_joint,
    confident_thresholds,
    estimate_noise_rate,
    estimate_transition_matrix,
    find_label_errors,
    normalized_margin,
    pairwise_confidence,
    self_confidence,
)
from sknoisy.scores.confident import RULES

RNG = np.random.default_rng(0)
PUBLISHED = [self_confidence, normalized_margin, confidence_weighted_entropy]
QUALITIES = [*PUBLISHED, pairwise_confidence]


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


@pytest.mark.parametrize("score", PUBLISHED)
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


def test_pairwise_confidence_by_hand():
    p = [[0.7, 0.2, 0.1], [0.0, 0.6, 0.4], [0.0, 0.9, 0.1], [0.2, 0.8, 0.0]]
    by_hand = [0.7 + 1 / 6, 1 / 6, 1 / 6, 0.2 + 1 / 6]
    by_hand /= np.array([0.9, 0.6, 0.9, 1.0]) + 1 / 3
    np.testing.assert_allclose(pairwise_confidence([0] * 4, p, range(3)), by_hand)


def test_qualities_order_two_classes_alike():
    y, p = random_case(3, 2)
    order = np.argsort(self_confidence(y, p), kind="stable")
    for score in (normalized_margin, pairwise_confidence):
        assert (np.diff(score(y, p)[order]) >= -1e-12).all()


@pytest.mark.parametrize("score", [*PUBLISHED[1:], pairwise_confidence])
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
