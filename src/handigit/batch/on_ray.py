"""The cluster driver: Ray Data streams chunks of inputs through actors that each hold a `WorkerPool` of one process.

Ray schedules, retries actors that die with their machine, and limits the inputs in flight. The process below each actor
keeps a file that crashes its reader from taking the actor with it.
"""

import logging
from collections.abc import Iterable, Iterator
from typing import Any, Final

from handigit.batch.inputs import Input
from handigit.batch.pool import CHUNK, WorkerPool, split_into_chunks
from handigit.batch.worker import InputResult, ReadOptions

BLOCK: Final = 20_000
"""Inputs per dataset: the driver hands out this number at once, so its memory does not grow with the batch."""
BATCH: Final = 4 * CHUNK
"""Inputs per call of an actor: several chunks, so that its process has the next one while results are passed on."""


class RayWorker:
    """The actor: `map_batches` calls it with a batch of inputs and gets a batch of results."""

    def __init__(self, options: ReadOptions, timeout_s: float) -> None:
        self._pool = WorkerPool(options, jobs=1, timeout_s=timeout_s)

    def __call__(self, batch: dict[str, Any]) -> dict[str, list[InputResult]]:
        """Read the inputs in the column `item`."""
        return {"result": list(self._pool.results(batch["item"]))}


def ray_results(
    inputs: Iterable[Input], options: ReadOptions, *, jobs: int, address: str | None, timeout_s: float
) -> Iterator[InputResult]:
    """One result per input, in the order of completion.

    `address`: a running cluster, such as `ray://head:10001` or `auto`; None starts Ray on this machine with `jobs`
    processor cores.
    """
    import ray

    if not ray.is_initialized():
        local = {"num_cpus": jobs, "include_dashboard": False} if address is None else {}
        ray.init(address=address, log_to_driver=False, logging_level=logging.ERROR, **local)
    context = ray.data.DataContext.get_current()
    context.enable_progress_bars = False
    context.execution_options.preserve_order = False
    for block in split_into_chunks(inputs, BLOCK):
        dataset = ray.data.from_items([{"item": item} for item in block], override_num_blocks=_blocks(len(block), jobs))
        dataset = dataset.map_batches(
            RayWorker,
            batch_size=BATCH,
            batch_format="numpy",
            fn_constructor_kwargs={"options": options, "timeout_s": timeout_s},
            compute=ray.data.ActorPoolStrategy(size=jobs),
            num_cpus=1,
        )
        for row in dataset.iter_rows():
            yield row["result"]


def _blocks(inputs: int, jobs: int) -> int:
    """Enough blocks for every actor to have several, and not more than there are chunks."""
    return max(1, min(-(-inputs // CHUNK), 8 * jobs))
