"""Tables of labels, and consensus against the packages of the authors."""

import warnings

import numpy as np
import pandas as pd
import pytest

from sknoisy.annotators import (
    active_scores,
    crowdlab,
    dawid_skene,
    majority_vote,
    read_annotations,
)
from sknoisy.annotators.training import most_votes
from sknoisy.estimators.soft_training import weighted_copies


def random_table(seed, n=200, n_classes=4, n_annotators=6, share=0.6):
    """True classes, a table with gaps, and probabilities."""
    rng = np.random.default_rng(seed)
    true = rng.integers(n_classes, size=n)
    wrong = rng.random((n, n_annotators)) < np.linspace(0.1, 0.6, n_annotators)
    others = (true[:, None] + rng.integers(1, n_classes, wrong.shape)) % n_classes
    table = np.where(wrong, others, true[:, None]).astype(float)
    table[rng.random(table.shape) > share] = np.nan
    empty = np.isnan(table).all(axis=1)
    table[empty, 0] = true[empty]
    logits = rng.normal(size=(n, n_classes)) + 2 * np.eye(n_classes)[true]
    return true, table, np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)


def crowd(seed):
    """As crowds are: many annotators, most of them with few labels, rare classes."""
    rng = np.random.default_rng(seed)
    n, n_annotators, n_classes = 400, 60, 8
    true = rng.choice(n_classes, size=n, p=np.arange(1, 9) / 36)
    busy = rng.zipf(1.5, n_annotators).clip(max=50).astype(float)
    table = np.full((n, n_annotators), np.nan)
    skill = rng.beta(6, 2, n_annotators)
    for i in range(n):
        who = rng.choice(
            n_annotators, rng.integers(1, 6), replace=False, p=busy / busy.sum()
        )
        right = rng.random(len(who)) < skill[who]
        table[i, who] = np.where(right, true[i], rng.integers(n_classes, size=len(who)))
    table = table[:, ~np.isnan(table).all(axis=0)]
    probs = rng.dirichlet(np.ones(n_classes), n) + 2 * np.eye(n_classes)[true]
    return true, table, probs / probs.sum(axis=1, keepdims=True)


TABLES = [(random_table, 0), (random_table, 1), (crowd, 0), (crowd, 1)]


@pytest.mark.parametrize("make, seed", TABLES)
def test_crowdlab_is_the_authors(make, seed):
    multiannotator = pytest.importorskip("cleanlab.multiannotator")
    _, table, probs = make(seed)
    theirs = multiannotator.get_label_quality_multiannotator(
        table, probs, return_weights=True, verbose=False
    )
    classes = np.arange(probs.shape[1])
    ours = crowdlab(table, probs, classes)
    quality = theirs["label_quality"]
    np.testing.assert_array_equal(ours.labels, quality["consensus_label"])
    close = {"rtol": 0, "atol": 1e-6}
    np.testing.assert_allclose(
        ours.label_quality, quality["consensus_quality_score"], **close
    )
    detailed = theirs["detailed_label_quality"].to_numpy()
    np.testing.assert_allclose(ours.annotation_quality, detailed, **close)
    # In the order of the columns, not of the quality.
    stats = theirs["annotator_stats"].sort_index()["annotator_quality"].to_numpy()
    known = ~np.isnan(stats)
    np.testing.assert_allclose(ours.annotator_quality[known], stats[known], **close)
    np.testing.assert_allclose(
        ours.annotator_weights, theirs["annotator_weight"], **close
    )
    assert ours.model_weight == pytest.approx(theirs["model_weight"], abs=1e-6)
    np.testing.assert_allclose(ours.soft_labels.sum(axis=1), 1)


def test_crowdlab_by_hand():
    """Two classes, three samples: P, E and the weights as in the paper."""
    table = [[0, 0, 1], [1, 1, 1], [0, 1, 1]]
    probs = np.array([[0.9, 0.1], [0.2, 0.8], [0.6, 0.4]])
    found = crowdlab(table, probs)
    # Consensus 0, 1, 1; shares that agree 2/3, 1, 2/3; the constant 1 errs in 1/3.
    P, E = 7 / 9, 1 / 3
    agreement = np.array([3, 4, 3]) / 6  # of the pairs with two others
    weights = np.maximum(1 - (1 - agreement) / E, 1e-6)
    model = max(1 - (1 / 3) / E, 1e-6) * 3**0.5
    votes = np.where(np.array(table)[0] == 0, P, 1 - P)
    expected = (model * 0.9 + weights @ votes) / (model + weights.sum())
    np.testing.assert_allclose(found.annotator_weights, weights)
    assert found.soft_labels[0, 0] == pytest.approx(expected)


