"""Forms: with a template of the fields, scans of the form become records.

In order: `template` and `template_toml` (the form), `printing` (its PDF), `align` (places of a page's fields),
`fields` (their readings), `checks` and `joint` (checks between fields), `reader` (scans to records), `export_files`.
`proposals` finds the fields of a blank, `drawn` fills forms in for samples and tests.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

_HOMES = {
    "Check": "record",
    "CheckState": "record",
    "ExportError": "errors",
    "Field": "record",
    "FieldOutcome": "record",
    "FormError": "errors",
    "FormReader": "reader",
    "PageState": "page_state",
    "Rechecker": "recheck",
    "Record": "record",
    "RecordOutcome": "record",
    "RosterError": "errors",
    "Template": "template",
    "TemplateError": "errors",
    "export": "export_files",
    "gallery": "template",
    "print_form": "printing",
    "propose": "proposals",
}

__all__ = sorted(_HOMES)

if TYPE_CHECKING:
    from handigit.forms.errors import ExportError as ExportError
    from handigit.forms.errors import FormError as FormError
    from handigit.forms.errors import RosterError as RosterError
    from handigit.forms.errors import TemplateError as TemplateError
    from handigit.forms.export_files import export as export
    from handigit.forms.page_state import PageState as PageState
    from handigit.forms.printing import print_form as print_form
    from handigit.forms.proposals import propose as propose
    from handigit.forms.reader import FormReader as FormReader
    from handigit.forms.recheck import Rechecker as Rechecker
    from handigit.forms.record import Check as Check
    from handigit.forms.record import CheckState as CheckState
    from handigit.forms.record import Field as Field
    from handigit.forms.record import FieldOutcome as FieldOutcome
    from handigit.forms.record import Record as Record
    from handigit.forms.record import RecordOutcome as RecordOutcome
    from handigit.forms.template import Template as Template
    from handigit.forms.template import gallery as gallery


def __getattr__(name: str) -> Any:
    """Load a public name when it is first used (PEP 562)."""
    if name not in _HOMES:
        raise AttributeError(f"module 'handigit.forms' has no attribute {name!r}")
    return getattr(import_module(f"handigit.forms.{_HOMES[name]}"), name)
