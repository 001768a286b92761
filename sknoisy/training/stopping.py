"""Stopping before wrong labels are memorised, without clean labels."""

import copy

import numpy as np

from sknoisy.checks import check_choice, check_integer, check_real
from sknoisy.data.devices import with_float64
from sknoisy.parameters import Method


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
    """Stop when predictions begin to change more, as memorisation begins.

    While a network learns what is common to a class, fewer and fewer predictions change
    from epoch to epoch. When it begins to memorise wrong labels, one by one, more of
    them change again. Once the changes have risen for good, the training returns to the
    epoch with the fewest changes. No clean labels are needed. If the changes never
    rise, as with a loss that resists memorisation, the training runs to its end.

    Parameters
    ----------
    among : {"wrong", "all"}, default="wrong"
        Which predictions are watched: those that differed from the label in the
        previous epoch, or all, as published. A prediction that has become the label
        does not change any more, so the changes among all predictions may become fewer
        while wrong labels are memorised.
    window : int, default=5
        Number of epochs in the moving average of the changes.
    patience : int, default=5
        Number of epochs without a lower average after which the training may stop. If
        it is larger than the number of epochs, the training never stops.
    rise : float, default=0.02
        How far the average must have risen above its minimum by then, as a share of all
        samples.
    average : bool, default=True
        Whether the network's weights, and the statistics of its batch normalisation,
        become their means over the epochs of the window. Otherwise they are those after
        its last epoch.

    Attributes
    ----------
    epoch_ : int or None
        The last epoch of the window with the fewest changes, counted from 1.
    stopped_ : bool
        Whether the training stopped.

    Notes
    -----
    As in the authors' code, predictions are those made in training, for the view that
    is trained on, so the only additional computation is one comparison an epoch. The
    authors take ``among="all"``, ``rise=0``, which stops at the first local minimum,
    and ``average=False``. But if few predictions change at all, as with right labels,
    such minima are due to chance. Moreover, the learning rate is still high when the
    training stops, so the accuracy of single epochs differs by several points; that of
    the mean weights does not.

    A network that memorises right labels, which is useful, changes its predictions in
    the same way. Use this rule only where many labels are wrong.

    Averaging needs memory for as many copies of the weights as the window has epochs.

    References
    ----------
    Yuan, Feng and Liu, Early Stopping Against Label Noise Without Validation Data,
    ICLR 2024. Izmailov et al., Averaging Weights Leads to Wider Optima and Better
    Generalization, UAI 2018.

    Examples
    --------
    >>> from sknoisy import LabelWave
    >>> changes = [0.9, 0.5, 0.4, 0.3, 0.3, 0.4, 0.5, 0.6]
    >>> LabelWave(window=1, patience=3).onset(changes, wrong=[0.5] * 8)
    3
    """

    def __init__(self, among="wrong", window=5, patience=5, rise=0.02, average=True):
        self.among = among
        self.window = window
        self.patience = patience
        self.rise = rise
        self.average = average

    def check(self):
        """Raise ``ValueError`` if a parameter is out of its range."""
        check_choice("among", self.among, ["wrong", "all"])
        check_integer("window", self.window)
        check_integer("patience", self.patience)
        check_real("rise", self.rise, "[0, 1]")
        check_choice("average", self.average, [True, False])

    def onset(self, changes, wrong=1.0):
        """Return where memorisation begins, if it does.

        Parameters
        ----------
        changes : array-like of shape (n_epochs,)
            Share of the watched predictions that differ from the previous epoch's.
        wrong : float or array-like of shape (n_epochs,), default=1.0
            Share of all predictions that are watched.

        Returns
        -------
        position : int or None
            Position in `changes` of the last epoch of the window with the fewest
            changes; None if they have not risen enough after it.
        """
        means = smoothed(changes, self.window)
        wrong = smoothed(np.broadcast_to(wrong, len(changes)), self.window)
        for last in range(len(means)):
            lowest = int(means[: last + 1].argmin())
            risen = wrong[last] * (means[last] - means[lowest]) >= self.rise
            if last - lowest >= self.patience and risen:
                return lowest + self.window - 1
        return None

    def watched(self, row):
        """Return the two shares of an epoch that :meth:`onset` takes.

        Parameters
        ----------
        row : dict of str to float
            Row of ``history_``.

        Returns
        -------
        changes : float
            Share of the watched predictions that changed.
        wrong : float
            Share of all predictions that are watched.
        """
        if self.among == "all":
            return row["prediction_changes"], 1.0
        return row["wrong_changes"], row["wrong_events"]

    def start(self):
        """Begin a training."""
        self.epoch_, self.stopped_ = None, False
        self.watched_, self.recent_, self.kept_ = [], [], None

    def after_epoch(self, epoch, row, weights, others):
        """Note an epoch; return whether the training is to stop.

        Parameters
        ----------
        epoch : int
            Its number, from 1.
        row : dict of str to float
            What :meth:`watched` takes.
        weights : dict of str to tensor
            The network's state after the epoch.
        others : callable
            Returns what else is to be restored.

        Returns
        -------
        stopped : bool
            Then ``kept_`` holds what to go back to: "weights" and "others".
        """
        self.watched_.append(self.watched(row))
        weights = {name: tensor.detach().clone() for name, tensor in weights.items()}
        self.recent_ = [*self.recent_, weights][-self.window :]
        changes, wrong = np.transpose(self.watched_)
        means = smoothed(changes, self.window)
        if len(means) and means.argmin() == len(means) - 1:
            self.epoch_ = epoch
            recent = self.recent_ if self.average else self.recent_[-1:]
            self.kept_ = {"weights": mean_state(recent)}
            self.kept_["others"] = copy.deepcopy(others())
        self.stopped_ = self.onset(changes, wrong) is not None
        return self.stopped_


def mean_state(states):
    """Return the mean of state dicts; of integers, those of the last one.

    Parameters
    ----------
    states : list of dict of str to tensor
        State dicts of one network, in the order of time.
    """
    mean = dict(states[-1])
    for name, tensor in mean.items():
        if tensor.is_floating_point() and len(states) > 1:
            where = with_float64(tensor.device)
            total = sum(state[name].to(where).double() for state in states)
            mean[name] = (total / len(states)).to(tensor)
    return mean


STOPPING = {"label_wave": LabelWave}
