"""How the program speaks on a terminal: answers on one stream, errors on the other, bars for what takes long."""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, TypeVar

from rich.console import Console

if TYPE_CHECKING:
    from rich.progress import TaskID

    from handigit.data import Progress as OnBytes
    from handigit.train.loop import Watch
    from handigit.train.run import Row

Item = TypeVar("Item")

out = Console()
err = Console(stderr=True)


def complain(problem: object) -> None:
    """One error, one line, on stderr; long paths are not broken."""
    err.print(f"handigit: {problem}", style="red", markup=False, highlight=False, soft_wrap=True)


def say(text: str) -> None:
    """One line of an answer; paths in it are not broken, so that they can be copied."""
    out.print(text, markup=False, highlight=False, soft_wrap=True)


def counted(items: Iterable[Item], what: str) -> Iterator[Item]:
    """The same items, counted on a line of their own while they come; nothing where nobody sees it."""
    with err.status(f"0 {what}") as status:
        for number, item in enumerate(items, start=1):
            yield item
            status.update(f"{number:,} {what}")


@contextmanager
def watch_bytes() -> Iterator["OnBytes"]:
    """A bar for each file that is being fetched."""
    from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn

    with Progress(TextColumn("{task.description}"), BarColumn(), DownloadColumn(), console=err) as progress:
        tasks: dict[str, TaskID] = {}

        def on_bytes(name: str, here: int, total: int | None) -> None:
            if name not in tasks:
                tasks[name] = progress.add_task(name)
            progress.update(tasks[name], completed=here, total=total)

        yield on_bytes


@contextmanager
def watch_training(epochs: int) -> Iterator["Watch"]:
    """A bar over all steps with the time that remains, and a line after each epoch."""
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    from handigit.train.loop import Watch

    columns = (
        TextColumn("training"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("steps, left:"),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=err) as progress:
        task = progress.add_task("training", total=None)

        def on_epoch(row: "Row") -> None:
            parts = [f"epoch {int(row['epoch']):>{len(str(epochs))}}/{epochs}"]
            known = [part for part in ("train", "validation") if f"{part}_loss" in row]
            parts += [
                f"{part} loss {row[f'{part}_loss']:.4f}, accuracy {row[f'{part}_accuracy']:.2%}" for part in known
            ]
            say("  ".join(parts))

        yield Watch(step=lambda done, total: progress.update(task, completed=done, total=total), epoch=on_epoch)
