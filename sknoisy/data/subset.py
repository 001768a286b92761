"""Some samples of a store, as a store."""

import torch


class Subset:
    """Some samples of a store: what is left when others are held out.

    Parameters
    ----------
    store : ArrayStore or PathStore
        All samples.
    rows : tensor of shape (n_samples,), int64
        Positions of those that this store has.
    """

    def __init__(self, store, rows):
        self.store = store
        self.rows = rows
        self.spec = store.spec

    def __len__(self):
        return len(self.rows)

    def is_ready(self, device):
        """Whether a batch is there at once."""
        return self.store.is_ready(device)

    def raw(self, index):
        """Return the samples at `index` (int64 tensor) as they are stored."""
        return self.store.raw(self._at(index))

    def fetch(self, index, device="cpu"):
        """Return the samples at `index` (int64 tensor) as float32 on `device`."""
        return self.store.fetch(self._at(index), device)

    def resident(self, device):
        """Return this store with all samples on `device`, if they fit there."""
        store = self.store.resident(device)
        return Subset(store, self.rows.to(torch.device(device)))

    def _at(self, index):
        return self.rows.to(index.device)[index]
