"""`handigit form`: scans of forms to records; new, checked and printed templates."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from cyclopts import App, Parameter, validators

from handigit.cli.shared import limits_of
from handigit.cli.terminal import complain, out, progress, say, say_status
from handigit.settings import Settings

if TYPE_CHECKING:
    from handigit.forms import Record
    from handigit.forms.reader import ReadForm
    from handigit.store import Store

DONE, SOME_FAILED, WRONG_USAGE = 0, 1, 2
form = App(name="form", help="Read paper forms with a template; make, check and print templates.")

ErrorRate = Annotated[float, Parameter(validator=validators.Number(gt=0, lt=1))]
Output = Annotated[Path | None, Parameter(name=["--output", "-o"])]
_FORMATS = {".xlsx": "xlsx", ".csv": "csv", ".jsonl": "jsonl", ".parquet": "parquet"}


@form.default
def read_forms(
    *scans: Path,
    template: Annotated[list[str] | None, Parameter(name=["--template", "-t"], negative="")] = None,
    format: Annotated[  # noqa: A002
        Literal["table", "jsonl", "csv", "xlsx", "parquet"] | None, Parameter(name="--format")
    ] = None,
    output: Output = None,
    annotate: Path | None = None,
    crops: bool = False,
    into: str | None = None,
    batch: str | None = None,
    target_error: ErrorRate = 0.01,
    model: Path | None = None,
) -> int:
    """Read scans and photos of forms; each page finds its own template.

    Examples:
        handigit form scans/ --template score-sheet -o marks.xlsx
        handigit form pile.zip --template front.toml --template back.toml --format jsonl

    Args:
        scans: Pictures, PDFs, folders (searched recursively), patterns, .zip or .tar archives.
        template: Templates: .toml files, or names of the gallery (see `handigit form gallery`).
        format: Output format [default: by the name of -o, else a table].
        output: Write the records to this file instead of the screen.
        annotate: Folder in which to write each page with its fields drawn on it.
        crops: Put the picture of each field into the workbook.
        into: URL of the web app's database, in which the records are stored for review, each once.
        batch: Name of the batch in that database [default: the time].
        target_error: Accept about this share of errors (0.01 = 1 in 100).
        model: A folder with digit.onnx and number.onnx [default: the embedded models].
    """
    from handigit.forms import FormReader
    from handigit.forms.pile import documents
    from handigit.read.files import find_pictures
    from handigit.read.reader import Reader

    if not scans or not template:
        missing = "scans" if not scans else "a template: add --template FORM.toml, or a name of the gallery"
        complain(f"nothing to read: give {missing}")
        return WRONG_USAGE
    output_format = format or _FORMATS.get(output.suffix.lower() if output else "", "table")
    if output_format in ("xlsx", "parquet") and output is None:
        complain(f"--format {output_format} needs a file: add -o forms.{output_format}")
        return WRONG_USAGE
    settings, started = Settings(), f"{datetime.now():%Y-%m-%dT%H.%M.%S}"
    reader = Reader(model or settings.model_dir, target_error=target_error, threads=settings.threads,
                    limits=limits_of(settings))  # fmt: skip
    forms = FormReader(template, reader=reader, keep_crops=crops and output_format == "xlsx")
    count = find_pictures(scans).pictures
    found: list[Record] = []
    with progress("reading", count) as advance, _open_store(settings, into) as store:
        for form in _watched(forms.forms(documents(scans, limits=limits_of(settings))), advance):
            found.append(form.record)
            if store is not None:
                _store(store, form, batch or started)
            if output_format == "jsonl" and output is None:
                out.out(form.record.json_line(), highlight=False)
            if annotate is not None:
                _annotate(form, annotate)
    _write(found, output_format, output, crops=crops)
    return _conclude(found)


@form.command(name="recheck")
def recheck(
    records: Path,
    /,
    *,
    template: Annotated[list[str], Parameter(name=["--template", "-t"], negative="")],
    format: Annotated[  # noqa: A002
        Literal["table", "jsonl", "csv", "xlsx", "parquet"] | None, Parameter(name="--format")
    ] = None,
    output: Output = None,
) -> int:
    """Apply the checks and lists of templates again to records that were read, without a new scan.

    Examples:
        handigit form scans/ --template claim.toml -o claims.jsonl
        handigit form recheck claims.jsonl --template claim.toml -o claims.xlsx

    Args:
        records: JSON Lines that `handigit form` or the web app wrote.
        template: Templates of the same version, whose rules or lists may have changed since.
        format: Output format [default: by the name of -o, else a table].
        output: Write the records to this file instead of the screen.
    """
    import json

    from handigit.forms import FormError, Rechecker, Record

    output_format = format or _FORMATS.get(output.suffix.lower() if output else "", "table")
    checker, found = Rechecker(template), []
    for number, line in enumerate(records.read_text(encoding="utf-8").splitlines(), start=1):
        try:
            found.append(checker.recheck(Record.from_json(json.loads(line))))
        except (json.JSONDecodeError, FormError) as problem:
            raise FormError(f"{records}, line {number}: {problem}") from None
    if output_format == "jsonl" and output is None:
        for record in found:
            out.out(record.json_line(), highlight=False)
    _write(found, output_format, output, crops=False)
    return _conclude(found)


@form.command(name="new")
def new_form(blank: Path, /, *, output: Output = None, name: str | None = None) -> None:
    """Propose the fields of a blank form and write them as a template, to be checked and named.

    Examples:
        handigit form new blank.pdf -o forms/claim.toml

    Args:
        blank: The empty form, a PDF or a picture; the template names it, so keep them together.
        output: The template to write [default: beside the blank].
        name: The form's name [default: the file's].
    """
    from handigit.forms import FormError, propose
    from handigit.forms.template import Template

    target = output or blank.with_suffix(".toml")
    if target.exists():
        raise FormError(f"{target} is already there; choose another place with -o, or remove it first")
    text = propose(blank, name=name, folder=target.parent)
    found = Template.parse(text, source=str(target), folder=target.parent)
    target.write_text(text, encoding="utf-8")
    say(f"wrote {target}: {len(found.fields)} fields proposed")
    say_status(f"look at them with: handigit form check {target} --picture fields.png")


@form.command(name="check")
def check_template(template: str, /, *, picture: Path | None = None) -> None:
    """Validate a template: every fault with its line. With --picture, draw its fields on the blank.

    Args:
        template: A .toml file, or a name of the gallery.
        picture: Where to draw the fields (PNG); of a form of several pages, with -1, -2 ... added to the name.
    """
    from handigit.forms.annotate import draw_template, save_picture
    from handigit.forms.checks import Checker
    from handigit.forms.template import Template

    found = Template.load(template)
    Checker(found)  # its lists can be read
    facts = _count(len(found.fields), "field"), _count(len(found.pages), "page"), _count(len(found.checks), "check")
    say(f"{template}: {', '.join(facts)}")
    if picture is not None:
        for page in range(1, len(found.pages) + 1):
            several = len(found.pages) > 1
            place = picture.with_stem(f"{picture.stem}-{page}") if several else picture
            save_picture(draw_template(found, page), place)
            say(f"wrote {place}")


@form.command(name="print")
def print_template(template: str, /, *, output: Output = None, copies: int = 1, roster: Path | None = None) -> None:
    """Print the form as a PDF with markers and a code, ready to be filled in, scanned and read.

    Examples:
        handigit form print score-sheet -o sheets.pdf --roster class.csv

    Args:
        template: A .toml file, or a name of the gallery.
        output: The PDF to write [default: the form's name].
        copies: Numbered copies.
        roster: A CSV file with a column id: one copy per row, with its id in the code and its columns in the text.
    """
    from handigit.forms import Template, print_form

    found = Template.load(template)
    target = output or Path(f"{found.name}.pdf")
    data = print_form(found, target, copies=copies, roster=roster)
    say(f"wrote {target}: {len(data) / 1000:.0f} kB")


@form.command(name="gallery")
def list_gallery(*, copy: Annotated[Path | None, Parameter(name="--copy-to")] = None) -> None:
    """List the ready templates of the package.

    Args:
        copy: Copy them into this folder, to be changed.
    """
    from handigit.forms import Template, gallery

    for name, path in gallery().items():
        found = Template.load(name)
        say(f"{name:14} {found.title} ({len(found.fields)} fields)")
        if copy is not None:
            copy.mkdir(parents=True, exist_ok=True)
            (copy / path.name).write_bytes(path.read_bytes())


@form.command(name="draw-sample")
def draw_sample(
    template: str, /, *, output: Annotated[Path, Parameter(name=["--output", "-o"])], count: int = 1, seed: int = 0,
    photo: bool = False, dpi: int | None = None
) -> None:  # fmt: skip
    """Draw filled copies of a form as a scanner or telephone sees them, with the written values in values.jsonl.

    Args:
        template: A template that can be printed: a .toml file in millimetres, or a name of the gallery.
        output: The folder to write.
        count: Number of copies.
        seed: Equal seeds draw equal copies.
        photo: Photographs on a table instead of scans.
        dpi: Resolution [default: a different one each].
    """
    from handigit.forms.drawn import save_samples

    save_samples(template, output, count=count, seed=seed, photo=photo, dpi=dpi)
    say(f"wrote {_count(count, 'copy', 'copies')} to {output}")


def _watched(forms: Iterator["ReadForm"], advance: Callable[[], None]) -> Iterator["ReadForm"]:
    """The forms, with the bar advanced per file."""
    last = ""
    for form in forms:
        for page in form.record.pages:
            if page.source != last:
                last = page.source
                advance()
        yield form


@contextmanager
def _open_store(settings: Settings, url: str | None) -> Iterator["Store | None"]:
    """The store with this URL, None without one."""
    if url is None:
        yield None
        return
    from handigit.store import Store

    with Store.open(url, files=settings.state / "pictures") as store:
        yield store


def _store(store: "Store", form: "ReadForm", batch: str) -> None:
    pages = dict(enumerate(form.pictures, start=1))
    store.forms.add(form.record.to_json(), key=form.key, pages=pages, batch=batch)


def _write(records: list["Record"], format: str, output: Path | None, *, crops: bool) -> None:  # noqa: A002
    """Write records to a file, or as CSV or a table to the screen; JSON lines were printed before."""
    from io import BytesIO

    from handigit.forms.export_files import export, write_records
    from handigit.forms.record_cells import columns_of

    if output is not None:
        export(records, output, format="jsonl" if format == "table" else format, crops=crops)
        say(f"wrote {output}")
    elif format == "csv":
        content = BytesIO()
        write_records(records, content, "csv", columns=columns_of(records), bom=False)
        out.out(content.getvalue().decode(), end="", highlight=False)
    elif format == "table":
        _print_table(records)


def _annotate(form: "ReadForm", folder: Path) -> None:
    """Write each page of a record that was placed, with its fields drawn on it."""
    from handigit.forms.annotate import annotate_record, save_picture
    from handigit.forms.page_state import PageState

    for page, pixels in zip(form.record.pages, form.pictures, strict=False):
        if page.state is PageState.PLACED:
            stem = Path(page.source.replace("!", "/")).stem
            picture = annotate_record(pixels, form.record, number=page.page)
            save_picture(picture, folder / f"{stem}-{page.page + 1}.png")


def _print_table(records: list["Record"]) -> None:
    """A row per field, and the problems of each record below it."""
    from rich.table import Table

    from handigit.records import percent

    for record in records:
        title = (
            f"{record.source}: {record.template or 'no form'} {record.copy and f'copy {record.copy}, '}{record.outcome}"
        )
        table = Table("field", "outcome", "text", "confidence", title=title, title_justify="left", box=None)
        for field in record.fields.values():
            text = field.text or field.raw
            table.add_row(field.name, field.outcome, text, percent(field.confidence) if text else "")
        out.print(table if record.fields else f"{title}")
        for problem in record.problems:
            out.print(f"  {problem}", style="yellow", markup=False, highlight=False, soft_wrap=True)


def _conclude(records: list["Record"]) -> int:
    """A line of counts on stderr, and the exit status: 1 if a page was not placed."""
    from collections import Counter

    from handigit.forms.page_state import PageState

    counts = Counter(record.outcome.value for record in records)
    say_status(", ".join(f"{count} {outcome}" for outcome, count in counts.items()) or "no pages")
    refused = [page for record in records for page in record.pages
               if page.state in {PageState.UNPLACED, PageState.OTHER_FORM}]  # fmt: skip
    for page in refused:
        complain(f"{page.source}, page {page.page + 1}: {page.state}: {page.reason}")
    for record in records:
        if record.missing:
            copy = f", copy {record.copy}" if record.copy else ""
            say_status(f"{record.source}: {record.template}{copy} lacks page {', '.join(map(str, record.missing))}")
    return SOME_FAILED if refused else DONE


def _count(number: int, noun: str, plural: str = "") -> str:
    return f"{number} {noun if number == 1 else plural or noun + 's'}"
