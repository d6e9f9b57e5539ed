"""Transport along a velocity field, by torchdiffeq's adaptive Runge-Kutta method of order 5 (Dormand and Prince 1980).

    dy/dt = v(t, y),        d/dt ln p(y(t)) = -div v = -tr dv/dy

The second is the instantaneous change of variables (Chen et al. 2018). The trace is exact, by one derivative for each
coordinate, or Hutchinson's estimate e . (dv/dy) e with random signs e, which is unbiased over e and costs one in all
(Grathwohl et al. 2019); e stays fixed during a solve, so that the right-hand side is smooth in time.
"""

from collections.abc import Callable, Sequence

import torch
from torchdiffeq import odeint

Velocity = Callable[[torch.Tensor, torch.Tensor], torch.Tensor]  # (t, y (n, d)) -> (n, d)

FIRST_STEP = 0.05  # given, since the solver's own choice would depend on y and put itself into the gradient
ANY_ERROR = 1e30  # a tolerance at which every step is accepted


def transport(
    velocity: Velocity, y: torch.Tensor, start: float, end: float, tolerance: float, times: Sequence[float] = ()
) -> torch.Tensor:
    """Return y(end) of points y(start) = y (n, d); its gradient is that of the steps that were taken.

    Args:
        velocity: v(t, y), t a tensor of one number.
        y: points, (n, d), in the precision of the solve.
        start: time of y.
        end: time wanted, before or after it.
        tolerance: of the error of a step, absolute and relative, in the worst of the points.
        times: at which the steps end, instead of a tolerance: each point then moves as it would without the others.

    Raises:
        ArithmeticError: the field is not finite, or too steep for this tolerance.

    Example:
        >>> y = transport(lambda t, y: -y, torch.ones(1, 1, dtype=torch.float64), 0.0, 1.0, 1e-8)
        >>> round(y.item(), 6)  # 1/e
        0.367879
    """
    allowed, first = (ANY_ERROR, abs(end - start)) if times else (tolerance, FIRST_STEP)
    ends = torch.tensor([start, end], dtype=torch.float64, device=y.device)
    stops = torch.tensor(times or [end], dtype=torch.float64)  # at the end, too: nothing is interpolated
    options = {"norm": _worst, "first_step": first, "step_t": stops}
    try:
        return odeint(velocity, y, ends, rtol=allowed, atol=allowed, method="dopri5", options=options)[-1]
    except AssertionError as error:  # that of a step too small, or of a state that is not finite
        reason = str(error).split(" in values")[0].splitlines()[0]
        how = "in the steps given" if times else f"to a tolerance of {tolerance:g}"
        raise ArithmeticError(f"the flow could not be solved {how}: {reason}") from error


def transport_with_volume(
    velocity: Velocity, y: torch.Tensor, start: float, end: float, tolerance: float,
    signs: torch.Tensor | None = None, times: Sequence[float] = (),
) -> tuple[torch.Tensor, torch.Tensor]:  # fmt: skip
    """Return y(end) and the integral of div v from start to end, (n,): the logarithm of how volumes have grown.

    Args:
        signs: random signs (n, d) of Hutchinson's estimate; None: the exact trace.

    The other arguments and errors are those of `transport`.

    Example:
        >>> _, growth = transport_with_volume(lambda t, y: -y, torch.ones(1, 3), 0.0, 1.0, 1e-6)
        >>> round(growth.item(), 4)
        -3.0
    """
    state = torch.cat((y, torch.zeros_like(y[:, :1])), 1)
    state = transport(_with_volume(velocity, signs), state, start, end, tolerance, times)
    return state[:, :-1], state[:, -1]


def times_needed(velocity: Velocity, y: torch.Tensor, start: float, end: float, tolerance: float) -> list[float]:
    """Return the times at which the steps end of a solve with volume from y (n, d) at this tolerance."""
    times: list[float] = []
    both = _with_volume(velocity, None)
    both.callback_accept_step = lambda t, y, step: times.append(float(t))  # type: ignore[attr-defined]
    state = torch.cat((y, torch.zeros_like(y[:, :1])), 1)
    with torch.no_grad():
        transport(both, state, start, end, tolerance)
    return [*times[1:], end]


def _with_volume(velocity: Velocity, signs: torch.Tensor | None) -> Velocity:
    """Return the velocity of states (n, d + 1): a point and the logarithm of its volume."""

    def both(t: torch.Tensor, state: torch.Tensor) -> torch.Tensor:
        v, trace = divergence(velocity, t, state[:, :-1], signs)
        return torch.cat((v, trace[:, None]), 1)

    return both


def divergence(
    velocity: Velocity, t: torch.Tensor, y: torch.Tensor, signs: torch.Tensor | None = None
) -> tuple[torch.Tensor, torch.Tensor]:
    """Return v (n, d) and its divergence (n,), exact or estimated by signs (n, d), with a graph if gradients are on."""
    graph = torch.is_grad_enabled()
    with torch.enable_grad():
        y = y if graph and y.requires_grad else y.detach().requires_grad_(True)
        v = velocity(t, y)
        if signs is not None:
            (pulled,) = torch.autograd.grad(v, y, signs, create_graph=graph)
            trace = (pulled * signs).sum(1)
        else:
            trace = torch.zeros_like(v[:, 0])
            for i in range(y.shape[1]):
                last = not graph and i == y.shape[1] - 1
                trace = (
                    trace + torch.autograd.grad(v[:, i].sum(), y, create_graph=graph, retain_graph=not last)[0][:, i]
                )
    return (v, trace) if graph else (v.detach(), trace.detach())


def _worst(error: torch.Tensor) -> torch.Tensor:
    """Return the root mean square of the errors of one point, the largest of all: no point hides among the others."""
    return error.flatten(1).square().mean(1).max().sqrt()
