"""Cached pre-trainings: an equal one is not done again."""

from sklearn.base import clone

from sknoisy import ranks
from sknoisy._compat import without_callbacks
from sknoisy._version import __version__
from sknoisy.data.devices import resolve_device, resolve_precision
from sknoisy.data.inputs import by_value, file_stamps, is_paths
from sknoisy.training.callbacks import changing
from sknoisy.training.identity import checked_hash
from sknoisy.training.own_code import sources


def cached_pretraining(pretrainer, memory, inputs, trained, labels, call, seeds):
    """Pre-train, or take the result of an equal training from the cache.

    Parameters
    ----------
    pretrainer : SSLPretrainer
        What is fitted; its parameters and code tell trainings apart.
    memory : joblib.Memory
        The cache.
    inputs, trained, labels, call, seeds : object
        What ``pretrainer._pretrain`` takes.

    Returns
    -------
    learned : tuple
        What ``pretrainer._pretrain`` returns.

    Raises
    ------
    ValueError
        If a parameter has no name that other processes know, such as a lambda.
    """
    kind = "image" if is_paths(inputs) or inputs.ndim > 2 else "vector"
    device = resolve_device(pretrainer.device)
    lower = resolve_precision(pretrainer.precision, device, kind)
    plain = without_callbacks(clone(pretrainer)).set_params(
        # With its settings: the defaults of a name may change.
        method=pretrainer._method(),
        precision="bfloat16" if lower else "float32",  # "auto" is the machine's
        random_state=None,
        memory=None,
        output="lazy",
        callbacks=None,
        verbose=None,
    )
    weights = pretrainer.weights
    files = [] if weights in (None, "imagenet") else [weights]
    keeper = f"memory={str(memory.location)!r}"
    for name, value in plain.get_params(deep=False).items():
        checked_hash(name, value, keeper)
    changes = changing(pretrainer.callbacks)
    checked_hash("callbacks", changes, keeper)
    data = by_value(inputs), trained, labels, pretrainer._monitored(call.y)
    code = __version__, sources(plain), changes, file_stamps(files)
    # Without a random_state, any equal training will do.
    drawn = None if pretrainer.random_state is None else seeds
    given = inputs, trained, labels, call, seeds
    cached = memory.cache(_pretrain_cached, ignore=["given"])
    return ranks.cached_call(cached, plain, (data, code, drawn), given)


def _pretrain_cached(pretrainer, key, given):
    """Pre-train; what is learned is cached by the pre-trainer and a key."""
    return pretrainer._pretrain(*given)
