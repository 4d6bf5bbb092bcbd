"""Pictures prepared by threads of their own while the model reads earlier ones, never so many that memory grows.

It knows neither what is prepared nor what reads it.
"""

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import islice
from typing import TypeVar

from handigit.errors import ImageError
from handigit.images import Source

Ready = TypeVar("Ready")


def prepared_ahead(
    images: Iterable[Source], prepare: Callable[[Source], Ready], *, threads: int, batch: int, waiting: int
) -> Iterator[list[Ready]]:
    """Batches of what `prepare` makes of the images, in their order; at most `waiting` batches lie ready.

    Raises:
        ImageError: as `prepare`, naming the picture by its place, counted from 0.
    """
    numbered = enumerate(images)
    queue: deque[Future[list[Ready]]] = deque()
    with ThreadPoolExecutor(threads) as pool:
        while some := list(islice(numbered, batch)):
            queue.append(pool.submit(_prepared, some, prepare))
            if len(queue) > waiting:
                yield queue.popleft().result()
        while queue:
            yield queue.popleft().result()


def _prepared(batch: Sequence[tuple[int, Source]], prepare: Callable[[Source], Ready]) -> list[Ready]:
    ready = []
    for place, image in batch:
        try:
            ready.append(prepare(image))
        except ImageError as problem:
            raise type(problem)(f"image {place}: {problem}") from None
    return ready
