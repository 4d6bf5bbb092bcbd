"""Agreement of the reader in the browser with Python's on the same files: `compare` in a page that is open.

The page is on a server with the modules below /handigit and the models below /models.
"""

from base64 import b64encode
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from playwright.sync_api import Page

from bench.browser.pictures import PictureFile
from handigit import Reader
from handigit.records import Number, Outcome

MAX_DIFFERENCE = 0.01
"""Maximum difference of the confidences of two equal answers that are `read`."""
MAX_DOUBT_DIFFERENCE = 0.15
"""The same for uncertain ones. Models in 8 bits amplify the last bit of a rounding: between ONNX Runtime's levels of
graph optimisation, Python's own confidences of such crops move by 0.01, the browser's by 0.08."""
READ = """
async ({ content, type, kind }) => {
  const { Reader } = await import("/handigit/handigit.js");
  globalThis.reader ??= new Reader({ models: "/models/" });
  const bytes = Uint8Array.from(atob(content), (letter) => letter.charCodeAt(0));
  const { seen, ...answer } = await reader[kind](new Blob([bytes], { type }));
  return answer;
}
"""


@dataclass(frozen=True)
class Comparison:
    """The answers to one picture."""

    name: str
    python: Number
    browser: dict[str, Any]

    @property
    def is_same(self) -> bool:
        """Whether outcome, text and raw text are equal."""
        ours = self.browser
        answer = (self.python.outcome.value, self.python.text, self.python.raw)
        return answer == (ours["outcome"], ours["text"], ours["raw"])

    @property
    def difference(self) -> float:
        """Difference of the confidences."""
        return abs(self.python.confidence - float(self.browser["confidence"]))

    @property
    def contradicts(self) -> bool:
        """Whether one of them reads something that is not the other's best text."""
        is_read = Outcome.READ.value in (self.python.outcome.value, self.browser["outcome"])
        return is_read and (self.python.text, self.python.raw) != (self.browser["text"], self.browser["raw"])

    @property
    def is_distant(self) -> bool:
        """Whether the confidences differ by more than they may."""
        is_read = self.python.outcome.value == self.browser["outcome"] == Outcome.READ.value
        return self.difference > (MAX_DIFFERENCE if is_read else MAX_DOUBT_DIFFERENCE)

    def __str__(self) -> str:
        ours, python = self.browser, self.python
        return (
            f"{self.name}: Python {python.outcome.value} {python.raw!r} {python.confidence:.4f}, "
            f"browser {ours['outcome']} {ours['raw']!r} {ours['confidence']:.4f}"
        )


def compare(page: Page, reader: Reader, files: Sequence[PictureFile]) -> list[Comparison]:
    """Read each file with both."""
    return [Comparison(file.name, read_here(reader, file), read_there(page, file)) for file in files]


def read_here(reader: Reader, file: PictureFile) -> Number:
    """Python's answer."""
    return reader.digit(file.content).as_number() if file.kind == "digit" else reader.number(file.content)


def read_there(page: Page, file: PictureFile) -> dict[str, Any]:
    """The browser's answer."""
    picture = {"content": b64encode(file.content).decode(), "type": file.media_type, "kind": file.kind}
    answer: dict[str, Any] = page.evaluate(READ, picture)
    return answer
