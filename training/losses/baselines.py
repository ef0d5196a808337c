"""Modern losses to compare with, from pytorch-metric-learning, with its defaults.

| metric | paper | values |
|---|---|---|
| arcface | Deng et al., CVPR 2019 | margin 28.6 degrees (0.5 rad), scale 64 |
| cosface | Wang et al., CVPR 2018 | margin 0.35, scale 64 |
| multi_similarity | Wang et al., CVPR 2019 | alpha 2, beta 50, base 0.5, all pairs of the batch |
| proxy_anchor | Kim et al., CVPR 2020 | margin 0.1, alpha 32 |

They see the embeddings of the space and normalise them themselves. All but multi-similarity have
one vector a class, which trains along with the network.

Shapes: B batch, D embedding size, K classes.
"""

from typing import Any

from torch import Tensor, nn

from training.losses.config import LossConfig
from training.losses.triplets import MetricOutput
from training.mining.distances import at_least_float32


class BaselineMetric(nn.Module):
    """One of the four. They mine nothing that could be shown, and use no memory."""

    def __init__(self, config: LossConfig, *, embedding_size: int, classes: int) -> None:
        super().__init__()
        if config.mining.memory_batches:
            raise ValueError(
                f"The metric {config.metric!r} has no cross-batch memory: set "
                "mining.memory_batches to 0, or metric to exponential or standard."
            )
        self.loss: nn.Module = _loss(config.metric, embedding_size, classes)

    def start_epoch(self, epoch: int) -> None:
        """Nothing depends on the epoch."""

    def forward(self, embeddings_BD: Tensor, labels_B: Tensor) -> MetricOutput:
        """Embeddings, any float; labels int64 in [0, K). No samples give a differentiable zero."""
        wide_BD = at_least_float32(embeddings_BD)
        loss = self.loss(wide_BD, labels_B) if len(labels_B) else wide_BD.sum()
        none_A = wide_BD.new_empty(0)
        return MetricOutput(loss, none_A, none_A)


def _loss(metric: str, embedding_size: int, classes: int) -> Any:
    # Only here, so that training without a baseline neither needs nor loads the library.
    from pytorch_metric_learning import losses

    sizes = {"num_classes": classes, "embedding_size": embedding_size}
    makers = {
        "arcface": lambda: losses.ArcFaceLoss(**sizes),
        "cosface": lambda: losses.CosFaceLoss(**sizes),
        "multi_similarity": losses.MultiSimilarityLoss,
        "proxy_anchor": lambda: losses.ProxyAnchorLoss(**sizes),
    }
    return makers[metric]()
