"""Augmentation: reproducible, bounded, and as strong as the recipe says."""

import pytest
import torch
import torch.nn.functional as F  # noqa: N812
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Generator

from handigit.augment import apply_degradations, augment, change_stroke, degrade, erase, reshape, warp
from handigit.augment.degradations import DEGRADATIONS
from handigit.augment.geometry import affine_matrices
from handigit.recipe import Recipe

STRONG = Recipe(rotation_degrees=20, shear=0.3, scale=0.2, shift_px=3, elastic_px=1.5, stroke=0.5, erase=0.5)


def bar(count: int = 8) -> torch.Tensor:
    """Upright strokes, three pixels wide."""
    glyphs = torch.zeros(count, 1, 28, 28)
    glyphs[:, :, 4:24, 13:16] = 1.0
    return glyphs


def seeded(seed: int = 0) -> Generator:
    return Generator().manual_seed(seed)


@given(st.integers(0, 2**31))
@settings(max_examples=20)
def test_the_same_generator_gives_the_same_batch_within_0_and_1(seed: int) -> None:
    first, second = (augment(bar(), STRONG, seeded(seed)) for _ in range(2))
    assert torch.equal(first, second)
    assert first.min() >= 0
    assert first.max() <= 1 + 1e-6


def test_a_recipe_without_augmentation_changes_nothing() -> None:
    assert torch.equal(augment(bar(), Recipe(), seeded()), bar())


def test_warping_without_strength_is_the_identity() -> None:
    assert torch.allclose(warp(bar(), Recipe(), seeded()), bar(), atol=1e-5)


def test_a_shift_moves_the_ink_no_further_than_its_limit() -> None:
    moved = warp(bar(64), Recipe(shift_px=2), seeded())
    columns = (moved.sum((1, 2)) * torch.arange(28)).sum(1) / moved.sum((1, 2, 3))
    assert (columns - 14).abs().max() <= 2.01
    assert (columns - 14).abs().max() > 1


def test_matrices_agree_with_torchs_own_grid() -> None:
    matrices = affine_matrices(1, STRONG, seeded())
    grid = F.affine_grid(matrices, [1, 1, 28, 28], align_corners=False)
    expected = F.grid_sample(bar(1), grid, align_corners=False)
    got = warp(bar(1), STRONG.replace(elastic_px=0.0), seeded())
    assert torch.allclose(got, expected, atol=1e-4)


def test_strokes_become_thicker_and_thinner_and_never_vanish() -> None:
    ink = change_stroke(bar(200), 1.0, seeded()).sum((1, 2, 3)) / bar(1).sum()
    assert ink.max() > 1.3
    assert 0.3 < ink.min() < 0.9


@pytest.mark.parametrize("fraction", [0.0, 0.5, 1.0])
def test_erasing_affects_the_given_fraction(fraction: float) -> None:
    full = torch.ones(200, 1, 28, 28)
    holes = (erase(full, fraction, seeded()) == 0).flatten(1).sum(1)
    assert abs((holes > 0).float().mean().item() - fraction) < 0.12
    assert holes.max() <= 64


def test_far_glyphs_are_moved_further() -> None:
    near, far = (affine_matrices(500, Recipe(shift_px=2, far=p), seeded())[:, :, 2].abs().max() for p in (0, 1))
    assert near <= 2 * 2 / 28
    assert far > 2 * near


@pytest.mark.parametrize("change", DEGRADATIONS, ids=lambda change: change.__name__)
def test_every_degradation_changes_the_glyph_and_leaves_its_ink_visible(change) -> None:
    changed = change(bar(40), seeded()).clamp(0, 1)
    assert changed.shape == (40, 1, 28, 28)
    assert torch.isfinite(changed).all()
    if change.__name__ != "binary":  # which leaves ink that is full already
        assert (changed - bar(40)).abs().mean() > 0.005
    # Contrast in either polarity: the stroke differs from the paper beside it.
    stroke, beside = changed[:, 0, 6:22, 13:16], changed[:, 0, 6:22, 18:24]
    assert ((stroke.mean((1, 2)) - beside.mean((1, 2))).abs() > 0.02).float().mean() > 0.7  # a band may end beside it


def test_only_the_given_fraction_is_degraded() -> None:
    changed = (apply_degradations(bar(1000), 0.3, seeded()) != bar(1000)).any(3).any(2).any(1)
    assert 0.2 < changed.float().mean() < 0.35
    assert torch.equal(apply_degradations(bar(), 0.0, seeded()), bar())


def test_augment_is_reshape_then_degrade() -> None:
    recipe = STRONG.replace(disturb=0.5)
    whole, halves = seeded(), seeded()
    assert torch.equal(augment(bar(), recipe, whole), degrade(reshape(bar(), recipe, halves), recipe, halves))
