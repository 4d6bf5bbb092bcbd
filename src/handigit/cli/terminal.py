"""Terminal output: results on stdout, errors and progress on stderr."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from rich.console import Console

if TYPE_CHECKING:
    from rich.progress import TaskID

    from handigit.data import Progress as OnBytes
    from handigit.train.run import Row
    from handigit.train.trainer import Callbacks

out = Console()
err = Console(stderr=True)


def complain(problem: object) -> None:
    """Print an error as one line on stderr; long paths are not wrapped."""
    err.print(f"handigit: {problem}", style="red", markup=False, highlight=False, soft_wrap=True)


def say(text: str) -> None:
    """Print a line of results; paths are not wrapped, so that they can be copied."""
    out.print(text, markup=False, highlight=False, soft_wrap=True)


def say_status(text: str) -> None:
    """Print a line about the run on stderr, so that stdout holds results only."""
    err.print(text, markup=False, highlight=False, soft_wrap=True, style="dim")


@contextmanager
def progress(what: str, total: int, *, visible: bool = True) -> Iterator[Callable[[], None]]:
    """A bar on stderr with total and time remaining, for two or more items; yields a function that advances it."""
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    is_hidden = not visible or total < 2 or not err.is_terminal
    with Progress(*columns, console=err, transient=True, disable=is_hidden) as bar:
        task = bar.add_task(what, total=total)
        yield lambda: bar.update(task, advance=1)


@contextmanager
def watch_bytes() -> Iterator["OnBytes"]:
    """A bar per file being downloaded."""
    from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn

    with Progress(TextColumn("{task.description}"), BarColumn(), DownloadColumn(), console=err) as bar:
        tasks: dict[str, TaskID] = {}

        def on_bytes(name: str, done: int, total: int | None) -> None:
            if name not in tasks:
                tasks[name] = bar.add_task(name)
            bar.update(tasks[name], completed=done, total=total)

        yield on_bytes


@contextmanager
def watch_training(epochs: int) -> Iterator["Callbacks"]:
    """A bar over all steps with the time remaining, and a line after each epoch."""
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    from handigit.train.trainer import Callbacks

    columns = (
        TextColumn("training"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("steps, left:"),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=err) as bar:
        task = bar.add_task("training", total=None)

        def on_epoch(row: "Row") -> None:
            parts = [f"epoch {int(row['epoch']):>{len(str(epochs))}}/{epochs}"]
            for part in ("train", "validation"):
                if f"{part}_loss" in row:
                    parts.append(f"{part} loss {row[f'{part}_loss']:.4f}")
                if f"{part}_accuracy" in row:  # number models do not count it while training
                    parts.append(f"accuracy {row[f'{part}_accuracy']:.2%}")
            say("  ".join(parts))

        yield Callbacks(step=lambda done, total: bar.update(task, completed=done, total=total), epoch=on_epoch)
