"""`handigit doctor`: installed parts, whether they work, and missing ones, for a help desk."""

import importlib.metadata
import os
import platform
import shutil
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final, Literal

from cyclopts import Parameter

import handigit
from handigit.cli.read import DONE, SOME_FAILED
from handigit.cli.terminal import out, say
from handigit.errors import HandigitError
from handigit.settings import Settings

if TYPE_CHECKING:
    from PIL import Image

State = Literal["ok", "warning", "problem"]
_MARKS: Final = {"ok": ("ok", "green"), "warning": ("note", "yellow"), "problem": ("problem", "red")}
_EXTRAS: Final = {
    "train": (
        "train and export models",
        ("torch", "onnx", "onnxscript", "matplotlib", "safetensors", "optuna", "pooch"),
    ),
    "app": ("the web app and API", ("fastapi", "uvicorn", "sqlalchemy", "alembic", "argon2")),
    "postgres": ("PostgreSQL as the store", ("psycopg",)),
    "batch": ("batches and watched folders", ("fsspec", "pyarrow", "watchfiles", "filelock")),
    "ray": ("batches on a cluster", ("ray",)),
    "sklearn": ("the scikit-learn estimator", ("sklearn", "torch")),
    "heic": ("iPhone pictures (.heic)", ("pillow_heif",)),
}
_MIN_FREE_BYTES: Final = 1 << 30
_MIN_MEMORY_BYTES: Final = 512 << 20
_SLOW_MS: Final = 500.0


@dataclass(frozen=True)
class Check:
    """One line of the report; `advice` is the remedy."""

    name: str
    state: State
    text: str
    advice: str = ""


def doctor(
    *,
    format: Annotated[Literal["text", "json"], Parameter(name="--format")] = "text",  # noqa: A002
) -> int:
    """Check this installation: versions, models, device, memory, disk, a self-test, missing parts of each extra.

    Examples:
        handigit doctor
        handigit doctor --format json > doctor.json

    Args:
        format: `json` for programs.
    """
    checks = list(run_checks())
    problems = sum(check.state == "problem" for check in checks)
    if format == "json":
        import json

        say(json.dumps({"ok": not problems, "checks": [asdict(check) for check in checks]}, indent=2))
    else:
        _print(checks)
        say(f"\n{problems} problem{'s' * (problems != 1)} found." if problems else "\nEverything needed to read works.")
    return SOME_FAILED if problems else DONE


def run_checks() -> Iterator[Check]:
    """Every check, in order; none raises."""
    yield from _guard("system", _check_system)
    yield from _guard("libraries", _check_libraries)
    yield from _guard("settings", _check_settings)
    yield from _guard("memory and disk", _check_room)
    yield from _guard("models", _check_models)
    yield from _guard("device", _check_device)
    for extra in _EXTRAS:
        yield _check_extra(extra)


def _guard(name: str, check: Callable[[], Iterator[Check]]) -> Iterator[Check]:
    """The results of a check; whatever it raises is a result too."""
    try:
        yield from check()
    except Exception as error:  # a broken installation can raise anything, and this verb must report it
        advice = "" if isinstance(error, HandigitError) else "reinstall: pip install --force-reinstall handigit"
        yield Check(name, "problem", f"{type(error).__name__}: {error}", advice)


def _check_system() -> Iterator[Check]:
    yield Check("handigit", "ok", f"{_version('handigit')} in {Path(__file__).parents[1]}")
    yield Check("Python", "ok", f"{platform.python_version()} ({sys.executable})")
    yield Check(
        "system", "ok", f"{platform.system()} {platform.release()}, {platform.machine()}, {os.cpu_count()} cores"
    )


def _check_libraries() -> Iterator[Check]:
    """Import each library: one that is installed may still not load."""
    for module in ("numpy", "cv2", "onnxruntime", "PIL.Image", "pypdfium2"):
        import_module(module)
    packages = ("numpy", "opencv-python-headless", "onnxruntime", "pillow", "pypdfium2")
    yield Check("libraries", "ok", ", ".join(f"{package} {_version(package)}" for package in packages))
    opencvs = [d.name for d in importlib.metadata.distributions() if (d.name or "").startswith("opencv-")]
    if len(opencvs) > 1:
        yield Check(
            "OpenCV", "warning", f"installed {len(opencvs)} times: {', '.join(sorted(opencvs))}", "keep one of them"
        )


def _check_settings() -> Iterator[Check]:
    Settings()
    names = sorted(name for name in os.environ if name.startswith("HANDIGIT_"))
    known = {f"HANDIGIT_{name.upper()}" for name in Settings.model_fields}
    yield Check("settings", "ok", ", ".join(name for name in names if name in known) or "all default")
    for name in names:
        if name not in known:
            yield Check(name, "warning", "is not a setting", "check its spelling against docs/deploy.md")