def test_active_scores():
    """The formula of ActiveLab; the order of cleanlab's for one label a sample."""
    multiannotator = pytest.importorskip("cleanlab.multiannotator")
    _, table, probs = random_table(0)
    found = crowdlab(table, probs)
    w, model = found.annotator_weights, found.model_weight
    for i in range(20):
        own = w[~np.isnan(table[i])].sum() + model
        expected = np.average([found.label_quality[i], 1 / 4], weights=[own, w.mean()])
        assert active_scores(found)[i] == pytest.approx(expected)
    single = np.where(np.isnan(table[:, 0]), 3.0, table[:, 0])
    theirs, _ = multiannotator.get_active_learning_scores(single[:, None], probs)
    kept = probs.argmax(axis=1) == single  # else the consensus is not the label
    ours = active_scores(crowdlab(single, probs))
    np.testing.assert_array_equal(np.argsort(ours[kept]), np.argsort(theirs[kept]))
    with pytest.raises(ValueError, match="needs a consensus of CROWDLAB"):
        active_scores(majority_vote(table))


@pytest.mark.filterwarnings("ignore:::crowdkit")
@pytest.mark.parametrize("make, seed", TABLES)
def test_votes_and_dawid_skene_are_crowd_kits(make, seed):
    aggregation = pytest.importorskip("crowdkit.aggregation")
    true, table, _ = make(seed)
    rows, columns = np.nonzero(~np.isnan(table))
    names = np.array([f"class {c}" for c in range(20)], dtype=object)
    labels = names[table[rows, columns].astype(int)]
    frame = pd.DataFrame({"task": rows, "worker": columns, "label": labels})
    given = np.full(table.shape, None, dtype=object)
    given[rows, columns] = labels
    never = -np.inf  # crowd-kit's own bound may fall, so that it ends too early
    for ours, theirs in (
        (majority_vote(given), aggregation.MajorityVote()),
        (dawid_skene(given, n_iter=3), aggregation.DawidSkene(3, never)),
        (dawid_skene(given, n_iter=15, tol=0), aggregation.DawidSkene(15, never)),
    ):
        probs = theirs.fit_predict_proba(frame).sort_index()[ours.classes.tolist()]
        np.testing.assert_allclose(ours.soft_labels, probs, rtol=0, atol=1e-6)
        surest = np.sort(probs.to_numpy(), axis=1)
        clear = surest[:, -1] - surest[:, -2] > 1e-6
        expected = theirs.labels_.sort_index().to_numpy()
        np.testing.assert_array_equal(ours.labels[clear], expected[clear])
        assert (ours.labels == names[true]).mean() > 0.65


def test_annotators_of_a_majority_vote_by_hand():
    table = [[0, 0, 1, None], [1, 1, 0, None], [2, 2, 2, None], [0, None, 1, None]]
    found = majority_vote(np.array(table, dtype=object), classes=[0, 1, 2])
    assert found.labels.tolist() == [0, 1, 2, 0]  # of a tie the first class
    np.testing.assert_array_equal(found.annotator_quality, [1, 1, 0.25, np.nan])


@pytest.mark.parametrize("seed", range(8))
def test_dawid_skene_ends_where_the_likelihood_is_greatest(seed):
    rng = np.random.default_rng(seed)
    true = rng.integers(3, size=300)
    confused = np.array([[rng.dirichlet(1 + 5 * row) for row in np.eye(3)]] * 5)
    table = [[rng.choice(3, p=matrix[k]) for matrix in confused] for k in true]
    table = np.where(rng.random((300, 5)) < 0.4, np.nan, table)
    table = table[~np.isnan(table).all(axis=1)]

    def likelihood(soft):
        given = [[table[:, j] == c for c in range(3)] for j in range(5)]
        errors = np.array([[soft[c].sum(axis=0) for c in row] for row in given])
        errors = (errors / errors.sum(axis=1, keepdims=True)).clip(1e-10)
        joint = np.tile(soft.mean(axis=0), (len(table), 1))
        for j, row in enumerate(given):
            for c, rows in enumerate(row):
                joint[rows] *= errors[j, c]
        return np.log(joint.sum(axis=1)).sum()

    softs = [
        dawid_skene(table, n_iter=n, tol=0).soft_labels for n in (1, 2, 4, 8, 16, 4000)
    ]
    steps = [likelihood(soft) for soft in softs]
    assert (np.diff(steps) > -1e-8).all() and steps[-1] > steps[0] + 0.1
    np.testing.assert_allclose(dawid_skene(table).soft_labels, softs[-1], atol=0.02)


