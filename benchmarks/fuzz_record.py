"""What was found in damaged files so far, kept in a file so that a proof can be made in parts."""

import json
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, field
from hashlib import sha256
from importlib.metadata import version
from pathlib import Path
from typing import Any, Final

_ROOT: Final = Path(__file__).parents[1]
# What a file goes through, and what makes it.
_CODE: Final = (
    "contract/**/*.py",
    "service/photo.py",
    "service/cropping.py",
    "benchmarks/image_*.py",
    "benchmarks/fuzz_images_child.py",
)
_LIBRARIES: Final = ("pillow", "numpy", "opencv-python-headless", "onnxruntime")


class OtherCodeError(Exception):
    """The record was made by other code: what it says is not true of the present."""


@dataclass(frozen=True, slots=True)
class Piece:
    """Files first to end - 1, all by one process. wrong: in words, of `wrongs` in all.

    growth_mb: the largest resident memory of the process so far above that before its first file.
    """

    first: int
    end: int
    outcomes: dict[str, int] = field(default_factory=dict)
    wrongs: int = 0
    wrong: Sequence[str] = ()
    slowest: int = 0
    slowest_s: float = 0.0
    growth_mb: float = 0.0


class FuzzRecord:
    """Pieces, as lines of JSON in a file. Every one is there as soon as it is added."""

    def __init__(self, path: Path) -> None:
        """Go on with `path`, or begin it. Raises OtherCodeError."""
        self._path = path
        self.pieces: list[Piece] = []
        code = {"code": present_code()}
        lines = path.read_text(encoding="utf-8").splitlines() if path.exists() else []
        if not lines:
            self._append(code)
        elif json.loads(lines[0]) != code:
            raise OtherCodeError(
                f"{path} was made by other code or libraries: remove it to begin anew."
            )
        self.pieces += (Piece(**json.loads(line)) for line in lines[1:])

    def add(self, piece: Piece) -> None:
        self.pieces.append(piece)
        self._append(asdict(piece))

    def left(self, first: int, end: int) -> list[range]:
        """Files of first to end - 1 that are in no piece."""
        gaps, at = [], first
        for piece in sorted(self.pieces, key=lambda one: one.first):
            gaps.append(range(at, min(piece.first, end)))
            at = max(at, piece.end)
        gaps.append(range(at, end))
        return [gap for gap in gaps if gap]

    @property
    def files(self) -> int:
        """How many have been through."""
        return sum(piece.end - piece.first for piece in self.pieces)

    @property
    def outcomes(self) -> Counter[str]:
        """What became of how many."""
        return sum((Counter(piece.outcomes) for piece in self.pieces), Counter[str]())

    @property
    def wrong(self) -> list[str]:
        """In words."""
        words = [word for piece in self.pieces for word in piece.wrong]
        more = sum(piece.wrongs for piece in self.pieces) - len(words)
        return [*words, f"and {more} more"] if more else words

    @property
    def slowest(self) -> tuple[float, int]:
        """Seconds of the processor, and the file."""
        return max(((p.slowest_s, p.slowest) for p in self.pieces), default=(0.0, 0))

    @property
    def growth_mb(self) -> float:
        """Of the process that grew most."""
        return max((piece.growth_mb for piece in self.pieces), default=0.0)

    def _append(self, line: dict[str, Any]) -> None:
        with self._path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(line) + "\n")


def shared(left: Iterable[range], workers: int) -> list[range]:
    """The same files in about as many ranges as workers, of about the same size."""
    left = list(left)
    most = -(-sum(map(len, left)) // workers) or 1
    return [gap[start : start + most] for gap in left for start in range(0, len(gap), most)]


def present_code() -> str:
    """A digest of the code and the libraries that are judged."""
    digest = sha256()
    for path in sorted({path for pattern in _CODE for path in _ROOT.glob(pattern)}):
        digest.update(path.relative_to(_ROOT).as_posix().encode() + b"\0" + path.read_bytes())
    for name in _LIBRARIES:
        digest.update(f"{name} {version(name)}\n".encode())
    return digest.hexdigest()
