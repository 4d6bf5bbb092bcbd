"""Files that are there whole or not at all.

It does not know what is written into them.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from io import BufferedWriter
from pathlib import Path

from handigit.errors import DataError


@contextmanager
def replacing(path: Path) -> Iterator[BufferedWriter]:
    """A stream whose content takes the place of `path` in one step when the block ends without an error.

    The folder is made if it is missing; after an error nothing of the attempt is left.

    Raises:
        DataError: the folder or the file cannot be written.
    """
    attempt = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with attempt.open("wb") as stream:
            yield stream
        attempt.replace(path)
    except OSError as problem:
        raise DataError(f"cannot write {path}: {problem.strerror or problem}; choose another place") from None
    finally:
        with suppress(OSError):
            attempt.unlink()
