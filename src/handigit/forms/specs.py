"""The parts of a template: areas, pages, fields, checks, printed tables."""

from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum
from pathlib import Path
from typing import Final, Literal

from handigit.forms.rules import Rule

FORMAT: Final = "handigit-form/1"
MARKER_MM: Final = 9.0
MARKER_MARGIN_MM: Final = 10.0
"""Distance of each marker's outer edges from the edges of the sheet."""


class Kind(StrEnum):
    """The content of a field."""

    NUMBER = "number"
    DECIMAL = "decimal"
    DATE = "date"
    TIME = "time"
    MARK = "mark"
    CHOICE = "choice"
    PRESENT = "present"
    CODE = "code"
    IGNORE = "ignore"

    @property
    def is_written(self) -> bool:
        """Whether the number model reads it."""
        return self in {Kind.NUMBER, Kind.DECIMAL, Kind.DATE, Kind.TIME}


@dataclass(frozen=True, slots=True)
class Area:
    """A rectangle in the units of its page, millimetres or pixels of the blank."""

    left: float
    top: float
    right: float
    bottom: float

    @property
    def width(self) -> float:
        """From left to right."""
        return self.right - self.left

    @property
    def height(self) -> float:
        """From top to bottom."""
        return self.bottom - self.top

    @property
    def corners(self) -> tuple[tuple[float, float], ...]:
        """Left top, right top, right bottom, left bottom."""
        return (self.left, self.top), (self.right, self.top), (self.right, self.bottom), (self.left, self.bottom)

    def grown(self, margin: float) -> "Area":
        """The same with this margin on all sides."""
        return Area(self.left - margin, self.top - margin, self.right + margin, self.bottom + margin)

    def moved(self, x: float, y: float) -> "Area":
        """The same moved to the right and down."""
        return Area(self.left + x, self.top + y, self.right + x, self.bottom + y)

    def as_list(self) -> list[float]:
        """`[left, top, right, bottom]`, as in a template."""
        return [self.left, self.top, self.right, self.bottom]


@dataclass(frozen=True, slots=True)
class Text:
    """Printed text, its baseline beginning at `at`; `size` is in points."""

    at: tuple[float, float]
    says: str
    size: float = 10.0


@dataclass(frozen=True, slots=True)
class PageSpec:
    """One page of the form. `code` is the area of its QR code; `filled`: the blank is a filled form."""

    size: tuple[float, float]
    units: Literal["mm", "px"] = "mm"
    blank: str | None = None
    markers: bool = False
    code: Area | None = None
    filled: bool = False
    text: tuple[Text, ...] = ()


@dataclass(frozen=True, slots=True)
class FieldSpec:
    """One field: its place (the printed box, without margin), its content, its print.

    `cells`: cells of its comb; `filler`: characters that cross out empty cells; `places`: decimal places that the form
    implies, as where the point is printed; `choices`: the boxes of a choice by their values.
    """

    name: str
    kind: Kind
    box: Area
    page: int = 1
    cells: int | None = None
    required: bool = False
    justify: Literal["left", "right"] | None = None
    filler: str = ""
    range: tuple[Decimal, Decimal] | None = None
    pattern: str | None = None
    places: int | None = None
    choices: tuple[tuple[str, Area], ...] = ()
    label: str = ""
    ruled: bool = False

    @property
    def height(self) -> float:
        """Height of the writing in it: of the lowest box, for a choice."""
        return min((area.height for _, area in self.choices), default=self.box.height)


@dataclass(frozen=True, slots=True)
class RuleCheck:
    """A rule between fields."""

    rule: Rule


@dataclass(frozen=True, slots=True)
class DigitsCheck:
    """A check digit."""

    scheme: str
    field: str


@dataclass(frozen=True, slots=True)
class ListCheck:
    """A value that must be in a column of a CSV file; `copy` names columns that the record takes over."""

    path: Path
    column: str
    field: str
    copy: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class RangeCheck:
    """Bounds of a value, both included."""

    field: str
    bounds: tuple[Decimal, Decimal]


@dataclass(frozen=True, slots=True)
class UniqueCheck:
    """A value that may occur once within a batch."""

    field: str


@dataclass(frozen=True, slots=True)
class CheckSpec:
    """A check between fields, and its message where it fails."""

    says: str
    test: RuleCheck | DigitsCheck | ListCheck | RangeCheck | UniqueCheck

    @property
    def fields(self) -> tuple[str, ...]:
        """The names of the fields in it."""
        return self.test.rule.fields if isinstance(self.test, RuleCheck) else (self.test.field,)


@dataclass(frozen=True, slots=True)
class Grid:
    """A printed table: edges of rows and columns, the texts above its columns and beside (or inside) its rows."""

    page: int
    rows: tuple[float, ...]
    columns: tuple[float, ...]
    labels: tuple[str, ...] = ()
    row_labels: tuple[str, ...] = ()
    labels_inside: bool = False


@dataclass(frozen=True, slots=True)
class FormSpec:
    """Everything in the text of a template."""

    name: str
    title: str
    version: int
    pages: tuple[PageSpec, ...]
    fields: tuple[FieldSpec, ...]
    checks: tuple[CheckSpec, ...]
    grids: tuple[Grid, ...]
