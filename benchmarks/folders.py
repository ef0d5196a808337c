"""Bar: a folder with all that goes wrong in folders: each handled in words, nothing lost.

Made on the spot, packed by the real command as crops that are aligned already.
"""

import subprocess
import sys
import tempfile
import unicodedata
import warnings
import zipfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from benchmarks.pictures import encoded
from training.data.pack import open_pack


@dataclass(frozen=True)
class Case:
    """words: what the command has to say. images, identities: in the pack; None for no pack."""

    name: str
    source: Path
    words: tuple[str, ...]
    images: int | None
    identities: int | None


def picture(seed: int) -> bytes:
    """A PNG of 112 x 112 pixels."""
    noise = np.random.default_rng(seed).integers(0, 256, (14, 14, 3)).astype(np.uint8)
    return encoded(np.kron(noise, np.ones((8, 8, 1), np.uint8)))


def written(root: Path, files: dict[str, bytes]) -> Path:
    """A folder of these files."""
    for name, data in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(data)
    return root


def zipped(path: Path, files: list[tuple[str, bytes]]) -> Path:
    """A zip of these members, in which a name may come twice."""
    with zipfile.ZipFile(path, "w") as archive, warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Duplicate name")
        for name, data in files:
            archive.writestr(name, data)
    return path


def cases(root: Path) -> list[Case]:
    """Every kind of trouble, each in a folder or zip of its own."""
    good = {f"ann/{i}.png": picture(i) for i in range(3)}
    good |= {f"bob/{i}.png": picture(10 + i) for i in range(3)}
    whole = picture(99)
    composed, decomposed = (unicodedata.normalize(form, "Zoë") for form in ("NFC", "NFD"))
    return [
        Case("corrupt images", written(root / "corrupt", {
            **good, "ann/half.png": whole[: len(whole) // 2], "ann/empty.png": b"",
            "bob/text.png": b"this is no picture",
        }), ("3 could not be used", "ann/half.png: ", "ann/empty.png: ", "bob/text.png: "), 6, 2),
        Case("an identity of one image", written(root / "one", {**good, "eve/0.png": picture(20)}),
             ("1 of 3 identities have one image",), 7, 3),
        Case("no images", written(root / "none", {"readme.txt": b"nothing here"}),
             ("holds no",), None, None),
        Case("only corrupt images", written(root / "only", {"ann/0.png": whole[:60]}),
             ("None of the 1 images",), None, None),
        Case("another size", written(root / "size", {**good, "ann/s.png": encoded(
            np.zeros((50, 40, 3), np.uint8))}), ("40 x 50",), 6, 2),
        Case("a name twice in a zip", zipped(root / "twice.zip", [
            *good.items(), ("ann/0.png", picture(30))]), ("ann/0.png: ",), 6, 2),
        Case("one name in two Unicode forms", zipped(root / "forms.zip", [
            *good.items(), (f"{composed}/0.png", picture(40)), (f"{decomposed}/1.png", picture(41)),
        ]), ("8 images of 3 identities",), 8, 3),
        Case("names beyond ASCII", written(root / "names", {
            **good, "李小龙/照片.png": picture(50), "Ōé ñ/ü.png": picture(51)}),
             ("8 images of 4 identities",), 8, 4),
        Case("one picture under two names", written(root / "shared", {
            **good, "carl/0.png": picture(0)}), ("one picture, several identities",), 7, 3),
    ]  # fmt: skip


def complaint(case: Case, out: Path) -> str:
    """What is wrong with the answer; empty if nothing."""
    words = ["prepare", str(case.source), "--out", str(out), "--aligned", "--workers", "1"]
    done = subprocess.run(
        [sys.executable, "-m", "training.cli", *words], capture_output=True, text=True
    )
    said = done.stdout + done.stderr
    missing = [part for part in case.words if part not in said]
    if missing or "Traceback" in said:
        return f"does not say {missing}: {said[-500:]}"
    if case.images is None:
        return "" if done.returncode == 1 and not out.exists() else f"status {done.returncode}"
    index = open_pack(out).index
    found = (len(index.paths), len(index.identities))
    return "" if found == (case.images, case.identities) else f"packed {found}"


def main() -> int:
    """0 if each case is handled in words."""
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        wrong = 0
        made = cases(root)
        for number, case in enumerate(made):
            found = complaint(case, root / f"pack{number}")
            wrong += bool(found)
            print(f"{case.name}: {found or 'handled in words'}")
    print(f"{len(made) - wrong} of {len(made)} kinds of trouble handled in words (bar: all)")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
