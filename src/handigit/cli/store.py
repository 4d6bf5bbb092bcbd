"""`handigit serve`, and the verbs of `handigit store`, which work on the same settings."""

import getpass
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from cyclopts import App, Parameter, validators

from handigit.cli.terminal import complain, say, say_status
from handigit.settings import Settings

if TYPE_CHECKING:
    from handigit.store import Store
    from handigit.store.backup import Omitted


DONE, UNSOUND = 0, 1

Days = Annotated[float, Parameter(validator=validators.Number(gt=0))]

store = App(name="store", help="Back up, check, clean and export the app's data.")
user = App(name="user", help="Add, list and remove the people who may sign in.")
store.command(user)


def open_store() -> "Store":
    """The store of the settings: SQLite in the state folder unless HANDIGIT_STORE names another database.

    Raises:
        StoreError: as `Store.open`.
    """
    from handigit.store import Store

    settings = Settings()
    return Store.open(settings.store_url, files=settings.state / "pictures")


@store.command
def backup(folder: Path, /) -> int:
    """Back up the database and the pictures while the app is running; status 1 if pictures are missing.

    Examples:
        handigit store backup out/monday

    Args:
        folder: A new folder.
    """
    from handigit.store.backup import backup as write_backup

    with open_store() as opened:
        done = write_backup(opened, folder)
    say(f"wrote {done.folder}: {done.readings:,} readings, {done.pictures:,} pictures, a digest of every file")
    return _report_omitted(done.omitted)


@store.command
def restore(folder: Path, /, *, yes: bool = False, pictures_only: bool = False) -> int:
    """Replace everything that is stored by a backup, which is verified first.

    Examples:
        handigit store restore out/monday --yes
        handigit store restore out/monday --pictures-only

    Args:
        folder: The folder of a backup.
        yes: Replace a store that is not empty.
        pictures_only: Only bring back lost or damaged pictures; keep everything else.
    """
    from handigit.store.backup import restore as read_backup
    from handigit.store.backup import restore_pictures

    with open_store() as opened:
        if pictures_only:
            pictures = restore_pictures(opened, folder)
            say(f"brought back {pictures.restored:,} pictures from {folder}")
            for digest in pictures.still_missing:
                complain(f"picture {digest} is not in this backup either")
            return UNSOUND if pictures.still_missing else DONE
        if not yes and opened.readings(limit=1).readings:
            complain("the store is not empty, and a restore replaces all of it: back it up, then add --yes")
            return UNSOUND
        done = read_backup(opened, folder)
    say(f"restored {done.readings:,} readings and {done.pictures:,} pictures from {done.folder}")
    return _report_omitted(done.omitted)


def _report_omitted(omitted: "Omitted") -> int:
    for state, digests in (("missing", omitted.missing), ("damaged", omitted.broken)):
        for digest in digests:
            complain(f"picture {digest} was {state} in the store and is not in the backup")
    return UNSOUND if omitted.damaged else DONE


@store.command
def check(*, sweep: bool = False, yes: bool = False) -> int:
    """Check the database, every picture, and their references to each other; status 1 if something is wrong.

    Examples:
        handigit store check
        handigit store check --sweep

    Args:
        sweep: Delete files without a record, as a crash can leave them.
        yes: Sweep although more pictures than readings would be deleted.
    """
    from handigit.store.integrity import check as find_faults

    with open_store() as opened:
        if sweep:
            say(f"removed {opened.sweep(force=yes):,} files without a record")
        findings = find_faults(opened)
    for finding in findings:
        complain(finding.what)
    is_unsound = any(not finding.harmless for finding in findings)
    say("unsound" if is_unsound else "sound")
    return UNSOUND if is_unsound else DONE


@store.command
def export(
    file: Path,
    /,
    *,
    full: bool = False,
    bom: bool = False,
    crops: bool = False,
    model: str | None = None,
    days: Days | None = None,
) -> None:
    """Export the stored numbers to a .csv, .xlsx or .jsonl file, with people's corrections.

    Examples:
        handigit store export numbers.xlsx --crops
        handigit store export numbers.csv --days 7

    Args:
        file: A new or existing file; its ending decides the format.
        full: CSV with every column instead of the seven that people need.
        bom: CSV with a byte order mark, for Excel.
        crops: XLSX with a picture of each number.
        model: Only numbers that this model read, by its name.
        days: Only numbers from the last days.
    """
    from handigit.atomic import write_file
    from handigit.store import Filter, StoreError
    from handigit.store.spreadsheet import export_xlsx

    since = None if days is None else datetime.now(UTC) - timedelta(days=days)
    selection = Filter(model=model, since=since)
    kind = file.suffix.lower()
    if kind not in (".csv", ".xlsx", ".jsonl"):
        raise StoreError(f"{file}: cannot tell the format; name a .csv, .xlsx or .jsonl file")
    with open_store() as opened, write_file(file, error=StoreError) as stream:
        if kind == ".xlsx":
            export_xlsx(opened, stream, selection, crops=crops)
        else:
            lines = opened.export(selection, format="jsonl" if kind == ".jsonl" else "full" if full else "csv", bom=bom)
            stream.writelines(line.encode() for line in lines)
    say(f"wrote {file}")


