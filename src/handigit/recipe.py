"""Every setting that changes a trained model, in one frozen dataclass.

A recipe on disk is a small TOML file with the differences from the defaults below; each field is also a flag of
`handigit train`. Where training runs is in `settings`, not here.
"""

import dataclasses
import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, get_args, get_origin

from handigit.errors import RecipeError

RECIPES = Path(__file__).with_name("recipes")


@dataclass(frozen=True)
class Recipe:
    """Everything that changes a trained model: architecture, data, training.

    Two runs of one recipe on one machine with the same number of threads end with bit-equal weights.
    """

    model: str = "cnn"
    """Architecture; `handigit models` lists the names."""
    data: tuple[str, ...] = ("mnist",)
    """Training data: names of sets in the data folder, paths, or "synth:40000" for that many synthetic digits."""
    outliers: tuple[str, ...] = ()
    """Non-digits, named as in data; trained toward a uniform answer (Hendrycks et al. 2019)."""
    outlier_share: float = 0.125
    """Outliers per digit in a batch."""
    seed: int = 0
    """Seed of every random choice: weights, order, augmentation."""
    data_seed: int = -1
    """Seed of synthetic data and of the validation split; -1: the seed. Runs with one data seed share soft targets."""
    validation: int = 5000
    """Training samples held out for validation; the test set is never used in training."""

    start: Literal["random", "pp-ocrv6"] = "random"
    """Weights before the first step: random, or those that PP-OCRv6 was published with (Apache-2.0)."""
    blend: float = 1.0
    """Fraction of the trained weights in the final ones; the rest is the start's (WiSE-FT, Wortsman et al. 2022)."""

    lines: int = 0
    """Number models: strips drawn per epoch, by real and synthetic hands."""
    line_sets: int = 1
    """Number models: number of sets of drawn strips; later epochs reuse them in order."""

    robust_loss: float = 0.0
    """Number models: exponent of the generalised cross-entropy (Zhang & Sabuncu 2018); 0: plain likelihood."""

    strings: tuple[str, ...] = ()
    """Number models: CSV files with pictures of numbers and their texts, trained on beside drawn strips."""
    string_share: float = 0.5
    """Number models: fraction of an epoch's strips that are real strings, repeated as needed."""

    teachers: tuple[str, ...] = ()
    """Distillation: folders of finished runs whose mean answer is learnt beside the label (Hinton et al. 2015)."""
    teaching: float = 0.8
    """Distillation: weight of the teachers' answer in the loss."""
    softness: float = 2.0
    """Distillation: temperature; higher values give more weight to the teachers' probabilities of wrong digits."""
    lessons: int = 8
    """Distillation: cached augmentations per sample, answered by the teachers before the first epoch."""

    epochs: int = 12
    """Passes over the training data."""
    epoch_share: float = 1.0
    """Fraction of the training data used per pass, sampled again each time."""
    hard_examples: float = 0.0
    """Exponent by which digits that a linear classifier finds hard are sampled more often where epoch_share is below 1;
    0: all equally often."""
    batch_size: int = 128
    """Samples per step."""
    optimizer: Literal["adam", "adamw"] = "adam"
    """Adam (Kingma & Ba 2015) or AdamW (Loshchilov & Hutter 2019)."""
    learning_rate: float = 1e-3
    """Peak learning rate of the schedule."""
    weight_decay: float = 0.0
    """Decoupled weight decay of AdamW, on weights with two or more dimensions."""
    beta1: float = 0.9
    """Adam's decay of the first moment."""
    beta2: float = 0.999
    """Adam's decay of the second moment."""
    schedule: Literal["constant", "one_cycle"] = "one_cycle"
    """Learning rate over the run; one_cycle: linear rise, cosine fall (after Smith 2018)."""
    warmup: float = 0.2
    """Fraction of the steps in which one_cycle rises."""
    label_smoothing: float = 0.0
    """Fraction of the target spread evenly over the classes (Szegedy et al. 2016)."""
    ema: float = 0.0
    """Decay per step of the exponential moving average of the weights, which a run saves; 0: no average."""
    patience: int = 0
    """Stop after this many epochs without a better validation accuracy; 0: never."""
    precision: Literal["float32", "bfloat16"] = "float32"
    """Arithmetic of the forward pass; weights stay float32."""

    rotation_degrees: float = 0.0
    """Augmentation: maximum rotation in either direction."""
    shear: float = 0.0
    """Augmentation: maximum horizontal shear, as a fraction of the height."""
    scale: float = 0.0
    """Augmentation: maximum relative change of width and of height, drawn separately."""
    shift_px: float = 0.0
    """Augmentation: maximum shift in each direction, in pixels."""
    elastic_px: float = 0.0
    """Augmentation: standard deviation of a smooth displacement, in pixels (after Simard et al. 2003)."""
    stroke: float = 0.0
    """Augmentation: fraction of samples with thicker or thinner strokes."""
    erase: float = 0.0
    """Augmentation: fraction of samples with a small erased rectangle (Zhong et al. 2020)."""
    far: float = 0.0
    """Augmentation: fraction of samples warped two and a half times as far."""
    disturb: float = 0.0
    """Augmentation: fraction of samples degraded by noise, clutter, haze, blur, inverted bands or outlines."""

    def __post_init__(self) -> None:
        """Reject values outside their range.

        Raises:
            RecipeError: naming the field, its value and the allowed ones.
        """
        for name, (minimum, maximum) in _RANGES.items():
            value = getattr(self, name)
            if not minimum <= value <= maximum:
                raise RecipeError(
                    f"recipe: {name} = {value} is outside {minimum} to {maximum}; give a value in that range"
                )
        if not self.data:
            raise RecipeError("recipe: data names no set; give at least one, such as data = ['mnist']")

    @classmethod
    def from_dict(cls, values: dict[str, Any], *, source: str) -> "Recipe":
        """A recipe from its differences to the defaults.

        Raises:
            RecipeError: an unknown field, or a value of the wrong type.
        """
        known = {item.name: item for item in dataclasses.fields(cls)}
        if unknown := sorted(values.keys() - known.keys()):
            raise RecipeError(f"{source}: no recipe field named {unknown[0]!r}; there are: {', '.join(known)}")
        return cls(**{name: _coerce(known[name], value, source) for name, value in values.items()})

    @property
    def drawn_from(self) -> int:
        """Seed of synthetic data and of the validation split."""
        return self.seed if self.data_seed < 0 else self.data_seed

    def differences(self) -> dict[str, Any]:
        """The fields that differ from their defaults, as in a recipe file."""
        return {f.name: getattr(self, f.name) for f in dataclasses.fields(self) if getattr(self, f.name) != f.default}

    def to_toml(self) -> str:
        """Every field, one per line, as run folders store it: a later change of a default does not affect them."""
        return "".join(f"{f.name} = {_toml(getattr(self, f.name))}\n" for f in dataclasses.fields(self))

    def replace(self, **changes: Any) -> "Recipe":
        """The same recipe with some fields changed."""
        return dataclasses.replace(self, **changes)


