"""oneglance-train inspect."""

import argparse
import json
from pathlib import Path


def add(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Declare the command."""
    parser = commands.add_parser("inspect", help="print the model card of a bundle")
    parser.add_argument("bundle", type=Path, help="folder of the bundle")
    form = parser.add_mutually_exclusive_group()
    form.add_argument("--json", action="store_true", help="for programs")
    form.add_argument("--markdown", action="store_true", help="as a page, as in docs/models")
    parser.set_defaults(run=_run)


def _run(args: argparse.Namespace) -> int:
    from contract.bundle import load_bundle
    from training.export.card_markdown import card_page
    from training.export.model_card import card_lines, model_card

    bundle = load_bundle(args.bundle)
    if args.json:
        print(json.dumps(model_card(bundle), indent=2, ensure_ascii=False))
    elif args.markdown:
        print(card_page(bundle), end="")
    else:
        print("\n".join(card_lines(bundle)))
    return 0
