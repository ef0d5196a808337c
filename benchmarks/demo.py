"""Enrol the astronaut from one photo, find her again, and call others unknown.

    python -m benchmarks.demo

The photo is NASA's portrait of Eileen Collins, in the public domain, from scikit-image's wheel.
"""

import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from PIL import Image

from benchmarks.asgi import AsgiClient, AsgiTransport, local_service
from benchmarks.lfw_people import DataMissingError, LfwPeople, data_root, trained_names
from benchmarks.pictures import astronaut, encoded, landscape
from contract.errors import OneGlanceError
from service.client import ApiError, Client
from service.schemas import FaceOut
from service.settings import Settings

NAME = "Eileen Collins"
OTHERS = 5


def variants() -> dict[str, bytes]:
    """Her photo, changed as photos are on their way through the world."""
    photo = astronaut()
    half = Image.fromarray(photo).reduce(2)
    return {
        "flipped": encoded(np.ascontiguousarray(photo[:, ::-1])),
        "shrunk to half its size": encoded(np.asarray(half)),
        "as a JPEG of quality 30": encoded(photo, "JPEG", quality=30),
    }


def others() -> Iterator[tuple[str, bytes]]:
    """Photos of people of LFW, where they are on this machine."""
    root = data_root()
    with LfwPeople(root) as people:
        cast = people.cast(enrolled=0, strangers=OTHERS, seed=0, without=trained_names(root))
        for name, photo in cast.strangers.items():
            yield name.replace("_", " "), people.read(photo)


def told(what: str, faces: list[FaceOut], expected: list[str]) -> bool:
    """Print a line on one photo; whether its faces are named as expected."""
    names = [(face.subject and face.subject.name) or face.decision for face in faces]
    scores = ", ".join(
        f"{name} (similarity {face.similarity:.3f})"
        for name, face in zip(names, faces, strict=True)
    )
    right = names == expected
    print(f"{'  ' if right else '! '}{what}: {scores or 'no face'}")
    return right


def show(service: AsgiClient) -> bool:
    """The whole story; whether all of it came out right."""
    client = Client("http://oneglance", transport=AsgiTransport(service))
    try:
        client.enroll(encoded(astronaut()), name=NAME)
    except ApiError as error:
        print(f"She could not be enrolled: {error.detail}")
        return False
    print(f"Enrolled {NAME} from one photo.\n\nThe same photo, changed:")
    right = [told(what, client.identify(data).faces, [NAME]) for what, data in variants().items()]
    print("\nOthers:")
    try:
        for name, data in others():
            faces = client.identify(data).faces
            right.append(told(name, faces, ["unknown"] * len(faces)))
    except DataMissingError as error:
        print(f"  No other people are shown. {error}")
    right.append(told("a landscape", client.identify(encoded(landscape())).faces, []))
    return all(right)


def main() -> int:
    """Run the story on a gallery that is thrown away; 0 if it came out right."""
    with tempfile.TemporaryDirectory(prefix="oneglance-demo-") as folder:
        try:
            with local_service(Settings(gallery=str(Path(folder) / "gallery.sqlite3"))) as service:
                right = show(service)
        except OneGlanceError as error:
            print(f"demo: {error}", file=sys.stderr)
            return 1
    print("\nAll as it should be." if right else "\nNot as it should be: see the lines marked !")
    return 0 if right else 1


if __name__ == "__main__":
    sys.exit(main())
