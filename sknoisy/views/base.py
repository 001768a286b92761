"""What a random view is."""

from sknoisy.parameters import Method, check_real


class Views(Method):
    """Base class of random views: called with a batch, returns its views."""

    def __call__(self, batch, generator):
        """Return one random view of each sample.

        Parameters
        ----------
        batch : tensor of shape (n, d) or (n, C, H, W), float32
            Samples; images in [0, 1].
        generator : torch.Generator
            Source of randomness, on the device of `batch`.

        Returns
        -------
        view : tensor of the shape of `batch`
            A new tensor.
        """
        raise NotImplementedError(f"{type(self).__name__} must define __call__.")


class NoViews(Views):
    """The samples as they are."""

    def __call__(self, batch, generator):  # noqa: D102
        return batch


def check_range(name, ends, interval):
    """Raise ``ValueError`` unless two ends lie in an interval, and in order."""
    for end in ends:
        check_real(name, end, interval)
    if ends[0] > ends[1]:
        raise ValueError(f"{name}={ends!r} is not valid: its ends must be in order.")
