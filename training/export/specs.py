"""What a manifest says of a network's embeddings and pixels, by its config."""

from contract.manifest import EmbeddingSpec, InputSpec
from training.data.pack import Alignment
from training.models.config import ModelConfig


def embedding_spec(config: ModelConfig) -> EmbeddingSpec:
    """Size and space of the embeddings."""
    return EmbeddingSpec(
        size=config.embedding_size, space=config.space, scale=config.scale, d_max=config.d_max
    )


def input_spec(config: ModelConfig, alignment: Alignment) -> InputSpec:
    """Pixels of the crops. Raises ValueError for faces at the template but of another size."""
    side = config.side_px
    return InputSpec(width=side, height=side, color_order="RGB", alignment=alignment)
