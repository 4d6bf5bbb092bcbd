"""The line of every key and array element of a TOML document, for error messages.

`tomllib` reports lines for syntax errors only. This scanner expects a document that `tomllib` has already accepted.
"""

import re
from typing import Final

Path = tuple[str | int, ...]

_SPACE: Final = re.compile(r"(?:[ \t\r\n]|#[^\n]*)*")
_BLANK: Final = re.compile(r"[ \t]*")
_BARE_KEY: Final = re.compile(r"[A-Za-z0-9_-]+")
_SCALAR: Final = re.compile(r"[^,\]}\n#]*")
_STRING: Final = re.compile(r'"""(?:\\.|[^\\])*?"{3,5}|\'\'\'.*?\'{3,5}|"(?:\\.|[^"\\])*"|\'[^\']*\'', re.DOTALL)


def key_lines(text: str) -> dict[Path, int]:
    """Map the path of each key and array element, such as `("field", 2, "box")`, to its line, counted from 1."""
    scanner = _Scanner(text)
    scanner.document()
    return scanner.lines


class _Scanner:
    """A position in the document, and the lines found so far."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.position = 0
        self.lines: dict[Path, int] = {}
        self._array_lengths: dict[Path, int] = {}
        self._counted_to = (0, 1)

    def document(self) -> None:
        prefix: Path = ()
        self._skip(_SPACE)
        while self.position < len(self.text):
            if self.text.startswith("[", self.position):
                prefix = self._header()
            else:
                self._entry(prefix)
            self._skip(_SPACE)

    def _header(self) -> Path:
        """Read `[a.b]` or `[[a.b]]` and return the path of its table."""
        brackets = 2 if self.text.startswith("[[", self.position) else 1
        line = self._line()
        self.position += brackets
        path = self._resolve(self._dotted_key())
        self._skip(_BLANK)
        self.position += brackets
        if brackets == 2:
            index = self._array_lengths.get(path, 0)
            self._array_lengths[path] = index + 1
            self.lines.setdefault(path, line)
            path = (*path, index)
        self.lines[path] = line
        return path

    def _resolve(self, key: Path) -> Path:
        """Insert the index of the latest element wherever the key passes through an array of tables."""
        path: Path = ()
        for place, part in enumerate(key):
            path = (*path, part)
            if path in self._array_lengths and place < len(key) - 1:
                path = (*path, self._array_lengths[path] - 1)
        return path

    def _entry(self, prefix: Path) -> None:
        line = self._line()
        path = (*prefix, *self._dotted_key())
        self._skip(_BLANK)
        self.position += 1  # the equals sign
        self._skip(_BLANK)
        self.lines[path] = line
        self._value(path)

    def _dotted_key(self) -> Path:
        parts: list[str] = []
        while True:
            self._skip(_BLANK)
            quoted = _STRING.match(self.text, self.position)
            match = quoted or _BARE_KEY.match(self.text, self.position)
            if match is None:
                return tuple(parts)
            self.position = match.end()
            parts.append(match.group()[1:-1] if quoted else match.group())
            self._skip(_BLANK)
            if not self.text.startswith(".", self.position):
                return tuple(parts)
            self.position += 1

    def _value(self, path: Path) -> None:
        if string := _STRING.match(self.text, self.position):
            self.position = string.end()
        elif self.text.startswith("[", self.position):
            self._members(path, closing="]")
        elif self.text.startswith("{", self.position):
            self._members(path, closing="}")
        else:
            self._skip(_SCALAR)

    def _members(self, path: Path, *, closing: str) -> None:
        """Read the elements of an array, or the entries of an inline table."""
        self.position += 1
        index = 0
        while True:
            self._skip(_SPACE)
            if self.position >= len(self.text):
                return
            if self.text[self.position] == closing:
                self.position += 1
                return
            if self.text[self.position] == ",":
                self.position += 1
            elif closing == "]":
                self.lines[*path, index] = self._line()
                self._value((*path, index))
                index += 1
            else:
                self._entry(path)

    def _skip(self, pattern: re.Pattern[str]) -> None:
        match = pattern.match(self.text, self.position)
        assert match is not None
        self.position = match.end()

    def _line(self) -> int:
        """The line of the position; positions only grow, so that each newline is counted once."""
        start, line = self._counted_to
        line += self.text.count("\n", start, self.position)
        self._counted_to = self.position, line
        return line
