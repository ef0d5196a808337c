"""`make proof-import`, small: a real server killed in the midst of an import."""

import pytest

from benchmarks.import_photos import main


def test_an_import_survives_kills(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--textures", "--photos", "60", "--kills", "2"]) == 0
    last = capsys.readouterr().out.splitlines()[-1]
    assert "60 photos in an import killed 2 times: 60 lines, 0 faults" in last
