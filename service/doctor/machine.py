"""Room on the disk, and what computes."""

import shutil
from pathlib import Path
from typing import Final

import torch

from index.galleries import is_postgres
from service.doctor.finding import Finding
from service.settings import Settings

GIB: Final = 2**30
# A write needs its pages twice for a moment, and an export or a re-embedding room for all of it.
LITTLE_BYTES: Final = GIB
TOO_LITTLE_BYTES: Final = GIB // 16
_NVIDIA: Final = Path("/proc/driver/nvidia/version")


def check_disk(settings: Settings) -> Finding:
    """Room where the gallery lies; of one in PostgreSQL, where the service is started."""
    folder = Path() if is_postgres(settings.gallery) else Path(settings.gallery).parent
    folder = folder.resolve()
    while not folder.is_dir():
        folder = folder.parent
    free = shutil.disk_usage(folder).free
    what = f"{free / GIB:.1f} GiB free at {folder}"
    if free < TOO_LITTLE_BYTES:
        return Finding("fail", "disk", f"{what}: enrolments will be refused; make room.")
    if free < LITTLE_BYTES:
        return Finding("warn", "disk", f"{what}: make room before it is used up.")
    return Finding("ok", "disk", what)


def check_gpu(settings: Settings) -> Finding:
    """Whether the device that is wanted is there."""
    if torch.cuda.is_available():
        name = torch.cuda.get_device_name()
        if settings.device == "cpu":
            return Finding("ok", "gpu", f"{name} is there and not used: the device is set to cpu")
        if settings.embedder_runtime != "torchscript":
            return Finding(
                "warn",
                "gpu",
                f"{name} is there and not used: embedder_runtime {settings.embedder_runtime} "
                "computes on the CPU; take embedder_runtime torchscript, or device cpu.",
            )
        return Finding("ok", "gpu", name)
    if settings.device == "cuda":
        return Finding(
            "fail", "gpu", "There is no CUDA device that torch can use: take device cpu or auto."
        )
    if _NVIDIA.exists():
        return Finding(
            "warn",
            "gpu",
            "There is an NVIDIA driver, but torch cannot use it: install a torch of the driver's "
            "CUDA version, or compute on the CPU.",
        )
    return Finding("ok", "gpu", "none: computes on the CPU")
