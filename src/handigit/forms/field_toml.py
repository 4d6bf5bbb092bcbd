"""Fields and tables of a template from their TOML tables."""

from collections.abc import Mapping, Sequence
from decimal import Decimal
from itertools import pairwise
from typing import Any, Final

from handigit.forms.fault_list import FaultList, Keys
from handigit.forms.specs import Area, FieldSpec, Grid, Kind

Path = tuple[str | int, ...]

_COMMON: Final[Keys] = {"page": int, "required": bool, "justify": str, "filler": str}
FIELD_KEYS: Final[Keys] = {
    "name": str, "kind": str, "box": list, "cells": int, "choices": list, "label": str, "range": list,
    "pattern": str, "places": int, **_COMMON,
}  # fmt: skip
TABLE_KEYS: Final[Keys] = {
    "name": str, "rows": list, "columns": list, "names": list, "kinds": list, "cells": str, "first_row": int,
    "first_column": int, "rules": bool, "digits": list, "places": list, "ranges": list, "patterns": list,
    "labels": list, "row_labels": list, **_COMMON,
}  # fmt: skip
_CHOICE_KEYS: Final[Keys] = {"value": str, "box": list}
_PER_COLUMN: Final = ("names", "kinds", "digits", "places", "ranges", "patterns")
_KINDS: Final = tuple(kind.value for kind in Kind)


def parse_field(raw: Mapping[str, Any], path: Path, faults: FaultList) -> FieldSpec | None:
    """One field; None where a fault leaves nothing to place."""
    name = raw.get("name")
    called = f"field {name!r}" if isinstance(name, str) else "a field"
    choices = _choices(raw, path, called, faults)
    required = ("name", "kind") if choices else ("name", "kind", "box")
    raw = faults.check_keys(raw, FIELD_KEYS, path, called, required=required)
    kind = _kind(raw.get("kind"), (*path, "kind"), faults)
    box = faults.area(raw, "box", path) or _around([area for _, area in choices])
    if kind is Kind.CHOICE and not choices:
        faults.add(
            path, f'{called} is a choice without choices; give choices = [{{ value = "yes", box = [...] }}, ...]'
        )
    if not isinstance(name, str) or kind is None or box is None:
        return None
    cells = raw.get("cells")
    if cells is not None and faults.is_a(cells, int) and not 1 <= cells <= 100:
        faults.add((*path, "cells"), f"cells is {cells}; a comb has from 1 to 100")
    _check_common(raw, path, faults)
    pattern = raw.get("pattern")
    _check_pattern(pattern, kind, path, faults)
    return FieldSpec(name=name, kind=kind, box=box, cells=cells, choices=choices, label=str(raw.get("label", "")),
                     range=_bounds(raw, "range", path, faults), pattern=pattern, places=raw.get("places"),
                     **_common(raw))  # fmt: skip


def parse_table(raw: Mapping[str, Any], path: Path, faults: FaultList) -> tuple[list[FieldSpec], Grid] | None:
    """The fields of a table, row by row, and its printed grid; None where a fault leaves nothing to place."""
    name = raw.get("name")
    called = f"table {name!r}" if isinstance(name, str) else "a table"
    raw = faults.check_keys(raw, TABLE_KEYS, path, called, required=("name", "rows", "columns"))
    rows, columns = _edges(raw, "rows", path, faults), _edges(raw, "columns", path, faults)
    if rows is None or columns is None or not isinstance(name, str):
        return None
    _check_common(raw, path, faults)
    specs = _column_specs(raw, len(columns) - 1, path, faults)
    fields = []
    for row, (top, bottom) in enumerate(pairwise(rows), start=raw.get("first_row", 1)):
        for column, (left, right) in enumerate(pairwise(columns)):
            spec = specs[column]
            if spec["kind"] is Kind.IGNORE:
                continue
            called = _cell_name(raw, path, faults, row=row, column=column)
            fields.append(FieldSpec(name=called, box=Area(left, top, right, bottom), ruled=raw.get("rules", True),
                                    **spec, **_common(raw)))  # fmt: skip
    labels, row_labels = (tuple(map(str, raw.get(key, ()))) for key in ("labels", "row_labels"))
    inside = specs[0]["kind"] is Kind.IGNORE
    return fields, Grid(raw.get("page", 1), rows, columns, labels, row_labels, labels_inside=inside)


