"""The files of the package that a call passes through, in order: what a newcomer would read.

python tests/walks.py     # write the lists into docs/architecture.md
"""

import ast
import math
import re
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from http.client import OK
from pathlib import Path
from types import CodeType, FrameType

from fastapi.testclient import TestClient

import handigit
from handigit.read import Reader
from handigit.web import auth, create_app
from serving import HOST, open_store, settings

PACKAGE = Path(handigit.__file__).parent
PROJECT = Path(__file__).parents[1]
ARCHITECTURE = PROJECT / "docs" / "architecture.md"
NUMBER = PROJECT / "samples" / "numbers" / "touching-digits.png"
PAGE = PROJECT / "samples" / "pages" / "form-with-cells.jpg"


class Tracer:
    """Records which functions of the package run, on this thread and those started while it is open."""

    def __init__(self) -> None:
        self.recording = False
        self._seen: dict[CodeType, None] = {}

    def __enter__(self) -> "Tracer":
        threading.setprofile(self._note)
        sys.setprofile(self._note)
        return self

    def __exit__(self, *_problem: object) -> None:
        sys.setprofile(None)
        threading.setprofile(None)  # type: ignore[arg-type] # as documented

    def _note(self, frame: FrameType, event: str, _argument: object) -> None:
        if event == "call" and self.recording:
            self._seen.setdefault(frame.f_code)

    def files(self) -> list[str]:
        """Files of `src/handigit` with a function that ran, by first use; what runs at import does not count."""
        files = [Path(code.co_filename) for code in self._seen if code.co_name not in ("<module>", "<lambda>")]
        names = (file.relative_to(PACKAGE).as_posix() for file in files if file.is_relative_to(PACKAGE))
        return list(dict.fromkeys(names))


def count_lines(files: Sequence[str]) -> int:
    """Lines of these files together."""
    return sum(len((PACKAGE / name).read_text(encoding="utf-8").splitlines()) for name in files)


def walk_number() -> list[str]:
    """From the pixels of one number to its `Number`."""
    reader = Reader(threads=1)
    with Tracer() as tracer:
        tracer.recording = True
        reader.number(NUMBER)
    return tracer.files()


@contextmanager
def no_refresh() -> Iterator[None]:
    """An open server looks for new accounts once per second, not with each request; here not at all."""
    usual, auth.REFRESH_S = auth.REFRESH_S, math.inf
    try:
        yield
    finally:
        auth.REFRESH_S = usual


def walk_page() -> list[str]:
    """From `POST /v1/page` to the stored rows, read in the server's process so that one trace sees everything."""
    with tempfile.TemporaryDirectory() as name, no_refresh(), Tracer() as tracer:
        folder = Path(name)
        with TestClient(create_app(settings(folder, workers=0), store=open_store(folder)), base_url=HOST) as client:
            while client.get("/readyz").status_code != OK:  # the model is loaded on another thread
                threading.Event().wait(0.05)
            tracer.recording = True
            answer = client.post("/v1/page", content=PAGE.read_bytes(), params={"name": PAGE.name})
            tracer.recording = False
            assert answer.status_code == OK, answer.text
    return [name for name in tracer.files() if name != "web/logs.py"]  # any thread may log meanwhile


WALKS: dict[str, Callable[[], list[str]]] = {"number": walk_number, "page": walk_page}


def render(files: Sequence[str]) -> str:
    """The list as it appears in the document: each file with the first sentence of its docstring."""
    lines = [f"{len(files)} files, about {round(count_lines(files), -2):,} lines:", ""]
    for name in files:
        docstring = ast.get_docstring(ast.parse((PACKAGE / name).read_text(encoding="utf-8"))) or ""
        lines.append(f"- `{name}`: {docstring.splitlines()[0].rstrip('.')}")
    return "\n".join(lines) + "\n"


def documented(name: str, text: str) -> list[str]:
    """The files that the document lists for a walk."""
    (block,) = re.findall(rf"<!-- walk: {name} -->\n(.*?)<!-- end of walk -->", text, re.DOTALL)
    return re.findall(r"- `([^`]+)`", block)


def write() -> None:
    """Replace the lists in the document."""
    text = ARCHITECTURE.read_text(encoding="utf-8")
    for name, walk in WALKS.items():
        block = f"<!-- walk: {name} -->\n{render(walk())}<!-- end of walk -->"
        text = re.sub(rf"<!-- walk: {name} -->\n.*?<!-- end of walk -->", block, text, flags=re.DOTALL)
    ARCHITECTURE.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    write()
