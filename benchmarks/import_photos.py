"""An import of many photos, killed again and again: each photo once, a line for each.

    python -m benchmarks.import_photos --photos 10000 --kills 5

The photos of lfw-view2.zip, and from its end on the same ones under other subjects, are one zip. A
real `oneglance serve` takes it and is ended by SIGKILL at a random photo; it is started anew, and
the same zip sent again, until the import is through. Then every photo has one line, every line that
says enrolled has its template with the subject of its folder, no subject has more or fewer of
them, and the gallery agrees with itself.

To embed costs 60 ms a photo, which says nothing about imports: the photos go through the bundle of
benchmarks/tiny_bundle.py, whole and without a detector. `--real` takes the shipped bundle.
The figure is the last line; the exit status is not 0 if anything failed.
"""

import argparse
import json
import os
import random
import sys
import tempfile
import time
import zipfile
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any, Final

import numpy as np

from benchmarks.lfw_people import DataMissingError, LfwPeople, data_root
from benchmarks.pictures import encoded
from benchmarks.server import Server, serving
from benchmarks.tiny_bundle import write_tiny_bundle
from index.gallery import Gallery
from service.client import Client

_POLL_S: Final = 0.02
_LIMIT_S: Final = 3600.0


def photos(count: int, people: LfwPeople | None) -> Iterator[tuple[str, bytes]]:
    """`count` photos by path; of nobody, where there is no archive of people."""
    if people is None:
        for i in range(count):
            noise = np.random.default_rng(i).integers(0, 256, (8, 8, 3)).astype(np.uint8)
            yield f"subject-{i // 3}/{i}.png", encoded(noise.repeat(8, axis=0).repeat(8, axis=1))
        return
    names = [(who, photo) for who, paths in people.photos.items() for photo in paths]
    for i in range(count):
        turn, place = divmod(i, len(names))
        who, photo = names[place]
        folder = who if turn == 0 else f"{who}-{turn}"
        yield f"{folder}/{Path(photo).name}", people.read(photo)


def write_zip(path: Path, count: int, people: LfwPeople | None) -> Counter[str]:
    """The zip; photos by folder."""
    by_folder: Counter[str] = Counter()
    with zipfile.ZipFile(path, "w", zipfile.ZIP_STORED) as archive:
        for name, data in photos(count, people):
            archive.writestr(name, data)
            by_folder[name.split("/")[0]] += 1
    return by_folder


def send(client: Client, archive: Path) -> tuple[str, str]:
    """Ids of job and import."""
    answer = client.import_archive(archive, quality="off", face_policy="largest")
    return answer.job.id, answer.import_id


def lines_of(folder: Path, import_id: str) -> int:
    """Lines of the report on the disk, whole ones."""
    report = folder / "imports" / f"{import_id}.jsonl"
    return report.read_bytes().count(b"\n") if report.exists() else 0


def run_until(server: Server, archive: Path, folder: Path, stop_at: int | None) -> dict[str, Any]:
    """Import, and kill the server when `stop_at` lines are there; the result without one.

    Raises ApiError where the import fails.
    """
    with Client(server.url, timeout_s=600) as client:
        job, import_id = send(client, archive)
        if stop_at is None:
            result = client.wait_for_job(job, timeout_s=_LIMIT_S, poll_s=0.2).result
            assert result is not None
            lines = [json.loads(t) for t in client.get_import_report(import_id).splitlines()]
            return {**result, "lines": lines}
        while lines_of(folder, import_id) < stop_at:
            # Through before the kill: a number of lines that never comes must not be waited for.
            if client.get_job(job).status in ("succeeded", "failed"):
                break
            time.sleep(_POLL_S)
        server.process.kill()
        server.process.wait()
    return {}


