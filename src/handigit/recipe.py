"""Every number that changes a trained model, in one frozen dataclass.

It knows nothing of where or how long the training runs: that is `settings.py` and the run's folder. A recipe on disk
is a small TOML file of differences from the defaults below; each field is also a flag of `handigit train`.
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
    """What to train, on what, and how.

    Two runs of one recipe on one machine end in bit-equal weights.
    """

    model: str = "cnn"
    """Architecture, by name: `handigit models` lists them."""
    data: tuple[str, ...] = ("mnist",)
    """Data sets to learn from: names of sets in the data folder, paths, or "synth:40000" for that many drawn digits."""
    outliers: tuple[str, ...] = ()
    """What is no digit, named as in data; learnt to be answered by all ten equally (Hendrycks et al. 2019)."""
    outlier_share: float = 0.125
    """Outliers in a batch, for each digit in it."""
    seed: int = 0
    """Start of every random choice: weights, order, augmentation."""
    data_seed: int = -1
    """Start of what is drawn and of the validation cut; -1: the seed. Runs of one data seed share their lessons."""
    validation: int = 5000
    """Samples cut from the training data to choose by; the test set is never seen in training."""

    lines: int = 0
    """Number models: lines drawn for one epoch, with digits of the data sets and of our own pens."""
    line_sets: int = 1
    """Number models: so many sets of lines are drawn; later epochs take them again, from the first on."""

    robust_loss: float = 0.0
    """Number models: exponent of the generalised cross-entropy (Zhang & Sabuncu 2018); 0: the likelihood itself."""

    strings: tuple[str, ...] = ()
    """Number models: CSV files that name pictures of numbers and their texts, learnt beside what is drawn."""
    string_share: float = 0.5
    """Number models: share of an epoch's lines that are such pictures, each as often as that takes."""

    teachers: tuple[str, ...] = ()
    """Finished runs whose mean answer is learnt beside the label (Hinton et al. 2015)."""
    teaching: float = 0.8
    """Share of the loss that the teachers' answer has."""
    softness: float = 2.0
    """Temperature at which a teacher's answer is learnt: higher shows more of what it thinks of the wrong digits."""
    lessons: int = 8
    """Augmented copies of each sample that the teachers answer before the first epoch; each epoch takes one of them."""

    epochs: int = 12
    """Passes over the training data."""
    epoch_share: float = 1.0
    """Share of the training data that a pass takes, drawn anew each time."""
    batch_size: int = 128
    """Samples in one step."""
    optimizer: Literal["adam", "adamw"] = "adam"
    """Adam (Kingma & Ba 2015) or AdamW (Loshchilov & Hutter 2019)."""
    learning_rate: float = 1e-3
    """Highest learning rate of the schedule."""
    weight_decay: float = 0.0
    """Decoupled weight decay of AdamW, on weights with two or more dimensions."""
    beta1: float = 0.9
    """Adam's decay of the first moment."""
    beta2: float = 0.999
    """Adam's decay of the second moment."""
    schedule: Literal["constant", "one_cycle"] = "one_cycle"
    """Learning rate over the run; one_cycle: linear rise, cosine fall (after Smith 2018)."""
    warmup: float = 0.2
    """Share of the steps in which one_cycle rises."""
    label_smoothing: float = 0.0
    """Share of the target spread evenly over the classes (Szegedy et al. 2016)."""
    ema: float = 0.0
    """Decay a step of the averaged weights that are kept in the end, batch-norm statistics re-estimated; 0: none."""
    patience: int = 0
    """Stop after so many epochs without a better validation accuracy; 0: never."""
    precision: Literal["float32", "bfloat16"] = "float32"
    """Arithmetic of the forward pass; weights stay float32."""

    rotation_degrees: float = 0.0
    """Augmentation: largest turn to either side."""
    shear: float = 0.0
    """Augmentation: largest horizontal shear, as a share of the height."""
    scale: float = 0.0
    """Augmentation: largest change of size, drawn for width and height apart, as a share."""
    shift_px: float = 0.0
    """Augmentation: largest shift in either direction, in pixels."""
    elastic_px: float = 0.0
    """Augmentation: standard deviation of a smooth displacement, in pixels (after Simard et al. 2003)."""
    stroke: float = 0.0
    """Augmentation: share of samples whose stroke is made thicker or thinner."""
    erase: float = 0.0
    """Augmentation: share of samples in which a small rectangle is erased (Zhong et al. 2020)."""
    far: float = 0.0
    """Augmentation: share of samples bent two and a half times as far."""
    disturb: float = 0.0
    """Augmentation: share of samples with noise, clutter, haze, blur, inverted bands, or only outlines."""

    def __post_init__(self) -> None:
        """Refuse values that no training could use.

        Raises:
            RecipeError: naming the field, its value and what it may be.
        """
        for name, (least, most) in _RANGES.items():
            value = getattr(self, name)
            if not least <= value <= most:
                raise RecipeError(f"recipe: {name} = {value} is outside {least} to {most}; give a value in that range")
        if not self.data:
            raise RecipeError("recipe: data names no set; give at least one, such as data = ['mnist']")

    @classmethod
    def from_dict(cls, values: dict[str, Any], *, source: str) -> "Recipe":
        """A recipe from the differences to the defaults.

        Raises:
            RecipeError: a field that no recipe has, or a value of the wrong kind.
        """
        known = {item.name: item for item in dataclasses.fields(cls)}
        if unknown := sorted(values.keys() - known.keys()):
            raise RecipeError(f"{source}: no recipe field named {unknown[0]!r}; there are: {', '.join(known)}")
        return cls(**{name: _coerced(known[name], value, source) for name, value in values.items()})

    @property
    def drawn_from(self) -> int:
        """The seed of what is drawn and of the validation cut."""
        return self.seed if self.data_seed < 0 else self.data_seed

    def differences(self) -> dict[str, Any]:
        """The fields that are not at their default: what a recipe file would say."""
        return {f.name: getattr(self, f.name) for f in dataclasses.fields(self) if getattr(self, f.name) != f.default}

    def to_toml(self) -> str:
        """Every field, one a line: a run's folder keeps this, so that later changes of a default do not touch it."""
        return "".join(f"{f.name} = {_toml(getattr(self, f.name))}\n" for f in dataclasses.fields(self))

    def replace(self, **changes: Any) -> "Recipe":
        """The same recipe with some fields changed."""
        return dataclasses.replace(self, **changes)


