"""What teachers say of augmented copies of the training glyphs, asked once and kept: distillation (Hinton et al. 2015).

A teacher answers the very copy that the student sees (Beyer et al. 2022, "patient and consistent"), and a few copies
of each glyph, asked beforehand, serve every epoch and every seed. It knows nothing of how a student learns from them.
"""

import hashlib
import json
import logging
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float, Float16, Int64, UInt8
from torch import Generator, Tensor, nn

from handigit.augment import rewrite
from handigit.data import Dataset
from handigit.errors import RunError
from handigit.models import build
from handigit.recipe import Recipe
from handigit.train.run import Run, put_in_place

log = logging.getLogger(__name__)
FOLDER = "lessons"
_CHUNK = 2000
_BENDING = ("rotation_degrees", "shear", "scale", "shift_px", "elastic_px", "stroke", "far")


@dataclass(frozen=True, eq=False)
class Lessons:
    """Augmented copies, `count` of each sample in the samples' order, and the mean of the teachers' logits on each."""

    glyphs: UInt8[np.ndarray, "copies 28 28"]
    answers: Float16[np.ndarray, "copies 10"]
    count: int

    def take(
        self, indices: Int64[Tensor, " n"], generator: Generator
    ) -> tuple[Float[Tensor, "n 1 28 28"], Float[Tensor, "n 10"]]:
        """One copy of each of these samples, drawn at random, and the teachers' logits."""
        chosen = (indices * self.count + torch.randint(self.count, (len(indices),), generator=generator)).numpy()
        glyphs = torch.from_numpy(self.glyphs[chosen]).unsqueeze(1).float() / 255
        return glyphs, torch.from_numpy(self.answers[chosen]).float()


def make_lessons(samples: Dataset, recipe: Recipe, folder: Path) -> Lessons | None:
    """The copies that this recipe's teachers have answered; read from `folder` where they are there already.

    Raises:
        RunError: a teacher that is no finished run.
    """
    if not recipe.teachers:
        return None
    teachers = [load_model(_run_of(name)) for name in recipe.teachers]
    place = folder / _digest(samples, recipe, teachers)
    if not (place / "answers.npy").is_file():
        place.mkdir(parents=True, exist_ok=True)
        log.info("%d teachers answer %d copies of %d samples", len(teachers), recipe.lessons, len(samples))
        _write(place, samples, recipe, teachers)
    # Mapped, not read: the runs of several seeds share one copy in memory.
    glyphs, answers = (np.load(place / f"{name}.npy", mmap_mode="r") for name in ("glyphs", "answers"))
    return Lessons(glyphs, answers, recipe.lessons)


def _run_of(teacher: str) -> Run:
    """A teacher's run, by the name that the recipe gives it."""
    if not (Path(teacher) / "recipe.toml").is_file():
        raise RunError(
            f"no teacher's run in {teacher}; train it first, give other finished runs by --teachers, or none by "
            "--empty-teachers"
        )
    return Run.open(Path(teacher))


def load_model(run: Run) -> nn.Module:
    """A finished run's network, ready to answer.

    Raises:
        RunError: the run has not ended.
    """
    model = build(run.recipe.model)
    model.load_state_dict(run.weights())
    return model.eval().to(memory_format=torch.channels_last)  # type: ignore[call-overload, no-any-return]


def _write(place: Path, samples: Dataset, recipe: Recipe, teachers: Sequence[nn.Module]) -> None:
    """Both files, each whole or not there; the answers last, for their being there says that all is."""
    total = len(samples) * recipe.lessons
    shapes = {"glyphs": (np.uint8, (total, 28, 28)), "answers": (np.float16, (total, 10))}
    parts = {name: place / f"{name}.part" for name in shapes}
    arrays = {
        name: np.lib.format.open_memmap(parts[name], mode="w+", dtype=kind, shape=shape)
        for name, (kind, shape) in shapes.items()
    }
    for start, glyphs in _copies(samples, recipe):
        end = start + len(glyphs)
        arrays["glyphs"][start:end] = (glyphs[:, 0] * 255).round().to(torch.uint8).numpy()
        arrays["answers"][start:end] = answer(glyphs, teachers, precision=recipe.precision).half().numpy()
    for name, array in arrays.items():
        array.flush()
        put_in_place(parts[name], place / f"{name}.npy")


def _copies(samples: Dataset, recipe: Recipe) -> Iterator[tuple[int, Float[Tensor, "n 1 28 28"]]]:
    """All copies in order, some thousands at a time, each with the place of its first."""
    generator = Generator().manual_seed(recipe.drawn_from)
    for start in range(0, len(samples), _CHUNK // recipe.lessons):
        glyphs = torch.from_numpy(samples.glyphs[start : start + _CHUNK // recipe.lessons]).unsqueeze(1).float() / 255
        yield start * recipe.lessons, rewrite(glyphs.repeat_interleave(recipe.lessons, dim=0), recipe, generator)


@torch.no_grad()
def answer(
    glyphs: Float[Tensor, "n 1 28 28"], teachers: Sequence[nn.Module], *, precision: str
) -> Float[Tensor, "n 10"]:
    """The mean of the teachers' logits."""
    glyphs = glyphs.contiguous(memory_format=torch.channels_last)
    with torch.autocast("cpu", torch.bfloat16, enabled=precision == "bfloat16"):
        answers = [teacher(glyphs).float() for teacher in teachers]
    return torch.stack(answers).mean(dim=0)


def _digest(samples: Dataset, recipe: Recipe, teachers: Sequence[nn.Module]) -> str:
    """All that the copies and their answers depend on."""
    digest = hashlib.sha256(samples.fingerprint.encode())
    how = [recipe.drawn_from, recipe.lessons, recipe.precision, *(getattr(recipe, name) for name in _BENDING)]
    digest.update(json.dumps(how).encode())
    for teacher in teachers:
        for tensor in teacher.state_dict().values():
            digest.update(tensor.contiguous().numpy().tobytes())
    return digest.hexdigest()[:16]
