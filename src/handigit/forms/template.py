"""A form by its template: pages, fields with their places, checks."""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Final

from handigit.forms.errors import Fault, TemplateError
from handigit.forms.specs import CheckSpec, FieldSpec, Grid, PageSpec
from handigit.forms.template_toml import parse_form

_GALLERY: Final = Path(__file__).with_name("templates")


@dataclass(frozen=True)
class Template:
    """A form: its fields with their places and contents, and the checks between them.

    `folder` is where its blanks and lists are; `digest` the SHA-256 of its text.
    """

    name: str
    pages: tuple[PageSpec, ...]
    fields: tuple[FieldSpec, ...] = ()
    checks: tuple[CheckSpec, ...] = ()
    grids: tuple[Grid, ...] = ()
    title: str = ""
    version: int = 1
    folder: Path = field(default=Path(), compare=False)
    digest: str = field(default="", compare=False)

    @classmethod
    def load(cls, path: str | Path) -> "Template":
        """Read a template from a file, or one of the gallery by its name.

        Raises:
            TemplateError: no such file, or all faults of the template at once, each with its line.
        """
        place = Path(path)
        if not place.is_file():
            place = gallery_path(str(path)) or place
        try:
            text = place.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as problem:
            reason = getattr(problem, "strerror", None) or "not UTF-8 text"
            fault = Fault(0, f"cannot be read ({reason}); give the path of a .toml file, or a name of the gallery")
            raise TemplateError(str(path), [fault]) from None
        return cls.parse(text, source=str(path), folder=place.parent)

    @classmethod
    def parse(cls, text: str, *, source: str = "template", folder: str | Path = ".") -> "Template":
        """Read a template from TOML; blanks and lists are looked up in `folder`.

        Raises:
            TemplateError: all faults of the template at once, each with its line.
        """
        form = parse_form(text, source=source, folder=Path(folder))
        return cls(
            form.name,
            form.pages,
            form.fields,
            form.checks,
            form.grids,
            form.title,
            form.version,
            folder=Path(folder),
            digest=hashlib.sha256(text.encode()).hexdigest(),
        )

    @cached_property
    def by_name(self) -> Mapping[str, FieldSpec]:
        """Its fields by their names."""
        return {field.name: field for field in self.fields}

    def fields_on(self, page: int) -> tuple[FieldSpec, ...]:
        """The fields of a page, counted from 1."""
        return tuple(field for field in self.fields if field.page == page)

    def with_fields(self, fields: Sequence[FieldSpec]) -> "Template":
        """The same form with other fields."""
        return replace(self, fields=tuple(fields))


def gallery() -> dict[str, Path]:
    """The ready templates by their names."""
    return {path.stem: path for path in sorted(_GALLERY.glob("*.toml"))}


def gallery_path(name: str) -> Path | None:
    """The file of a ready template, None where there is none of that name."""
    return gallery().get(name)
