"""Training in several processes, started by `torchrun`: DistributedDataParallel over NCCL (GPUs) or gloo (CPUs)."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TypeVar

import torch
from torch import distributed, nn
from torch.nn.parallel import DistributedDataParallel

T = TypeVar("T")


@dataclass(frozen=True)
class ProcessGroup:
    """This process among those that train together; by default it is alone."""

    rank: int = 0
    size: int = 1

    @property
    def is_main(self) -> bool:
        """Whether this process scores, saves and reports."""
        return self.rank == 0

    def wrap(self, model: nn.Module, device: torch.device) -> nn.Module:
        """The model with gradients averaged over all processes."""
        if self.size == 1:
            return model
        return DistributedDataParallel(model, device_ids=[device.index] if device.type == "cuda" else None)

    def share(self, value: T) -> T:
        """The main process's value, in every process; waits for all of them."""
        if self.size == 1:
            return value
        values = [value]
        distributed.broadcast_object_list(values)
        return values[0]

    def add(self, values: list[float], device: torch.device) -> list[float]:
        """Each value summed over all processes."""
        if self.size == 1:
            return values
        total = torch.tensor(values, dtype=torch.float64 if device.type != "mps" else torch.float32, device=device)
        distributed.all_reduce(total)
        return [float(value) for value in total]


def local_device(device: torch.device) -> torch.device:
    """The device of this process: under torchrun, each process of a machine has its own GPU."""
    if device.type == "cuda" and "LOCAL_RANK" in os.environ:
        return torch.device("cuda", int(os.environ["LOCAL_RANK"]))
    return device


@contextmanager
def process_group(device: torch.device) -> Iterator[ProcessGroup]:
    """The group that torchrun started this process in; a group of one without torchrun."""
    size = int(os.environ.get("WORLD_SIZE", "1"))
    if size == 1:
        yield ProcessGroup()
        return
    if device.type == "cuda":
        torch.cuda.set_device(device)
    distributed.init_process_group("nccl" if device.type == "cuda" else "gloo")
    try:
        yield ProcessGroup(distributed.get_rank(), distributed.get_world_size())
    finally:
        distributed.destroy_process_group()
