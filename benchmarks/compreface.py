"""CompreFace's own Python SDK, as published, against our service: does moving take a URL alone?

    python -m benchmarks.compreface --sdk .venv/compreface

A real server with the settings of the service; 20 people of Labeled Faces in the Wild with two
photos each, another photo of each, and one photo each of 50 strangers, whom the bundle's training
does not name. The SDK does all that it can: subjects, faces, recognize, both verifications and
detection. The bar: every answer is as CompreFace documents it, and where our own API answers the
same question, it says the same; at least 90 % of the enrolled are named first by another photo; and
at most 5 % of the strangers are as similar to somebody as /v1/identify asks for a match. The figure
is the last line; the exit status says whether the bar holds.
"""

import argparse
import os
import sys
import tempfile
from pathlib import Path
from statistics import median
from typing import Final

import httpx

from benchmarks.compreface_sdk import Sdk, SdkError
from benchmarks.compreface_steps import OTHER_COLLECTION, OTHER_KEY, Outcome, Photos, run
from benchmarks.lfw_people import DataMissingError, LfwPeople, data_root, trained_names
from benchmarks.pictures import encoded, landscape
from benchmarks.server import ServerError, serving

ENROLLED: Final = 20
STRANGERS: Final = 50
RIGHT_AT_LEAST: Final = 0.9
STRANGERS_ABOVE_AT_MOST: Final = 0.05
TIMEOUT_S: Final = 60.0


def photos_in(folder: Path, root: Path) -> Photos:
    """The cast as files in `folder`. Raises DataMissingError."""
    with LfwPeople(root) as people:
        cast = people.cast(
            enrolled=ENROLLED, strangers=STRANGERS, seed=0, without=trained_names(root)
        )

        def file(photo: str) -> Path:
            path = folder / Path(photo).name
            path.write_bytes(people.read(photo))
            return path

        nobody = folder / "nobody.png"
        nobody.write_bytes(encoded(landscape()))
        return Photos(
            enrolled={name: (file(one), file(two)) for name, (one, two) in cast.enrolled.items()},
            probes={name: file(photo) for name, photo in cast.probes.items()},
            strangers={name: file(photo) for name, photo in cast.strangers.items()},
            nobody=nobody,
        )


def measure(sdk_environment: Path, folder: Path) -> Outcome:
    """Serve and run all steps. Raises DataMissingError, ServerError or SdkError."""
    photos = photos_in(folder, data_root())
    os.environ["ONEGLANCE_COMPREFACE_COLLECTIONS"] = f"{OTHER_KEY}={OTHER_COLLECTION}"
    with (
        serving(folder / "gallery.sqlite3", folder / "server.log") as server,
        Sdk(sdk_environment, server.url) as sdk,
        httpx.Client(base_url=server.url, timeout=TIMEOUT_S, trust_env=False) as ours,
    ):
        return run(sdk, ours, photos)


def passed(outcome: Outcome) -> bool:
    """The bar."""
    return (
        not outcome.wrong
        and outcome.looked_for >= RIGHT_AT_LEAST * ENROLLED
        and outcome.right >= RIGHT_AT_LEAST * outcome.looked_for
        and outcome.strangers_above <= STRANGERS_ABOVE_AT_MOST * outcome.strangers
    )


def report(outcome: Outcome) -> list[str]:
    """What was seen, in lines; the figure is the last one."""
    lines = [
        f"{'FAIL' if failed else 'ok  '} {what}: {held} of {held + failed}"
        for what, (held, failed) in outcome.checks.items()
    ]
    answers = sum(sum(counts) for counts in outcome.checks.values())
    right = sum(held for held, _ in outcome.checks.values())
    lines += [
        f"photos to enrol that were refused: {len(outcome.refused)} of {2 * ENROLLED}, "
        f"codes {sorted(outcome.refused)}",
        f"similarity of the enrolled, named first: median {median(outcome.right_similarities):.3f}"
        f"; of strangers to their nearest: median {median(outcome.stranger_similarities):.3f}, "
        f"largest {max(outcome.stranger_similarities):.3f}; "
        f"threshold of /v1/identify {outcome.threshold}",
        f"compreface-sdk 0.6.0, unmodified: {right} of {answers} answers as they should be; named "
        f"first {outcome.right} of {outcome.looked_for} enrolled (bar "
        f"{RIGHT_AT_LEAST:.0%}); strangers at the threshold {outcome.strangers_above} of "
        f"{outcome.strangers} (bar {STRANGERS_ABOVE_AT_MOST:.0%})",
    ]
    return lines


def main() -> int:
    """0 if the bar holds."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--sdk", type=Path, required=True, help="environment with the SDK")
    environment: Path = parser.parse_args().sdk
    with tempfile.TemporaryDirectory() as folder:
        try:
            outcome = measure(environment, Path(folder))
        except (DataMissingError, ServerError, SdkError) as error:
            print(error, file=sys.stderr)
            return 2
    print("\n".join(report(outcome)))
    return 0 if passed(outcome) else 1


if __name__ == "__main__":
    sys.exit(main())
