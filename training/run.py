"""What a finished (or still running) run left to use: its config, its network, what it saw."""

from dataclasses import dataclass
from pathlib import Path

from training.checkpoint import MODEL_NAME, load_checkpoint
from training.config import TrainConfig, config_from_dict
from training.models.embedding_net import EmbeddingNet


@dataclass(frozen=True, slots=True)
class TrainedRun:
    """net: in evaluation mode, with the averaged weights where the run kept an average.

    trained_paths: paths, inside their pack, of the images that it learned from.
    """

    config: TrainConfig
    net: EmbeddingNet
    trained_paths: frozenset[str]


def load_run(run: Path) -> TrainedRun:
    """The best model so far of the run in folder `run`, by its validation.

    Raises CheckpointError where there is none that can be read.
    """
    state = load_checkpoint(run, MODEL_NAME)
    config = config_from_dict(state["config"])
    net = EmbeddingNet(config.model, load_weights=False)
    net.load_state_dict(state["net"])
    net.eval()
    return TrainedRun(config, net, frozenset(state["trained_paths"]))
