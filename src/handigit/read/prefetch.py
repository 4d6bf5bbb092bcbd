"""Threads: pictures are prepared while the model reads earlier ones, and chunks of crops are read side by side."""

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextvars import copy_context
from itertools import islice
from pathlib import Path
from typing import TypeVar

from handigit.errors import ImageError
from handigit.images import Source

Item = TypeVar("Item")
Result = TypeVar("Result")


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


def map_chunks(
    read: Callable[[Sequence[Item]], list[Result]], items: Sequence[Item], *, threads: int, size: int
) -> list[Result]:
    """The results for all items, in order, of a function that takes some; threads take chunks of `size` items.

    Context variables, such as the active cancellation, are those of the caller.
    """
    chunks = [items[start : start + size] for start in range(0, len(items), size)]
    if threads == 1 or len(chunks) <= 1:
        return [result for chunk in chunks for result in read(chunk)]
    with ThreadPoolExecutor(min(threads, len(chunks))) as pool:
        futures = [pool.submit(copy_context().run, read, chunk) for chunk in chunks]
        try:
            return [result for future in futures for result in future.result()]
        finally:
            pool.shutdown(cancel_futures=True)
