"""The Frechet distance of two Gaussians, and that of two sets of images through features of a classifier.

    d^2 = |m_1 - m_2|^2 + tr(C_1 + C_2 - 2 (C_1 C_2)^(1/2))

This is W_2^2 of two Gaussians (Dowson and Landau 1982). Heusel et al. (2017) fit Gaussians to 2,048 features of a large
network that was trained on photographs, and call it FID. Here the features are those of a classifier of the user's own,
such as the last hidden layer of a small one that reads digits: numbers through different classifiers cannot be compared
with each other, and none of them with a published FID. It sees what the classifier sees, and two moments of that.
"""

from collections.abc import Callable
from typing import Any

import numpy as np

from models.metrics.samples import as_rows


def frechet_distance(x: Any, y: Any, features: Callable[[Any], Any]) -> float:
    """Return d^2 of the features of x (n, *shape) and y (m, *shape), in their squared unit.

    Few samples make it too large: of two sets of n samples of one law, with k independent features of unit variance, it
    is k (k + 5) / 2n in the mean. So compare only numbers of equally many samples, and with that of two sets of data.

    Args:
        x, y: images.
        features: of a classifier, images (n, *shape) -> an array or tensor (n, k).

    Raises:
        ValueError: features do not fit, or there are not more samples than features.
    """
    moments = []
    for images, name in ((x, "x"), (y, "y")):
        values = features(images)
        rows = as_rows(values.detach().cpu().numpy() if hasattr(values, "detach") else values, f"features of {name}", 2)
        if len(rows) <= rows.shape[1]:
            raise ValueError(f"{name} must hold more samples than there are features, {rows.shape[1]}, got {len(rows)}")
        moments += [rows.mean(0), np.cov(rows.T).reshape(rows.shape[1], -1)]
    return frechet(*moments)


def frechet(mean_1: Any, covariance_1: Any, mean_2: Any, covariance_2: Any) -> float:
    """Return d^2 of two Gaussians of means (k,) and covariances (k, k).

    Example:
        >>> frechet([0.0], [[1.0]], [3.0], [[4.0]])  # 3^2 + (2 - 1)^2
        10.0
    """
    m_1, m_2 = np.asarray(mean_1, float), np.asarray(mean_2, float)
    C_1, C_2 = np.asarray(covariance_1, float), np.asarray(covariance_2, float)
    values, vectors = np.linalg.eigh(C_1)
    root = vectors * np.sqrt(np.maximum(values, 0.0)) @ vectors.T  # rounding may make a zero negative
    # The eigenvalues of C_1 C_2 are those of the symmetric root C_2 root.
    shared = np.sqrt(np.maximum(np.linalg.eigvalsh(root @ C_2 @ root), 0.0)).sum()
    return float(np.square(m_1 - m_2).sum() + np.trace(C_1) + np.trace(C_2) - 2.0 * shared)
