"""A model that the server can activate, the smoke test that it must pass, and the choice that outlives a restart."""

import json
import logging
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Final

from PIL import Image, ImageDraw

from handigit.atomic import write_file
from handigit.errors import HandigitError
from handigit.read import Engine, Reader
from handigit.read.number_engine import NumberEngine
from handigit.web.problems import MODEL_REJECTED, Problem

log = logging.getLogger(__name__)
CHOICE_FILE: Final = "model.json"


@dataclass(frozen=True, eq=False)
class Model:
    """A named model: it reads digits, numbers, or both."""

    name: str
    reader: Reader

    @cached_property
    def engines(self) -> tuple[Engine | NumberEngine, ...]:
        """The loaded files of the model.

        Raises:
            ModelError: one of them cannot be run.
        """
        return self.reader.engines

    @property
    def digests(self) -> tuple[str, ...]:
        """The SHA-256 of each file."""
        return tuple(engine.digest for engine in self.engines)

    def as_dict(self, *, active: bool) -> dict[str, Any]:
        """The model as `/v1/models` shows it."""
        parts = [{"sha256": engine.digest, "card": engine.card.model_dump(mode="json")} for engine in self.engines]
        return {"name": self.name, "active": active, "parts": parts}


def check_digest(model: Model, sha256: str | None) -> None:
    """Check that a file of the model has the digest; None accepts any.

    Raises:
        Problem: none of them has it.
    """
    if sha256 and sha256 not in model.digests:
        actual = ", ".join(model.digests)
        raise Problem(MODEL_REJECTED, f"{model.name}: its SHA-256 is {actual}, not {sha256}; list the models again")


def smoke_picture() -> Image.Image:
    """A picture that every model must read as 7."""
    picture = Image.new("L", (28, 28), 255)
    ImageDraw.Draw(picture).line([(8, 6), (20, 6), (12, 22)], fill=0, width=3)
    return picture


def smoke_test(model: Model) -> Model:
    """The model, once it has read the smoke picture.

    Raises:
        Problem: it reads something else.
    """
    for engine in model.engines:
        reader, picture = model.reader, smoke_picture()
        read = reader.digit(picture).as_number() if isinstance(engine, Engine) else reader.number(picture)
        if read.text != "7":
            detail = f"{model.name}: reads the test picture of a 7 as {read.text!r}; it was not activated"
            raise Problem(MODEL_REJECTED, detail)
    return model


@dataclass(frozen=True, slots=True)
class ModelChoice:
    """The active model by name and the SHA-256 of its files.

    `instead_of` is the configured model (`HANDIGIT_MODEL_DIR`) at that time: when it changes, the choice lapses.
    """

    name: str
    sha256: tuple[str, ...]
    instead_of: str


class SavedChoice:
    """The file that keeps the choice across restarts; without a folder there is none."""

    def __init__(self, folder: Path | None) -> None:
        self._path = folder / CHOICE_FILE if folder else None

    def read(self) -> ModelChoice | None:
        """The last choice; None if there is none or the file is unreadable."""
        if self._path is None:
            return None
        try:
            saved = json.loads(self._path.read_text(encoding="utf-8"))
            return ModelChoice(str(saved["name"]), tuple(map(str, saved["sha256"])), str(saved["instead_of"]))
        except FileNotFoundError:
            return None
        except (OSError, ValueError, TypeError, KeyError) as problem:
            log.warning("choice of model unreadable", extra={"problem": type(problem).__name__})
            return None

    def write(self, choice: ModelChoice) -> None:
        """Save a choice; if the disk refuses, log it."""
        if self._path is None:
            return
        try:
            with write_file(self._path) as stream:
                stream.write(json.dumps(asdict(choice)).encode())
        except HandigitError as problem:
            log.warning("choice of model not saved", extra={"problem": type(problem.__cause__).__name__})
