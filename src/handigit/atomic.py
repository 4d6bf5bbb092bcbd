"""Write files and folders whole or not at all: a part file beside the target, then one rename."""

import errno
import os
import secrets
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from io import BufferedWriter
from pathlib import Path

from handigit.errors import DataError, HandigitError

_OPEN_ELSEWHERE = (5, 32)
"""Windows: access denied, sharing violation."""


@contextmanager
def write_file(
    path: Path, *, error: type[HandigitError] = DataError, durable: bool = False, private: bool = False
) -> Iterator[BufferedWriter]:
    """A binary stream whose content replaces `path` in one step when the block ends without an error.

    The folder is made if it is missing. After an error the part file is removed.

    Args:
        path: The file to write.
        error: The class of the error when the disk refuses.
        durable: Also survive a power failure: sync the file before the rename and its folder after it.
        private: Readable by its owner alone (mode 0600).

    Raises:
        HandigitError: the folder or the file cannot be written; of the class `error`.
    """
    part = _part_of(path)
    try:
        path.parent.mkdir(mode=0o700 if private else 0o777, parents=True, exist_ok=True)
        with open(part, "wb", opener=_open_private if private else None) as stream:
            yield stream
            if durable:
                stream.flush()
                os.fsync(stream.fileno())
        when_closed(lambda: part.replace(path))
        if durable:
            sync_folder(path.parent)
    except OSError as problem:
        raise error(_explain(path, problem)) from problem
    finally:
        with suppress(OSError):
            part.unlink()


@contextmanager
def write_folder(path: Path, *, error: type[HandigitError] = DataError, private: bool = False) -> Iterator[Path]:
    """A new, empty folder that becomes `path` when the block ends without an error; `private`: mode 0700.

    Raises:
        HandigitError: `path` exists already or cannot be written; of the class `error`.
    """
    if path.exists():
        raise error(f"{path} exists already; choose a new folder")
    part = _part_of(path)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        part.mkdir(mode=0o700 if private else 0o777)
        yield part
        part.replace(path)
    except OSError as problem:
        raise error(_explain(path, problem)) from problem
    finally:
        shutil.rmtree(part, ignore_errors=True)


def when_closed(move: Callable[[], object]) -> None:
    """Call `move`; for a second again while Windows refuses because another program has the file open.

    Raises:
        OSError: the last error of `move`.
    """
    for pause_s in (0.01, 0.03, 0.1, 0.3, 0.6):
        try:
            move()
        except OSError as problem:
            if getattr(problem, "winerror", None) not in _OPEN_ELSEWHERE:
                raise
            time.sleep(pause_s)
        else:
            return
    move()


def sync_folder(path: Path) -> None:
    """Make the names in a folder survive a power failure; Windows syncs them by itself and cannot open folders."""
    if os.name == "nt":
        return
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def is_disk_full(problem: OSError) -> bool:
    """Whether an error means that the disk, or a quota on it, is exhausted."""
    return problem.errno in (errno.ENOSPC, getattr(errno, "EDQUOT", errno.ENOSPC))


def _part_of(path: Path) -> Path:
    return path.with_name(f".{path.name}.{secrets.token_hex(4)}.part")


def _open_private(path: str, flags: int) -> int:
    return os.open(path, flags, 0o600)


def _explain(path: Path, problem: OSError) -> str:
    advice = "free some disk space" if is_disk_full(problem) else "choose another folder"
    return f"cannot write {path}: {problem.strerror or problem}; {advice}"
