"""Templates from TOML text, with every fault reported at once and by line."""

import tomllib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from handigit.forms.check_digits import SCHEMES
from handigit.forms.errors import Fault, TemplateError
from handigit.forms.fault_list import FaultList, Keys
from handigit.forms.field_toml import parse_field, parse_table
from handigit.forms.rules import RuleError, parse_rule
from handigit.forms.specs import (
    FORMAT,
    CheckSpec,
    DigitsCheck,
    FieldSpec,
    FormSpec,
    Grid,
    Kind,
    ListCheck,
    PageSpec,
    RangeCheck,
    RuleCheck,
    Text,
    UniqueCheck,
)
from handigit.forms.toml_lines import key_lines

_TOP_KEYS: Final[Keys] = {
    "format": str, "name": str, "title": str, "version": int, "page": list, "field": list, "check": list, "table": list,
}  # fmt: skip
_PAGE_KEYS: Final[Keys] = {
    "size": list, "units": str, "blank": str, "markers": bool, "code": list, "filled": bool, "text": list,
}  # fmt: skip
_TEXT_KEYS: Final[Keys] = {"at": list, "says": str, "size": float}
_CHECK_KEYS: Final[Keys] = {
    "rule": str, "says": str, "digits": str, "field": str, "list": str, "column": str, "copy": list, "unique": str,
}  # fmt: skip


def parse_form(text: str, *, source: str, folder: Path) -> FormSpec:
    """Read a template from TOML.

    Raises:
        TemplateError: the faults, in the order of the lines.
    """
    try:
        document = tomllib.loads(text)
    except tomllib.TOMLDecodeError as problem:
        line = getattr(problem, "lineno", None) or _line_in(str(problem))
        raise TemplateError(source, [Fault(line, f"not valid TOML: {problem}")]) from None
    faults = FaultList(key_lines(text))
    document = faults.check_keys(document, _TOP_KEYS, (), "the template", required=("format", "name", "page"))
    if document.get("format", FORMAT) != FORMAT:
        faults.add(("format",), f"format is {document['format']!r}; this version reads {FORMAT!r}")
    if "version" in document and faults.is_a(document["version"], int) and document["version"] < 1:
        faults.add(("version",), f"version is {document['version']}; it counts from 1")
    pages = [_page(table, index, faults, folder) for index, table in enumerate(faults.tables(document, "page"))]
    fields, grids = _fields(document, faults)
    _check_places(fields, pages, faults)
    by_name = _unique_names(fields, faults)
    checks = [check for index, table in enumerate(faults.tables(document, "check"))
              for check in _checks(table, ("check", index), by_name, faults, folder)]  # fmt: skip
    checks += [CheckSpec(f"{field.label or field.name} must be from {field.range[0]} to {field.range[1]}",
                         RangeCheck(field.name, field.range)) for field, _ in fields if field.range]  # fmt: skip
    if faults:
        raise TemplateError(source, faults)
    return FormSpec(
        name=document["name"],
        title=document.get("title", document["name"]),
        version=document.get("version", 1),
        pages=tuple(pages),
        fields=tuple(field for field, _ in fields),
        checks=tuple(checks),
        grids=tuple(grids),
    )


def _line_in(message: str) -> int:
    """The line that a message of tomllib names."""
    words = message.replace(",", " ").split()
    return int(words[words.index("line") + 1]) if "line" in words[:-1] else 0


def _page(raw: Mapping[str, Any], index: int, faults: FaultList, folder: Path) -> PageSpec:
    path = ("page", index)
    raw = faults.check_keys(raw, _PAGE_KEYS, path, f"page {index + 1}", required=("size",))
    size = faults.numbers(raw, "size", path, 2)
    if size and min(size) <= 0:
        faults.add((*path, "size"), f"size is {list(size)}; both sides must be above 0")
    units = raw.get("units", "mm")
    if units not in ("mm", "px"):
        faults.add((*path, "units"), f'units are {units!r}; there are "mm" and "px"')
    blank = raw.get("blank")
    if isinstance(blank, str) and not (folder / blank).is_file():
        faults.add((*path, "blank"), f"no file {folder / blank}; blanks are looked up beside the template")
    if raw.get("filled") and not blank:
        faults.add((*path, "filled"), "filled says that the blank is a filled form, but there is no blank")
    texts = []
    for place, table in enumerate(faults.tables(raw, "text", path)):
        here = (*path, "text", place)
        faults.check_keys(table, _TEXT_KEYS, here, "a text", required=("at", "says"))
        at = faults.numbers(table, "at", here, 2)
        if at and isinstance(table.get("says"), str):
            texts.append(Text((at[0], at[1]), table["says"], float(table.get("size", 10))))
    code = faults.area(raw, "code", path)
    sides = (size[0], size[1]) if size else (0.0, 0.0)
    return PageSpec(sides, units, blank, bool(raw.get("markers")), code, bool(raw.get("filled")), tuple(texts))


