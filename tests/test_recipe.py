"""Recipes: defaults, files of differences, and what is refused."""

import dataclasses
import tomllib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from handigit.errors import RecipeError
from handigit.models import ARCHITECTURES, NUMBER_ARCHITECTURES
from handigit.recipe import RECIPES, Recipe, load_recipe, read_recipe


@given(
    model=st.text(st.characters(codec="utf-8", exclude_categories=("Cc", "Cs"))),
    data=st.lists(st.text(st.characters(codec="utf-8", exclude_categories=("Cc", "Cs"))), min_size=1),
    learning_rate=st.floats(1e-9, 100),
    seed=st.integers(0, 2**31 - 1),
)
def test_a_recipe_survives_its_toml(model: str, data: list[str], learning_rate: float, seed: int) -> None:
    recipe = Recipe(model=model, data=tuple(data), learning_rate=learning_rate, seed=seed)
    assert Recipe.from_dict(tomllib.loads(recipe.to_toml()), source="test") == recipe


@pytest.mark.parametrize("path", sorted(RECIPES.glob("*.toml")), ids=lambda path: path.stem)
def test_every_recipe_of_the_package_is_valid_and_says_nothing_twice(path) -> None:
    values = read_recipe(path.stem)
    recipe = load_recipe(path.stem)
    assert recipe.model in ARCHITECTURES | NUMBER_ARCHITECTURES
    idle = values.keys() - recipe.differences().keys()
    assert not idle - {"model"}, f"{path.name} repeats the default of {sorted(idle)}"


def test_every_field_has_its_own_words() -> None:
    source = (RECIPES.parent / "recipe.py").read_text(encoding="utf-8")
    for item in dataclasses.fields(Recipe):
        after = source.split(f"\n    {item.name}: ")[1].splitlines()[1]
        assert after.strip().startswith('"""'), f"{item.name} has no docstring, so --help would not explain it"


def test_changes_win_over_the_file() -> None:
    assert load_recipe("cnn", epochs=3).epochs == 3


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"epoch": 3}, "no recipe field named 'epoch'; there are: model, data"),
        ({"epochs": 0}, "epochs = 0 is outside 1 to 100000"),
        ({"epochs": "three"}, "epochs = 'three' is not of the kind of its default, 12"),
        ({"epochs": 2.5}, "epochs = 2.5 is not of the kind"),
        ({"optimizer": "sgd"}, "no optimizer named 'sgd'; there are: adam, adamw"),
        ({"data": []}, "data names no set"),
        ({"ema": 1.0}, "ema = 1.0 is outside"),
    ],
)
def test_what_no_training_could_use_is_refused(values, message) -> None:
    with pytest.raises(RecipeError, match=r"recipe|test") as caught:
        Recipe.from_dict(values, source="test")
    assert message in str(caught.value)


def test_an_unknown_recipe_names_those_there_are() -> None:
    with pytest.raises(RecipeError, match=r"no recipe named 'lenett'; there are: .*lenet5"):
        read_recipe("lenett")


def test_a_file_that_is_not_toml_is_named(tmp_path) -> None:
    file = tmp_path / "broken.toml"
    file.write_text("epochs = = 3", encoding="utf-8")
    with pytest.raises(RecipeError, match=r"broken.toml: not valid TOML"):
        load_recipe(str(file))


def test_a_whole_number_may_stand_for_a_float() -> None:
    assert Recipe.from_dict({"rotation_degrees": 10}, source="test").rotation_degrees == 10.0
