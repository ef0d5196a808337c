"""docs/models/ holds the model card of each shipped bundle, as `inspect --markdown` prints it."""

from pathlib import Path

import pytest

from benchmarks.cards import BUNDLES, CARDS, pages
from training.cli import main

SHIPPED = sorted(folder for folder in BUNDLES.iterdir() if folder.is_dir())


def test_there_is_a_page_for_each_bundle_and_no_other() -> None:
    found = {page.name for page in CARDS.iterdir()}
    assert found == {f"{folder.name}.md" for folder in SHIPPED}, "write them anew: make cards"


@pytest.mark.parametrize("folder", SHIPPED, ids=lambda path: path.name)
def test_the_page_is_what_inspect_prints(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    capsys.readouterr()
    assert main(["inspect", str(folder), "--markdown"]) == 0
    page = (CARDS / f"{folder.name}.md").read_text(encoding="utf-8")
    assert page == capsys.readouterr().out, "write it anew: make cards"
    assert page == pages()[f"{folder.name}.md"]
