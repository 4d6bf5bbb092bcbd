"""Choose the device to train on."""

import torch

from handigit.errors import RunError


def available_devices() -> list[str]:
    """Devices that PyTorch can use here, best first; the CPU is always last."""
    cuda = [f"cuda:{index}" for index in range(torch.cuda.device_count())] if torch.cuda.is_available() else []
    return [*cuda, *(["mps"] if torch.backends.mps.is_available() else []), "cpu"]


def pick_device(name: str) -> torch.device:
    """The device of that name; `auto` is the best available, `gpu` and `cuda` the first GPU.

    Raises:
        RunError: no such device on this machine.
    """
    available = available_devices()
    if name == "auto":
        return torch.device(available[0])
    aliases = {"cuda": "cuda:0", "gpu": available[0] if len(available) > 1 else "gpu", "cpu:0": "cpu", "mps:0": "mps"}
    device = aliases.get(name, name)
    if device not in available:
        raise RunError(f"no device {name!r} on this machine; there are: auto, {', '.join(available)}")
    return torch.device(device)
