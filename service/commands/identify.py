"""oneglance identify."""

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, get_args

from service.commands.connection import add_command, answer_json
from service.commands.gallery.common import progress, say
from service.commands.photo_files import check_there, requests
from service.options import Mode
from service.schemas import FaceOut, Problem, ThresholdOut

if TYPE_CHECKING:
    from service.client import Client

# Fewer than a service takes at a time, unless it was told otherwise.
PHOTOS_PER_REQUEST: Final = 32


def add(commands: Any) -> None:
    """Declare the command."""
    parser = add_command(commands, "identify", _run, help="say who is in photos")
    parser.add_argument("photos", nargs="+", type=Path, metavar="PHOTO")
    parser.add_argument("--top-k", type=int, metavar="COUNT", help="candidates for each face")
    parser.add_argument(
        "--target-fpir", type=float, metavar="SHARE", help="of strangers that may be called a match"
    )
    parser.add_argument(
        "--threshold", type=float, metavar="SIMILARITY", help="overrides the computed one"
    )
    parser.add_argument("--min-quality", type=float, metavar="SCORE", help="of faces to decide on")
    parser.add_argument("--max-faces", type=int, metavar="COUNT", help="the largest ones")
    parser.add_argument("--mode", choices=get_args(Mode), help="investigate decides nothing")


def _run(args: argparse.Namespace, client: "Client") -> int:
    check_there(args.photos)
    wishes: dict[str, Any] = {
        name: getattr(args, name)
        for name in (
            "top_k", "target_fpir", "threshold", "min_quality", "max_faces", "mode", "collection"
        )
    }  # fmt: skip
    if len(args.photos) == 1:
        one = client.identify(args.photos[0], **wishes)
        _tell(args, args.photos[0], one.faces, one.threshold)
        return 0
    failed = False
    with progress("identify", total=len(args.photos), unit="photo") as bar:
        for photos in requests(args.photos, most=PHOTOS_PER_REQUEST):
            batch = client.identify_batch(photos, **wishes)
            for photo, result in zip(photos, batch.results, strict=True):
                if result.answer is not None:
                    _tell(args, photo, result.answer.faces, batch.threshold)
                elif result.problem is not None:
                    failed = True
                    _tell_problem(args, photo, result.problem)
            bar.update(len(photos))
    return int(failed)


def _tell(
    args: argparse.Namespace, photo: Path, faces: list[FaceOut], threshold: ThresholdOut
) -> None:
    if args.json:
        answer_json(
            {
                "photo": str(photo),
                "faces": [face.model_dump(mode="json") for face in faces],
                "threshold": threshold.model_dump(mode="json"),
            }
        )
        return
    value = "none" if threshold.value is None else f"{threshold.value:.4f}"
    if threshold.target_fpir is not None:
        value += f" for {threshold.target_fpir:.2%} of strangers"
    note = f" ({threshold.note})" if threshold.note else ""
    count = "1 face" if len(faces) == 1 else f"{len(faces)} faces"
    say(f"{photo}: {count}; threshold {value}{note}")
    for face in faces:
        say(f"  {_in_words(face)}")
        # The first one was said already where the face is a match.
        for candidate in face.candidates[1 if face.decision == "match" else 0 :]:
            who = _name(candidate.subject.id, candidate.subject.name)
            say(f"    candidate {who}: similarity {candidate.similarity:.3f}")


def _in_words(face: FaceOut) -> str:
    box = face.bbox
    where = f"at {box.x:.0f},{box.y:.0f}, {box.width:.0f}x{box.height:.0f} px"
    if face.decision == "match" and face.subject is not None:
        return (
            f"match: {_name(face.subject.id, face.subject.name)}, similarity "
            f"{face.similarity:.3f}, {where}"
        )
    reason = f" ({face.reason})" if face.reason else ""
    nearest = "" if face.similarity is None else f", similarity {face.similarity:.3f} at best"
    return f"{face.decision}{reason}{nearest}, {where}"


def _name(subject_id: str, name: str | None) -> str:
    return subject_id if name is None else f"{name} ({subject_id})"


def _tell_problem(args: argparse.Namespace, photo: Path, problem: Problem) -> None:
    if args.json:
        answer_json({"photo": str(photo), "problem": problem.model_dump(mode="json")})
    else:
        say(f"{photo}: not looked at ({problem.code}): {problem.detail}")
