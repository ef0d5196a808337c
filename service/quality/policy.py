"""What an enrolment asks of a face: `off`, `standard` or `strict`, and where one falls short.

docs/quality.md says what the limits were measured to do.
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Final, Literal

from service.options import PolicyName
from service.quality.measures import Quality
from service.settings import Settings

QualityReason = Literal[
    "face_too_small",
    "low_sharpness",
    "low_brightness",
    "extreme_pose",
    "face_covered",
    "low_detection_score",
]


@dataclass(frozen=True, slots=True, kw_only=True)
class Shortcoming:
    """One reason not to take a photo: the machine word, and words with what to change."""

    reason: str
    detail: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """min_face_px: of the box's shorter side, pixels of the photo. max_*_deg: either way.

    The others are shares in [0, 1], see service/quality/measures.py.
    """

    min_face_px: int
    min_sharpness: float
    min_brightness: float
    max_yaw_deg: float
    max_pitch_deg: float
    max_roll_deg: float
    max_covered: float
    min_detection_score: float


# What `strict` asks at the least; where the settings ask more of `standard`, it asks that.
STRICT: Final = Limits(
    min_face_px=64,
    min_sharpness=0.42,
    min_brightness=0.2,
    max_yaw_deg=30,
    max_pitch_deg=30,
    max_roll_deg=30,
    max_covered=0.28,
    min_detection_score=0.99,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class QualityPolicy:
    """limits: None takes every face. own_subject_nearest: see service/nearer_to_other.py.

    look_again_ms: how long a photo without a face is looked at again to say why, see unseen.py.
    """

    name: PolicyName
    limits: Limits | None
    own_subject_nearest: bool = False
    look_again_ms: int = 0

    @property
    def id(self) -> str:
        """Name and a hash of what it asks: whoever measured under a policy can tell another."""
        asked = {
            "limits": asdict(self.limits) if self.limits else None,
            "own_subject_nearest": self.own_subject_nearest,
        }
        digest = hashlib.sha256(json.dumps(asked, sort_keys=True).encode()).hexdigest()
        return f"{self.name}-{digest[:8]}"

    def doubts(self, quality: Quality) -> bool:
        """Whether the face looks so far aside that a second opinion may decide."""
        return self.limits is not None and abs(quality.yaw) > self.limits.max_yaw_deg / 2

    def shortcomings(self, quality: Quality | None) -> tuple[Shortcoming, ...]:
        """Every reason that a face gives, the smallest effort first; none for what is no face."""
        if self.limits is None or quality is None:
            return ()
        return tuple(_shortcomings(quality, self.limits))


OFF: Final = QualityPolicy(name="off", limits=None)


class QualityPolicies:
    """The three policies under some settings."""

    def __init__(self, settings: Settings) -> None:
        limits, look_again_ms = _standard(settings), settings.quality_look_again_ms
        self._named: Mapping[PolicyName, QualityPolicy] = {
            "off": OFF,
            "standard": QualityPolicy(name="standard", limits=limits, look_again_ms=look_again_ms),
            "strict": QualityPolicy(
                name="strict",
                limits=_stricter(limits, STRICT),
                own_subject_nearest=True,
                look_again_ms=look_again_ms,
            ),
        }
        self.default = self._named[settings.quality]

    def named(self, name: PolicyName | None) -> QualityPolicy:
        """The policy of that name; the default one for None."""
        return self.default if name is None else self._named[name]


def _standard(settings: Settings) -> Limits:
    return Limits(
        min_face_px=settings.quality_min_face_px,
        min_sharpness=settings.quality_min_sharpness,
        min_brightness=settings.quality_min_brightness,
        max_yaw_deg=settings.quality_max_yaw_deg,
        max_pitch_deg=settings.quality_max_pitch_deg,
        max_roll_deg=settings.quality_max_roll_deg,
        max_covered=settings.quality_max_covered,
        min_detection_score=settings.quality_min_detection_score,
    )


def _stricter(one: Limits, other: Limits) -> Limits:
    a, b = asdict(one), asdict(other)
    return Limits(**{k: (max if k.startswith("min") else min)(a[k], b[k]) for k in a})


def _shortcomings(quality: Quality, limits: Limits) -> list[Shortcoming]:
    found = []

    def add(reason: QualityReason, detail: str) -> None:
        found.append(Shortcoming(reason=reason, detail=detail))

    if quality.face_px < limits.min_face_px:
        add(
            "face_too_small",
            f"The face is {quality.face_px:.0f} pixels wide, at least {limits.min_face_px} are "
            "needed: send a photo from nearer by, or one of more pixels.",
        )
    if quality.sharpness < limits.min_sharpness:
        add(
            "low_sharpness",
            f"The face has a sharpness of {quality.sharpness:.2f}, at least "
            f"{limits.min_sharpness:.2f} is needed: send a photo in focus, held still.",
        )
    if quality.brightness < limits.min_brightness:
        add(
            "low_brightness",
            f"The face has a brightness of {quality.brightness:.2f}, at least "
            f"{limits.min_brightness:.2f} is needed: send a photo with more light on the face.",
        )
    turned = _turned(quality, limits)
    if turned:
        add("extreme_pose", f"The face is turned: {turned}. Let it look into the camera.")
    if quality.covered > limits.max_covered:
        add(
            "face_covered",
            f"The colours of the face differ by {quality.covered:.2f} between its parts, at most "
            f"{limits.max_covered:.2f} is taken: show it with nothing in front of it and no hard "
            "shadow on it.",
        )
    if quality.det_score < limits.min_detection_score:
        add(
            "low_detection_score",
            f"The detector gives the face a score of {quality.det_score:.3f}, at least "
            f"{limits.min_detection_score:.3f} is needed: show the whole face, with nothing in "
            "front of it.",
        )
    return found


def _turned(quality: Quality, limits: Limits) -> str:
    # Of a face that the detector is unsure of the landmarks are guesses, which lean to the front.
    unsure = quality.det_score < limits.min_detection_score
    angles = (
        ("yaw", quality.yaw, limits.max_yaw_deg / 2 if unsure else limits.max_yaw_deg),
        ("pitch", quality.pitch, limits.max_pitch_deg),
        ("roll", quality.roll, limits.max_roll_deg),
    )
    return ", ".join(
        f"{name} of {angle:.0f} degrees, at most {limit:.0f} either way"
        for name, angle, limit in angles
        if abs(angle) > limit
    )
