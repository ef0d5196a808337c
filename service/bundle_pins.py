"""Which models may be run: TorchScript is code, and a manifest that comes with it proves nothing.

Shipped models are pinned here. Of any other bundle the model's sha256 is noted when its folder is
served for the first time; from then on another model in that folder is refused until somebody pins
it on purpose.
"""

import json
import logging
import os
import tempfile
from pathlib import Path
from typing import Final

from contract.bundle import Bundle, load_bundle
from contract.errors import BundlePinError
from index.folders import make_folder, sync_names
from service.settings import Settings

log = logging.getLogger(__name__)

# Of the models in service/bundles/, by the names of their folders; a test compares.
SHIPPED_SHA256S: Final = {
    "oneglance-faces": "54d87824a0cc839c39078790d2b564d8f2f359fbcb43c0d62806f3e69837317a",
    "oneglance-faces-resnet": "8ae66d7547d2da0828830d226f897456d5f27ac9ede2f2a5b671236c148cdb6a",
    "oneglance-simpsons": "66e156f46fcb7702b58e316e418955cdd8f6c0b7bfecb1b0998f53d5ed8c4253",
}
_FORMAT: Final = "oneglance-bundle-pins/1"


def load_pinned(root: Path, settings: Settings, *, pins_new: bool = True) -> Bundle:
    """A bundle whose model may be run. pins_new: note the model of a folder that is not known yet.

    Raises BundlePinError (another model than was pinned, or the pins cannot be read or written),
    or what load_bundle raises.
    """
    bundle = load_bundle(root)
    if bundle.sha256 not in SHIPPED_SHA256S.values():
        _check(bundle, settings.bundle_pins_file, pins_new=pins_new)
    return bundle


def pin(bundle: Bundle, file: Path) -> None:
    """Let this model be the one of its folder. Raises BundlePinError."""
    pins = _read(file) | {_place(bundle): bundle.sha256}
    text = json.dumps({"format": _FORMAT, "pins": pins}, indent=2, sort_keys=True)
    try:
        make_folder(file.parent)
        descriptor, name = tempfile.mkstemp(dir=file.parent, prefix=".oneglance-")
        with os.fdopen(descriptor, "w", encoding="utf-8") as whole:
            whole.write(f"{text}\n")
            whole.flush()
            os.fsync(whole.fileno())
        os.replace(name, file)
        sync_names(file.parent)
    except OSError as error:
        raise BundlePinError(
            f"The model of {bundle.root} cannot be pinned in {file} ({error.strerror}): name a "
            "file that can be written by bundle_pins_path."
        ) from error


def _check(bundle: Bundle, file: Path, *, pins_new: bool) -> None:
    known = _read(file).get(_place(bundle))
    if known is None:
        if pins_new:
            pin(bundle, file)
            log.warning(
                "the model of %s is served for the first time and was pinned: sha256 %s",
                bundle.root,
                bundle.sha256,
            )
    elif known != bundle.sha256:
        raise BundlePinError(
            f"The model of {bundle.root} has sha256 {bundle.sha256}, and {known} is pinned in "
            f"{file}: it was not run, since a model is code. If you have put it there, run "
            f"oneglance bundles pin {bundle.root}."
        )


def _place(bundle: Bundle) -> str:
    return str(bundle.root.resolve())


def _read(file: Path) -> dict[str, str]:
    try:
        said = json.loads(file.read_text(encoding="utf-8"))
        if said["format"] != _FORMAT:
            raise ValueError(f"its format is not {_FORMAT}")
        return {str(place): str(sha256) for place, sha256 in said["pins"].items()}
    except FileNotFoundError:
        return {}
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise BundlePinError(
            f"The pins of bundles in {file} cannot be read ({error}): put the file back from a "
            "backup, remove it to pin what is served next, or name another by bundle_pins_path."
        ) from error
