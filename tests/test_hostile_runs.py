"""Damaged and hostile recipes and run folders: each gives one of our errors, never a traceback."""

import struct
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.numpy import save_file

from handigit.errors import HandigitError, RecipeError, RunError
from handigit.recipe import Recipe, load_recipe
from handigit.train.run import Run
from handigit.train.trainer import load_model, start_model

RECIPE = Recipe(model="lenet5", data=("synth:20",), validation=5, epochs=1)


@pytest.fixture
def run(tmp_path: Path) -> Run:
    """A finished run with random weights."""
    made = Run.create(tmp_path / "run", RECIPE, {"code": "test"})
    weights = {name: tensor.contiguous() for name, tensor in start_model(RECIPE).state_dict().items()}
    made.write_metrics([{"epoch": 1.0, "train_loss": 1.0}])
    made.finish(weights, {"validation_accuracy": 0.1})
    return made


@pytest.mark.parametrize(
    "content",
    [
        bytes(range(256)),
        b"a = " + b"[" * 20_000 + b"]" * 20_000,
        b'model = "lenet5\0"\n',
        b'model = "lenet5"\nmodel = "cnn"\n',
        b"epochs = 99999999999999999999999\n",
        b'model = "lenet5"\nlearning_rate = nan\n',
        b'model = 3\nepochs = "many"\n',
        b"\xff\xfem\0o\0",
    ],
)
def test_a_hostile_recipe_is_a_recipe_error(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "evil.toml").write_bytes(content)
    with pytest.raises(RecipeError):
        load_recipe(str(tmp_path / "evil.toml"))


def truncate(content: bytes) -> bytes:
    return content[:100]


def claim_a_huge_header(content: bytes) -> bytes:
    return struct.pack("<Q", 2**60) + content[8:]


def break_the_header(content: bytes) -> bytes:
    return struct.pack("<Q", 10) + b'{"a":1234}' + content[18:]


@pytest.mark.parametrize("damage", [truncate, claim_a_huge_header, break_the_header, lambda _: b""])
def test_damaged_weights_are_a_run_error(run: Run, damage: Callable[[bytes], bytes]) -> None:
    file = run.path / "weights.safetensors"
    file.write_bytes(damage(file.read_bytes()))
    with pytest.raises(RunError, match=r"weights\.safetensors is damaged"):
        load_model(run)


def test_weights_of_another_network_are_a_run_error(run: Run) -> None:
    save_file({"layers.0.weight": np.zeros((3, 3), np.float32)}, run.path / "weights.safetensors")
    with pytest.raises(RunError, match="its weights do not fit its recipe's lenet5"):
        load_model(run)


@pytest.mark.parametrize("content", [b"\xff\xfe{]", b"[1, 2]", b"{", b""])
@pytest.mark.parametrize("name", ["run.json", "report.json", "metrics.jsonl"])
def test_damaged_records_of_a_run_are_run_errors(run: Run, name: str, content: bytes) -> None:
    (run.path / name).write_bytes(content)
    read: dict[str, Callable[[], object]] = {
        "run.json": lambda: run.metadata,
        "report.json": lambda: run.report,
        "metrics.jsonl": run.metrics,
    }
    if name == "metrics.jsonl" and not content:
        assert run.metrics() == []
        return
    with pytest.raises(RunError, match="is damaged"):
        read[name]()


def test_a_damaged_recipe_in_a_run_is_one_of_our_errors(run: Run) -> None:
    for content in (bytes(range(200)), b"model = 3", b"a = " + b"[" * 20_000):
        (run.path / "recipe.toml").write_bytes(content)
        with pytest.raises(HandigitError):
            Run.open(run.path)


def test_a_link_in_place_of_a_run_reads_no_foreign_weights(run: Run, tmp_path: Path) -> None:
    torch.save({"layers.0.weight": torch.zeros(2)}, tmp_path / "pickle.pt")
    (run.path / "weights.safetensors").unlink()
    (run.path / "weights.safetensors").symlink_to(tmp_path / "pickle.pt")
    with pytest.raises(RunError, match="is damaged"):  # a pickle is not even opened as one
        load_model(run)
