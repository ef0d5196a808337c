"""What a CompreFace user does, by CompreFace's SDK, and whether the answers are CompreFace's.

Photos are files; of a photo of several faces the one nearest the middle is meant, where Labeled
Faces in the Wild has its subject.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import httpx

from benchmarks.compreface_sdk import Sdk

MIDDLE_PX: Final = 125.0
CLOSE: Final = 1e-6
OTHER_KEY: Final = "key-of-guests"
OTHER_COLLECTION: Final = "guests"
# No face, several faces, or a face that the quality policy refuses.
REFUSALS: Final = {28, 31, 26}
FULL: Final = {"status": True, "face_plugins": "landmarks", "det_prob_threshold": 0.8}


@dataclass(frozen=True, slots=True, kw_only=True)
class Photos:
    """Files by person: two to enrol, one of the same to look for, one of each stranger."""

    enrolled: Mapping[str, tuple[Path, Path]]
    probes: Mapping[str, Path]
    strangers: Mapping[str, Path]
    nobody: Path


@dataclass(slots=True)
class Outcome:
    """checks: of one kind of answer each, how often it was as it should be, and how often not.

    right: of people with a photo enrolled, those who are named first. strangers_above: those as
    similar to somebody as /v1/identify asks for a match.
    """

    checks: dict[str, list[int]] = field(default_factory=dict)
    refused: list[int] = field(default_factory=list)
    images: dict[str, list[tuple[str, Path]]] = field(default_factory=dict)
    looked_for: int = 0
    right: int = 0
    strangers: int = 0
    strangers_above: int = 0
    right_similarities: list[float] = field(default_factory=list)
    stranger_similarities: list[float] = field(default_factory=list)
    threshold: float | None = None

    def check(self, what: str, held: bool) -> None:
        """Count one answer."""
        self.checks.setdefault(what, [0, 0])[0 if held else 1] += 1

    @property
    def wrong(self) -> list[str]:
        """Kinds of answers that were not always as they should be."""
        return [what for what, (_, failed) in self.checks.items() if failed]


def run(sdk: Sdk, ours: httpx.Client, photos: Photos) -> Outcome:
    """All steps on an empty collection. ours: a client of our own API on the same server."""
    outcome = Outcome()
    add_subjects(sdk, photos, outcome)
    add_faces(sdk, photos, outcome)
    list_all(sdk, outcome)
    recognize(sdk, ours, photos, outcome)
    compare(sdk, photos, outcome)
    refuse(sdk, photos, outcome)
    keep_keys_apart(sdk, ours, outcome)
    rename(sdk, photos, outcome)
    remove(sdk, photos, outcome)
    return outcome


def add_subjects(sdk: Sdk, photos: Photos, outcome: Outcome) -> None:
    for name in photos.enrolled:
        added = sdk.call("subjects", "add", subject=name)
        outcome.check("subjects.add", added == {"subject": name})
        again = sdk.call("subjects", "add", subject=name)
        outcome.check("subjects.add twice: code 43", again.get("code") == 43)
    listed = sdk.call("subjects", "list")
    outcome.check("subjects.list", listed == {"subjects": list(photos.enrolled)})


def add_faces(sdk: Sdk, photos: Photos, outcome: Outcome) -> None:
    for name, paths in photos.enrolled.items():
        outcome.images[name] = []
        for path in paths:
            added = sdk.call(
                "faces",
                "add",
                image_path=str(path),
                subject=name,
                options={"det_prob_threshold": 0.8},
            )
            if "code" in added:
                outcome.refused.append(added["code"])
                outcome.check("faces.add refused in words", added["code"] in REFUSALS)
                continue
            outcome.check("faces.add", added.keys() == {"image_id", "subject"})
            outcome.images[name].append((added["image_id"], path))


def list_all(sdk: Sdk, outcome: Outcome) -> None:
    listed = sdk.call("faces", "list")
    expected = [(image, name) for name, of in outcome.images.items() for image, _ in of]
    seen = [(face["image_id"], face["subject"]) for face in listed["faces"]]
    outcome.check("faces.list", seen == expected[:20])
    counts = (listed["total_elements"], listed["page_number"], listed["page_size"])
    outcome.check("faces.list counts", counts == (len(expected), 0, 20))


def recognize(sdk: Sdk, ours: httpx.Client, photos: Photos, outcome: Outcome) -> None:
    for name, path in photos.probes.items():
        if not outcome.images[name]:
            continue
        best = _recognized(sdk, ours, path, outcome)
        outcome.looked_for += 1
        if best is not None and best["subject"] == name:
            outcome.right += 1
            outcome.right_similarities.append(best["similarity"])
    for path in photos.strangers.values():
        best = _recognized(sdk, ours, path, outcome)
        outcome.strangers += 1
        if best is not None:
            outcome.stranger_similarities.append(best["similarity"])
            threshold = outcome.threshold
            outcome.strangers_above += threshold is None or best["similarity"] >= threshold


def _recognized(
    sdk: Sdk, ours: httpx.Client, path: Path, outcome: Outcome
) -> Mapping[str, Any] | None:
    """The first subject of the middle face, and whether /v1/identify lists the same."""
    answer = sdk.call(
        "recognition",
        "recognize",
        image_path=str(path),
        options={**FULL, "limit": 0, "prediction_count": 3},
    )
    files = {"image": (path.name, path.read_bytes())}
    identified = ours.post("/v1/identify", files=files, data={"top_k": 3}).json()
    if "result" not in answer:
        outcome.check("recognize nobody: code 28", answer.get("code") == 28)
        return None
    outcome.threshold = identified["threshold"]["value"]
    expected = [
        [(c["similarity"], c["subject"]["name"]) for c in face["candidates"]]
        for face in identified["faces"]
    ]
    seen = [
        [(s["similarity"], s["subject"]) for s in face["subjects"]] for face in answer["result"]
    ]
    # Similarities of one photo, computed twice, agree to the last digits of float32.
    same = len(seen) == len(expected) and all(
        who == other and abs(similarity - value) <= CLOSE
        for subjects, candidates in zip(seen, expected, strict=True)
        for (similarity, who), (value, other) in zip(subjects, candidates, strict=True)
    )
    outcome.check("recognize: the candidates of /v1/identify", same)
    whole = all(len(face["landmarks"]) == 5 and face["execution_time"] for face in answer["result"])
    outcome.check("recognize: landmarks, times, versions", whole and "plugins_versions" in answer)
    found = sdk.call("detection", "detect", image_path=str(path), options=FULL)
    boxes = [[face["box"] for face in faces["result"]] for faces in (found, answer)]
    outcome.check("detect: the same boxes", boxes[0] == boxes[1])
    subjects = middle(answer["result"])["subjects"]
    return subjects[0] if subjects else None


def compare(sdk: Sdk, photos: Photos, outcome: Outcome) -> None:
    for name, images in outcome.images.items():
        probe = str(photos.probes[name])
        similarities = []
        for image_id, path in images:
            stored = sdk.call("faces", "verify", image_path=probe, image_id=image_id)
            if "result" not in stored:
                outcome.check("verify nobody: code 28", stored.get("code") == 28)
                continue
            pair = sdk.call(
                "verification", "verify", source_image_path=str(path), target_image_path=probe
            )
            similarity = middle(stored["result"])["similarity"]
            direct = middle(pair["result"][0]["face_matches"])["similarity"]
            outcome.check("faces.verify and verification agree", abs(similarity - direct) <= CLOSE)
            similarities.append(similarity)
        if similarities:
            answer = sdk.call(
                "recognition", "recognize", image_path=probe, options={"prediction_count": 100}
            )
            of = {s["subject"]: s["similarity"] for s in middle(answer["result"])["subjects"]}
            best = abs(of[name] - max(similarities)) <= CLOSE
            outcome.check("recognize: the best of faces.verify", best)


def refuse(sdk: Sdk, photos: Photos, outcome: Outcome) -> None:
    nobody, name = str(photos.nobody), next(iter(photos.enrolled))
    for answer in (
        sdk.call("recognition", "recognize", image_path=nobody),
        sdk.call("detection", "detect", image_path=nobody),
        sdk.call("faces", "add", image_path=nobody, subject=name),
        sdk.call("verification", "verify", source_image_path=nobody, target_image_path=nobody),
    ):
        outcome.check("a photo of nobody: code 28", answer.get("code") == 28)
    for answer in (
        sdk.call("subjects", "delete", subject="Nobody"),
        sdk.call("subjects", "update", subject="Nobody", new_name="Somebody"),
    ):
        outcome.check("an unknown subject: code 42", answer.get("code") == 42)
    unknown = "00000000-0000-4000-8000-000000000000"
    gone = sdk.call("faces", "delete", image_id=unknown)
    outcome.check("an unknown image: code 44", gone.get("code") == 44)


def keep_keys_apart(sdk: Sdk, ours: httpx.Client, outcome: Outcome) -> None:
    ours.post("/v1/collections", json={"id": OTHER_COLLECTION}).raise_for_status()
    before = sdk.call("subjects", "list")
    sdk.call("subjects", "add", key=OTHER_KEY, subject="Guest")
    guests = sdk.call("subjects", "list", key=OTHER_KEY)
    outcome.check("a key has its own collection", guests == {"subjects": ["Guest"]})
    gone = sdk.call("subjects", "delete_all", key=OTHER_KEY)
    outcome.check("subjects.delete_all of one key", gone == {"deleted": 1})
    outcome.check("the other key's stay", sdk.call("subjects", "list") == before)


def rename(sdk: Sdk, photos: Photos, outcome: Outcome) -> None:
    first, second = [name for name, images in outcome.images.items() if images][:2]
    updated = sdk.call("subjects", "update", subject=first, new_name="A New Name")
    outcome.check("subjects.update", updated == {"updated": True})
    outcome.images["A New Name"] = outcome.images.pop(first)
    _, path = outcome.images["A New Name"][0]
    named = middle(sdk.call("recognition", "recognize", image_path=str(path))["result"])
    outcome.check("recognize by the new name", named["subjects"][0]["subject"] == "A New Name")

    merged = sdk.call("subjects", "update", subject=second, new_name="A New Name")
    moved = outcome.images.pop(second)
    outcome.images["A New Name"] += moved
    outcome.check("subjects.update onto another: merged", merged == {"updated": True})
    outcome.check("subjects.list", second not in sdk.call("subjects", "list")["subjects"])
    named = middle(sdk.call("recognition", "recognize", image_path=str(moved[0][1]))["result"])
    outcome.check("recognize the merged", named["subjects"][0]["subject"] == "A New Name")


def remove(sdk: Sdk, photos: Photos, outcome: Outcome) -> None:
    images = outcome.images["A New Name"]
    (image_id, path), rest = images[0], images[1:]
    gone = sdk.call("faces", "delete", image_id=image_id)
    outcome.check("faces.delete", gone == {"image_id": image_id, "subject": "A New Name"})
    again = sdk.call("faces", "delete", image_id=image_id)
    outcome.check("an unknown image: code 44", again.get("code") == 44)
    cleared = sdk.call("faces", "delete_all", subject="A New Name")
    outcome.check("faces.delete_all", cleared == {"deleted": len(rest)})
    named = middle(sdk.call("recognition", "recognize", image_path=str(path))["result"])
    outcome.check("who is removed is not named", named["subjects"][0]["subject"] != "A New Name")

    last = sdk.call("subjects", "list")["subjects"]
    gone = sdk.call("subjects", "delete", subject=last[0])
    outcome.check("subjects.delete", gone == {"subject": last[0]})
    everybody = sdk.call("subjects", "delete_all")
    outcome.check("subjects.delete_all", everybody == {"deleted": len(last) - 1})
    outcome.check("nobody is left", sdk.call("subjects", "list") == {"subjects": []})
    outcome.check("nothing is left", sdk.call("faces", "list")["total_elements"] == 0)


def middle(faces: list[dict[str, Any]]) -> dict[str, Any]:
    """The face whose box is nearest the middle of an LFW photo."""

    def away(face: dict[str, Any]) -> float:
        box = face["box"]
        x, y = (box["x_min"] + box["x_max"]) / 2, (box["y_min"] + box["y_max"]) / 2
        return float((x - MIDDLE_PX) ** 2 + (y - MIDDLE_PX) ** 2)

    return min(faces, key=away)
