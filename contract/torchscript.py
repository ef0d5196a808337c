"""Loading the TorchScript model of a bundle: checked bytes in, a float32 module out."""

import io
import warnings

import torch

from contract.bundle import Bundle
from contract.errors import BundleFileError


def load_torchscript(bundle: Bundle, device: str = "cpu") -> torch.jit.ScriptModule:
    """The bundle's model on `device`, in float32 and evaluation mode.

    It maps uint8 (B, H, W, 3) RGB to float32 (B, D). What was hashed is what is run: the bytes are
    read once. Raises BundleFileError if they are not a TorchScript model.
    """
    data = bundle.read_model()
    try:
        with torchscript_deprecation_silenced():
            module: torch.jit.ScriptModule = torch.jit.load(io.BytesIO(data), map_location=device)
    except RuntimeError as error:
        raise BundleFileError(
            f"{bundle.manifest.model.file} of bundle {bundle.manifest.name} is not a TorchScript "
            "model that this torch can read: export it again."
        ) from error
    # Weights may be stored as float16 to be half the size; they always compute in float32.
    module.float().eval()
    return module


class torchscript_deprecation_silenced(warnings.catch_warnings):  # noqa: N801 - used like a function
    """Silences the one warning by which torch announces the end of TorchScript.

    The format is the product owner's choice; the seam for another is the Embedder protocol.
    """

    def __enter__(self) -> None:
        super().__enter__()
        warnings.filterwarnings("ignore", r"`torch\.jit\.\w+` is deprecated", FutureWarning)
