"""Where other packages describe what our pages name, for builds without a network.

Sphinx asks the packages' sites for all that they describe. Where it cannot, it takes
what stands here, so that pages are built, and linked, in the same way everywhere.
"""

import zlib

SKLEARN = "https://scikit-learn.org/stable/"
TORCH = "https://docs.pytorch.org/docs/stable/"
NUMPY = "https://numpy.org/doc/stable/"
NAMES = {
    "sklearn": [
        "class sklearn.base.BaseEstimator",
        "class sklearn.compose.ColumnTransformer",
        "class sklearn.ensemble.RandomForestClassifier",
        "class sklearn.linear_model.LogisticRegression",
        "class sklearn.model_selection.GridSearchCV",
        "class sklearn.pipeline.Pipeline",
        "class sklearn.preprocessing.OneHotEncoder",
        "class sklearn.preprocessing.StandardScaler",
        "function sklearn.compose.make_column_transformer",
        "function sklearn.datasets.load_digits",
        "function sklearn.datasets.load_iris",
        "function sklearn.metrics.accuracy_score",
        "function sklearn.model_selection.cross_val_score",
        "function sklearn.model_selection.train_test_split",
        "function sklearn.pipeline.make_pipeline",
    ],
    "torch": [
        "class torch.nn.Module",
        "class torch.optim.AdamW",
        "class torch.optim.SGD",
    ],
    "numpy": ["class numpy.ndarray"],
}
PATTERNS = {
    "sklearn": "modules/generated/{}.html#{}",
    "torch": "generated/{}.html#{}",
    "numpy": "reference/generated/{}.html#{}",
}
# Sections of scikit-learn's manual that docstrings refer to which estimators inherit.
OUTPUT = "auto_examples/miscellaneous/plot_set_output.html set_output"
LABELS = {
    "sklearn": {
        "accuracy_score": "modules/model_evaluation.html#accuracy-score Accuracy score",
        "df_output_transform": OUTPUT,
        "metadata_routing": "metadata_routing.html#metadata-routing Metadata Routing",
        "sphx_glr_auto_examples_miscellaneous_plot_set_output.py": OUTPUT,
    }
}


def write(folder):
    """Write the inventories, and return the mapping of ``sphinx.ext.intersphinx``."""
    folder.mkdir(parents=True, exist_ok=True)
    mapping = {}
    for package, url in (("sklearn", SKLEARN), ("torch", TORCH), ("numpy", NUMPY)):
        lines = [
            f"{name} py:{role} 1 {PATTERNS[package].format(name, name)} -"
            for role, name in (entry.split() for entry in NAMES[package])
        ]
        for label, where in LABELS.get(package, {}).items():
            lines.append(f"{label} std:label -1 {where}")
        head = f"# Sphinx inventory version 2\n# Project: {package}\n# Version: \n"
        head += "# The remainder of this file is compressed using zlib.\n"
        path = folder / f"{package}.inv"
        body = "".join(f"{line}\n" for line in lines)
        path.write_bytes(head.encode() + zlib.compress(body.encode()))
        mapping[package] = (url, (None, str(path)))
    return mapping
