"""Stopping before wrong labels are memorised, without clean labels."""

import copy

import numpy as np

from sknoisy.parameters import Method, check_choice, check_integer, check_real


def smoothed(values, window):
    """Return the means of each `window` values in a row, ndarray.

    Parameters
    ----------
    values : array-like of shape (n,)
        Numbers.
    window : int
        How many; there are ``n - window + 1`` means, or none.
    """
    values = np.asarray(values, dtype=np.float64)
    if len(values) < window:
        return np.empty(0)
    return np.lib.stride_tricks.sliding_window_view(values, window).mean(axis=1)


class LabelWave(Method):
    """Stop where predictions begin to change more: there memorisation begins.

    While a network learns what classes have in common, fewer predictions change from
    epoch to epoch. When it begins to memorise wrong labels, one by one, more of them
    change again. The training goes back to the epoch with the fewest changes once they
    have risen for good, and needs no clean labels for that. If they never rise, as with
    right labels or a loss that resists memorisation, it goes on to its end.

    Parameters
    ----------
    window : int, default=3
        Epochs that the moving average of the changes is taken of.
    patience : int, default=5
        Epochs without a lower average, after which the training may stop. If it is
        larger than the number of epochs, the training never does.
    rise : float, default=0.1
        How far the average must have risen by then, as a share of its minimum.
    average : bool, default=True
        Whether the network's weights, and the statistics of its batch normalisation,
        become their means over the epochs of the window. Else they are those after its
        last epoch.

    Attributes
    ----------
    epoch_ : int or None
        The last epoch of the window with the fewest changes, counted from 1.
    stopped_ : bool
        Whether the training stopped.

    Notes
    -----
    A prediction is that of the view that is trained on, made before the step, as in the
    authors' code; so nothing is computed for this but one comparison an epoch. They
    stop at the first local minimum, `rise` 0, and keep the weights after its last
    epoch, `average` False. On a plateau the first is met by chance; and the learning
    rate is still high where training stops, so that the accuracy of single epochs
    differs by several points, which the means do not.

    The mean of weights costs as many copies of them as the window has epochs.

    References
    ----------
    Yuan, Feng and Liu, Early Stopping Against Label Noise Without Validation Data,
    ICLR 2024. Izmailov et al., Averaging Weights Leads to Wider Optima and Better
    Generalization, UAI 2018.

    Examples
    --------
    >>> from sknoisy import LabelWave
    >>> changes = [0.9, 0.5, 0.4, 0.3, 0.3, 0.4, 0.5, 0.6]
    >>> LabelWave(window=1, patience=3).onset(changes)
    3
    """

    def __init__(self, window=3, patience=5, rise=0.1, average=True):
        self.window = window
        self.patience = patience
        self.rise = rise
        self.average = average

    def check(self):
        """Raise ``ValueError`` if a parameter is out of its range."""
        check_integer("window", self.window)
        check_integer("patience", self.patience)
        check_real("rise", self.rise, "[0, inf)")
        check_choice("average", self.average, [True, False])

    def onset(self, changes):
        """Return where memorisation begins, if it does.

        Parameters
        ----------
        changes : array-like of shape (n_epochs,)
            Share of the samples whose prediction was not that of the epoch before.

        Returns
        -------
        position : int or None
            In `changes`, the last epoch of the window with the fewest of them; None if
            they have not risen enough after it.
        """
        means = smoothed(changes, self.window)
        for last in range(self.patience, len(means)):
            lowest = int(means[: last + 1].argmin())
            risen = means[last] >= (1 + self.rise) * means[lowest]
            if last - lowest >= self.patience and risen:
                return lowest + self.window - 1
        return None

    def start(self):
        """Begin a training."""
        self.epoch_, self.stopped_ = None, False
        self.changes_, self.recent_, self.kept_ = [], [], None

    def after_epoch(self, epoch, changes, weights, others):
        """Note an epoch; return whether the training is to stop.

        Parameters
        ----------
        epoch : int
            Its number, from 1.
        changes : float
            Share of the samples whose prediction changed.
        weights : dict of str to tensor
            The network's state after the epoch.
        others : callable
            Returns what else is to be restored.

        Returns
        -------
        stopped : bool
            Then ``kept_`` holds what to go back to: "weights" and "others".
        """
        self.changes_.append(changes)
        weights = {name: tensor.detach().clone() for name, tensor in weights.items()}
        self.recent_ = [*self.recent_, weights][-self.window :]
        means = smoothed(self.changes_, self.window)
        if len(means) and means.argmin() == len(means) - 1:
            self.epoch_ = epoch
            recent = self.recent_ if self.average else self.recent_[-1:]
            self.kept_ = {"weights": mean_state(recent)}
            self.kept_["others"] = copy.deepcopy(others())
        self.stopped_ = self.onset(self.changes_) is not None
        return self.stopped_


def mean_state(states):
    """Return the mean of state dicts; of integers, those of the last one.

    Parameters
    ----------
    states : list of dict of str to tensor
        Of one network.
    """
    mean = dict(states[-1])
    for name, tensor in mean.items():
        if tensor.is_floating_point() and len(states) > 1:
            total = sum(state[name].double() for state in states)
            mean[name] = (total / len(states)).to(tensor.dtype)
    return mean


STOPPING = {"label_wave": LabelWave}
