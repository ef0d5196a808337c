"""oneglance-train onnx."""

import argparse
from pathlib import Path

from contract.errors import OneGlanceError


def add(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Declare the command."""
    parser = commands.add_parser("onnx", help="write a bundle's model as an ONNX file")
    parser.add_argument("bundle", type=Path, help="folder of the bundle")
    parser.add_argument("--out", type=Path, required=True, help="file to write")
    parser.add_argument("--pack", type=Path, required=True, help="images that parity is checked on")
    parser.set_defaults(run=_run)


def _run(args: argparse.Namespace) -> int:
    from contract.bundle import load_bundle
    from training.data.pack import open_pack
    from training.export.onnx_file import write_onnx

    try:
        lost = write_onnx(load_bundle(args.bundle), open_pack(args.pack), args.out)
    except ImportError as error:
        raise OneGlanceError(
            f"An ONNX file needs the package {error.name}: pip install 'oneglance[onnx]'."
        ) from error
    print(f"{args.out}: parity held (similarities move by at most {lost:.6f})")
    return 0