@pytest.mark.parametrize("seed", range(5))
def test_a_class_without_a_label_stays_without(seed):
    _, table, _ = random_table(seed, n=60, n_annotators=3)
    more = dawid_skene(table, classes=range(6))
    np.testing.assert_array_equal(more.soft_labels[:, 4:], 0)
    np.testing.assert_allclose(
        more.soft_labels[:, :4], dawid_skene(table).soft_labels, atol=1e-8
    )


def test_dawid_skene_knows_whom_to_trust():
    rng = np.random.default_rng(0)
    true = rng.integers(3, size=600)
    swaps = np.array([1, 0, 2])[true]  # confuses two classes, always
    noise = rng.integers(3, size=600)
    right = np.where(rng.random((2, 600)) < 0.8, true, rng.integers(3, size=(2, 600)))
    quality = dawid_skene(np.stack([*right, swaps, noise], axis=1)).annotator_quality
    np.testing.assert_allclose(quality, [0.87, 0.87, 0.33, 0.33], atol=0.06)


def test_tables_of_every_kind_are_read_alike():
    table = np.array([[0, 1, np.nan], [2, np.nan, 2], [1, 1, 0]])
    names = ["ann", "bob", "cy"]
    frame = pd.DataFrame(table, columns=names)
    long = frame.reset_index(names="sample").melt(
        "sample", var_name="annotator", value_name="label"
    )
    long = long.dropna().sample(frac=1, random_state=0)
    kinds = [
        table,
        table.tolist(),
        frame,
        frame.astype("Int64"),
        frame.astype("category"),
        np.where(np.isnan(table), None, table.astype(object)),
        long,
        long.assign(label=long["label"].astype(int)),
    ]
    for kind in kinds:
        read = read_annotations(kind)
        np.testing.assert_array_equal(read.rows, [0, 0, 1, 1, 2, 2, 2])
        np.testing.assert_array_equal(read.columns, [0, 1, 0, 2, 0, 1, 2])
        np.testing.assert_array_equal(read.codes, [0, 1, 2, 2, 1, 1, 0])
        np.testing.assert_array_equal(read.classes, [0, 1, 2])
    for kind in (frame, frame.astype("Int64"), long):
        assert read_annotations(kind).annotators.tolist() == names
    text = [["a", None], [np.nan, "b"], ["b", "a"]]
    for kind in (text, pd.DataFrame(text), pd.DataFrame(text).astype("string")):
        read = read_annotations(kind)
        assert read.classes[read.codes].tolist() == ["a", "b", "b", "a"]
    one = read_annotations([2, 0, 2])
    assert one.annotators.tolist() == [0] and one.codes.tolist() == [1, 0, 1]
    assert read_annotations(one) is one


def test_samples_of_a_long_table():
    long = pd.DataFrame(
        {"sample": ["x", "z", "x"], "annotator": ["b", "a", "a"], "label": [1, 0, 0]}
    )
    read = read_annotations(long)
    assert read.samples.tolist() == ["x", "z"] and read.rows.tolist() == [0, 0, 1]
    read = read_annotations(long, samples=["z", "y", "x"])
    assert read.rows.tolist() == [0, 2, 2] and read.n_labels.tolist() == [1, 0, 2]
    with pytest.raises(ValueError, match="'z' are not among the 1 samples"):
        read_annotations(long, samples=["x"])
    with pytest.raises(ValueError, match="annotator 'a' labels sample 'x' more than"):
        read_annotations(pd.concat([long, long.iloc[2:]]))
    with pytest.raises(
        ValueError, match="y is not valid: it has no column 'annotator'"
    ):
        read_annotations(long.rename(columns={"annotator": "worker"}))
    with pytest.raises(ValueError, match="column 'label' of y .* first in row 1"):
        read_annotations(long.assign(label=[1, None, 0]))


def test_a_long_table_of_samples_with_one_name():
    """Their labels would all be those of one of them."""
    long = pd.DataFrame({"sample": ["x"], "annotator": ["a"], "label": [0]})
    with pytest.raises(ValueError, match="^samples, .* 'x' occur in it several times"):
        read_annotations(long, samples=["x", "y", "x"])
    names = pd.DataFrame({"sample": [0, 0], "annotator": ["a", 7], "label": [0, 1]})
    with pytest.raises(ValueError, match="column 'annotator' .* of one type"):
        read_annotations(names)