def faults(gallery_path: Path, count: int, by_folder: Counter[str], lines: Any) -> list[str]:
    """What is wrong in the end."""
    found = []
    if sorted(line["index"] for line in lines) != list(range(count)):
        found.append(f"{len(lines)} lines for {count} photos")
    taken = [line for line in lines if line["template_id"]]
    rejected = Counter(line["path"].split("/")[0] for line in lines if not line["template_id"])
    twice = Counter(line["template_id"] for line in taken)
    same = len(taken) - len(twice)
    with closing(Gallery.open(gallery_path)) as gallery:
        stored: Counter[str] = Counter()
        after = None
        while True:
            page = gallery.subjects(limit=1000, after=after)
            for subject in page.subjects:
                stored[subject.external_id or ""] = subject.template_count
            if (after := page.next_after) is None:
                break
        wrong = [line for line in taken if not _stored(gallery, line)]
        gallery.verify()
    if wrong:
        found.append(f"{len(wrong)} lines whose template is not there or another's")
    # Two photos of the same bytes in one folder are one template.
    alike: Counter[str] = Counter()
    for line in {line["template_id"]: line for line in taken}.values():
        alike[line["path"].split("/")[0]] += 1
    if stored != alike:
        found.append(f"{stored.total()} templates, {alike.total()} of lines")
    if alike.total() + same + rejected.total() != by_folder.total():
        found.append("photos without an outcome")
    return found


def _stored(gallery: Gallery, line: dict[str, Any]) -> bool:
    subject = gallery.template(line["template_id"]).subject_id
    external_id = gallery.subject(subject).external_id
    return bool(subject == line["subject_id"]) and external_id == line["path"].split("/")[0]


def measure(count: int, kills: int, seed: int, people: LfwPeople | None, *, real: bool) -> int:
    """Print the figure; 0 if all holds."""
    with tempfile.TemporaryDirectory(prefix="oneglance-import-") as name:
        folder = Path(name)
        archive, gallery_path = folder / "photos.zip", folder / "gallery.sqlite3"
        by_folder = write_zip(archive, count, people)
        options: list[object] = ["--quality", "off"]
        if not real:
            (folder / "tiny").mkdir()
            write_tiny_bundle(folder / "tiny", fit="pad")
            options += ["--bundle-path", folder / "tiny"]
        choose = random.Random(seed)
        stops: list[int | None] = [*sorted(choose.sample(range(1, count), kills)), None]
        killed, result, working_s = 0, {}, 0.0
        for number, stop_at in enumerate(stops):
            with serving(gallery_path, folder / f"log-{number}", *options) as server:
                start = time.perf_counter()
                result = run_until(server, archive, folder, stop_at)
                working_s += time.perf_counter() - start
            if stop_at is not None:
                killed += 1
                print(f"killed at line {stop_at} or soon after", file=sys.stderr)
        lines = result.pop("lines")
        found = faults(gallery_path, count, by_folder, lines)
        left = sorted(os.listdir(folder / "imports"))
    if len(left) != 1:
        found.append(f"left in the folder of imports: {left}")
    for fault in found:
        print(f"FAULT: {fault}", file=sys.stderr)
    print(f"in {len(by_folder):,} folders; {result['outcomes']}, reasons {result['reasons']}")
    print(
        f"{count:,} photos in an import killed {killed} times: {len(lines):,} lines, "
        f"{len(found)} faults; {working_s / count * 1000:.1f} ms a photo"
    )
    return int(bool(found))


def main(arguments: Sequence[str] | None = None) -> int:
    """Run it; the exit status."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--photos", type=int, default=10_000, help="(default: 10000)")
    parser.add_argument("--kills", type=int, default=5, help="(default: 5)")
    parser.add_argument("--seed", type=int, default=0, help="of the moments (default: 0)")
    parser.add_argument("--real", action="store_true", help="detect and embed by what is shipped")
    parser.add_argument("--textures", action="store_true", help="photos of nobody, without LFW")
    options = parser.parse_args(arguments)
    try:
        if options.textures:
            return measure(options.photos, options.kills, options.seed, None, real=options.real)
        with LfwPeople(data_root()) as people:
            return measure(options.photos, options.kills, options.seed, people, real=options.real)
    except DataMissingError as error:
        print(error, file=sys.stderr)
        return 2


if __name__ == "__main__":
    sys.exit(main())
