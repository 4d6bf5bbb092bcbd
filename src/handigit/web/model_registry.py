"""The models on this server and which of them is active.

The models folder holds .onnx files, or folders as `Reader` takes them. A model becomes active only when its bytes have
the requested digest and it reads the smoke picture correctly; running requests finish with the model they began with.
"""

import logging
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

from handigit.errors import HandigitError, ModelError
from handigit.read import Reader
from handigit.web.problems import CONFLICT, MODEL_REJECTED, NOT_FOUND, Problem
from handigit.web.served_model import Model, ModelChoice, SavedChoice, check_digest, smoke_test
from handigit.workers.model_probe import probe_model

log = logging.getLogger(__name__)
DEFAULT: Final = "default"
"""The name of the model that the server starts with."""
MakeReader = Callable[[Path | None], Reader]
"""A reader of the models in a folder or file; None for those inside the package."""


class Models:
    """The active model, the one before it, and the folder of others; `state` is the folder of the saved choice.

    Raises:
        ModelError: no usable model to start with.
    """

    def __init__(
        self,
        make_reader: MakeReader,
        *,
        folder: Path | None = None,
        start: Path | None = None,
        state: Path | None = None,
        probe: Callable[[Path], None] = probe_model,
    ) -> None:
        self._saved = SavedChoice(state)
        self._make_reader = make_reader
        self._folder = folder
        self._start = start
        self._previous: Model | None = None
        self._active: Model | None = None
        self._loaded: dict[str, Model] = {}
        self._described: dict[str, tuple[object, dict[str, Any]]] = {}
        self._probe = probe
        self._probed: dict[Path, object] = {}
        self._switching = threading.Lock()

    @property
    def active(self) -> Model:
        """The active model.

        Raises:
            ModelError: none has been loaded yet.
        """
        if self._active is None:
            raise ModelError("no model is loaded yet; wait until /readyz answers 200")
        return self._active

    @property
    def is_loaded(self) -> bool:
        """Whether there is an active model."""
        return self._active is not None

    @property
    def has_previous(self) -> bool:
        """Whether `roll_back` has a model to activate."""
        return self._previous is not None

    def load_initial(self) -> Model:
        """Load the saved choice, else the configured model, and smoke-test it."""
        self._active = self._load_saved() or smoke_test(Model(DEFAULT, self._new_reader(self._start)))
        return self._active

    def names(self) -> list[str]:
        """All models by name, the configured one first."""
        return [DEFAULT, *(path.stem for path in self._paths())]

    def describe_all(self) -> list[dict[str, Any]]:
        """Each model with its card and digests; one that cannot be loaded with the reason instead.

        A model is loaded only if its files have changed since the last call, so that a list costs no more than a look
        at the folder.
        """
        return [self._describe(name) for name in self.names()]

    def switch(self, name: str, *, sha256: str | None = None) -> Model:
        """Activate a model.

        Raises:
            Problem: no such model, another digest, or it fails the smoke test.
        """
        with self._switching:
            model = self._load(name)
            check_digest(model, sha256)
            self._activate(smoke_test(model))
            return model

    def roll_back(self) -> Model:
        """Activate the previous model.

        Raises:
            Problem: there is none.
        """
        with self._switching:
            if self._previous is None:
                raise Problem(CONFLICT, "there is no previous model; switch to one by name")
            self._activate(self._previous)
            return self.active

    def _activate(self, model: Model) -> None:
        if model.digests != self.active.digests:
            self._previous = self._active
        self._active = model
        self._saved.write(ModelChoice(model.name, model.digests, str(self._start)))

    def _load_saved(self) -> Model | None:
        """The model of the saved choice, if its bytes are unchanged and it passes the smoke test."""
        choice = self._saved.read()
        if choice is None or choice.name == DEFAULT or choice.instead_of != str(self._start):
            return None
        try:
            model = self._load(choice.name)
            for digest in choice.sha256:
                check_digest(model, digest)
            return smoke_test(model)
        except Problem as problem:
            log.warning("last model not used", extra={"model": choice.name, "problem": problem.kind.name})
            return None

    def _describe(self, name: str) -> dict[str, Any]:
        path = self._start if name == DEFAULT else self._path(name)
        version = _version(path)
        known_version, description = self._described.get(name, (None, {}))
        if known_version != version or not description:
            try:
                description = self._load(name).as_dict(active=False)
            except Problem as problem:
                description = {"name": name, "active": False, "parts": [], "problem": problem.detail}
            self._described[name] = version, description
        digests = tuple(part["sha256"] for part in description["parts"])
        return description | {"active": bool(digests) and digests == self.active.digests}

    def _load(self, name: str) -> Model:
        """A model by name, loaded again if its file has changed."""
        path = self._start if name == DEFAULT else self._path(name)
        try:
            model = Model(name, self._new_reader(path))
            digests, before = model.digests, self._loaded.get(name)
            self._loaded[name] = before if before and before.digests == digests else model
        except (HandigitError, OSError) as problem:
            log.warning("model refused", extra={"model": name, "problem": str(problem)})
            raise Problem(MODEL_REJECTED, f"{name}: not a model that can be run; export it again") from None
        return self._loaded[name]

    def _new_reader(self, path: Path | None) -> Reader:
        """A reader of the models at a path, after they were tried in another process.

        Raises:
            ModelError: not usable.
        """
        if path is not None and self._probed.get(path) != (version := _version(path)):
            self._probe(path)
            self._probed[path] = version
        return self._make_reader(path)

    def _path(self, name: str) -> Path:
        """The path of a listed model: a name is only compared with the folder's listing, never joined to a path."""
        for path in self._paths():
            if path.stem == name:
                return path
        raise Problem(NOT_FOUND, f"no model named {name!r}; there are: {', '.join(self.names())}")

    def _paths(self) -> list[Path]:
        paths = sorted(self._folder.iterdir()) if self._folder and self._folder.is_dir() else []
        return [path for path in paths if _is_model(path)]


def _version(path: Path | None) -> object:
    """Name, size and time of change of each file of a model; constant for the embedded one."""
    files = sorted(path.glob("*.onnx")) if path and path.is_dir() else [path] if path else []
    return tuple((file.name, file.stat().st_size, file.stat().st_mtime_ns) for file in files)


def _is_model(path: Path) -> bool:
    files = path / "digit.onnx", path / "number.onnx"
    return (path.suffix == ".onnx" and path.is_file()) or any(file.is_file() for file in files)
