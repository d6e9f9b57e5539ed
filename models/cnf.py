"""Continuous normalising flow: noise is carried to data by a velocity field, and every density is exact.

    dy/dt = v(t, y),      y(0) = z ~ N(0, 1),      x = mean + width y(1)

    ln p(x) = ln N(z; 0, 1) - integral_0^1 div v(t, y(t)) dt - sum ln width

The field is learned by the likelihood itself (FFJORD, Grathwohl et al. 2019), which solves the equation at each step of
learning, or by conditional flow matching (Lipman et al. 2023), which solves nothing. All logarithms are in nats, of
densities in the unit of x.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch.func import functional_call

from ebm import TorchEnergy
from ebm.energy import check_shape, finite_array
from ebm.networks import check_sizes, sites
from models.batches import as_tensors, check_shape_of
from models.decoders import standard_normal
from models.flow_matching import COUPLINGS, matching_loss
from models.model import Model
from models.ode import Velocity, times_needed, transport, transport_with_volume
from models.streams import seeded
from models.velocity import VelocityField
from samplers import protocols

OBJECTIVES = ("flow_matching", "likelihood")
TRACES = ("exact", "hutchinson")
TRAINING_TOLERANCE = 1e-4  # of solves in a loss
ROWS = 20_000  # solved at once
PILOTS = 500  # samples that choose the steps of an energy


class CNF(Model):
    """A continuous normalising flow whose velocity field is a fully connected network.

    In training its loss is that of the objective; in evaluation it is -ln p, whatever the objective, so that
    `models.fit(..., validation=..., patience=...)` chooses the epoch by likelihood. A field that learns from few points
    follows them too closely: noise of about half their best kernel width in each batch (`augment`) makes that less.

    Args:
        shape: shape of one configuration.
        hidden: units of the hidden layers of the field; () without frequencies is a linear field, and a Gaussian law.
        frequencies: k of the inputs cos j y_i and sin j y_i, j = 1 to k, beside y_i, which let the field be sharp; 0:
            none, of time neither.
        objective: "flow_matching" or "likelihood".
        coupling: of noise and data in flow matching, "independent" or "optimal" within a batch.
        trace: "exact", or "hutchinson" for an unbiased estimate that takes one derivative instead of one a coordinate.
        mean: of the data, a number or an array of the shape; flows begin best near a standard normal law.
        width: standard deviation of the data, a number or an array of the shape, positive.
        tolerance: of a step of a solve, absolute and relative, outside training.
        seed: seed of the weights.

    Raises:
        ValueError: an argument is out of range.

    Example:
        >>> cnf = CNF((2,), hidden=(16,), seed=0)
        >>> x = cnf.sample(3, seed=1)
        >>> bool(np.allclose(cnf.from_noise(cnf.to_noise(x)), x, rtol=0, atol=1e-5))
        True
    """

    def __init__(
        self, shape: Any, *, hidden: Sequence[int] = (128, 128, 128), frequencies: int = 8,
        objective: str = "flow_matching", coupling: str = "optimal", trace: str = "exact",
        mean: Any = 0.0, width: Any = 1.0, tolerance: float = 1e-7, seed: int | None = None,
    ) -> None:  # fmt: skip
        shape, hidden = check_shape(shape), check_sizes(hidden, "hidden") if len(hidden) else ()
        for value, name, choices in (
            (objective, "objective", OBJECTIVES), (coupling, "coupling", COUPLINGS), (trace, "trace", TRACES),
        ):  # fmt: skip
            if value not in choices:
                raise ValueError(f"{name} must be {' or '.join(map(repr, choices))}, got {value!r}")
        protocols.check_positive(frequencies, "frequencies", integer=True, zero=True)
        protocols.check_positive(tolerance, "tolerance")
        mean, width = _of_shape(mean, "mean", shape), _of_shape(width, "width", shape)
        if not (width > 0).all():
            raise ValueError(f"width must be positive, got {width.min():g}")
        super().__init__({
            "shape": shape, "hidden": hidden, "frequencies": frequencies, "objective": objective, "coupling": coupling,
            "trace": trace, "mean": mean.tolist(), "width": width.tolist(), "tolerance": tolerance,
        })  # fmt: skip
        self.shape, self.objective, self.coupling = shape, objective, coupling
        self.trace, self.tolerance = trace, tolerance
        self.register_buffer("mean", torch.tensor(mean.ravel(), dtype=torch.float32))
        self.register_buffer("width", torch.tensor(width.ravel(), dtype=torch.float32))
        with seeded(seed):
            self.velocity = VelocityField(sites(shape), hidden, frequencies)

    def check(self, data: Any) -> None:
        """Raise unless these are configurations of the right shape."""
        check_shape_of(data, self.shape)

    def loss(self, batch: torch.Tensor) -> torch.Tensor:
        """Return the mean loss of a batch (n, *shape): in training that of the objective, in evaluation -ln p."""
        if self.training and self.objective == "flow_matching":
            return matching_loss(self.velocity, self._standardised(batch), self.coupling)
        return -self._log_density(batch, self.velocity, TRAINING_TOLERANCE, self._signs(batch)).mean()

    def log_prob(self, x: Any, seed: int | None = None) -> np.ndarray:
        """Return ln p(x), (n,), of configurations (n, *shape); with trace="hutchinson" an unbiased estimate of it.

        Args:
            x: configurations (n, *shape).
            seed: of the signs of the estimate; the exact trace has none.

        Raises:
            ValueError: x does not fit.
            ArithmeticError: the equation cannot be solved to the tolerance.
        """
        rows = self._configurations(x)
        with seeded(seed), torch.no_grad():
            parts = [
                self._log_density(part, self._precise(), self.tolerance, self._signs(part)) for part in rows.split(ROWS)
            ]
        return torch.cat(parts).cpu().numpy()

    def to_noise(self, x: Any) -> np.ndarray:
        """Return the noise z (n, *shape) that is carried to configurations x (n, *shape)."""
        return self._carried(self._standardised(self._configurations(x)), 1.0, 0.0)

    def from_noise(self, z: Any) -> np.ndarray:
        """Return the configurations x (n, *shape) to which noise z (n, *shape) is carried."""
        y = self._carried(self._configurations(z, "z").flatten(1), 0.0, 1.0)
        mean, width = (value.double().cpu().numpy().reshape(self.shape) for value in (self.mean, self.width))
        return mean + width * y

    def sample(self, n: int, seed: int | None = None) -> np.ndarray:
        """Return n independent configurations, (n, *shape)."""
        protocols.check_positive(n, "n", integer=True)
        with seeded(seed):
            return self.from_noise(torch.randn(n, *self.shape, dtype=torch.float64))

    def as_energy(self, tolerance: float | None = None) -> TorchEnergy:
        """Return E(x) = -ln p(x), by the exact trace; ln Z at beta = 1 is zero but for the errors of the steps.

        The steps are those that 500 samples of the model need now, and then the same for all x: the energy of a
        configuration is smooth and does not depend on the others in its batch.

        Args:
            tolerance: of a step, if not the model's; 1e-4 makes chains about twice as fast.
        """
        if tolerance is not None:
            protocols.check_positive(tolerance, "tolerance")
        y = self._standardised(self._configurations(self.sample(PILOTS, 0)))
        times = times_needed(self._precise(), y, 1.0, 0.0, tolerance or self.tolerance)

        def energy(x: torch.Tensor) -> torch.Tensor:
            z, growth = transport_with_volume(
                self._precise(), self._standardised(x.double()), 1.0, 0.0, 1.0, None, times
            )
            return self.width.log().sum() - standard_normal(z) - growth

        return TorchEnergy(energy, shape=self.shape, device=self.device)

    def _log_density(
        self, x: torch.Tensor, velocity: Velocity, tolerance: float, signs: torch.Tensor | None
    ) -> torch.Tensor:
        """Return ln p(x), (n,), of configurations (n, *shape)."""
        z, growth = transport_with_volume(velocity, self._standardised(x), 1.0, 0.0, tolerance, signs)
        return standard_normal(z) + growth - self.width.log().sum()

    @torch.no_grad()
    def _carried(self, y: torch.Tensor, start: float, end: float) -> np.ndarray:
        """Return y(end), (n, *shape), of y(start) = y (n, d)."""
        parts = [transport(self._precise(), part, start, end, self.tolerance) for part in y.split(ROWS)]
        return torch.cat(parts).reshape(-1, *self.shape).cpu().numpy()

    def _precise(self) -> Velocity:
        """Return the field in double precision: single precision has too few digits for a small tolerance."""
        parameters = {name: p.detach().double() for name, p in self.velocity.named_parameters()}
        return lambda t, y: functional_call(self.velocity, parameters, (t, y))

    def _standardised(self, x: torch.Tensor) -> torch.Tensor:
        """Return y(1), (n, d), of configurations x (n, *shape)."""
        return (x.flatten(1) - self.mean) / self.width

    def _signs(self, x: torch.Tensor) -> torch.Tensor | None:
        """Return new random signs (n, d), or None for the exact trace."""
        if self.trace == "exact":
            return None
        return 2.0 * torch.randint(0, 2, (len(x), sites(self.shape)), device=x.device).to(x.dtype) - 1.0

    def _configurations(self, x: Any, name: str = "x") -> torch.Tensor:
        (tensor,) = as_tensors(x, torch.float64, name)
        check_shape_of(tensor, self.shape, name)
        return tensor.to(self.device, torch.float64)


def _of_shape(value: Any, name: str, shape: tuple[int, ...]) -> np.ndarray:
    """Return a number, or an array of this shape, as such an array."""
    return finite_array(np.full(shape, value, float) if np.ndim(value) == 0 else value, name, shape)