def test_masked_labels_are_none():
    masked = np.ma.array([[0, 9], [1, 1]], mask=[[0, 1], [0, 0]])
    read, plain = read_annotations(masked), read_annotations([[0, None], [1, 1]])
    assert read.rows.tolist() == plain.rows.tolist() == [0, 1, 1]
    assert read.classes.tolist() == plain.classes.tolist() == [0, 1]


def test_gaps_among_dates():
    read = read_annotations(np.array([["2020", "NaT"]], dtype="M8[Y]"))
    assert read.columns.tolist() == [0]


def test_crowdlab_refuses_classes_in_another_order():
    """The columns of probabilities would be those of other classes."""
    y, probs = [["b", "a"], ["a", "a"]], [[0.9, 0.1], [0.2, 0.8]]
    with pytest.raises(ValueError, match=r"classes=\['b', 'a'\] is not valid.* sorted"):
        crowdlab(y, probs, classes=["b", "a"])


def test_probabilities_in_another_order_than_the_samples():
    """As of a long table, whose names are sorted: "s10" comes before "s9"."""
    names = [f"s{i}" for i in range(12)]
    table = pd.DataFrame([[i % 2, i % 2, 0] for i in range(12)], names, list("abc"))
    probs = pd.DataFrame([[0.9, 0.1], [0.2, 0.8]] * 6, names)
    expected = crowdlab(table, probs)
    np.testing.assert_array_equal(expected.labels, [0, 1] * 6)
    long = table.rename_axis("sample").reset_index()
    long = long.melt("sample", var_name="annotator", value_name="label")
    for y in (long, read_annotations(long), table.sort_index()):
        with pytest.raises(
            ValueError, match="pred_probs has the samples of y in anoth"
        ):
            crowdlab(y, probs)
        found = crowdlab(y, probs.sort_index())
        np.testing.assert_array_equal(
            found.labels, expected.labels[table.index.argsort()]
        )
    again = crowdlab(read_annotations(long, samples=names), probs)
    np.testing.assert_array_equal(again.labels, expected.labels)


def test_classes_of_annotations_that_were_read_already():
    read, probs = read_annotations([["b", "c"], ["c", "c"]]), np.eye(3)[[1, 2]]
    again = read_annotations(read, classes=["a", "b", "c"])
    assert again.classes.tolist() == ["a", "b", "c"]
    assert again.codes.tolist() == [1, 2, 2, 2] and read.codes.tolist() == [0, 1, 1, 1]
    assert crowdlab(read, probs, classes=["a", "b", "c"]).labels.tolist() == ["b", "c"]
    with pytest.raises(ValueError, match="labels that are not among the classes: 'b'"):
        majority_vote(read, classes=["a", "c"])


def test_gaps_that_became_texts_are_told_of():
    table = pd.DataFrame({"ann": [0, 1, None], "bob": [0, 1, 1]}, dtype=object)
    with pytest.warns(UserWarning, match="y holds 'None' as a text, and it counts as"):
        read_annotations(table.map(str))
    with pytest.warns(UserWarning, match="y holds 'nan' as a text"):
        read_annotations(np.array([["cat", np.nan], ["dog", "dog"]]))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        read_annotations([["none", None], ["cat", "cat"]])
        read_annotations([["None", "cat"]], classes=["None", "cat"])


def test_tables_that_are_read_as_something_else():
    y = pd.DataFrame({"item": [1, 2], "worker": ["a", "b"], "answer": [0, 1]})
    with pytest.raises(ValueError, match="must have the columns 'sample', 'annotator"):
        read_annotations(y)
    wide = pd.DataFrame({"id": range(20), "ann": [0, 1] * 10, "bob": [1, 0] * 10})
    with pytest.warns(UserWarning, match="annotator 'id' gives each sample a class"):
        read_annotations(wide)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        read_annotations(wide.set_index("id"))


@pytest.mark.parametrize(
    "y, message",
    [
        ([[np.nan, None]], "holds no label"),
        ([], "holds no label"),
        (np.empty((0, 3)), "holds no label"),
        ([[0, 1], [0]], "y is not valid: its rows must be equally long"),
        ([[["a"]]], "must be of shape"),
        ([[0.5, 1.2]], "Unknown label type"),
        ([["a", 1]], "mixes strings and numbers"),
        ([["a", ""], ["", " "]], "3 empty strings: .* it must be NaN, None or pandas"),
    ],
)
def test_bad_tables(y, message):
    with pytest.raises(ValueError, match=message):
        read_annotations(y)


