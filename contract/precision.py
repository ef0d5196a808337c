"""Where bfloat16 is worth computing in."""

import torch


def bf16_is_fast(device: str) -> bool:
    """Whether `device` (`cpu`, `cuda`, `cuda:N`) multiplies bfloat16 matrices in hardware.

    Elsewhere it is emulated, up to ten times slower than float32.
    """
    if device.startswith("cuda"):
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    found = torch.cpu.get_capabilities()
    return bool(found.get("amx_bf16") or found.get("avx512_bf16"))
