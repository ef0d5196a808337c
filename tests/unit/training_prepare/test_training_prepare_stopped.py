"""Stopped, killed and gone on with: to the same bytes, and nothing done twice."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import psutil
import pytest

import training.data.journal
from tests.source_files import folder_of
from tests.unit.training_prepare.conftest import (
    ALIGNED,
    FILES,
    PATHS,
    FakeDetector,
    aligned,
    crop,
    photo,
    png,
    zip_of,
)
from training.cli import main
from training.data.journal import Journal, JournalError
from training.data.pack import open_pack
from training.data.prepare import PrepareConfig, Prepared, prepare
from training.data.workers import Done, PreparationError

# --- stopped and gone on with ---


MANY = {f"p{i % 5}/{i:02}.png": photo(i) if i % 7 else b"broken" for i in range(40)}


def contents(pack: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in pack.iterdir()}


@pytest.fixture
def whole(tmp_path: Path) -> dict[str, bytes]:
    """The pack of MANY by work that nothing stopped."""
    source = folder_of(tmp_path / "many", MANY)
    prepare(source, tmp_path / "whole", PrepareConfig(), detector=FakeDetector)
    return contents(tmp_path / "whole")


@pytest.mark.parametrize("stops_at", [1, 2, 20, 34])
def test_stopped_work_goes_on_and_does_nothing_twice(
    tmp_path: Path, whole: dict[str, bytes], fake: type[FakeDetector], stops_at: int
) -> None:
    usable = sum(data != b"broken" for data in MANY.values())
    fake.asked, fake.stops_at = 0, stops_at
    with pytest.raises(KeyboardInterrupt):
        prepare(tmp_path / "many", tmp_path / "pack", PrepareConfig(), detector=fake)
    assert not (tmp_path / "pack" / "index.json").exists()
    fake.asked, fake.stops_at = 0, -1
    prepare(tmp_path / "many", tmp_path / "pack", PrepareConfig(), detector=fake)
    assert fake.asked == usable - (stops_at - 1)
    assert contents(tmp_path / "pack") == whole


@pytest.mark.parametrize("torn", ["line", "image", "both", "lost image", "garbage"])
def test_what_a_kill_or_a_power_cut_tore_is_done_again(
    tmp_path: Path, whole: dict[str, bytes], fake: type[FakeDetector], torn: str
) -> None:
    fake.asked, fake.stops_at = 0, 20
    with pytest.raises(KeyboardInterrupt):
        prepare(tmp_path / "many", tmp_path / "pack", PrepareConfig(), detector=fake)
    journal, images = (tmp_path / "pack" / ".prepare" / n for n in ("journal.jsonl", "images.npy"))
    if torn in ("line", "both"):
        journal.write_bytes(journal.read_bytes()[:-3])
    if torn in ("image", "both"):
        images.write_bytes(images.read_bytes() + b"half of an image")
    if torn == "lost image":  # the journal reached the disk, the pixels did not
        data = images.read_bytes()
        images.write_bytes(data[:-50_000] + bytes(50_000))
    if torn == "garbage":
        journal.write_bytes(journal.read_bytes() + b"\0\0\n[1]\n")
    fake.asked, fake.stops_at = 0, 10
    with pytest.raises(KeyboardInterrupt):
        prepare(tmp_path / "many", tmp_path / "pack", PrepareConfig(), detector=fake)
    fake.asked, fake.stops_at = 0, -1
    prepare(tmp_path / "many", tmp_path / "pack", PrepareConfig(), detector=fake)
    assert contents(tmp_path / "pack") == whole
    assert fake.asked <= 8  # what was torn is no hindrance the second time


@pytest.mark.parametrize("step", ["index", "images", "remove"])
def test_a_kill_in_the_last_steps_loses_nothing(
    tmp_path: Path,
    whole: dict[str, bytes],
    fake: type[FakeDetector],
    step: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Before the new images lie in place, before the new index, before the work is removed."""

    def killed(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        if step == "index":
            patch.setattr(Path, "write_text", killed)
        elif step == "images":
            patch.setattr(Path, "replace", killed)
        else:
            patch.setattr(shutil, "rmtree", killed)
        with pytest.raises(KeyboardInterrupt):
            prepare(tmp_path / "many", tmp_path / "pack", PrepareConfig(), detector=fake)
    assert (tmp_path / "pack" / ".prepare").exists()
    fake.asked = 0
    prepare(tmp_path / "many", tmp_path / "pack", PrepareConfig(), detector=fake)
    assert contents(tmp_path / "pack") == whole
    if step != "remove":  # there the pack was done: it is prepared anew
        assert fake.asked == 0


def test_the_old_pack_stays_until_the_new_one_is_done(
    tmp_path: Path, fake: type[FakeDetector]
) -> None:
    aligned(folder_of(tmp_path / "old", FILES), tmp_path / "pack")
    fake.stops_at = 2
    source = folder_of(tmp_path / "new", {f"a/{i}.png": photo(i) for i in range(3)})
    with pytest.raises(KeyboardInterrupt):
        prepare(source, tmp_path / "pack", PrepareConfig(), detector=fake)
    assert open_pack(tmp_path / "pack").index.paths == PATHS
    prepare(source, tmp_path / "pack", PrepareConfig(), detector=fake)
    assert open_pack(tmp_path / "pack").index.paths == ("a/0.png", "a/1.png", "a/2.png")


def begun(tmp_path: Path, fake: type[FakeDetector]) -> Path:
    source = folder_of(tmp_path / "many", MANY)
    fake.stops_at = 5
    with pytest.raises(KeyboardInterrupt):
        prepare(source, tmp_path / "pack", PrepareConfig(), detector=fake)
    fake.stops_at = -1
    return source


def test_another_source_or_another_option_is_refused(
    tmp_path: Path, fake: type[FakeDetector]
) -> None:
    source = begun(tmp_path, fake)
    pack = tmp_path / "pack"
    other = folder_of(tmp_path / "other", MANY)
    with pytest.raises(JournalError, match=r"another preparation, source many, not other.*--out"):
        prepare(other, pack, PrepareConfig(), detector=fake)
    with pytest.raises(JournalError, match="aligned False, not True"):
        prepare(source, pack, ALIGNED)
    with pytest.raises(JournalError, match="kind faces, not images"):
        prepare(source, pack, PrepareConfig(kind="images", side_px=112))
    (source / "p1" / "01.png").write_bytes(b"something else")
    with pytest.raises(JournalError, match="files that have changed"):
        prepare(source, pack, PrepareConfig(), detector=fake)
    (source / "p1" / "01.png").write_bytes(MANY["p1/01.png"])
    prepare(source, pack, PrepareConfig(), detector=fake)
    assert len(open_pack(pack).images) == 34


def test_two_cannot_prepare_one_pack(tmp_path: Path, fake: type[FakeDetector]) -> None:
    source = begun(tmp_path, fake)
    head = json.loads((tmp_path / "pack/.prepare/journal.jsonl").read_text().splitlines()[0])
    other = Journal(tmp_path / "pack" / ".prepare", head, height_px=112, width_px=112)
    with pytest.raises(JournalError, match="Another process is preparing"):
        prepare(source, tmp_path / "pack", PrepareConfig(), detector=fake)
    other.close()
    prepare(source, tmp_path / "pack", PrepareConfig(), detector=fake)


def test_a_full_disk_keeps_what_is_done(
    tmp_path: Path,
    whole: dict[str, bytes],
    fake: type[FakeDetector],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    added = Journal.add

    def full(journal: Journal, done: Done) -> None:
        if len(journal.entries) == 12:
            raise OSError(28, "No space left on device")
        added(journal, done)

    with monkeypatch.context() as patch:
        patch.setattr(training.data.journal.Journal, "add", full)
        with pytest.raises(OSError, match="No space left"):
            prepare(tmp_path / "many", tmp_path / "pack", PrepareConfig(), detector=fake)
    prepare(tmp_path / "many", tmp_path / "pack", PrepareConfig(), detector=fake)
    assert contents(tmp_path / "pack") == whole


# --- in processes of their own ---


@pytest.fixture(scope="module")
def large(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """600 crops, a few of them broken."""
    root = tmp_path_factory.mktemp("large")
    pictures = [png(crop(i)) for i in range(20)]
    files = {
        f"p{i % 30:02}/{i:03}.png": pictures[i % 20] if i % 50 else b"broken" for i in range(600)
    }
    aligned(zip_of(root / "s.zip", files), root / "whole")
    return root


def command(source: Path, out: Path, workers: int) -> list[str]:
    return [
        sys.executable, "-m", "training.cli", "prepare", str(source), "--out", str(out),
        "--aligned", "--workers", str(workers),
    ]  # fmt: skip


def lines(out: Path) -> int:
    journal = out / ".prepare" / "journal.jsonl"
    return journal.read_bytes().count(b"\n") if journal.exists() else 0


def wait_for(condition: Callable[[], bool]) -> None:
    end = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.002)


def started(words: list[str]) -> subprocess.Popen[str]:
    """Its own session, in which Ctrl-C is heard even where these tests run in the background."""
    # A shell starts what it puts into the background with SIGINT ignored, and children inherit it.
    before = signal.signal(signal.SIGINT, signal.SIG_DFL)
    try:
        return subprocess.Popen(
            words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True
        )
    finally:
        signal.signal(signal.SIGINT, before)


@pytest.mark.parametrize("workers", [1, 2])
def test_killed_work_goes_on_to_the_same_bytes(tmp_path: Path, large: Path, workers: int) -> None:
    out = tmp_path / "pack"
    words = command(large / "s.zip", out, workers)
    for _ in range(3 - workers):
        before = lines(out)
        with started(words) as process:
            wait_for(lambda before=before: lines(out) > max(2, before))
            children = psutil.Process(process.pid).children(recursive=True)
            process.kill()
            process.communicate()
        assert lines(out) >= before  # nothing that was done is done again
        psutil.wait_procs(children, timeout=20)
        assert not [child for child in children if child.is_running()]  # no orphan
    assert 0 < lines(out) < 601
    done = subprocess.run(words, capture_output=True, text=True, check=True)
    assert "588 images of 30 identities; 12 could not be used" in done.stdout
    assert contents(out) == contents(large / "whole")


@pytest.mark.parametrize("done", [0, 2], ids=["as workers start", "in the middle"])
def test_ctrl_c_ends_all_processes_in_words(tmp_path: Path, large: Path, done: int) -> None:
    out = tmp_path / "pack"
    with started(command(large / "s.zip", out, 2)) as process:
        wait_for(lambda: lines(out) > done)
        if not done:
            wait_for(lambda: len(psutil.Process(process.pid).children()) > 2)  # with the tracker
        children = psutil.Process(process.pid).children(recursive=True)
        os.killpg(process.pid, signal.SIGINT)
        printed, errors = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "stopped; the same command goes on" in printed
    assert "Traceback" not in errors
    psutil.wait_procs(children, timeout=20)
    assert not [child for child in children if child.is_running()]
    if done:
        subprocess.run(command(large / "s.zip", out, 1), capture_output=True, check=True)
        assert contents(out) == contents(large / "whole")


def test_a_worker_that_is_killed_is_told_and_its_work_done_later(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "deadly_detector.py").write_text(
        "import os, signal\n"
        "from pathlib import Path\n"
        "class Deadly:\n"
        "    name = 'deadly'\n"
        "    def detect(self, image):\n"
        "        if image[0, 0, 0] == 255:\n"
        "            os.kill(os.getpid(), signal.SIGKILL)\n"
        "        return []\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    from deadly_detector import Deadly  # type: ignore[import-not-found]  # written above

    pictures = [np.full((30, 30, 3), 255 if i == 70 else i, dtype=np.uint8) for i in range(90)]
    source = folder_of(
        tmp_path / "s", {f"a/{i:02}.png": png(picture) for i, picture in enumerate(pictures)}
    )
    with pytest.raises(PreparationError, match=r"memory was full.*fewer --workers"):
        prepare(source, tmp_path / "pack", PrepareConfig(), workers=2, detector=Deadly)
    assert lines(tmp_path / "pack") >= 1


def test_the_command_says_what_it_did_and_refuses_in_words(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    files = {**FILES, "set/Ada/text.jpg": b"not a picture"}
    source = str(folder_of(tmp_path / "source", files))
    pack = str(tmp_path / "pack")
    assert main(["prepare", source, "--out", pack, "--aligned", "--workers", "1"]) == 0
    printed = capsys.readouterr().out.splitlines()
    assert printed[0] == f"{pack}: 4 images of 3 identities; 1 could not be used"
    assert printed[1].startswith("  set/Ada/text.jpg: ")
    assert printed[2].startswith("note: 2 of 3 identities have one image")
    for words, reason in (
        (["--workers", "0"], "--workers must be at least 1"),
        (["--side", "64"], "--side is for the others"),
        (["--kind", "images"], "--aligned is for"),
        (["--splits"], "every image lies in a folder train or test"),
        (["--variant", "balanced"], "--variant is for idx files"),
    ):
        assert main(["prepare", source, "--out", pack, "--aligned", *words]) == 1
        assert reason in capsys.readouterr().err
    for words, reason in (
        (["--aligned"], "not both"),
        (["--kind", "images"], "--realigned is for --kind faces"),
        (["--side", "64"], "--side is for the others"),
    ):
        assert main(["prepare", source, "--out", pack, "--realigned", *words]) == 1
        assert reason in capsys.readouterr().err
    assert main(["prepare", source, "--out", pack, "--side", "4"]) == 1
    assert "--side must be 8 to 1024 pixels" in capsys.readouterr().err


def test_prepared_is_a_record_of_the_index_in_the_pack(tmp_path: Path) -> None:
    prepared = prepare(folder_of(tmp_path / "s", FILES), tmp_path / "pack", ALIGNED)
    assert isinstance(prepared, Prepared)
    assert prepared.index == open_pack(tmp_path / "pack").index
