"""The number of processor threads of a training."""

from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from handigit.train.digit_task import DigitTask, Samples
from handigit.train.run import Row
from handigit.train.thread_choice import ThreadChoice, candidates
from handigit.train.trainer import Callbacks, Trainer, start_model
from test_train import SMALL, quadrants, train_small

CPU = torch.device("cpu")


@pytest.fixture(autouse=True)
def threads() -> Iterator[None]:
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)


class Machine:
    """Steps that take a known time for each number of threads, and the clock that shows it."""

    def __init__(self, seconds: dict[int, float]) -> None:
        self.seconds, self.now, self.steps = seconds, 0.0, 0

    def step(self) -> None:
        """As long as the number of threads takes."""
        self.now += self.seconds[torch.get_num_threads()]
        self.steps += 1

    def clock(self) -> float:
        """Seconds so far."""
        return self.now

    def choice(self, most: int = 4) -> tuple[ThreadChoice, int]:
        """What is chosen on this machine."""
        choice = ThreadChoice(clock=self.clock)
        return choice, choice.choose(self.step, most=most)


@pytest.mark.parametrize(
    ("seconds", "chosen"),
    [
        ({1: 8.0, 2: 4.5, 4: 3.0}, 4),
        ({1: 8.0, 2: 4.5, 4: 4.4}, 2),  # twice the threads for nothing
        ({1: 8.0, 2: 7.9, 4: 8.5}, 1),
        ({1: 9.0, 2: 77.0, 4: 200.0}, 1),  # a busy machine
        ({1: 9.0, 2: 3.0, 4: 40.0}, 2),
    ],
)
def test_the_fastest_number_of_threads_is_chosen(seconds: dict[int, float], chosen: int) -> None:
    machine = Machine(seconds)
    assert machine.choice()[1] == chosen
    assert torch.get_num_threads() == chosen


def test_a_hopeless_number_is_tried_once() -> None:
    machine = Machine({1: 1.0, 2: 80.0})
    machine.choice(most=2)
    assert machine.now == 2 * 80.0 + 10 * 1.0


def test_candidates_are_one_half_and_all() -> None:
    assert [candidates(most) for most in (1, 2, 3, 16)] == [[1], [1, 2], [1, 3], [1, 8, 16]]


def test_a_training_goes_on_alone_when_others_keep_the_processor_busy(caplog: pytest.LogCaptureFixture) -> None:
    choice, chosen = Machine({1: 8.0, 2: 4.5, 4: 3.0}).choice()
    for _ in range(30):
        choice.watch(3.5)
    assert torch.get_num_threads() == chosen == 4
    for _ in range(11):
        choice.watch(60.0)
    assert torch.get_num_threads() == 1
    assert "continuing on one thread" in caplog.text


def trained(threads: int | None) -> dict[str, torch.Tensor]:
    task = DigitTask(SMALL.replace(epochs=1, batch_size=4), Samples.of(quadrants(480), CPU))
    trainer = Trainer(task, start_model(task.recipe), threads=threads)
    if trainer.thread_choice:
        trainer.thread_choice = ThreadChoice(clock=lambda: 0.0)  # all equally fast: the fewest
    trainer.train_epoch(0, Callbacks())
    return trainer.model.state_dict()


def test_timing_does_not_change_the_weights() -> None:
    torch.set_num_threads(2)
    timed = trained(None)
    assert torch.get_num_threads() == 1
    fixed = trained(1)
    assert all(torch.equal(timed[name], weights) for name, weights in fixed.items())


def test_a_resumed_run_uses_the_number_of_its_first_part(tmp_path: Path) -> None:
    torch.set_num_threads(2)

    def stop(_row: Row) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train_small(tmp_path / "run", threads=2, callbacks=Callbacks(epoch=stop))
    run = train_small(tmp_path / "run", resume=True)  # by itself so short a training would run on one
    assert [row["threads"] for row in run.metrics()] == [2, 2, 2]
    assert torch.get_num_threads() == 2


def test_a_given_number_is_used(tmp_path: Path) -> None:
    torch.set_num_threads(1)
    assert [row["threads"] for row in train_small(tmp_path / "run", threads=2).metrics()] == [2, 2, 2]
    assert torch.get_num_threads() == 1


def test_short_trainings_run_on_one_thread(tmp_path: Path) -> None:
    torch.set_num_threads(2)
    assert [row["threads"] for row in train_small(tmp_path / "run").metrics()] == [1, 1, 1]
    assert torch.get_num_threads() == 2
