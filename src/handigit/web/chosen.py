"""Which model was switched to last, kept over a restart: a small JSON file in the state folder.

It knows names and digests; whether such a model is still there, and any good, is found out by `models.py`.
"""

import json
import logging
import secrets
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final

log = logging.getLogger(__name__)
FILE: Final = "model.json"


@dataclass(frozen=True, slots=True)
class Choice:
    """A model by name and the SHA-256 of its files; `instead_of` is the place that the server was told to start with.

    Whoever changes that place means the new one, so that the choice made before no longer counts.
    """

    name: str
    sha256: tuple[str, ...]
    instead_of: str


class Chosen:
    """The file; without a folder nothing is kept."""

    def __init__(self, folder: Path | None) -> None:
        self._path = folder / FILE if folder else None

    def read(self) -> Choice | None:
        """The last choice; None if there is none, or the file does not say."""
        try:
            said = json.loads(self._path.read_text(encoding="utf-8")) if self._path else None
            return Choice(str(said["name"]), tuple(map(str, said["sha256"])), str(said["instead_of"])) if said else None
        except FileNotFoundError:
            return None
        except (OSError, ValueError, TypeError, KeyError) as problem:
            log.warning("choice of model unreadable", extra={"problem": type(problem).__name__})
            return None

    def write(self, choice: Choice) -> None:
        """Keep a choice, whole or not at all; where the disk refuses, the log says so."""
        if self._path is None:
            return
        part = self._path.with_name(f".{FILE}.{secrets.token_hex(4)}.part")
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            part.write_text(json.dumps(asdict(choice)), encoding="utf-8")
            part.replace(self._path)
        except OSError as problem:
            part.unlink(missing_ok=True)
            log.warning("choice of model not kept", extra={"problem": problem.strerror})
