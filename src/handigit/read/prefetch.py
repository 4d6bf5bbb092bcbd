"""Prepare pictures on threads while the model reads earlier ones."""

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import islice
from pathlib import Path
from typing import TypeVar

from handigit.errors import ImageError
from handigit.images import Source

Item = TypeVar("Item")


def prefetch(
    images: Iterable[Source], prepare: Callable[[Source], Item], *, threads: int, batch: int, max_ahead: int
) -> Iterator[list[Item]]:
    """Yield prepared batches in order, at most `max_ahead` of them in advance.

    Raises:
        ImageError: as `prepare`, with the picture's index, counted from 0.
        TypeError: one picture instead of many.
    """
    if isinstance(images, str | bytes | Path):
        kind = type(images).__name__
        raise TypeError(f"images is a single {kind}; give a list of pictures, or call the method for one picture")
    numbered = enumerate(images)
    queue: deque[Future[list[Item]]] = deque()
    with ThreadPoolExecutor(threads) as pool:
        while chunk := list(islice(numbered, batch)):
            queue.append(pool.submit(_prepare_batch, chunk, prepare))
            if len(queue) > max_ahead:
                yield queue.popleft().result()
        while queue:
            yield queue.popleft().result()


def _prepare_batch(chunk: Sequence[tuple[int, Source]], prepare: Callable[[Source], Item]) -> list[Item]:
    items = []
    for index, image in chunk:
        try:
            items.append(prepare(image))
        except ImageError as problem:
            raise type(problem)(f"image {index}: {problem}") from None
    return items