def _column_specs(raw: Mapping[str, Any], count: int, path: Path, faults: FaultList) -> list[dict[str, Any]]:
    """The common keys of the fields of each column."""
    columns = []
    values = {key: _per_column(raw, key, count, path, faults) for key in _PER_COLUMN}
    for column in range(count):
        one = {key: found[column] for key, found in values.items()}
        kind = _kind(one["kinds"] or "number", (*path, "kinds"), faults) or Kind.NUMBER
        _check_pattern(one["patterns"] or None, kind, (*path, "patterns"), faults)
        columns.append({
            "kind": kind,
            "cells": one["digits"] or None,
            "places": one["places"],
            "pattern": one["patterns"] or None,
            "range": _bounds({"ranges": one["ranges"]}, "ranges", path, faults) if one["ranges"] else None,
        })  # fmt: skip
    return columns


def _cell_name(raw: Mapping[str, Any], path: Path, faults: FaultList, *, row: int, column: int) -> str:
    """The name of a cell by the table's pattern."""
    pattern, number = str(raw.get("cells", "{table}.{row}.{name}")), column + int(raw.get("first_column", 1))
    names = raw.get("names")
    name = names[column] if isinstance(names, list) and column < len(names) else number
    try:
        return pattern.format(table=raw["name"], row=row, column=number, name=name)
    except (KeyError, ValueError, IndexError) as problem:
        faults.add((*path, "cells"), f"cells is {pattern!r} ({problem}); it may use table, row, column and name")
        return f"{raw['name']}.{row}.{number}"


def _kind(value: object, path: Path, faults: FaultList) -> Kind | None:
    if value is None:
        return None
    if value not in _KINDS:
        faults.add(
            path, f"no kind {value!r} of field; there are: {', '.join(_KINDS)}{faults.nearest(str(value), _KINDS)}"
        )
        return None
    return Kind(value)


def _choices(raw: Mapping[str, Any], path: Path, called: str, faults: FaultList) -> tuple[tuple[str, Area], ...]:
    choices = []
    for index, table in enumerate(faults.tables(raw, "choices", path)):
        here = (*path, "choices", index)
        faults.check_keys(table, _CHOICE_KEYS, here, f"a choice of {called}", required=("value", "box"))
        if (area := faults.area(table, "box", here)) is not None and isinstance(table.get("value"), str):
            choices.append((table["value"], area))
    return tuple(choices)


def _check_common(raw: Mapping[str, Any], path: Path, faults: FaultList) -> None:
    justify = raw.get("justify")
    if justify not in (None, "left", "right"):
        faults.add((*path, "justify"), f'justify is {justify!r}; there are "left" and "right"')


def _check_pattern(pattern: object, kind: Kind, path: Path, faults: FaultList) -> None:
    if pattern is None and kind in {Kind.DATE, Kind.TIME}:
        faults.add(path, f'a {kind} needs a pattern, such as "{"DDMMYYYY" if kind is Kind.DATE else "HHMM"}"')


def _common(raw: Mapping[str, Any]) -> dict[str, Any]:
    """The keys that fields and tables share."""
    return {
        "page": raw.get("page", 1),
        "required": bool(raw.get("required")),
        "justify": raw.get("justify"),
        "filler": str(raw.get("filler", "")),
    }


def _bounds(raw: Mapping[str, Any], key: str, path: Path, faults: FaultList) -> tuple[Decimal, Decimal] | None:
    bounds = faults.numbers(raw, key, path, 2)
    if bounds is None:
        return None
    if bounds[0] > bounds[1]:
        faults.add((*path, key), f"{key} is {list(bounds)}, the lower bound above the upper")
    return Decimal(str(raw[key][0])), Decimal(str(raw[key][1]))


def _edges(raw: Mapping[str, Any], key: str, path: Path, faults: FaultList) -> tuple[float, ...] | None:
    edges = faults.numbers(raw, key, path)
    if edges is not None and (len(edges) < 2 or any(second <= first for first, second in pairwise(edges))):
        faults.add((*path, key), f"{key} is {list(edges)}; it takes two edges or more, each greater than the last")
        return None
    return edges


def _per_column(raw: Mapping[str, Any], key: str, count: int, path: Path, faults: FaultList) -> list[Any]:
    """One entry per column; None for each where the key is missing."""
    values = raw.get(key, [None] * count)
    if not isinstance(values, list) or len(values) != count:
        faults.add((*path, key), f"{key} is {values!r}; it takes one entry per column, here {count}")
        return [None] * count
    return values


def _around(areas: Sequence[Area]) -> Area | None:
    if not areas:
        return None
    return Area(min(area.left for area in areas), min(area.top for area in areas),
                max(area.right for area in areas), max(area.bottom for area in areas))  # fmt: skip