def _fields(
    document: Mapping[str, Any], faults: FaultList
) -> tuple[list[tuple[FieldSpec, tuple[Any, ...]]], list[Grid]]:
    """The fields with their paths in the document, those of tables after the others, and the printed tables."""
    fields: list[tuple[FieldSpec, tuple[Any, ...]]] = []
    for index, one in enumerate(faults.tables(document, "field")):
        path = ("field", index)
        if (spec := parse_field(one, path, faults)) is not None:
            fields.append((spec, path))
    grids = []
    for index, one in enumerate(faults.tables(document, "table")):
        path = ("table", index)
        if (table := parse_table(one, path, faults)) is not None:
            cells, grid = table
            fields += [(spec, path) for spec in cells]
            grids.append(grid)
    return fields, grids


def _check_places(
    fields: Sequence[tuple[FieldSpec, tuple[Any, ...]]], pages: Sequence[PageSpec], faults: FaultList
) -> None:
    for spec, path in fields:
        if not 1 <= spec.page <= len(pages):
            faults.add(path, f"field {spec.name!r} is on page {spec.page}; the form has {len(pages)}")
            continue
        width, height = pages[spec.page - 1].size
        for area in (spec.box, *(area for _, area in spec.choices)):
            if area.left < 0 or area.top < 0 or area.right > width or area.bottom > height:
                edge = f"{width:g} x {height:g} {pages[spec.page - 1].units}"
                faults.add(path, f"field {spec.name!r} has the box {area.as_list()}, outside the page of {edge}")


def _unique_names(fields: Sequence[tuple[FieldSpec, tuple[Any, ...]]], faults: FaultList) -> dict[str, FieldSpec]:
    by_name: dict[str, FieldSpec] = {}
    for spec, path in fields:
        if spec.name in by_name:
            faults.add(path, f"two fields are named {spec.name!r}; rename one")
        by_name.setdefault(spec.name, spec)
    return by_name


def _checks(
    raw: Mapping[str, Any], path: tuple[Any, ...], fields: Mapping[str, FieldSpec], faults: FaultList, folder: Path
) -> list[CheckSpec]:
    """The checks of one entry: several where a rule holds for each row."""
    raw = faults.check_keys(raw, _CHECK_KEYS, path, "a check")
    kinds = [key for key in ("rule", "digits", "list", "unique") if isinstance(raw.get(key), str)]
    if len(kinds) != 1:
        faults.add(
            path, "a check has one of rule, digits, list and unique; this one has " + (" and ".join(kinds) or "none")
        )
        return []
    says = raw.get("says", "")
    if kinds[0] == "rule":
        return _rule_checks(raw["rule"], says, path, fields, faults)
    name = str(raw.get("unique" if kinds[0] == "unique" else "field"))
    if name not in fields:
        faults.add(path, f"a check on field {name!r}, which is not there{faults.nearest(name, fields)}")
        return []
    if kinds[0] == "unique":
        return [CheckSpec(says or f"{name} may occur once in a batch", UniqueCheck(name))]
    if kinds[0] == "list":
        table = folder / raw["list"]
        if not table.is_file():
            faults.add((*path, "list"), f"no file {table}; lists are looked up beside the template")
        column = str(raw.get("column", name))
        return [CheckSpec(says or f"{name} must be in the column {column} of {raw['list']}",
                          ListCheck(table, column, name, tuple(raw.get("copy", ()))))]  # fmt: skip
    if raw["digits"] not in SCHEMES:
        faults.add((*path, "digits"), f"no scheme {raw['digits']!r} of check digits; there are: {', '.join(SCHEMES)}")
        return []
    return [
        CheckSpec(says or f"{name} must have a valid check digit ({raw['digits']})", DigitsCheck(raw["digits"], name))
    ]


def _rule_checks(
    text: str, says: str, path: tuple[Any, ...], fields: Mapping[str, FieldSpec], faults: FaultList
) -> list[CheckSpec]:
    numbers = {name: spec for name, spec in fields.items() if spec.kind in {Kind.NUMBER, Kind.DECIMAL}}
    try:
        rules = parse_rule(text, numbers)
    except RuleError as problem:
        faults.add((*path, "rule"), str(problem))
        return []
    return [CheckSpec(says or rule.text, RuleCheck(rule)) for rule in rules]
