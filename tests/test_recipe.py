"""Recipes: defaults, TOML files, rejected values, and the recipes in the package and beside the published runs."""

import dataclasses
import tomllib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from handigit.errors import RecipeError
from handigit.models import ARCHITECTURES, NUMBER_ARCHITECTURES
from handigit.recipe import RECIPES, Recipe, load_recipe, read_recipe

LINEAGE = sorted((Path(__file__).parents[1] / "published").glob("*/lineage/*.toml"))


@given(
    model=st.text(st.characters(codec="utf-8", exclude_categories=("Cc", "Cs"))),
    data=st.lists(st.text(st.characters(codec="utf-8", exclude_categories=("Cc", "Cs"))), min_size=1),
    learning_rate=st.floats(1e-9, 100),
    seed=st.integers(0, 2**31 - 1),
)
def test_recipe_survives_its_toml(model: str, data: list[str], learning_rate: float, seed: int) -> None:
    recipe = Recipe(model=model, data=tuple(data), learning_rate=learning_rate, seed=seed)
    assert Recipe.from_dict(tomllib.loads(recipe.to_toml()), source="test") == recipe


@pytest.mark.parametrize("path", [*sorted(RECIPES.glob("*.toml")), *LINEAGE], ids=lambda path: path.stem)
def test_every_recipe_is_valid_and_repeats_no_default(path) -> None:
    values = read_recipe(str(path))
    recipe = load_recipe(str(path))
    assert recipe.model in ARCHITECTURES | NUMBER_ARCHITECTURES
    repeated = values.keys() - recipe.differences().keys()
    assert not repeated - {"model"}, f"{path.name} repeats the default of {sorted(repeated)}"


def test_package_lists_the_recipes_one_would_use() -> None:
    assert {path.stem for path in RECIPES.glob("*.toml")} == {
        "cnn", "convdense", "dense", "digit", "digit-large", "digit-nano", "fast", "fast-plus", "lenet5", "mobilenet",
        "number", "number-second", "number-second-tune", "number-tune", "resnet", "tutorial",
    }  # fmt: skip


def test_every_field_has_a_docstring() -> None:
    source = (RECIPES.parent / "recipe.py").read_text(encoding="utf-8")
    for item in dataclasses.fields(Recipe):
        after = source.split(f"\n    {item.name}: ")[1].splitlines()[1]
        assert after.strip().startswith('"""'), f"{item.name} has no docstring, so --help would not explain it"


def test_changes_override_the_file() -> None:
    assert load_recipe("cnn", epochs=3).epochs == 3


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"epoch": 3}, "no recipe field named 'epoch'; there are: model, data"),
        ({"epochs": 0}, "epochs = 0 is outside 1 to 100000"),
        ({"epochs": "three"}, "epochs = 'three' has another type than its default, 12"),
        ({"epochs": 2.5}, "epochs = 2.5 has another type"),
        ({"optimizer": "sgd"}, "no optimizer named 'sgd'; there are: adam, adamw"),
        ({"data": []}, "data names no set"),
        ({"ema": 1.0}, "ema = 1.0 is outside"),
    ],
)
def test_invalid_values_are_rejected(values, message) -> None:
    with pytest.raises(RecipeError, match=r"recipe|test") as caught:
        Recipe.from_dict(values, source="test")
    assert message in str(caught.value)


def test_unknown_recipe_error_lists_the_recipes() -> None:
    with pytest.raises(RecipeError, match=r"no recipe named 'lenett'; there are: .*lenet5"):
        read_recipe("lenett")


def test_file_that_is_not_toml_is_named(tmp_path) -> None:
    file = tmp_path / "broken.toml"
    file.write_text("epochs = = 3", encoding="utf-8")
    with pytest.raises(RecipeError, match=r"broken.toml: not valid TOML"):
        load_recipe(str(file))


def test_integer_is_accepted_for_a_float() -> None:
    assert Recipe.from_dict({"rotation_degrees": 10}, source="test").rotation_degrees == 10.0
