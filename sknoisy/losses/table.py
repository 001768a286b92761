"""Storage of one row of numbers for each training sample."""

from numbers import Integral

import torch


def check_storage(value, top_k=True):
    """Raise ``ValueError`` if a value of the parameter ``storage`` is not valid.

    Parameters
    ----------
    value : {"float32", "float16"} or int
        Value of the parameter.
    top_k : bool, default=True
        Whether an integer, the number of entries to store, is valid.
    """
    is_count = isinstance(value, Integral) and not isinstance(value, bool)
    if value in ("float32", "float16") or (top_k and is_count and value >= 1):
        return
    number = ", or the number of largest entries to store" if top_k else ""
    raise ValueError(
        f"storage={value!r} is not valid: it must be 'float32' or 'float16'{number}."
    )


class Table:
    """A row of numbers for each training sample, read and written by index.

    Parameters
    ----------
    state : dict of str to tensor
        Dictionary to which the tensors are added: the numbers as `name` and, if only
        the largest are stored, their classes as `name` + "_class".
    name : str
        Key of the numbers in `state`.
    shape : (int, int)
        Number of samples and of classes.
    storage : {"float32", "float16"} or int
        Number format. An integer k stores the k largest numbers of each row with their
        classes, in 4 bytes for both (6 bytes from 2^15 classes on). All other numbers
        are read as 0.
    device : torch.device
        Device of the tensors.
    fill : float, default=0.0
        Initial value.

    Examples
    --------
    >>> import torch
    >>> from sknoisy.losses.table import Table
    >>> table = Table({}, "target", (2, 4), storage=2, device="cpu")
    >>> table[torch.tensor([1])] = torch.tensor([[0.125, 0.5, 0.0, 0.375]])
    >>> table[torch.tensor([0, 1])]
    tensor([[0.0000, 0.0000, 0.0000, 0.0000],
            [0.0000, 0.5000, 0.0000, 0.3750]])
    """

    def __init__(self, state, name, shape, storage, device, fill=0.0):
        n_samples, self.n_classes = shape
        self.state = state
        self.name = name
        self.is_full = isinstance(storage, str)
        width = self.n_classes if self.is_full else min(storage, self.n_classes)
        dtype = torch.float32 if storage == "float32" else torch.float16
        state[name] = torch.full((n_samples, width), fill, dtype=dtype, device=device)
        if not self.is_full:
            dtype = torch.int16 if self.n_classes < 2**15 else torch.int32
            classes = torch.arange(width, dtype=dtype, device=device)
            state[f"{name}_class"] = classes.repeat(n_samples, 1)

    def __getitem__(self, index):
        values = self._take(self.name, index)
        if values.dtype == torch.float16:
            values = values.float()
        if self.is_full:
            return values
        classes = self._take(f"{self.name}_class", index).long()
        rows = values.new_zeros(*index.shape, self.n_classes)
        return rows.scatter_(-1, classes, values)

    def __setitem__(self, index, rows):
        values = self.state[self.name]
        if not self.is_full:
            rows, classes = rows.topk(values.shape[1], dim=-1)
            kept = self.state[f"{self.name}_class"]
            kept.index_copy_(0, index, classes.to(kept.dtype))
        values.index_copy_(0, index, rows.to(values.dtype))

    def _take(self, name, index):
        """Return rows of one of the tensors, for an index of any shape."""
        rows = self.state[name].index_select(0, index.flatten())  # faster than [index]
        return rows.view(*index.shape, -1)