def _check_room() -> Iterator[Check]:
    memory = _available_memory()
    if memory is not None:
        is_short = memory < _MIN_MEMORY_BYTES
        advice = "close other programs; reading needs about 300 MB" if is_short else ""
        yield Check("memory", "warning" if is_short else "ok", f"{memory / 1e9:.1f} GB available", advice)
    folder = Settings().state
    existing = next(path for path in (folder, *folder.parents) if path.exists())
    free = shutil.disk_usage(existing).free
    text = f"{free / 1e9:.1f} GB free for {folder}"
    yield Check("disk", "warning" if free < _MIN_FREE_BYTES else "ok", text, "make room" * (free < _MIN_FREE_BYTES))
    if not os.access(existing, os.W_OK):
        yield Check("data folder", "warning", f"{existing} cannot be written", "set HANDIGIT_STATE to another folder")


def _available_memory() -> int | None:
    """Bytes, where the system reports them (Linux)."""
    try:
        lines = Path("/proc/meminfo").read_text(encoding="ascii").splitlines()
    except OSError:
        return None
    return next((int(line.split()[1]) * 1024 for line in lines if line.startswith("MemAvailable")), None)


def _check_models() -> Iterator[Check]:
    """Load the models and read a drawn 7 and a drawn 47 with them."""
    from handigit.read import Reader

    settings = Settings()
    reader = Reader(settings.model_dir, threads=settings.threads)
    yield Check("models", "ok", f"{reader.model_path}")
    for engine in reader.engines:
        yield Check(f"model {engine.card.name}", "ok", f"sha256 {engine.digest}")
    yield _self_test("read a digit", "7", lambda: str(reader.digit(_draw_digit("7")).value))
    if len(reader.engines) > 1:
        yield _self_test("read a number", "47", lambda: reader.number(_draw_digit("47")).text)


def _self_test(name: str, expected: str, read: Callable[[], str]) -> Check:
    read()  # the first run sets up buffers
    started = time.perf_counter()
    result = read()
    milliseconds = 1000 * (time.perf_counter() - started)
    if result != expected:
        return Check(name, "problem", f"a drawn {expected} was read as {result!r}", "reinstall, or use other models")
    is_slow = milliseconds > _SLOW_MS
    return Check(
        name, "warning" if is_slow else "ok", f"{milliseconds:.0f} ms", "the machine is busy or slow" * is_slow
    )


def _draw_digit(text: str) -> "Image.Image":
    """A picture of a 7 or a 47, drawn with straight lines."""
    from PIL import Image, ImageDraw

    picture = Image.new("L", (260 if len(text) > 1 else 160, 180), 255)
    pen = ImageDraw.Draw(picture)
    strokes = {"4": [[(40, 30), (10, 100), (80, 100)], [(65, 60), (60, 150)]], "7": [[(10, 30), (80, 30), (40, 150)]]}
    for index, digit in enumerate(text):
        for stroke in strokes[digit]:
            pen.line([(x + 35 + 105 * index, y) for x, y in stroke], fill=20, width=9, joint="curve")
    return picture


def _check_device() -> Iterator[Check]:
    """The device that training would use; importing PyTorch takes a few seconds."""
    if find_spec("torch") is None:
        return
    import torch

    from handigit.train.device import available_devices

    yield Check("training device", "ok", f"{', '.join(available_devices())}; PyTorch {torch.__version__}")


def _check_extra(extra: str) -> Check:
    purpose, packages = _EXTRAS[extra]
    missing = [package for package in packages if find_spec(package) is None]
    if not missing:
        return Check(f"extra {extra}", "ok", f"{purpose}: installed")
    text = f"{purpose}: not installed ({', '.join(missing)} missing)"
    return Check(f"extra {extra}", "ok", text, f'pip install "handigit[{extra}]" if you need it')


def _print(checks: list[Check]) -> None:
    from rich.text import Text

    width = max(len(check.name) for check in checks)
    for check in checks:
        mark, style = _MARKS[check.state]
        line = Text(f"{mark:<8}", style).append(f"{check.name:<{width}}  ", "bold").append(check.text, "default")
        out.print(line, soft_wrap=True)
        if check.advice:
            out.print(Text(f"{'':8}{'':<{width}}  {check.advice}", "dim"), soft_wrap=True)


def _version(package: str) -> str:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return handigit.__version__ if package == "handigit" else "of unknown version"
