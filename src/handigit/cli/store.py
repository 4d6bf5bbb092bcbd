"""The verbs of `handigit store`, for who runs the service, and `handigit models promote`.

They find the store by the same HANDIGIT_* that `handigit serve` goes by.
"""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from cyclopts import App, Parameter, validators

from handigit.cli.shared import count_shared, find_model, labels_of, load_data
from handigit.cli.terminal import complain, say
from handigit.errors import ModelError
from handigit.settings import Settings

if TYPE_CHECKING:
    import numpy as np
    from jaxtyping import Bool

    from handigit.data import Dataset
    from handigit.evaluate.promotion import RightOf
    from handigit.store import Store


DONE, UNSOUND = 0, 1

Days = Annotated[float, Parameter(validator=validators.Number(gt=0))]
Significance = Annotated[float, Parameter(validator=validators.Number(gt=0, lte=0.5))]

store = App(name="store", help="Keep, check and learn from what the service has stored.")
models = App(name="models", help="The models, and which of them is live.")


def open_store() -> "Store":
    """The store that the settings name: SQLite in the state folder unless HANDIGIT_STORE says otherwise.

    Raises:
        StoreError: as `Store.open`.
    """
    from handigit.store import Store

    settings = Settings()
    return Store.open(settings.store_url, files=settings.state / "pictures")


@store.command
def backup(folder: Path, /) -> None:
    """Write a backup of database and pictures while the service goes on.

    Args:
        folder: A new folder to make.
    """
    from handigit.store.backup import backup as write_backup

    with open_store() as opened:
        done = write_backup(opened, folder)
    say(f"wrote {done.folder}: {done.readings:,} readings, {done.pictures:,} pictures, every file with its digest")


@store.command
def restore(folder: Path, /, *, yes: bool = False) -> int:
    """Put a backup in the place of everything that is stored; it is verified before anything is touched.

    Args:
        folder: A backup's folder.
        yes: Replace a store that is not empty.
    """
    from handigit.store.backup import restore as read_backup

    with open_store() as opened:
        if not yes and opened.readings(limit=1).readings:
            complain("the store is not empty, and restoring replaces all of it: back it up, then add --yes")
            return UNSOUND
        done = read_backup(opened, folder)
    say(f"restored {done.readings:,} readings and {done.pictures:,} pictures from {done.folder}")
    return DONE


@store.command
def check(*, sweep: bool = False) -> int:
    """Check the database, every picture's digest, and that each refers to the other; status 1 if one does not.

    Args:
        sweep: Remove what a crash has left over: files that belong to nothing.
    """
    from handigit.store.integrity import check as look

    with open_store() as opened:
        if sweep:
            say(f"removed {opened.sweep():,} files that belonged to nothing")
        findings = look(opened)
    for finding in findings:
        complain(f"{finding.what} (harmless: --sweep removes it)" if finding.harmless else finding.what)
    wrong = [finding for finding in findings if not finding.harmless]
    say("unsound" if wrong else "sound")
    return UNSOUND if wrong else DONE


@store.command
def export_corrections(folder: Path, /, *, model: str | None = None, days: Days | None = None) -> None:
    """Write what people have decided as pictures to learn from.

    Args:
        folder: A new folder to make.
        model: Only what this model had read, by its name.
        days: Only what was read in the last so many days.
    """
    from handigit.store import Filter
    from handigit.store.training_export import export_corrections as write_pictures

    since = None if days is None else datetime.now(UTC) - timedelta(days=days)
    with open_store() as opened:
        done = write_pictures(opened, folder, Filter(model=model, since=since))
    say(f"wrote {done.digits:,} digits and {done.numbers:,} numbers; {done.without_picture:,} have no picture any more")
    if done.digits:
        say(f"learn from the digits with: handigit train RECIPE --data {folder / 'digits'}")


@store.command
def retain(*, days: Days | None = None) -> int:
    """Delete for good what is older than some days: readings, what people said of them, and their pictures.

    Args:
        days: How many days to keep; none: HANDIGIT_RETENTION_DAYS.
    """
    kept_days = days or Settings().retention_days
    if kept_days is None:
        complain("say how long to keep readings: --days 90, or set HANDIGIT_RETENTION_DAYS")
        return UNSOUND
    with open_store() as opened:
        gone = opened.forget(before=datetime.now(UTC) - timedelta(days=kept_days))
    say(f"deleted {gone.readings:,} readings and {gone.pictures:,} pictures older than {kept_days:g} days")
    return DONE


@models.command
def promote(
    new: str,
    /,
    *,
    frozen: str,
    part: Literal["train", "test"] = "test",
    live: Path | None = None,
    significance: Significance = 0.5,
) -> None:
    """Make a new digit model the live one if it does not lose against it on a frozen set.

    Args:
        new: An ONNX file or a run's folder.
        frozen: A data set that no model was trained on: a name in the data folder, or a path.
        part: Which part, where the set has two.
        live: The file that the service reads with; none: digit.onnx in HANDIGIT_MODEL_DIR.
        significance: The largest probability by chance at which a loss counts; at 0.5 each net loss does.
    """
    from handigit.evaluate import promotion as promotion

    place = live or _live_place()
    rival = place if place.is_file() else find_model("embedded").path
    candidate = find_model(new).path
    dataset = load_data(frozen, part)
    _warn_if_seen(candidate, dataset)
    result = promotion.require_no_loss(rival, candidate, _right_of(dataset), significance=significance)
    facts = {"new": str(candidate), "frozen": dataset.name, "verdict": result.explain()}
    previous = promotion.install(candidate, place, facts=facts)
    say(f"promoted: {result.explain()}")
    say(f"live: {place}" + (f"; the one before: {previous}" if previous else ""))


def _live_place() -> Path:
    folder = Settings().model_dir
    if folder is None:
        raise ModelError("no place for a live model: set HANDIGIT_MODEL_DIR to the service's folder, or give --live")
    return folder / "digit.onnx"


def _right_of(dataset: "Dataset") -> "RightOf":
    """How each digit model does on a data set."""
    import numpy as np

    from handigit.read import Engine

    labels, glyphs = labels_of(dataset), dataset.as_floats()

    def right_of(model: Path) -> "Bool[np.ndarray, ' n']":
        engine = Engine(model, threads=Settings().threads)
        if engine.card.task != "digit":
            raise ModelError(f"{model}: reads a {engine.card.task}; only digit models can be promoted from here")
        right: Bool[np.ndarray, " n"] = np.argmax(engine.logits(glyphs), axis=1) == labels
        return right

    return right_of


def _warn_if_seen(candidate: Path, dataset: "Dataset") -> None:
    from handigit.read import Engine

    if shared := count_shared(Engine(candidate).card, dataset):
        complain(f"warning: the new model was trained on {shared} of the {len(dataset)} frozen examples")


Port = Annotated[int, Parameter(validator=validators.Number(gte=0, lte=65535))]


def serve(*, host: str | None = None, port: Port | None = None) -> None:
    """Serve the API on this machine; everything else is set by HANDIGIT_* (docs/deploy.md).

    Args:
        host: Address to listen on; none: HANDIGIT_HOST, or this machine only.
        port: Port to listen on, 0 for any that is free; none: HANDIGIT_PORT, or 8000.
    """
    from handigit.web.server import serve as run_server

    chosen = {name: value for name, value in (("host", host), ("port", port)) if value is not None}
    run_server(Settings().model_copy(update=chosen))
