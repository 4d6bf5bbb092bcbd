"""Batched augmentation, on tensors: glyphs as other hands, other pens, and bad paper and scanners would have made them.

It knows only how much to change (the recipe's numbers), not when or why. Everything random comes from the generator
it is handed, so the same generator state gives the same batch.
"""

from torch import Generator

from handigit.augment.degrade import disturb
from handigit.augment.geometry import bend
from handigit.augment.random import Glyphs
from handigit.augment.stroke import change_stroke, erase
from handigit.recipe import Recipe


def augment(glyphs: Glyphs, recipe: Recipe, generator: Generator) -> Glyphs:
    """Glyphs as other hands and pens could have made them, and some disturbed; ink stays bright, values in 0..1."""
    return spoil(rewrite(glyphs, recipe, generator), recipe, generator)


def rewrite(glyphs: Glyphs, recipe: Recipe, generator: Generator) -> Glyphs:
    """The first half of `augment`: the same digits by other hands and pens, as clean as they were."""
    if recipe.stroke:
        glyphs = change_stroke(glyphs, recipe.stroke, generator)
    if recipe.rotation_degrees or recipe.shear or recipe.scale or recipe.shift_px or recipe.elastic_px:
        glyphs = bend(glyphs, recipe, generator)
    return glyphs


def spoil(glyphs: Glyphs, recipe: Recipe, generator: Generator) -> Glyphs:
    """The second half of `augment`: parts wiped out, and whole glyphs disturbed."""
    if recipe.erase:
        glyphs = erase(glyphs, recipe.erase, generator)
    if recipe.disturb:
        glyphs = disturb(glyphs, recipe.disturb, generator)
    return glyphs


__all__ = ["augment", "bend", "change_stroke", "disturb", "erase", "rewrite", "spoil"]
