"""Trainings that fit into a given time."""

import time


class TimeLimit:
    """Fits the schedule of a training into a number of seconds.

    Parameters
    ----------
    seconds : float
        From now on.
    """

    def __init__(self, seconds):
        self._now = time.perf_counter
        self.end = self._now() + seconds
        self.begin_phase()

    def begin_phase(self, epochs_done=0):
        """Called when the last phase begins, or goes on: its share starts at 0."""
        self._begin, self._done_before = self._now(), epochs_done

    def share(self):
        """Return how much of the time of this phase has passed, in [0, 1]."""
        left = self.seconds_left()
        return 1 - left / (self.end - self._begin) if left > 0 else 1.0

    def epochs(self, done, planned):
        """Return how many epochs there will be, at the pace of those of this phase.

        Parameters
        ----------
        done, planned : int
            Epochs of the whole training, those before this phase included.

        Returns
        -------
        n_epochs : int
            At most `planned`, and more than `done`.
        """
        own, passed = done - self._done_before, self._now() - self._begin
        if own == 0 or passed == 0:
            return planned
        fitting = int(own * self.seconds_left() / passed)  # one in part is not begun
        return min(planned, done + max(fitting, 1))

    def seconds_left(self):
        """Return how many seconds are left; below 0 once the time is over."""
        return self.end - self._now()

    def is_over(self, epoch):
        """Whether another epoch of so many seconds would not fit."""
        return epoch > self.seconds_left()
