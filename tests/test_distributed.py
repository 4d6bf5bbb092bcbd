"""Several processes: data-parallel training by torchrun, and searches that share a database."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from handigit.data import split
from handigit.errors import RunError
from handigit.recipe import load_recipe
from handigit.train.digit_data import DigitData
from handigit.train.distributed import ProcessGroup, local_device, process_group
from handigit.train.run import Run
from handigit.train.tune import tune
from test_train import CPU, SMALL, quadrants

SEARCHED = SMALL.replace(epochs=1, model="dense")


def digit_data() -> DigitData:
    parts = split(quadrants(200), validation=40, seed=0)
    return DigitData(parts.train, parts.validation, {"data": {"quadrants": "1"}})


def test_single_process_is_a_group_of_one() -> None:
    with process_group(CPU) as group:
        assert group == ProcessGroup()
        assert group.is_main
        assert group.share("value") == "value"
        assert group.add([1.0, 2.0], CPU) == [1.0, 2.0]


def test_each_process_uses_its_own_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LOCAL_RANK", "1")
    assert local_device(torch.device("cuda:0")) == torch.device("cuda:1")
    assert local_device(CPU) == CPU


@pytest.mark.slow
def test_two_processes_train_one_model(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "torch.distributed.run", "--nproc-per-node", "2", "--standalone"]
    command += ["-m", "--", "handigit.cli", "train", "lenet5", "--epochs", "2", "--batch-size", "32", "--device", "cpu"]
    command += ["--data", "synth:640", "--validation", "64", "--learning-rate", "0.003", "--run", str(tmp_path / "run")]
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=600, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    assert "2 processes" in done.stdout
    run = Run.open(tmp_path / "run")
    assert run.finished
    rows = run.metrics()
    assert [row["epoch"] for row in rows] == [1, 2]
    assert rows[1]["train_loss"] < rows[0]["train_loss"]
    assert rows[1]["validation_accuracy"] > 0.3
    assert (run.path / "model.onnx").is_file()


@pytest.mark.slow
def test_searches_with_one_database_share_a_study(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'study.db'}"
    first = tune(SEARCHED, digit_data(), tmp_path / "a", trials=2, device=CPU, storage=url)
    second = tune(SEARCHED, digit_data(), tmp_path / "b", trials=3, device=CPU, storage=url)
    assert (first.trials, second.trials) == (2, 3)
    assert [len(list((tmp_path / name).glob("trial-*"))) for name in "ab"] == [2, 1]
    assert load_recipe(str(tmp_path / "b" / "best.toml")) == second.recipe
    other = tune(SEARCHED.replace(seed=1), digit_data(), tmp_path / "c", trials=1, device=CPU, storage=url)
    assert other.trials == 1  # another recipe is another study


def test_unusable_database_is_an_error_without_the_password(tmp_path: Path) -> None:
    for url in ("postgresql://user:secret@127.0.0.1:1/studies", f"sqlite:///{tmp_path}/missing/study.db", "nonsense"):
        with pytest.raises(RunError, match="cannot open the study database") as caught:
            tune(SEARCHED, digit_data(), tmp_path / "run", trials=1, device=CPU, storage=url)
        assert "secret" not in str(caught.value)