def test_samples_and_annotators_without_labels():
    _, table, probs = random_table(0)
    more = np.column_stack(
        [np.vstack([table, np.full((1, 6), np.nan)]), np.full(201, np.nan)]
    )
    probs = np.vstack([probs, [[0.1, 0.2, 0.3, 0.4]]])
    found, plain = crowdlab(more, probs), crowdlab(table, probs[:-1])
    np.testing.assert_allclose(found.soft_labels[:-1], plain.soft_labels)
    np.testing.assert_allclose(found.soft_labels[-1], probs[-1])
    np.testing.assert_allclose(found.annotator_quality[:-1], plain.annotator_quality)
    assert found.labels[-1] == 3 and np.isnan(found.annotator_quality[-1])
    np.testing.assert_allclose(active_scores(found)[:-1], active_scores(plain))
    for method in (majority_vote, dawid_skene):
        with pytest.raises(ValueError, match="no label for the samples 200"):
            method(more)


def test_one_annotator():
    """The label and the classifier count alike: where they differ, quality is low."""
    true, _, probs = random_table(0)
    y = np.where(np.arange(200) < 20, (true + 1) % 4, true)
    found = crowdlab(y, probs)
    assert found.model_weight == pytest.approx(found.annotator_weights[0])
    given = found.annotation_quality[:, 0]
    assert given[:20].mean() < given[20:].mean() - 0.2
    # A sample of one annotator alone beside others who share samples.
    _, table, probs = random_table(1)
    lone = np.full((200, 1), np.nan)
    table = np.hstack([table, lone])
    table[0] = np.nan
    table[0, -1] = 2
    assert 0 < crowdlab(table, probs).annotator_quality[-1] < 1


def test_most_votes():
    """Equal votes are decided by who agrees most with others."""
    table = [[0, 0, 1], [1, 1, 0], [2, 2, 2], [0, None, 1], [None, 1, 2]]
    read = read_annotations(table)
    np.testing.assert_array_equal(most_votes(read), [0, 1, 2, 0, 1])


def test_weighted_copies():
    soft = np.array([[0.5, 0.48, 0.02], [0.0, 0.0, 1.0]])
    rows, codes, weights = weighted_copies(soft)
    assert rows.tolist() == [0, 0, 1] and codes.tolist() == [0, 1, 2]
    np.testing.assert_allclose(weights, [0.5 / 0.98, 0.48 / 0.98, 1])
    even = np.full((1, 40), 1 / 40)
    np.testing.assert_allclose(weighted_copies(even)[2], 1 / 40)


def test_a_consensus_prints_in_one_line():
    names = [f"{k:02d}" for k in range(40)]
    table = pd.DataFrame(np.tile([["a"], ["b"]], (600, 40)), columns=names)
    table.iloc[0, 0] = None
    found = majority_vote(table)
    assert repr(found) == (
        "Consensus(47,999 labels of 1,200 samples, classes: 'a', 'b', annotators: "
        "'00', '01', '02', '03', '04' and 35 more)"
    )
    assert repr(found.annotations).startswith("Annotations(47,999 labels of 1,200 ")


@pytest.mark.parametrize(
    ("table", "told"),
    [
        ([[0, 1, -1], [1, 2, 2], [-1, 0, 0]], True),
        ([["0", "1"], ["-1", "0"]], True),
        ([[0.0, 1.0], [-1.0, 0.0]], True),
        ([[-1, 1], [1, -1]], False),  # two classes, as they are often written
        ([[-1, 0], [0, -1]], False),
        ([[-1, 0], [1, None]], False),  # there, gaps say that there is no label
        ([[-1, 3], [5, 3]], False),
    ],
)
def test_minus_one_is_a_class_and_told_where_it_may_be_none(table, told):
    with warnings.catch_warnings(record=True) as found:
        warnings.simplefilter("always")
        read = read_annotations(table)
    assert [str(label) for label in read.classes][0].startswith("-1")
    assert ["it counts as a class" in str(w.message) for w in found] == [True] * told


def test_dawid_skene_of_annotators_with_few_labels_warns():
    """One label for each annotator: no vote is better than another."""
    rng = np.random.default_rng(0)
    true = rng.integers(0, 3, 90)
    given = np.where(rng.random((90, 3)) < 0.8, true[:, None], 0)
    alone = {
        "sample": np.repeat(np.arange(90), 3),
        "annotator": np.arange(270),
        "label": given.ravel(),
    }
    with pytest.warns(UserWarning, match="who gave 1 or fewer.*confuses 3 classes"):
        dawid_skene(pd.DataFrame(alone))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        dawid_skene(given)
        majority_vote(pd.DataFrame(alone))
