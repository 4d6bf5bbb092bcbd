"""Batched augmentation on tensors: other hands and pens, poor paper and scanners.

The recipe sets the strengths. All randomness comes from the generator passed in: an equal state gives an equal batch.
"""

from torch import Generator

from handigit.augment.degradations import apply_degradations, erase
from handigit.augment.geometry import change_stroke, warp
from handigit.augment.random import Glyphs
from handigit.recipe import Recipe


def augment(glyphs: Glyphs, recipe: Recipe, generator: Generator) -> Glyphs:
    """Glyphs as other hands and pens could have made them, some of them degraded; ink bright, values in 0..1."""
    return degrade(reshape(glyphs, recipe, generator), recipe, generator)


def reshape(glyphs: Glyphs, recipe: Recipe, generator: Generator) -> Glyphs:
    """The first half of `augment`: the same digits by other hands and pens, as clean as before."""
    if recipe.stroke:
        glyphs = change_stroke(glyphs, recipe.stroke, generator)
    if recipe.rotation_degrees or recipe.shear or recipe.scale or recipe.shift_px or recipe.elastic_px:
        glyphs = warp(glyphs, recipe, generator)
    return glyphs


def degrade(glyphs: Glyphs, recipe: Recipe, generator: Generator) -> Glyphs:
    """The second half of `augment`: parts erased, and whole glyphs degraded."""
    if recipe.erase:
        glyphs = erase(glyphs, recipe.erase, generator)
    if recipe.disturb:
        glyphs = apply_degradations(glyphs, recipe.disturb, generator)
    return glyphs


__all__ = ["apply_degradations", "augment", "change_stroke", "degrade", "erase", "reshape", "warp"]
