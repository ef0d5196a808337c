"""What a manifest says of a network's embeddings and pixels, by its config."""

from contract.fitting import Fit
from contract.manifest import EmbeddingSpec, InputSpec
from training.data.pack import Alignment
from training.models.backbones import feature_map
from training.models.config import ModelConfig


def embedding_spec(config: ModelConfig) -> EmbeddingSpec:
    """Size and space of the embeddings."""
    size = feature_map(config)[0] if config.projection else config.embedding_size
    return EmbeddingSpec(size=size, space=config.space, scale=config.scale, d_max=config.d_max)


def input_spec(config: ModelConfig, alignment: Alignment, fit: Fit | None = None) -> InputSpec:
    """Pixels of the crops.

    fit: None for faces, and for images that were taken as they are: these come out of every fit
        unchanged, so that `pad`, which loses nothing of others either, is stated.
    Raises ValueError for faces at the template but of another size, or with a fit.
    """
    side = config.side_px
    if alignment == "none" and fit is None:
        fit = "pad"
    return InputSpec(width=side, height=side, color_order="RGB", alignment=alignment, fit=fit)
