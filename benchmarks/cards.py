"""Write docs/models/NAME.md, the model card of each shipped bundle.

python -m benchmarks.cards
"""

import sys
from pathlib import Path

from contract.bundle import load_bundle
from training.export.card_markdown import card_page

ROOT = Path(__file__).parent.parent
BUNDLES = ROOT / "service" / "bundles"
CARDS = ROOT / "docs" / "models"


def pages() -> dict[str, str]:
    """File name -> page, one for each folder of service/bundles."""
    folders = sorted(folder for folder in BUNDLES.iterdir() if folder.is_dir())
    return {f"{folder.name}.md": card_page(load_bundle(folder)) for folder in folders}


def main() -> int:
    """Write the pages; one of a bundle that is there no more goes."""
    CARDS.mkdir(exist_ok=True)
    written = pages()
    for old in CARDS.glob("*.md"):
        if old.name not in written:
            old.unlink()
    for name, page in written.items():
        (CARDS / name).write_text(page, encoding="utf-8")
        print(f"{CARDS / name}: {len(page)} characters")
    return 0


if __name__ == "__main__":
    sys.exit(main())
