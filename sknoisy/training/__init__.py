"""The only training loops: nets, phases, optimisers, and files to go on from."""

from sknoisy.training.callbacks import StopTraining
from sknoisy.training.checkpoint import Checkpoint
from sknoisy.training.distributed import together
from sknoisy.training.run import DivergenceError

__all__ = ["Checkpoint", "DivergenceError", "StopTraining", "together"]
