"""Networks that others trained, as bundles: the one list of sources, and how one is imported.

A further source is one more entry of SOURCES.
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
from torch import nn

from contract.manifest import EmbeddingSpec, InputSpec
from training.export.card import Card, Learned, WeightsDtype
from training.export.specs import embedding_spec, input_spec
from training.export.writer import Exported, write_bundle
from training.models.config import VGGFACE2_EMBEDDING_SIZE, ModelConfig
from training.models.embedding_net import EmbeddingNet


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """A trained network that can be had.

    load: makes it, scriptable, from uint8 (B, H, W, 3) RGB of `pixels` to `embedding`; it raises
    PretrainedError in words where the weights cannot be had. card: what its bundle says unless
    told otherwise.
    """

    load: Callable[[], nn.Module]
    embedding: EmbeddingSpec
    pixels: InputSpec
    learned: Learned
    card: Card


VGGFACE2 = ModelConfig(
    backbone="inception_resnet_v1",
    pretrained="vggface2",
    embedding_size=VGGFACE2_EMBEDDING_SIZE,
    pool="average",
)

SOURCES: dict[str, Source] = {
    "inception-resnet-v1-vggface2": Source(
        load=lambda: EmbeddingNet(VGGFACE2),
        embedding=embedding_spec(VGGFACE2),
        pixels=input_spec(VGGFACE2, "five_point_112"),
        learned=Learned(name="VGGFace2, training split", identities=8631, images=3_141_890),
        card=Card(
            name="inception-resnet-v1-vggface2",
            version="1.0.0",
            description="InceptionResnetV1 of facenet-pytorch with its VGGFace2 weights "
            "(20180402-114759)",
            license="Research use only, as VGGFace2's terms ask; facenet-pytorch's code is MIT, "
            "which names no other licence for these weights",
            terms="VGGFace2: research use only",
            remark="Weights ported by facenet-pytorch from the TensorFlow model of David "
            "Sandberg's facenet. Counts are those of the published split; how many of its images "
            "were trained on is not stated. Trained on 160-pixel MTCNN crops with a margin: "
            "crops of 112 pixels at the five-point template are enlarged to 160, and closer cut",
        ),
    ),
}


def import_bundle(
    source: Source, out: Path, card: Card, *, weights: WeightsDtype = "float16"
) -> Exported:
    """Write the network of `source` as a bundle into folder `out`.

    Parity is checked on made-up crops. Raises PretrainedError (weights that cannot be had),
    ManifestError (a card that no manifest can state) or ParityError.
    """
    return write_bundle(
        source.load().eval(),
        out,
        card,
        embedding=source.embedding,
        pixels=source.pixels,
        learned=source.learned,
        crops_NHW3=made_up_crops(source.pixels),
        weights=weights,
    )


def made_up_crops(pixels: InputSpec, each: int = 4) -> npt.NDArray[np.uint8]:
    """uint8 (4 * each, H, W, 3): coloured squares of 1, 4, 16 and 56 pixels, always the same."""
    rng = np.random.default_rng(0)
    crops = []
    for side in (1, 4, 16, 56):
        rows, columns = -(-pixels.height // side), -(-pixels.width // side)
        squares = rng.integers(0, 256, (each, rows, columns, 3), dtype=np.uint8)
        large = squares.repeat(side, axis=1).repeat(side, axis=2)
        crops.append(large[:, : pixels.height, : pixels.width])
    return np.concatenate(crops)
