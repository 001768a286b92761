"""A pre-trainer that counts; apart from conftest.py, so that it can be pickled."""

from sknoisy import SSLPretrainer


class CountingPretrainer(SSLPretrainer):
    """Logs how many samples each training has that really runs."""

    log = []  # of the class, so that clones have it, too

    def _pretrain(self, inputs, *args, **kwargs):
        self.log.append(len(inputs))
        return super()._pretrain(inputs, *args, **kwargs)
