"""Networks that others trained, as bundles: the one list of sources, and how one is imported.

A further source is one more entry of SOURCES.
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
from torch import nn

from contract.manifest import EmbeddingSpec, InputSpec, Origin
from training.data.pack import Pack
from training.data.pixels import refuse_other_pixels
from training.export.card import Card, Learned, WeightsDtype
from training.export.origins import PRETRAINED
from training.export.parity import parity_crops
from training.export.specs import embedding_spec, input_spec
from training.export.writer import Exported, write_bundle
from training.models.config import VGGFACE2_EMBEDDING_SIZE, ModelConfig
from training.models.embedding_net import EmbeddingNet


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """A trained network that can be had.

    load: makes it, scriptable, from uint8 (B, H, W, 3) RGB of `pixels` to `embedding`; it raises
    PretrainedError in words where the weights cannot be had. origin: what its authors say. card:
    what its bundle says unless told otherwise. learned: None where its authors do not say.
    """

    load: Callable[[], nn.Module]
    embedding: EmbeddingSpec
    pixels: InputSpec
    origin: Origin
    learned: Learned | None
    card: Card


VGGFACE2 = ModelConfig(
    backbone="inception_resnet_v1",
    pretrained="vggface2",
    embedding_size=VGGFACE2_EMBEDDING_SIZE,
    pool="average",
)
SFACE = ModelConfig(backbone="sface", pretrained="sface", dropout=0.0)
MOBILENET_V2 = ModelConfig(
    backbone="mobilenet_v2", pretrained="imagenet", embedding_size=1280, pool="average"
)


def averaged_features(config: ModelConfig) -> nn.Module:
    """The backbone's last feature map, averaged over its places, as the embedding: no head."""
    net = EmbeddingNet(config)
    net.head = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten())
    return net


SOURCES: dict[str, Source] = {
    "inception-resnet-v1-vggface2": Source(
        load=lambda: EmbeddingNet(VGGFACE2),
        embedding=embedding_spec(VGGFACE2),
        pixels=input_spec(VGGFACE2, "five_point_112"),
        origin=Origin(loss="softmax cross entropy (facenet-pytorch's authors)", starting_points=[]),
        learned=Learned(name="VGGFace2, training split", identities=8631, images=3_141_890),
        card=Card(
            name="inception-resnet-v1-vggface2",
            version="1.0.0",
            description=PRETRAINED["vggface2"].name,
            license=PRETRAINED["vggface2"].license,
            terms="VGGFace2: research use only",
            remark="Weights ported by facenet-pytorch from the TensorFlow model of David "
            "Sandberg's facenet. Counts are those of the published split; how many of its images "
            "were trained on is not stated. Trained on 160-pixel MTCNN crops with a margin: "
            "crops of 112 pixels at the five-point template are enlarged to 160, and closer cut",
            limits=(
                "Anything but research",
                "Decisions about people that nobody looks over",
                "Use without a measurement of your own: it sees closer cut faces than it learned "
                "from",
            ),
        ),
    ),
    "sface": Source(
        load=lambda: EmbeddingNet(SFACE),
        embedding=embedding_spec(SFACE),
        pixels=input_spec(SFACE, "five_point_112"),
        origin=Origin(
            loss="SFace: sigmoid-constrained hypersphere loss (Zhong et al., IEEE TIP 2021)",
            starting_points=[PRETRAINED["sface"]],
        ),
        learned=None,
        card=Card(
            name="sface",
            version="1.0.0",
            description="SFace as the OpenCV zoo gives it out, its int8 blocks folded into weights",
            license=PRETRAINED["sface"].license,
            terms="",
            remark="",
            limits=(
                "Decisions about people that nobody looks over",
                "People whom its training pictures show rarely: what they were, and whether they "
                "were balanced over age, sex or skin colour, is not stated",
                "Telling a live person from a photo of one",
            ),
        ),
    ),
    "mobilenet-v2-imagenet": Source(
        load=lambda: averaged_features(MOBILENET_V2),
        embedding=embedding_spec(MOBILENET_V2),
        pixels=input_spec(MOBILENET_V2, "none"),
        origin=Origin(
            loss="softmax cross entropy over ImageNet's 1,000 classes",
            starting_points=[PRETRAINED["imagenet"]],
        ),
        learned=Learned(
            name="ImageNet-1k, training split of ILSVRC 2012", identities=1000, images=1_281_167
        ),
        card=Card(
            name="mobilenet-v2-imagenet",
            version="1.0.0",
            description="MobileNetV2 with ImageNet weights, averaged features: to compare with",
            license=PRETRAINED["imagenet"].license,
            terms="ImageNet: research and education only",
            remark="",
            limits=("Anything but comparisons: it was never trained to tell individuals apart",),
        ),
    ),
}


def import_bundle(
    source: Source,
    out: Path,
    card: Card,
    *,
    weights: WeightsDtype = "float16",
    pack: Pack | None = None,
) -> Exported:
    """Write the network of `source` as a bundle into folder `out`.

    pack: whose crops parity is checked on; without one they are made up, and as they look like
    nothing that the network was trained on, its embeddings of them move more.
    Raises PretrainedError (weights that cannot be had), PackError (a pack of other pixels),
    ManifestError (a card that no manifest can state) or ParityError.
    """
    if pack is not None:
        refuse_other_pixels(pack, source.pixels, card.name)
    crops = made_up_crops(source.pixels) if pack is None else parity_crops(pack)
    return write_bundle(
        source.load().eval(),
        out,
        card,
        embedding=source.embedding,
        pixels=source.pixels,
        origin=source.origin,
        learned=source.learned,
        crops_NHW3=crops,
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