def read_recipe(name: str) -> dict[str, Any]:
    """The differences in a recipe file: a path, or the name of one that comes with the package.

    Raises:
        RecipeError: no such recipe, or a file that is not TOML.
    """
    path = Path(name) if name.endswith(".toml") else RECIPES / f"{name}.toml"
    if not path.is_file():
        known = ", ".join(sorted(p.stem for p in RECIPES.glob("*.toml")))
        raise RecipeError(f"no recipe named {name!r}; there are: {known}; or give the path of a .toml file")
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as problem:
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
    "line_sets": (1, 10_000),
    "robust_loss": (0.0, 1.0),
    "string_share": (0.0, 0.95),
    "validation": (0, 10**9),
    "epochs": (1, 100_000),
    "epoch_share": (1e-6, 1.0),
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


def _coerced(item: dataclasses.Field[Any], value: Any, source: str) -> Any:
    """The value as the field's own type; TOML writes 3 where a float is meant, and lists for tuples."""
    if get_origin(item.type) is Literal and value not in get_args(item.type):
        raise RecipeError(f"{source}: no {item.name} named {value!r}; there are: {', '.join(get_args(item.type))}")
    if isinstance(item.default, tuple) and isinstance(value, list | tuple):
        return tuple(str(part) for part in value)
    if isinstance(item.default, float) and type(value) is int:
        return float(value)
    if type(value) is type(item.default):
        return value
    raise RecipeError(f"{source}: {item.name} = {value!r} is not of the kind of its default, {item.default!r}")


def _toml(value: Any) -> str:
    """One value as TOML; recipes hold only strings, numbers and tuples of strings."""
    if isinstance(value, tuple):
        return "[" + ", ".join(_toml(item) for item in value) + "]"
    return '"' + value.replace("\\", "\\\\").replace('"', '\\"') + '"' if isinstance(value, str) else repr(value)
