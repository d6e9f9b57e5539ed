"""An estimate of ln Z with its error and bracket, and what makes it one not to be trusted."""

from typing import Any, NamedTuple

import numpy as np

WIDE = 2.0  # nats between the bounds from which on a bracket is called wide
SIGMAS = 5.0  # standard errors by which two estimates must differ to disagree


class LogZWarning(RuntimeWarning):
    """An estimate of ln Z, or its error or bracket, is not to be trusted; the message says what to do."""


class LogZ(NamedTuple):
    """An estimate of ln Z in nats.

    Attributes:
        value: the estimate.
        error: its standard error; of a quadrature the error of that.
        lower: lower bound: stochastic, holding in the mean (see `log_z`); the value of what is exact.
        upper: upper bound, in the same sense.
        method: how it was found.
        details: standard errors of the bounds, effective sample sizes, settings.
        complaints: why it is not to be trusted, and what to do; empty if nothing was found.
    """

    value: float
    error: float
    lower: float
    upper: float
    method: str
    details: dict[str, Any]
    complaints: tuple[str, ...] = ()

    def __str__(self) -> str:
        line = f"ln Z = {self.value:.6g} ± {self.error:.2g} nats, between {self.lower:.6g} and {self.upper:.6g}"
        return "\n".join([f"{line} ({self.method})", *(f"  not to be trusted: {text}" for text in self.complaints)])


def bracket_complaints(result: LogZ, remedy: str) -> list[str]:
    """Return what is wrong with value and bounds; `details` has `lower_error` and `upper_error`."""
    d, out = result.details, []
    crossing = result.lower - result.upper
    if crossing > SIGMAS * float(np.hypot(d["lower_error"], d["upper_error"])):
        out.append(
            f"the bracket is inside out: its lower end, {result.lower:.3f} ± {d['lower_error']:.3f}, is above its "
            f"upper end, {result.upper:.3f} ± {d['upper_error']:.3f}, so that chains were not in equilibrium; {remedy}"
        )
    below = result.lower - result.value > SIGMAS * float(np.hypot(d["lower_error"], result.error))
    above = result.value - result.upper > SIGMAS * float(np.hypot(d["upper_error"], result.error))
    if (below or above) and not out:
        out.append(
            f"forward and reverse disagree: ln Z = {result.value:.3f} ± {result.error:.3f} lies outside its bracket, "
            f"{result.lower:.3f} to {result.upper:.3f}; {remedy}"
        )
    if result.upper - result.lower > WIDE:
        width = result.upper - result.lower
        out.append(
            f"the bracket is {width:.2f} nats wide, from {result.lower:.2f} to {result.upper:.2f}: {remedy} to make it "
            "narrower"
        )
    return out
