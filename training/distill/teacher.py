"""A frozen teacher: any bundle whose input the crops are. Nothing of it is in the student's bundle.

Shapes: B batch, D embedding size.
"""

import numpy as np
import numpy.typing as npt

from contract.bundle import Bundle
from contract.torchscript import load_torchscript
from training.data.pack import Pack
from training.data.pixels import refuse_other_pixels
from training.distill.targets import TeacherNote
from training.evaluation.embed import embed_images

Pixels = npt.NDArray[np.uint8]


class BundleTeacher:
    """Embeddings of length 1 by the model of a bundle.

    flips: the mean with the embedding of the mirrored crop, which is steadier and takes twice as
        long.
    """

    def __init__(self, bundle: Bundle, *, flips: bool = False, device: str = "cpu") -> None:
        manifest = bundle.manifest
        self.note = TeacherNote(
            name=manifest.name, version=manifest.version, license=manifest.license, flips=flips
        )
        self._input = manifest.input
        self._model, self._device = load_torchscript(bundle, device), device

    def embed(self, crops_BHW3: Pixels) -> npt.NDArray[np.float32]:
        """float32 (B, D) on the unit sphere, of uint8 (B, H, W, 3) RGB crops."""
        unit_BD = self._embedded(crops_BHW3)
        if not self.note.flips:
            return unit_BD
        return _unit(unit_BD + self._embedded(crops_BHW3[:, :, ::-1]))

    def check(self, pack: Pack) -> None:
        """Raises PackError unless the teacher takes the images of `pack`."""
        refuse_other_pixels(pack, self._input, f"the teacher {self.note.name}")

    def _embedded(self, crops_BHW3: Pixels) -> npt.NDArray[np.float32]:
        return _unit(embed_images(self._model, crops_BHW3, device=self._device, progress=False))


def _unit(rows_BD: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """Rows of length 1; the zero row, which has no direction, stays."""
    norms_B1: npt.NDArray[np.float32] = np.linalg.norm(rows_BD, axis=1, keepdims=True)
    norms_B1[norms_B1 == 0] = 1
    return rows_BD / norms_B1
