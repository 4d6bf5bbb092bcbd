"""The templates that a server reads forms with: the ready ones, and those saved on it, one folder each.

FORMS/claim/form.toml, and the blank and the lists that it names
"""

import re
import tomllib
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final

from handigit import forms
from handigit.atomic import write_file
from handigit.forms.blank import load_blanks
from handigit.forms.checks import Checker
from handigit.forms.errors import FormError
from handigit.forms.template import Template
from handigit.web.pattern_check import check_pattern
from handigit.web.problems import CONFLICT, INVALID, NOT_FOUND, Problem

ANY: Final = "auto"
"""The name for all templates: each page finds its own."""
TEMPLATE_FILE: Final = "form.toml"
_MAX_TEMPLATE_BYTES: Final = 200_000
_MAX_FILES_BYTES: Final = 32 << 20
_MAX_NAME_BYTES: Final = 200
_MAX_FIELDS: Final = 3000
_NAME: Final = re.compile("[a-z0-9][a-z0-9_-]{0,63}")


class FormTemplates:
    """The templates of a server; those saved in its folder replace ready ones of the same name."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._loaded: dict[str, tuple[tuple[float, ...], Template]] = {}

    @property
    def names(self) -> list[str]:
        """All names, the saved ones first."""
        own = sorted(path.parent.name for path in self._folder.glob(f"*/{TEMPLATE_FILE}"))
        return [*own, *(name for name in ready_made() if name not in own)]

    def is_saved(self, name: str) -> bool:
        """Whether it was saved on this server."""
        return bool(_NAME.fullmatch(name)) and (self._folder / name / TEMPLATE_FILE).is_file()

    def get(self, name: str) -> Template:
        """A template by its name.

        Raises:
            Problem: there is none.
        """
        if self.is_saved(name):
            return self._load(name)
        if name not in ready_made():
            raise Problem(NOT_FOUND, f"no form named {name[:40]!r}; there are: {', '.join(self.names)}")
        return ready_made()[name]

    def select(self, name: str) -> list[Template]:
        """One template, or all of them for `auto`."""
        return [self.get(known) for known in self.names] if name == ANY else [self.get(name)]

    def save(self, name: str, files: Mapping[str, bytes], *, raise_version: bool = False) -> Template:
        """Save a template with its blank and lists, once it is valid; files of an earlier version are kept if named.

        `raise_version`: give changed fields the next version instead of refusing them.

        Raises:
            Problem: no valid name or template, a missing blank, or changed fields with the same version.
        """
        if not _NAME.fullmatch(name) or name == ANY:
            raise Problem(INVALID, f"{name[:80]!r} is not a name for a form; use small letters, digits, - and _")
        content = files.get(TEMPLATE_FILE)
        if content is None:
            names = ", ".join(files) or "none"
            raise Problem(INVALID, f"no file {TEMPLATE_FILE} among {names}; send the template under this name")
        text = vetted(content)
        size = sum(map(len, files.values()))
        if size > _MAX_FILES_BYTES:
            raise Problem(INVALID, f"blank and lists have {size >> 20} MB; {_MAX_FILES_BYTES >> 20} are allowed")
        with TemporaryDirectory() as place, form_problems(place):
            folder = Path(place)
            known = self._folder / name
            for path in known.iterdir() if known.is_dir() else ():
                (folder / path.name).write_bytes(path.read_bytes())
            for file, content in files.items():
                (folder / _check_file_name(file)).write_bytes(content)
            template = Template.parse(text, source=name, folder=folder)
            if template.name != name:
                raise Problem(
                    INVALID, f"the template's name is {template.name!r}; send it to /v1/forms/{template.name}"
                )
            text = self._with_version(name, text, template, raise_version=raise_version)
            load_blanks(template)
            Checker(template)  # its lists can be read
            known.mkdir(parents=True, exist_ok=True)
            for file, content in files.items():
                if file != TEMPLATE_FILE:
                    with write_file(known / _check_file_name(file)) as stream:
                        stream.write(content)
            with write_file(known / TEMPLATE_FILE) as stream:  # last: with it the template is there
                stream.write(text.encode())
            return self._load(name)

    def _with_version(self, name: str, text: str, template: Template, *, raise_version: bool) -> str:
        """The text with a version of its own where the fields changed."""
        if not self.is_saved(name):
            return text
        before = self._load(name)
        if before.version < template.version or (before.fields, before.pages) == (template.fields, template.pages):
            return text
        if not raise_version:
            raise Problem(CONFLICT, f"version {before.version} of {name!r} has other fields; "
                          f"send version = {before.version + 1}")  # fmt: skip
        import tomlkit

        document = tomlkit.parse(text)
        document["version"] = before.version + 1
        return tomlkit.dumps(document)

    def _load(self, name: str) -> Template:
        """The saved template, read again where one of its files has changed."""
        folder = self._folder / name
        state = tuple(sorted(path.stat().st_mtime for path in folder.iterdir()))
        if name not in self._loaded or self._loaded[name][0] != state:
            with form_problems():
                self._loaded[name] = state, Template.load(folder / TEMPLATE_FILE)
        return self._loaded[name][1]


@cache
def ready_made() -> dict[str, Template]:
    """The templates of the package, by their names."""
    return {name: Template.load(path) for name, path in forms.gallery().items()}


class form_problems:  # noqa: N801 - reads as a function where it is used
    """Errors of forms as problems: a faulty template, or a missing package of the extra. Paths in `folder` are cut."""

    def __init__(self, folder: str = "") -> None:
        self._folder = folder

    def __enter__(self) -> None:
        """Does nothing."""

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: object) -> None:
        if isinstance(error, ModuleNotFoundError):
            from handigit.web.problems import UNAVAILABLE

            raise Problem(UNAVAILABLE, f'this needs {error.name}: pip install "handigit[forms]"') from None
        if isinstance(error, FormError):
            message = str(error).replace(f"{self._folder}/", "") if self._folder else str(error)
            raise Problem(INVALID, message) from None


def vetted(content: bytes) -> str:
    """The text of a template that others send: it may name files beside it only, and cost no more than it should.

    Raises:
        Problem: too long, not TOML, other files, more fields than a form has, a pattern that could take forever.
    """
    if len(content) > _MAX_TEMPLATE_BYTES:
        raise Problem(INVALID, f"the template has {len(content):,} bytes; {_MAX_TEMPLATE_BYTES:,} are allowed")
    try:
        text = content.decode("utf-8-sig")
        document = tomllib.loads(text)
    except (UnicodeDecodeError, tomllib.TOMLDecodeError) as problem:
        raise Problem(INVALID, f"the template is not valid TOML: {problem}") from None
    except RecursionError:
        raise Problem(INVALID, "the template is not valid TOML: it is nested too deeply") from None
    fields = len(_tables(document, "field"))
    for table in _tables(document, "table"):
        rows, columns = table.get("rows"), table.get("columns")
        fields += len(rows) * len(columns) if isinstance(rows, list) and isinstance(columns, list) else 0
        patterns = table.get("patterns")
        for pattern in patterns if isinstance(patterns, list) else ():
            _check_pattern(pattern)
    if fields > _MAX_FIELDS:
        raise Problem(INVALID, f"the template has {fields:,} fields; {_MAX_FIELDS:,} are allowed")
    for field in _tables(document, "field"):
        _check_pattern(field.get("pattern"))
    for name in [page.get("blank") for page in _tables(document, "page")] + [
        check.get("list") for check in _tables(document, "check")
    ]:
        if isinstance(name, str):
            _check_file_name(name)
    return text


def _tables(document: Mapping[str, Any], key: str) -> list[Mapping[str, Any]]:
    """The tables of an array, without other values: the parser reports those."""
    found = document.get(key, ())
    return [table for table in found if isinstance(table, Mapping)] if isinstance(found, list) else []


def _check_pattern(pattern: object) -> None:
    if isinstance(pattern, str):
        check_pattern(pattern)


def _check_file_name(name: str) -> str:
    """A file's name.

    Raises:
        Problem: a path, hidden, too long, or empty.
    """
    is_plain = name.isprintable() and not {"/", "\\"} & set(name) and not name.startswith(".")
    if not name or not is_plain or len(name.encode(errors="replace")) > _MAX_NAME_BYTES:
        raise Problem(INVALID, f"{name[:80]!r} is not a file name; send blanks and lists beside the template")
    return name