@store.command
def export_corrections(folder: Path, /, *, model: str | None = None, days: Days | None = None) -> None:
    """Write decided readings as training pictures.

    Examples:
        handigit store export-corrections learn

    Args:
        folder: A new folder.
        model: Only numbers that this model read, by its name.
        days: Only numbers from the last days.
    """
    from handigit.store import Filter
    from handigit.store.training_export import export_corrections as write_pictures

    since = None if days is None else datetime.now(UTC) - timedelta(days=days)
    with open_store() as opened:
        counts = write_pictures(opened, folder, Filter(model=model, since=since))
    say(f"wrote {counts.digits:,} digits and {counts.numbers:,} numbers; {counts.without_picture:,} have no picture")
    if counts.digits:
        say(f"train with the digits: handigit train RECIPE --data {folder / 'digits'}")


@store.command
def retain(*, days: Days | None = None, yes: bool = False) -> int:
    """Delete old readings permanently, with their corrections and pictures.

    Examples:
        handigit store retain --days 90

    Args:
        days: Age in days from which readings are deleted. [default: HANDIGIT_RETENTION_DAYS]
        yes: Delete even more than half of all readings, or all of them.
    """
    retention_days = days or Settings().retention_days
    if retention_days is None:
        complain("say how long to keep readings: --days 90, or set HANDIGIT_RETENTION_DAYS")
        return UNSOUND
    with open_store() as opened:
        deleted = opened.forget(before=datetime.now(UTC) - timedelta(days=retention_days), force=yes)
    say(f"deleted {deleted.readings:,} readings and {deleted.pictures:,} pictures older than {retention_days:g} days")
    return DONE


@user.command(name="add")
def add_user(name: str, /, *, role: Literal["reader", "reviewer", "admin"] = "admin") -> None:
    """Add someone who may sign in; the password is asked for, or read from standard input.

    Examples:
        handigit store user add ada
        handigit store user add bob --role reviewer

    Args:
        name: Signs this person's corrections.
        role: Their rights: read, also review, or everything.
    """
    from handigit.store import Role

    with open_store() as opened:
        opened.accounts.add_user(name, _ask_password(), Role(role))
    say(f"added {name} as {role}")


@user.command(name="password")
def set_password(name: str, /) -> None:
    """Give someone a new password and end their sessions; it is asked for, or read from standard input.

    Examples:
        handigit store user password ada

    Args:
        name: Whose password.
    """
    with open_store() as opened:
        opened.accounts.set_password(name, _ask_password())
    say(f"changed the password of {name}")


@user.command(name="list")
def list_users() -> None:
    """List the people who may sign in.

    Examples:
        handigit store user list
    """
    with open_store() as opened:
        for account in opened.accounts.users():
            say(f"{account.name}\t{account.role}")


@user.command(name="remove")
def remove_user(name: str, /) -> None:
    """Remove someone; their corrections stay.

    Examples:
        handigit store user remove bob

    Args:
        name: Who may no longer sign in.
    """
    with open_store() as opened:
        opened.accounts.remove_user(name)
    say(f"removed {name}")


def _ask_password() -> str:
    if not sys.stdin.isatty():
        return sys.stdin.readline().rstrip("\n")
    return getpass.getpass("Password (8 characters or more): ")


Port = Annotated[int, Parameter(validator=validators.Number(gte=0, lte=65535))]


def serve(*, host: str | None = None, port: Port | None = None, open: bool = False) -> None:  # noqa: A002
    """Start the web app and API.

    Everything else is set by HANDIGIT_* variables (docs/deploy.md). Where standard error is not a terminal, the log is
    JSON, one event per line.

    Examples:
        handigit serve
        handigit serve --open
        handigit serve --port 8123

    Args:
        host: Address to listen on [default: HANDIGIT_HOST or this computer only].
        port: Port to listen on, 0 for any free one [default: HANDIGIT_PORT or 8000].
        open: Open the app in a browser.
    """
    import webbrowser

    from handigit.web.server import serve as run_server

    options = {name: value for name, value in (("host", host), ("port", port)) if value is not None}
    settings = Settings().model_copy(update=options)

    in_terminal = sys.stderr.isatty()

    def announce(url: str) -> None:
        if in_terminal:
            _show_banner(url, settings)
        if open:
            webbrowser.open(url)

    run_server(settings, on_listening=announce, plain_log=in_terminal)


def _show_banner(url: str, settings: Settings) -> None:
    from handigit import __version__

    stored = settings.state if settings.keep_readings else "nothing is stored"
    say_status(f"Handigit {__version__} reads handwritten numbers.\n")
    for name, value in (("App", url), ("API", f"{url}/docs"), ("Data", stored)):
        say_status(f"  {name:<5}{value}")
    say_status("\nPress Ctrl+C to stop.")
