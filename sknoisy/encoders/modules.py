"""Users' modules: copying them, and building them again from a template."""

import copy

import torch
from torch import nn
from torch.nn.parameter import is_lazy

from sknoisy.encoders.published import PublishedInput

PARALLEL = nn.DataParallel, nn.parallel.DistributedDataParallel


def refuse_meta(module):
    """Raise ``ValueError`` if some weights of a module have no values."""
    if any(tensor.is_meta for tensor in (*module.parameters(), *module.buffers())):
        raise ValueError(
            f"encoder={type(module).__name__} object is not valid: it has weights on "
            "the device 'meta', which holds no values. Load them first."
        )


def copied(module):
    """Return a copy of a module, on the CPU, in float32, all of it trainable.

    Parameters
    ----------
    module : torch.nn.Module
        The module, which is not changed. Wrappers of ``torch.compile`` and of data
        parallelism are left out.
    """
    module = getattr(module, "_orig_mod", module)
    module = module.module if isinstance(module, PARALLEL) else module
    name = type(module).__name__
    if isinstance(module, torch.jit.ScriptModule):
        raise ValueError(
            f"encoder={name} object is not valid: a TorchScript module cannot be "
            "trained. Pass the module that it was made from."
        )
    if any(map(is_lazy, (*module.parameters(), *module.buffers()))):
        raise ValueError(
            f"encoder={name} object is not valid: it has lazy layers without weights. "
            "Pass a batch of samples through it first."
        )
    refuse_meta(module)
    try:
        module = copy.deepcopy(module)
    except Exception as error:
        raise ValueError(
            f"encoder={name} object is not valid: it cannot be copied ({error}). Pass "
            "a function that returns it."
        ) from error
    return module.cpu().float().requires_grad_(True)


class Template:
    """The architecture of a user's module, without its weights.

    It holds no tensors with values, so equal templates have equal pickles.

    Parameters
    ----------
    module : torch.nn.Module
        The module, which is copied and not changed.
    name : str
        Name in messages.
    """

    def __init__(self, module, name):
        others = [k for k, v in module.state_dict().items() if not torch.is_tensor(v)]
        if others:
            raise ValueError(
                f"encoder={name} object is not valid: its state dict must hold "
                f"tensors only, but {others[0]!r} is not one."
            )
        self.name = name
        self.module = copied(module)
        self._constants = {
            (path, key): tensor.numpy()
            for path, layer in self.module.named_modules()
            for key, tensor in _constants(layer)
        }
        _replace_tensors(self.module, "meta")

    def build(self):
        """Return the module on the CPU, with weights that must still be loaded."""
        module = copy.deepcopy(self.module)
        _replace_tensors(module, "cpu")
        for (path, key), values in self._constants.items():
            layer = module.get_submodule(path)
            setattr(layer, key, torch.from_numpy(values.copy()))
        return module

    def __str__(self):
        return self.name


def _constants(layer):
    """Yield the tensors of a layer that its state dict does not hold."""
    for name in layer._non_persistent_buffers_set:
        if layer._buffers[name] is not None:
            yield name, layer._buffers[name]
    yield from ((k, v) for k, v in vars(layer).items() if torch.is_tensor(v))


def _replace_tensors(module, device):
    """Replace tensors by empty ones on a device; what is shared stays shared."""
    replaced = {}
    for layer in module.modules():
        held = {**layer._parameters, **layer._buffers, **dict(_constants(layer))}
        for name, old in held.items():
            if old is None:
                continue
            if id(old) not in replaced:
                new = torch.empty_like(old, device=device)
                if isinstance(old, nn.Parameter):
                    new = nn.Parameter(new, old.requires_grad)
                replaced[id(old)] = old, new
            setattr(layer, name, replaced[id(old)][1])


def input_of(module):
    """Return the input that a module of timm was trained on, or None.

    Parameters
    ----------
    module : torch.nn.Module
        A module from timm, or from anywhere else.
    """
    config = getattr(module, "pretrained_cfg", None)
    try:
        size, mean, std = (config[key] for key in ("input_size", "mean", "std"))
    except (KeyError, TypeError):
        return None
    return PublishedInput(tuple(size[1:]), tuple(mean), tuple(std))
