import pickle

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.datasets import load_iris
from sklearn.model_selection import GridSearchCV

from sknoisy import APL, ELR, GCE, Forward, NoisyRobustClassifier, SimCLR
from sknoisy.cotraining import COTRAINING_METHODS
from sknoisy.losses import LOSSES
from sknoisy.views import ImageViews


def test_methods_are_equal_by_class_and_parameters():
    T = np.array([[0.8, 0.2], [0.4, 0.6]])
    pairs = [ELR(lam=3), Forward(T), SimCLR(views=ImageViews()), APL(passive=None)]
    for method in pairs:
        for copy in (clone(method), pickle.loads(pickle.dumps(method))):
            assert copy == method
            assert hash(copy) == hash(method)
    assert ELR(lam=1) != ELR(lam=2) != GCE()
    assert Forward(T) != Forward(T.T) != Forward()
    assert ELR() != "elr"


def test_what_is_not_a_parameter_does_not_count():
    loss = ELR()
    loss.state_ = {"target": np.zeros(3)}
    assert loss == ELR()


def test_methods_and_names_are_sorted_by_name_and_then_by_number():
    methods = [ELR(lam=10), "gce", ELR(lam=3), "ce", GCE(q=0.5), ELR(lam=None)]
    expected = ["ce", ELR(lam=3), ELR(lam=10), ELR(lam=None), "gce", GCE(q=0.5)]
    assert sorted(methods) == sorted(reversed(methods)) == expected
    assert ELR() >= ELR() and "elr" < ELR() and ELR() > "elr"
    with pytest.raises(TypeError):
        ELR() < 3  # noqa: B015


@pytest.mark.parametrize("registry", [LOSSES, COTRAINING_METHODS], ids=["loss", "co"])
def test_registered_methods_are_distinct_and_sorted(registry):
    methods = [make() for make in registry.values()]
    assert len(set(methods)) == len(methods)
    assert sorted(methods) == sorted(reversed(methods))


def test_a_method_prints_on_one_line():
    assert str(ELR(lam=5.0)) == "ELR(lam=5.0)"
    assert str(ELR()) == "ELR()"
    assert str(Forward(np.eye(10))) == (
        "Forward(transition_matrix=array of shape (10, 10))"
    )
    assert str(APL("nce", None)) == "APL(active='nce', passive=None)"


def test_results_of_a_search_are_grouped_and_pivoted():
    pd = pytest.importorskip("pandas")
    X, y = load_iris(return_X_y=True)
    grid = {"loss": [ELR(lam=10.0), "ce", ELR(lam=2.0)], "max_epochs": [1, 2]}
    search = GridSearchCV(NoisyRobustClassifier(random_state=0), grid, cv=2).fit(X, y)
    table = pd.DataFrame(search.cv_results_)
    scores = table.groupby("param_loss")["mean_test_score"].mean()
    assert [*scores.index] == ["ce", ELR(lam=2.0), ELR(lam=10.0)]
    pivot = table.pivot(
        index="param_loss", columns="param_max_epochs", values="mean_test_score"
    )
    row = (table["param_loss"] == ELR(lam=2.0)) & (table["param_max_epochs"] == 1)
    assert pivot[1].iloc[1] == table.loc[row, "mean_test_score"].item()
    assert table.sort_values("param_loss")["param_loss"].tolist()[-1] == ELR(lam=10.0)
