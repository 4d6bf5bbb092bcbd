"""Architectures: shapes, counts as their docstrings say, names."""

import re
import sys

import pytest
import torch

from handigit.errors import ModelError
from handigit.models import ARCHITECTURES, build, describe

# Counted by hand from the papers' and tutorials' layers.
MACS = {
    "dense": 784 * 512 + 512 * 256 + 256 * 10,
    "lenet5": 25 * 6 * 784 + 25 * 6 * 16 * 100 + 400 * 120 + 120 * 84 + 84 * 10,
}


@pytest.mark.parametrize("name", ARCHITECTURES)
def test_any_batch_gives_ten_logits(name: str) -> None:
    model = build(name).eval()
    assert model(torch.zeros(1, 1, 28, 28)).shape == (1, 10)
    assert model(torch.rand(3, 1, 28, 28)).shape == (3, 10)


@pytest.mark.parametrize("name", ARCHITECTURES)
def test_the_docstring_has_the_number_of_weights(name: str) -> None:
    network = type(build(name))
    stated = re.search(r"([\d,]+) weights", f"{network.__doc__} {sys.modules[network.__module__].__doc__}")
    assert stated, f"{name}: the number of weights is missing"
    assert int(stated[1].replace(",", "")) == describe(name).parameters


@pytest.mark.parametrize("name", MACS)
def test_multiplications_are_counted(name: str) -> None:
    assert describe(name).macs == MACS[name]


def test_every_architecture_names_its_source() -> None:
    assert all(describe(name).paper for name in ARCHITECTURES)


def test_an_unknown_name_lists_the_known_ones() -> None:
    with pytest.raises(ModelError, match="no model named 'lenett'; there are: dense, convdense, lenet5"):
        build("lenett")
