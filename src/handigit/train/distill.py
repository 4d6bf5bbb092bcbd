"""Distillation targets (Hinton et al. 2015): teacher logits on augmented copies, computed once and cached.

The teachers see the same augmented copy as the student (Beyer et al. 2022, "patient and consistent"). A few copies per
glyph, prepared before the first epoch, serve every epoch and every seed.
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

from handigit.atomic import write_folder
from handigit.augment import reshape
from handigit.data import Dataset
from handigit.errors import RunError
from handigit.recipe import Recipe
from handigit.train.run import Run
from handigit.train.trainer import load_model

log = logging.getLogger(__name__)
FOLDER = "lessons"
_CHUNK = 2000
_AUGMENTATION_FIELDS = ("rotation_degrees", "shear", "scale", "shift_px", "elastic_px", "stroke", "far")


@dataclass(frozen=True, eq=False)
class SoftTargets:
    """`copies` augmented copies of each sample, in the samples' order, and the teachers' mean logits on each."""

    glyphs: UInt8[np.ndarray, "total 28 28"]
    logits: Float16[np.ndarray, "total 10"]
    copies: int

    def draw(
        self, indices: Int64[Tensor, " n"], generator: Generator
    ) -> tuple[Float[Tensor, "n 1 28 28"], Float[Tensor, "n 10"]]:
        """One random copy of each of these samples, with the teachers' logits."""
        rows = (indices * self.copies + torch.randint(self.copies, (len(indices),), generator=generator)).numpy()
        glyphs = torch.from_numpy(self.glyphs[rows]).unsqueeze(1).float() / 255
        return glyphs, torch.from_numpy(self.logits[rows]).float()


def load_soft_targets(samples: Dataset, recipe: Recipe, folder: Path) -> SoftTargets | None:
    """The soft targets of this recipe's teachers, from the cache in `folder` if they are there; None without teachers.

    Raises:
        RunError: a teacher is not a finished run.
    """
    if not recipe.teachers:
        return None
    teachers = [load_model(run) for run in find_teachers(recipe)]
    cache = folder / _digest(samples, recipe, teachers)
    if not cache.is_dir():
        log.info(
            "computing logits of %d teachers on %d copies of %d samples", len(teachers), recipe.lessons, len(samples)
        )
        _write_cache(cache, samples, recipe, teachers)
    # Memory-mapped: runs with other seeds share the pages.
    glyphs, logits = (np.load(cache / f"{name}.npy", mmap_mode="r") for name in ("glyphs", "answers"))
    return SoftTargets(glyphs, logits, recipe.lessons)


def find_teachers(recipe: Recipe) -> list[Run]:
    """The runs of the recipe's teachers.

    Raises:
        RunError: one of them is not a finished run.
    """
    for name in recipe.teachers:
        if not (Path(name) / "weights.safetensors").is_file():
            raise RunError(
                f"no finished teacher in {name}; train it first, give other finished runs with --teachers, or use none "
                "with --empty-teachers"
            )
    return [Run.open(Path(name)) for name in recipe.teachers]


def _write_cache(cache: Path, samples: Dataset, recipe: Recipe, teachers: Sequence[nn.Module]) -> None:
    """Compute the copies and their logits, a chunk at a time."""
    total = len(samples) * recipe.lessons
    shapes = {"glyphs": (np.uint8, (total, 28, 28)), "answers": (np.float16, (total, 10))}
    with write_folder(cache, error=RunError) as folder:
        arrays = {
            name: np.lib.format.open_memmap(folder / f"{name}.npy", mode="w+", dtype=dtype, shape=shape)
            for name, (dtype, shape) in shapes.items()
        }
        for start, glyphs in _augmented_copies(samples, recipe):
            end = start + len(glyphs)
            arrays["glyphs"][start:end] = (glyphs[:, 0] * 255).round().to(torch.uint8).numpy()
            arrays["answers"][start:end] = mean_logits(glyphs, teachers, precision=recipe.precision).half().numpy()
        for array in arrays.values():
            array.flush()


def _augmented_copies(samples: Dataset, recipe: Recipe) -> Iterator[tuple[int, Float[Tensor, "n 1 28 28"]]]:
    """All copies in order, in chunks, each with the index of its first copy."""
    generator = Generator().manual_seed(recipe.drawn_from)
    chunk = max(1, _CHUNK // recipe.lessons)
    for start in range(0, len(samples), chunk):
        glyphs = torch.from_numpy(samples.glyphs[start : start + chunk]).unsqueeze(1).float() / 255
        yield start * recipe.lessons, reshape(glyphs.repeat_interleave(recipe.lessons, dim=0), recipe, generator)


@torch.no_grad()
def mean_logits(
    glyphs: Float[Tensor, "n 1 28 28"], teachers: Sequence[nn.Module], *, precision: str
) -> Float[Tensor, "n 10"]:
    """The mean of the teachers' logits."""
    glyphs = glyphs.contiguous(memory_format=torch.channels_last)
    with torch.autocast("cpu", torch.bfloat16, enabled=precision == "bfloat16"):
        logits = [teacher(glyphs).float() for teacher in teachers]
    return torch.stack(logits).mean(dim=0)


def _digest(samples: Dataset, recipe: Recipe, teachers: Sequence[nn.Module]) -> str:
    """Digest of everything that the copies and their logits depend on."""
    digest = hashlib.sha256(samples.fingerprint.encode())
    settings = [recipe.drawn_from, recipe.lessons, recipe.precision]
    settings += [getattr(recipe, name) for name in _AUGMENTATION_FIELDS]
    digest.update(json.dumps(settings).encode())
    for teacher in teachers:
        for tensor in teacher.state_dict().values():
            digest.update(tensor.contiguous().numpy().tobytes())
    return digest.hexdigest()[:16]
