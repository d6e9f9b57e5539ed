"""An energy of rows of data whose SGLD is known in closed form: a well a row, all of one curvature."""

import numpy as np

from ebm.exact import batch_variance


class Rows:
    """E(x) = sum_i curvature (x_0 - y_i)^2 / 2 + prior x_0^2 / 2 + x_1^2 / 2; the rows y say nothing of x_1."""

    shape, domain = (2,), "real"

    def __init__(self, y: np.ndarray, curvature: float, prior: float) -> None:
        self.y, self.curvature, self.prior = y, curvature, prior
        self.n_data = len(y)
        self.stiffness = np.array([len(y) * curvature + prior, 1.0])
        self.mean = np.array([curvature * y.sum() / self.stiffness[0], 0.0])

    def __call__(self, x: np.ndarray) -> np.ndarray:
        return (
            0.5 * self.curvature * np.square(x[:, :1] - self.y).sum(1)
            + 0.5 * self.prior * x[:, 0] ** 2
            + 0.5 * x[:, 1] ** 2
        )

    def grad(self, x: np.ndarray, batch: np.ndarray | None = None) -> np.ndarray:
        y = self.y if batch is None else self.y[batch]
        slope = self.n_data * self.curvature * (x[:, 0] - y.mean(-1)) + self.prior * x[:, 0]
        return np.stack([slope, x[:, 1]], 1)

    def gradient_variance(self, batch_size: int) -> float:
        """The variance along x_0 of the gradient from a batch."""
        return batch_variance(self.curvature * self.y, batch_size)


ROWS = Rows(np.random.default_rng(4).gamma(2.0, 1.0, 23), curvature=0.3, prior=0.5)
