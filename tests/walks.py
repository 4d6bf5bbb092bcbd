"""Which files of the package a call passes through, in order: the walk a newcomer would read."""

import sys
import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from types import CodeType, FrameType

import handigit

PACKAGE = Path(handigit.__file__).parent
_BODIES = {"<module>", "<lambda>"}


def trace_files(call: Callable[[], object], *, outside: Sequence[str] = ()) -> list[str]:
    """Files of `src/handigit` with a function that runs during `call`, by first use; folders in `outside` left out.

    Every thread counts. What runs at import does not: a reader opens a file for its functions.
    """
    seen: dict[CodeType, None] = {}

    def note(frame: FrameType, event: str, _argument: object) -> None:
        if event == "call":
            seen.setdefault(frame.f_code)

    threading.setprofile_all_threads(note) if sys.version_info >= (3, 12) else threading.setprofile(note)
    sys.setprofile(note)
    try:
        call()
    finally:
        sys.setprofile(None)
        threading.setprofile(None)  # type: ignore[arg-type] # as documented
    files = [Path(code.co_filename) for code in seen if code.co_name not in _BODIES]
    names = [file.relative_to(PACKAGE).as_posix() for file in files if file.is_relative_to(PACKAGE)]
    return [name for name in dict.fromkeys(names) if not name.startswith(tuple(outside))]


def count_lines(files: Sequence[str]) -> int:
    """Lines of these files together."""
    return sum(len((PACKAGE / name).read_text(encoding="utf-8").splitlines()) for name in files)
