"""What a run was computed on, in words."""

import platform
from pathlib import Path

import torch

from training.paper_table.record import Machine


def machine(device: str) -> Machine:
    """This process's machine. device: `cpu`, `cuda` or `cuda:N`."""
    return Machine(
        processor=_processor(),
        device=torch.cuda.get_device_name(device) if device.startswith("cuda") else "cpu",
        threads=torch.get_num_threads(),
        torch=torch.__version__,
    )


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    names = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return f"{next(names, platform.machine())}, {torch.backends.cpu.get_cpu_capability()}"
