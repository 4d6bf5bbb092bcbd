"""Errors of the forms room, children of `HandigitError`.

FormError
├── TemplateError     a template with faults; `faults` has each with its line
├── RosterError       a roster or lookup list that cannot be used: a missing column, an id twice
└── ExportError       records that cannot be written in the wanted format
"""

from collections.abc import Sequence
from dataclasses import dataclass

from handigit.errors import HandigitError


class FormError(HandigitError):
    """A form that cannot be read, printed or exported."""


@dataclass(frozen=True, slots=True, order=True)
class Fault:
    """A fault of a template, and its line, counted from 1; line 0 is the file as a whole."""

    line: int
    message: str

    def __str__(self) -> str:
        return f"line {self.line}: {self.message}" if self.line else self.message


class TemplateError(FormError):
    """A template with faults; `faults` lists all of them, in the order of the lines."""

    def __init__(self, source: str, faults: Sequence[Fault]) -> None:
        self.source = source
        self.faults = tuple(sorted(faults))
        count = "1 fault" if len(self.faults) == 1 else f"{len(self.faults)} faults"
        super().__init__("\n  ".join([f"{source}: {count}", *map(str, self.faults)]))


class RosterError(FormError):
    """A roster or lookup list that cannot be used."""


class ExportError(FormError):
    """Records that cannot be written in the wanted format."""