def read_recipe(name: str) -> dict[str, Any]:
    """The content of a recipe file, given as a path or by the name of one in the package.

    Raises:
        RecipeError: no such recipe, or not a TOML file.
    """
    path = Path(name) if name.endswith(".toml") else RECIPES / f"{name}.toml"
    if not path.is_file():
        known = ", ".join(sorted(p.stem for p in RECIPES.glob("*.toml")))
        raise RecipeError(f"no recipe named {name!r}; there are: {known}; or give the path of a .toml file")
    return read_toml(path)


def read_toml(path: Path) -> dict[str, Any]:
    """The content of a TOML file.

    Raises:
        RecipeError: not TOML, or nested too deeply.
    """
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, RecursionError) as problem:
        raise RecipeError(f"{path}: not valid TOML: {problem}") from None


def load_recipe(name: str, **changes: Any) -> Recipe:
    """A recipe by name or path, with some fields changed.

    Raises:
        RecipeError: as `read_recipe` and `Recipe.from_dict`.
    """
    return Recipe.from_dict({**read_recipe(name), **changes}, source=name)


_RANGES: dict[str, tuple[float, float]] = {
    "seed": (0, 2**31 - 1),
    "data_seed": (-1, 2**31 - 1),
    "teaching": (0.0, 1.0),
    "softness": (0.1, 20.0),
    "lessons": (1, 1000),
    "lines": (0, 10**8),
    "blend": (0.0, 1.0),
    "line_sets": (1, 10_000),
    "robust_loss": (0.0, 1.0),
    "string_share": (0.0, 0.95),
    "validation": (0, 10**9),
    "epochs": (1, 100_000),
    "epoch_share": (1e-6, 1.0),
    "hard_examples": (0.0, 10.0),
    "batch_size": (1, 65_536),
    "learning_rate": (1e-9, 100.0),
    "weight_decay": (0.0, 10.0),
    "beta1": (0.0, 0.9999),
    "beta2": (0.0, 0.99999),
    "outlier_share": (0.0, 1.0),
    "warmup": (0.0, 1.0),
    "label_smoothing": (0.0, 0.9),
    "ema": (0.0, 0.99999),
    "patience": (0, 100_000),
    "rotation_degrees": (0.0, 180.0),
    "shear": (0.0, 2.0),
    "scale": (0.0, 0.9),
    "shift_px": (0.0, 14.0),
    "elastic_px": (0.0, 14.0),
    "stroke": (0.0, 1.0),
    "erase": (0.0, 1.0),
    "far": (0.0, 1.0),
    "disturb": (0.0, 1.0),
}


def _coerce(item: dataclasses.Field[Any], value: Any, source: str) -> Any:
    """The value in the field's type: TOML may have 3 for a float, and lists for tuples."""
    if get_origin(item.type) is Literal and value not in get_args(item.type):
        raise RecipeError(f"{source}: no {item.name} named {value!r}; there are: {', '.join(get_args(item.type))}")
    if isinstance(item.default, tuple) and isinstance(value, list | tuple):
        return tuple(str(part) for part in value)
    if isinstance(item.default, float) and type(value) is int:
        return float(value)
    if type(value) is type(item.default):
        return value
    raise RecipeError(f"{source}: {item.name} = {value!r} has another type than its default, {item.default!r}")


def _toml(value: Any) -> str:
    """One value as TOML; recipes contain only strings, numbers and tuples of strings."""
    if isinstance(value, tuple):
        return "[" + ", ".join(_toml(item) for item in value) + "]"
    return '"' + value.replace("\\", "\\\\").replace('"', '\\"') + '"' if isinstance(value, str) else repr(value)
