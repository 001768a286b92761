"""The only training loops: nets, phases, optimisers, and files to go on from."""

from sknoisy.training.callbacks import StopTraining
from sknoisy.training.checkpoint import Checkpoint
from sknoisy.training.distributed import together
from sknoisy.training.run import DivergenceError
from sknoisy.training.stopping import LabelWave

__all__ = ["Checkpoint", "DivergenceError", "LabelWave", "StopTraining", "together"]
