"""The verbs of `handigit models`."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from cyclopts import App, Parameter, validators

from handigit.cli.shared import count_shared, find_model, labels_of, load_data
from handigit.cli.terminal import complain, say
from handigit.errors import ModelError
from handigit.settings import Settings

if TYPE_CHECKING:
    import numpy as np
    from jaxtyping import Bool

    from handigit.data import Dataset
    from handigit.evaluate.promotion import RightOf

Significance = Annotated[float, Parameter(validator=validators.Number(gt=0, lte=0.5))]

models = App(name="models", help="List models; promote a new one.")


@models.command
def promote(
    new: str,
    /,
    *,
    frozen: str,
    part: Literal["train", "test"] = "test",
    live: Path | None = None,
    significance: Significance = 0.5,
) -> None:
    """Replace the live digit model by a new one if that does not do worse on a frozen set.

    Examples:
        handigit models promote runs/new --frozen mnist

    Args:
        new: An ONNX file or the folder of a run.
        frozen: A data set that no model was trained on: a name in the data folder, or a path.
        part: The part of a set that has two.
        live: The file of the live model. [default: digit.onnx in HANDIGIT_MODEL_DIR]
        significance: The largest probability at which a loss counts; at 0.5 every net loss does.
    """
    from handigit.evaluate import promotion

    live_path = live or _live_path()
    rival = live_path if live_path.is_file() else find_model("embedded").path
    candidate = find_model(new).path
    dataset = load_data(frozen, part)
    _warn_if_seen(candidate, dataset)
    result = promotion.require_no_loss(rival, candidate, _right_of(dataset), significance=significance)
    facts = {"new": str(candidate), "frozen": dataset.name, "verdict": result.explain()}
    previous = promotion.install(candidate, live_path, facts=facts)
    say(f"promoted: {result.explain()}")
    say(f"live: {live_path}" + (f"; the previous one: {previous}" if previous else ""))


def _live_path() -> Path:
    folder = Settings().model_dir
    if folder is None:
        raise ModelError("no path for the live model: set HANDIGIT_MODEL_DIR to the app's model folder, or give --live")
    return folder / "digit.onnx"


def _right_of(dataset: "Dataset") -> "RightOf":
    """Which examples of a data set a digit model gets right."""
    import numpy as np

    from handigit.read import Engine

    labels, glyphs = labels_of(dataset), dataset.as_floats()

    def right_of(model: Path) -> "Bool[np.ndarray, ' n']":
        engine = Engine(model, threads=Settings().threads)
        if engine.card.task != "digit":
            raise ModelError(f"{model}: reads a {engine.card.task}; only digit models can be promoted")
        right: Bool[np.ndarray, " n"] = np.argmax(engine.logits(glyphs), axis=1) == labels
        return right

    return right_of


def _warn_if_seen(candidate: Path, dataset: "Dataset") -> None:
    from handigit.read import Engine

    if shared := count_shared(Engine(candidate).card, dataset):
        complain(f"warning: the new model was trained on {shared} of the {len(dataset)} frozen examples")
