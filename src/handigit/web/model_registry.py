"""The models that can be read with, and which of them is in use.

A folder of models holds .onnx files, or folders as `Reader` takes them. A model is put to use only when its bytes have
the digest that was asked for and it reads the golden picture right; whoever reads at that moment finishes with the
model they began with. It knows nothing of HTTP.
"""

import json
import logging
import secrets
import threading
from collections.abc import Callable
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Final

from PIL import Image, ImageDraw

from handigit.errors import HandigitError, ModelError
from handigit.read import Engine, Reader
from handigit.read.engine import LineEngine
from handigit.web.problems import CONFLICT, MODEL_REFUSED, NOT_FOUND, Problem

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


log = logging.getLogger(__name__)
DEFAULT: Final = "default"
"""The name of the model that the server starts with."""
MakeReader = Callable[[Path | None], Reader]
"""A reader of the models in a folder or file; of those inside the package without one."""


@dataclass(frozen=True, eq=False)
class Model:
    """A model by the name that it goes by here: what reads digits, what reads numbers, or both."""

    name: str
    reader: Reader

    @cached_property
    def engines(self) -> tuple[Engine | LineEngine, ...]:
        """What runs the model's files, loaded.

        Raises:
            ModelError: one of them cannot be run.
        """
        return self.reader.engines

    @property
    def digests(self) -> tuple[str, ...]:
        """The SHA-256 of each of its files."""
        return tuple(engine.digest for engine in self.engines)

    def as_dict(self, *, active: bool) -> dict[str, Any]:
        """The model as `/v1/models` shows it."""
        parts = [{"sha256": one.digest, "card": one.card.model_dump(mode="json")} for one in self.engines]
        return {"name": self.name, "active": active, "parts": parts}


class Models:
    """One model in use, the one before it, and those beside them; `state` is the folder that keeps which it is.

    Raises:
        ModelError: no usable model to begin with; as `load`.
    """

    def __init__(
        self,
        make_reader: MakeReader,
        *,
        folder: Path | None = None,
        start: Path | None = None,
        state: Path | None = None,
    ) -> None:
        self._chosen = Chosen(state)
        self._make_reader = make_reader
        self._folder = folder
        self._start = start
        self._previous: Model | None = None
        self._active: Model | None = None
        self._loaded: dict[str, Model] = {}
        self._switching = threading.Lock()

    @property
    def active(self) -> Model:
        """The model in use.

        Raises:
            ModelError: none has been loaded yet.
        """
        if self._active is None:
            raise ModelError("no model is loaded yet; wait until /readyz says 200")
        return self._active

    @property
    def is_loaded(self) -> bool:
        """Whether there is a model in use."""
        return self._active is not None

    def begin(self) -> Model:
        """Load the model that was switched to last, else the one to start with, and have it prove itself."""
        self._active = self._last_chosen() or _proven(Model(DEFAULT, self._make_reader(self._start)))
        return self._active

    def names(self) -> list[str]:
        """All models by name, the one that the server starts with first."""
        places = sorted(self._folder.iterdir()) if self._folder and self._folder.is_dir() else []
        return [DEFAULT, *(place.stem for place in places if _is_model(place))]

    def known(self) -> list[dict[str, Any]]:
        """Each model with its card and digest; one that cannot be loaded with the reason instead."""
        return [self._described(name) for name in self.names()]

    def switch(self, name: str, *, sha256: str | None = None) -> Model:
        """Put a model to use; nobody who is being answered notices.

        Raises:
            Problem: no such model, one whose bytes have another digest, or one that fails the golden picture.
        """
        with self._switching:
            fresh = self._load(name)
            _check_digest(fresh, sha256)
            self._put_to_use(_proven(fresh))
            return fresh

    def roll_back(self) -> Model:
        """Put the model to use that was in use before.

        Raises:
            Problem: there was none.
        """
        with self._switching:
            if self._previous is None:
                raise Problem(CONFLICT, "no model was in use before this one; switch to one by name")
            self._put_to_use(self._previous)
            return self.active

    def _put_to_use(self, model: Model) -> None:
        if model.digests != self.active.digests:
            self._previous = self._active
        self._active = model
        self._chosen.write(Choice(model.name, model.digests, str(self._start)))

    def _last_chosen(self) -> Model | None:
        """The model that was in use when the server ended, if it is the same still and proves itself again."""
        choice = self._chosen.read()
        if choice is None or choice.name == DEFAULT or choice.instead_of != str(self._start):
            return None
        try:
            model = self._load(choice.name)
            for digest in choice.sha256:
                _check_digest(model, digest)
            return _proven(model)
        except Problem as problem:
            log.warning("last model not used", extra={"model": choice.name, "problem": problem.kind.name})
            return None

    def _described(self, name: str) -> dict[str, Any]:
        try:
            model = self._load(name)
        except Problem as problem:
            return {"name": name, "active": False, "parts": [], "problem": problem.detail}
        return model.as_dict(active=model.digests == self.active.digests)

    def _load(self, name: str) -> Model:
        """A model by name, read anew where its file has changed."""
        place = self._start if name == DEFAULT else self._place(name)
        try:
            model = Model(name, self._make_reader(place))
            digests, before = model.digests, self._loaded.get(name)
            self._loaded[name] = before if before and before.digests == digests else model
        except (HandigitError, OSError):
            raise Problem(MODEL_REFUSED, f"{name}: is not a model that can be run; export it again") from None
        return self._loaded[name]

    def _place(self, name: str) -> Path:
        """Where a listed model lies: only names out of the folder's own listing lead anywhere."""
        places = sorted(self._folder.iterdir()) if self._folder and self._folder.is_dir() else []
        for place in places:
            if place.stem == name and _is_model(place):
                return place
        raise Problem(NOT_FOUND, f"no model named {name!r}; there are: {', '.join(self.names())}")


def _check_digest(model: Model, sha256: str | None) -> None:
    if sha256 and sha256 not in model.digests:
        found = ", ".join(model.digests)
        raise Problem(MODEL_REFUSED, f"{model.name}: its SHA-256 is {found}, not {sha256}; list the models anew")


def golden() -> Image.Image:
    """A picture that every model must read as 7."""
    picture = Image.new("L", (28, 28), 255)
    ImageDraw.Draw(picture).line([(8, 6), (20, 6), (12, 22)], fill=0, width=3)
    return picture


def _proven(model: Model) -> Model:
    """The model, after it has read the golden picture right.

    Raises:
        Problem: it has not.
    """
    for engine in model.engines:
        reader = model.reader
        read = reader.digit(golden()).as_number() if isinstance(engine, Engine) else reader.number(golden())
        if read.text != "7":
            told = f"{model.name}: reads the golden picture of a 7 as {read.text!r}; it is not put to use"
            raise Problem(MODEL_REFUSED, told)
    return model


def _is_model(place: Path) -> bool:
    files = place / "digit.onnx", place / "number.onnx"
    return (place.suffix == ".onnx" and place.is_file()) or any(file.is_file() for file in files)
