"""The skorch net that all trainings share: the only training loop.

An iterator gives the positions of a batch's samples and the batch, a tensor that was
fetched from a store on the device. The net takes random views of it there, and reads
the loss back once an epoch; no sample passes through Python on its own.
"""

import math
import operator
import time
from contextlib import suppress

import torch
from torch import nn

from sknoisy import ranks
from sknoisy.data.batches import Batches
from sknoisy.data.devices import lower_precision
from sknoisy.data.threads import free_threads
from sknoisy.encoders.inference import in_order, inference_batch
from sknoisy.encoders.weights import load_tensors
from sknoisy.losses.expected import check_scalar
from sknoisy.training import distributed
from sknoisy.training.callbacks import StopTraining, listens
from sknoisy.training.convolution import precise_on_small_maps
from sknoisy.training.interrupts import raise_lost_interrupt
from sknoisy.training.normalization import normalising_together
from sknoisy.training.observed import ObservedNet
from sknoisy.training.optim import SCHEDULES, fill_momenta
from sknoisy.training.run import DivergenceError

SUSPECT = 10.0  # weights from which on many layers of them may overflow


class Net(ObservedNet):
    """A skorch net whose loop runs over batches of positions and samples.

    Subclasses define ``batch_loss``. Batches, step and epoch are this package's own.
    Parameters and attributes are those of
    :class:`~sknoisy.training.observed.ObservedNet`.
    """

    def batch_loss(self, index, batch):
        """Return the loss of a batch, to be minimised.

        Parameters
        ----------
        index : tensor of shape (n,), int64
            Positions of the samples in the training set.
        batch : tensor of shape (n, ...), float32
            The samples, before any view; of several ranks, this one's part of them.
        """
        raise NotImplementedError

    def after_step(self, progress):
        """Called after each step; `progress` is the share of all steps done.

        Of a training whose time is limited it is that of the time, if this is more.
        """

    def get_iterator(self, dataset, training=False):  # noqa: D102
        return dataset

    def epoch_batches(self, store):
        """Return the batches of the epoch that begins.

        Parameters
        ----------
        store : ArrayStore, PathStore or Subset
            The samples.

        Returns
        -------
        batches : iterable of tuple
            What ``batch_loss`` takes; with ``len``, ``store`` and ``n_samples``.
        """
        return Batches(store, self.batch_size, self.generator, self.device)

    def train_step(self, index, batch, *others):
        """Take one step; return the loss, on the device."""
        self.optimizer_.zero_grad(set_to_none=True)
        with (
            ranks.of_batch(len(index)),
            lower_precision(self.settings.device, self.settings.precision),
        ):
            loss = self.batch_loss(index, batch, *others)
        check_scalar(loss, self.criterion_)
        if not loss.requires_grad:
            raise ValueError(self._why_no_gradient())
        with distributed.averaging_gradients(self.module_):
            loss.backward()
        if self.settings.max_norm is not None:
            weights = self.module_.parameters()
            nn.utils.clip_grad_norm_(weights, self.settings.max_norm)
        if listens(self.callbacks_, "on_grad_computed"):
            named = list(self.get_all_learnable_params())
            pair = self._labelled(index, ranks.gathered(batch, len(index)))
            self.notify(
                "on_grad_computed", named_parameters=named, batch=pair, training=True
            )
        self.optimizer_.step()
        return loss.detach()

    def _why_no_gradient(self):
        if any(weight.requires_grad for weight in self.module_.parameters()):
            return (
                f"{type(self.criterion_).__name__} returned a loss without a gradient: "
                "it must be computed from the network's output, which is not detached."
            )
        return (
            "callbacks have frozen all of the network's weights: nothing is left to "
            "train."
        )

    def run_single_epoch(self, iterator, training, prefix, step_fn, **fit_params):
        """Run one epoch; skorch's, but for the loss, which is read back once."""
        with free_threads():
            if training:
                self._train_epoch(self.epoch_batches(iterator.store), step_fn)
            elif iterator is not None:
                self._validate(iterator)

    def _train_epoch(self, iterator, step_fn):
        started, max_epochs = time.perf_counter(), self.settings.max_epochs
        # An epoch is an equal share of the schedule, however many samples it has.
        share = 1 / (len(iterator) * max_epochs)
        progress, limit = self.run.progress, self.run.limit
        self.module_.train()
        losses, sizes = [], []
        for i, (index, batch, *others) in enumerate(iterator):
            raise_lost_interrupt()
            done = self.epochs_ / max_epochs + i * share
            if limit is not None:
                done = max(done, ranks.number_from_first(limit.share()))
            self._set_rate(done)
            if self.heard_:
                pair = self._labelled(index, ranks.gathered(batch, len(index)))
                self.notify("on_batch_begin", batch=pair, training=True)
            rate = self.optimizer_.param_groups[0]["lr"]
            loss = step_fn(index, batch, *others)
            self.after_step(min(1.0, done + share))
            losses.append(loss)
            sizes.append(len(index))
            if self.heard_:
                self._batch_end("train", pair, loss, self.training_outputs(pair[0]))
            if progress is not None:
                # An epoch is all samples, however often it takes some of them.
                progress.advance(len(iterator.store) * len(index) / iterator.n_samples)
        # One wait for the device in an epoch.
        losses = ranks.average(torch.stack(losses)).tolist()
        self._record_epoch(losses, sizes, rate, started)

    def _set_rate(self, done):
        """Set the learning rate where a share of the schedule is done."""
        settings = self.settings
        if settings.schedule == "constant" and not settings.lr_warmup:
            return  # it is left to callbacks such as skorch's LRScheduler
        factor = SCHEDULES[settings.schedule](done, settings.lr_warmup)
        for group in self.optimizer_.param_groups:
            group["lr"] = factor * settings.lr

    def _record_epoch(self, losses, sizes, rate, started):
        """Record what an epoch was like, by its batches; raise if it diverged."""
        loss = sum(map(operator.mul, losses, sizes)) / sum(sizes)
        self._record("train_loss", loss, loss)
        self.history.record("lr", rate)
        self.history.record("dur", time.perf_counter() - started)
        if not math.isfinite(loss):
            epoch = self.epochs_done + 1
            self._diverged(f"the training loss is {loss}", epoch, rate)
        if self.callbacks_ and not self.heard_:
            # They may look at the batches once the epoch is over.
            for loss, size in zip(losses, sizes, strict=True):
                self.history.new_batch()
                self.history.record_batch("train_loss", loss)
                self.history.record_batch("train_batch_size", size)

    def _validate(self, data):
        outputs = []
        shared = not self.heard_  # whoever listens to batches gets whole ones
        for index, batch in in_order(data.store, self.device, shared=shared):
            pair = batch, data.codes[index]
            if self.heard_:
                self.notify("on_batch_begin", batch=pair, training=False)
            outputs.append(self.evaluation_step(pair))
            if shared:
                outputs[-1] = ranks.gathered(outputs[-1], len(index))
            if self.heard_:
                scores = self.scores(outputs[-1], data.labels.take(index))
                loss = torch.tensor(
                    scores["valid_loss"], dtype=torch.float32, device="cpu"
                )
                self._batch_end("valid", pair, loss, outputs[-1])
        scores = self.scores(torch.cat(outputs), data.labels)
        for name, score in scores.items():
            self._record(name, score, score if name == "valid_loss" else -score)

    def train_epochs(self, data, epochs):
        """Train for a number of epochs from the current state.

        Parameters
        ----------
        data : TrainingData
            The samples.
        epochs : int
            Number of epochs.

        Raises
        ------
        DivergenceError
            If the loss, or the network after the last step, is not finite.
        torch.OutOfMemoryError
            Names `batch_size`; what the step had allocated is free again.
        """
        self.data_ = data
        self.stopped_ = self._stop_asked = out_of_memory = False
        events = "on_batch_begin", "on_batch_end"
        self.heard_ = any(listens(self.callbacks_, event) for event in events)
        if data.validation is not None:  # skorch's ProgressBar counts its batches
            step = inference_batch(data.validation.store.spec.shape, self.device)
            self.iterator_valid__batch_size = step
        planned = {"max_epochs": epochs, "batch_size": self.batch_size}
        distributed.check_same(data, **planned)
        distributed.share_weights(self.module_)
        fill_momenta(self.optimizer_)  # which may have been forgotten meanwhile
        try:
            self._begin()
            with (
                normalising_together(self.module_),
                precise_on_small_maps(
                    self.module_, self.settings.device, self.settings.precision
                ),
            ):
                self.fit_loop(data, epochs=epochs)
        except StopTraining:
            self._end()
            self.stopped_ = True
        except torch.OutOfMemoryError:
            self._end()
            out_of_memory = True
        except BaseException:
            with suppress(Exception):  # what went wrong first is what is to be told
                self._end()
            distributed.fell_out()
            raise
        else:
            self._end()
        finally:
            self.data_ = None
        if out_of_memory:
            # Raised anew, as the error held what the step had allocated.
            torch.cuda.empty_cache()
            raise torch.OutOfMemoryError(
                f"batch_size={self.batch_size} is too large: {self.device} ran out of "
                f"memory in epoch {self.epochs_done + 1}. Pass a smaller "
                "batch_size."
            )
        distributed.share_weights(self.module_)  # which the first's callbacks may load
        self._check_finite(data)
        return self

    def state(self):
        """Return all that the next epochs depend on, but for the data."""
        self._keep_schedulers()
        # The last batch of each epoch is what callbacks may look for.
        rows = [{**row, "batches": row["batches"][-1:]} for row in self.history]
        return {
            "module": self.module_.state_dict(),
            "optimizer": self.optimizer_.state_dict(),
            "history": self.run.history,
            "skorch_history": rows,
            "best": dict(self._best),
            "schedulers": self._schedulers,
            "epochs": self.epochs_,
            "order": self.generator.get_state(),
            # Of every rank, one a row.
            "views": ranks.gathered(
                self.view_generator.get_state()[None], ranks.size()
            ),
        }

    def load_state(self, state):
        """Take over what :meth:`state` returned."""
        load_tensors(self.module_, state["module"])
        self.optimizer_.load_state_dict(state["optimizer"])
        for kept in self.optimizer_.state.values():
            if "step" in kept:  # Adam reads it on the host, in every step
                kept["step"] = kept["step"].cpu()
        self.run.history[:] = state["history"]
        self.history[:] = state["skorch_history"]
        self._best, self._schedulers = state["best"], state["schedulers"]
        self.epochs_ = state["epochs"]
        self.generator.set_state(state["order"].cpu())
        views = state["views"].cpu()
        if ranks.rank() < len(views):
            # A copy: of a part of a tensor PyTorch reads the wrong bytes.
            self.view_generator.set_state(views[ranks.rank()].clone())
        else:  # there were fewer ranks
            seed = self.view_generator.initial_seed() + self.epochs_
            self.view_generator.manual_seed(seed)

    def _check_finite(self, data):
        """Check what the last step made of the network: no loss has seen it."""
        rate = self.optimizer_.param_groups[0]["lr"]
        epoch = max(1, self.epochs_done)
        tensors = [*self.module_.parameters(), *self.module_.buffers()]
        if not all_finite([t for t in tensors if t.is_floating_point()]):
            self._diverged("the network's weights are not finite", epoch, rate)
        if largest(self.module_.parameters()) < SUSPECT:
            return
        _, batch = next(in_order(data.store, self.device))
        if not all_finite([self.evaluation_step((batch, None))]):
            self._diverged("the network's predictions are not finite", epoch, rate)

    def _diverged(self, what, epoch, rate):
        raise DivergenceError(
            f"{what} in epoch {epoch} at learning rate {rate:.3g}. Pass a smaller lr."
        )


def largest(tensors):
    """Return the largest absolute value of some tensors; waits for the device once."""
    tensors = [t.detach() for t in tensors if t.numel()]
    if not tensors:
        return 0.0
    norms = torch._foreach_norm(tensors, math.inf)
    return torch.stack([norm.float() for norm in norms]).max().item()


def all_finite(tensors):
    """Whether all numbers of some tensors are finite; waits for the device once."""
    sums = [t.detach().sum() for t in tensors if t.numel()]
    return not sums or bool(torch.stack([s.float() for s in sums]).isfinite().all())
