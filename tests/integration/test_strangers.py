"""Real photos, real detector, the shipped bundle: enrolled people are named, strangers are not.

The same measurement as `make proof-strangers`.
"""

import sys
from pathlib import Path

import pytest

from benchmarks.strangers import ENROLLED, STRANGERS, measure, passed, report


def test_strangers_are_unknown_and_enrolled_people_are_named(
    lfw_root: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    outcome = measure(lfw_root, tmp_path / "gallery.sqlite3")
    with capsys.disabled():
        sys.stdout.write(f"\n{report(outcome)[-1]}\n")
    assert outcome.photos == 3 * ENROLLED + STRANGERS
    assert outcome.strangers_matched + outcome.strangers_unknown == STRANGERS
    assert outcome.named_rightly + outcome.named_wrongly + outcome.enrolled_unknown == ENROLLED
    assert outcome.threshold["source"] == "calibrated"
    assert outcome.threshold["gallery_subjects"] == ENROLLED - outcome.without_template
    assert outcome.named_rightly > outcome.named_wrongly, "Knows nobody: refusing all is no art."
    assert passed(outcome), report(outcome)[-1]
