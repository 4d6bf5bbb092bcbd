"""The choice of a model, kept in a file across restarts."""

import json
import logging
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final

from handigit.atomic import write_file
from handigit.errors import HandigitError

log = logging.getLogger(__name__)
CHOICE_FILE: Final = "model.json"


@dataclass(frozen=True, slots=True)
class ModelChoice:
    """The active model by name and the SHA-256 of its files.

    `instead_of` is the configured model (`HANDIGIT_MODEL_DIR`) at that time: when it changes, the choice lapses.
    """

    name: str
    sha256: tuple[str, ...]
    instead_of: str


class SavedChoice:
    """The file that keeps the choice across restarts; nothing is kept without a folder."""

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
