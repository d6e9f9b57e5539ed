"""Augmentation: images turned and shifted a little, other ways each time they are seen.

A point p of the new image, in pixels from its centre, shows the old one at R(angle) p - shift: what was there is
shifted, then turned about the centre. Between pixels it is interpolated linearly along both axes; beyond the border it
is as at the border. Whole numbers of pixels move exactly.
"""

import math
from dataclasses import dataclass
from typing import Any

import torch
from torch.nn.functional import affine_grid, grid_sample

from samplers import protocols


@dataclass(frozen=True)
class RigidMotion:
    """Random shifts and rotations of a batch, to be given to `models.fit` as `augment`.

    Args:
        shift: largest shift along each axis, in pixels; uniform from -shift to shift.
        angle: largest rotation about the centre, in degrees; uniform from -angle to angle.

    Raises:
        ValueError: an argument is negative or not finite.

    Example:
        >>> images, labels = torch.rand(5, 28, 28), torch.arange(5)
        >>> moved_images, same_labels = RigidMotion(shift=2, angle=10)((images, labels))
        >>> moved_images.shape, same_labels.tolist()
        (torch.Size([5, 28, 28]), [0, 1, 2, 3, 4])
    """

    shift: float = 2.0
    angle: float = 10.0

    def __post_init__(self) -> None:
        protocols.check_positive(self.shift, "shift", zero=True)
        protocols.check_positive(self.angle, "angle", zero=True)

    def __call__(self, batch: Any) -> Any:
        """Return the batch, images or a tuple that begins with images, moved by torch's global generator."""
        images = batch[0] if isinstance(batch, tuple) else batch
        turns = torch.rand(len(images), 3, device=images.device) * 2.0 - 1.0
        new = moved(images, self.shift * turns[:, :2], math.radians(self.angle) * turns[:, 2])
        return (new, *batch[1:]) if isinstance(batch, tuple) else new


def moved(images: torch.Tensor, shift: torch.Tensor, angle: torch.Tensor) -> torch.Tensor:
    """Return images (n, [channels,] height, width) moved by shifts (n, 2), right and down in pixels, and angles (n,).

    Args:
        images: of a floating type, or integers, which become floats.
        shift: of each image, in pixels.
        angle: of each image, clockwise, in radians.

    Raises:
        ValueError: the images have no rows and columns.
    """
    if images.ndim not in (3, 4):
        raise ValueError(f"images must have shape (n, [channels,] height, width), got {tuple(images.shape)}")
    images = images if images.is_floating_point() else images.float()
    stack = images if images.ndim == 4 else images[:, None]
    half = torch.tensor([stack.shape[-1] / 2, stack.shape[-2] / 2], dtype=images.dtype, device=images.device)
    c, s = angle.to(images.dtype).cos(), angle.to(images.dtype).sin()
    turn = torch.stack([torch.stack([c, s], 1), torch.stack([-s, c], 1)], 1)  # (n, 2, 2), from new to old places
    # affine_grid measures places in halves of the sides.
    theta = torch.cat([turn * half / half[:, None], -(shift.to(images.dtype) / half)[:, :, None]], 2)
    grid = affine_grid(theta, list(stack.shape), align_corners=False)
    return grid_sample(stack, grid, padding_mode="border", align_corners=False).reshape(images.shape)
