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
        left, whole = self.seconds_left(), self.end - self._begin
        return 1.0 if left <= 0 or whole <= 0 else min(1.0, 1 - left / whole)

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
        own, share = done - self._done_before, self.share()
        if own == 0 or share == 0:
            return planned
        expected = round(done + own * (1 - share) / share)
        return min(planned, max(expected, done + 1))

    def seconds_left(self):
        """Return how many seconds are left; below 0 once the time is over."""
        return self.end - self._now()

    def is_over(self, epoch):
        """Whether another epoch of so many seconds would not fit."""
        return epoch > self.seconds_left()
