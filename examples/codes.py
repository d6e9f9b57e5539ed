"""What examples of codes of images need: bits of grey levels, rows of images, and how many nats a code tells."""

from pathlib import Path
from typing import Any

import numpy as np
import report

from models import datasets
from models.latent import Codes


def binarised(grey: np.ndarray, method: Any, seed: int = 0) -> np.ndarray:
    """Return bits of grey levels, in single precision."""
    return datasets.binarise(grey, method, seed).astype(np.float32)


def rates(codes: Codes) -> np.ndarray:
    """Return KL(q || p) of each code, (n,), in nats."""
    return 0.5 * (codes.mean**2 + codes.sigma**2 - 1.0 - 2.0 * np.log(codes.sigma)).sum(1)


def tiles(images: Any, columns: int) -> np.ndarray:
    """Return images (rows * columns, 28, 28) side by side, with a line between them."""
    padded = np.pad(np.reshape(images, (-1, columns, 28, 28)), ((0, 0), (0, 0), (1, 1), (1, 1)), constant_values=np.nan)
    return padded.transpose(0, 2, 1, 3).reshape(-1, 30 * columns)


def draw_images(panels: dict[str, Any], labels: list[str], columns: int, path: Path) -> None:
    """Draw panels side by side of rows of images, each row with a label."""
    width = 10.4  # more pixels would make files larger, not pictures better
    picture, axes = report.figure(1, len(panels), width, 0.9 * width / len(panels) / columns * len(labels) + 0.7)
    for panel, (title, images) in zip(axes[0], panels.items(), strict=True):
        panel.imshow(tiles(images, columns), cmap="gray_r", vmin=0, vmax=1)
        panel.set(title=title, xticks=[], yticks=[])
        panel.spines[:].set_visible(False)
    axes[0, 0].set_yticks(15 + 30 * np.arange(len(labels)), labels)
    axes[0, 0].tick_params(length=0)
    report.save(picture, path)
