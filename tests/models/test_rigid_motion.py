"""Augmented images: whole pixels and right angles exactly, a full law of shifts, and nothing else touched."""

import math

import numpy as np
import pytest
import torch
from scipy import stats

import models
from models.rigid_motion import moved
from models.streams import seeded

ALPHA = 1e-6  # the false-alarm rate of every statistical test here
IMAGES = torch.rand(6, 9, 9, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
NOTHING, STILL = torch.zeros(6), torch.zeros(6, 2)


def test_whole_pixels_move_exactly_and_the_border_goes_on() -> None:
    right_and_down = torch.tensor([[2.0, 1.0]]).expand(6, 2)
    new = moved(IMAGES, right_and_down, NOTHING)
    assert torch.allclose(new[:, 1:, 2:], IMAGES[:, :-1, :-2], rtol=0, atol=1e-12)
    assert torch.allclose(new[:, 0, 2:], IMAGES[:, 0, :-2], rtol=0, atol=1e-12)
    assert torch.allclose(new[:, 1:, 0], IMAGES[:, :-1, 0], rtol=0, atol=1e-12)


def test_right_angles_turn_exactly() -> None:
    for turns in range(4):
        new = moved(IMAGES, STILL, torch.full((6,), turns * math.pi / 2, dtype=torch.float64))
        assert np.allclose(new, np.rot90(IMAGES, -turns, (1, 2)), rtol=0, atol=1e-9)  # clockwise as one looks at it


def test_a_long_image_turns_without_being_stretched() -> None:
    image = torch.zeros(1, 9, 21, dtype=torch.float64)
    image[0, 4, 10 + 3] = 1.0  # three pixels right of the centre
    new = moved(image, torch.zeros(1, 2), torch.tensor([math.pi / 2], dtype=torch.float64))
    assert new[0, 4 + 3, 10].item() == pytest.approx(1.0, abs=1e-9)  # three below


def test_colours_move_together_and_grey_levels_become_floats() -> None:
    colours = torch.stack([IMAGES, 2 * IMAGES], 1)
    with seeded(1):
        new = models.RigidMotion(1.5, 30.0)(colours)
    assert torch.allclose(new[:, 1], 2 * new[:, 0])
    assert not torch.allclose(new[:, 0], IMAGES)
    grey = (255 * IMAGES).to(torch.uint8)
    assert torch.allclose(moved(grey, STILL, NOTHING), grey.float(), rtol=0, atol=1e-3)


def test_shifts_are_uniform() -> None:
    """The column of an image that is its own abscissa, in its middle, shows by how much it was shifted."""
    ramp = torch.arange(21.0).expand(21, 21).expand(5000, 21, 21)
    with seeded(2):
        (new, labels) = models.RigidMotion(shift=3.0, angle=0.0)((ramp, torch.arange(5000)))
    shift = (10.0 - new[:, 10, 10]).numpy()
    assert stats.kstest(shift, stats.uniform(-3.0, 6.0).cdf).pvalue > ALPHA
    assert torch.equal(labels, torch.arange(5000))


def test_other_shapes_are_refused() -> None:
    with pytest.raises(ValueError, match=r"images must have shape \(n, \[channels,\] height, width\), got \(5, 4\)"):
        models.RigidMotion()(torch.zeros(5, 4))
