"""Templates written back to TOML: a new one as text, a changed one with its comments and order kept."""

from collections.abc import Mapping, Sequence
from typing import Any

import tomlkit
from tomlkit.items import AoT

from handigit.forms.specs import FORMAT, FieldSpec, PageSpec
from handigit.forms.template import Template


def new_template(name: str, title: str, pages: Sequence[PageSpec], fields: Sequence[FieldSpec]) -> str:
    """The text of a new template, one line per field."""
    lines = [f'format = "{FORMAT}"', f"name = {_text(name)}", f"title = {_text(title)}", "version = 1"]
    lines += ["page = [", *(f"  {_inline(_page_table(page))}," for page in pages), "]"]
    lines += ["field = [", *(f"  {_inline(field_table(field))}," for field in fields), "]"]
    lines += ["# What must agree, for example:", '# check = [{ rule = "a + b == total" }]', ""]
    return "\n".join(lines)


def update_template(text: str, fields: Sequence[FieldSpec]) -> str:
    """The text of a template with these fields instead of its own; comments, order and all else are kept.

    Fields of tables are not touched; those that are not in `fields` are removed, new ones added at the end. The version
    is raised where a place or a meaning changed.

    Raises:
        TemplateError: the text is not a valid template.
    """
    before = Template.parse(text)
    document = tomlkit.parse(text)
    wanted = {field.name: field for field in fields}
    entries = document.get("field")
    if entries is None:
        entries = document["field"] = tomlkit.array().multiline(True)
    kept, changed = set(), False
    for index in range(len(entries) - 1, -1, -1):
        name = str(entries[index]["name"])
        if name not in wanted:
            del entries[index]
            changed = True
        else:
            kept.add(name)
            changed |= _update_entry(entries[index], before.by_name[name], wanted[name])
    tables = {field.name for field in before.fields} - kept
    for name, field in wanted.items():
        if name not in kept and name not in tables:
            table = tomlkit.table() if isinstance(entries, AoT) else tomlkit.inline_table()
            table.update(field_table(field))
            entries.append(table)
            changed = True
    if changed:
        document["version"] = before.version + 1
    return tomlkit.dumps(document)


def add_tables(text: str, tables: Sequence[Mapping[str, Any]]) -> str:
    """The text of a template with these tables at its end, each as its TOML table.

    Raises:
        TemplateError: what it gives is not a valid template.
    """
    if not tables:
        return text
    document = tomlkit.parse(text)
    entries = document.setdefault("table", tomlkit.aot())
    for one in tables:
        table = tomlkit.table()
        table.update(one)
        entries.append(table)
    changed = tomlkit.dumps(document)
    Template.parse(changed)
    return changed


def field_table(field: FieldSpec) -> dict[str, Any]:
    """A field as its TOML table, without the keys that have their defaults."""
    table: dict[str, Any] = {"name": field.name, "kind": field.kind.value}
    if field.choices:
        table["choices"] = [{"value": value, "box": _numbers(area.as_list())} for value, area in field.choices]
    else:
        table["box"] = _numbers(field.box.as_list())
    optional: dict[str, Any] = {
        "page": field.page if field.page != 1 else None,
        "cells": field.cells,
        "required": field.required or None,
        "justify": field.justify,
        "filler": field.filler or None,
        "range": [_number(float(bound)) for bound in field.range] if field.range else None,
        "pattern": field.pattern,
        "places": field.places,
        "label": field.label or None,
    }
    return table | {key: value for key, value in optional.items() if value is not None}


def _update_entry(entry: Any, before: FieldSpec, after: FieldSpec) -> bool:
    """Change the keys of an entry that differ; return whether any did."""
    old, new = field_table(before), field_table(after)
    for key in old.keys() | new.keys():
        if old.get(key) != new.get(key):
            if key in new:
                entry[key] = new[key]
            elif key in entry:
                del entry[key]
    return old != new


def _page_table(page: PageSpec) -> dict[str, Any]:
    table: dict[str, Any] = {"size": _numbers(page.size), "units": page.units}
    optional = {"blank": page.blank, "markers": page.markers or None, "filled": page.filled or None,
                "code": _numbers(page.code.as_list()) if page.code else None}  # fmt: skip
    return table | {key: value for key, value in optional.items() if value is not None}


def _inline(table: Mapping[str, Any]) -> str:
    """A table on one line."""
    return "{ " + ", ".join(f"{key} = {_value(value)}" for key, value in table.items()) + " }"


def _value(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        return _text(value)
    if isinstance(value, Mapping):
        return _inline(value)
    if isinstance(value, Sequence):
        return "[" + ", ".join(map(_value, value)) + "]"
    return str(value)


def _text(value: str) -> str:
    return str(tomlkit.string(value).as_string())


def _numbers(values: Sequence[float]) -> list[float | int]:
    return [_number(value) for value in values]


def _number(value: float) -> float | int:
    rounded = round(float(value), 2)
    return int(rounded) if rounded == int(rounded) else rounded
