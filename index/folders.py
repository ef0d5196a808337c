"""Folders, and names in them, that a power loss does not take away."""

import os
from pathlib import Path


def make_folder(path: Path) -> None:
    """Make a folder and those above it, as far as they are not there. Raises OSError."""
    if not path.is_dir():
        make_folder(path.parent)
        path.mkdir(exist_ok=True)
        sync_names(path.parent)


def sync_names(folder: Path) -> None:
    """Make what was created, renamed or removed in a folder durable. Raises OSError."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
