"""The summary as an aligned table of text."""

import math
from typing import TYPE_CHECKING

from samplers.diagnosis import Row

if TYPE_CHECKING:
    from samplers.summary import Summary

HEADER = ("", "mean", "sd", "MCSE", "tau (draws)", "ESS bulk", "ESS tail", "R-hat")
MOST_ACCEPTANCES = 8  # per chain; with more chains their range is shown


def table(summary: "Summary") -> str:
    """Lay a summary out as lines of text: the variables, the acceptance, the verdict."""
    lines = [HEADER, *((name, *_cells(row)) for name, row in summary.rows.items())]
    widths = [max(len(line[column]) for line in lines) for column in range(len(HEADER))]
    text = [f"{_count(summary.chains, 'chain')} of {_count(summary.draws, 'draw')}", ""]
    for name, *cells in lines:
        numbers = (cell.rjust(width) for cell, width in zip(cells, widths[1:], strict=True))
        text.append("  ".join((name.ljust(widths[0]), *numbers)))
    if summary.coordinates:
        text.append(summary.coordinates)
    text += ["", f"acceptance: {_acceptance(summary)}"]
    if summary.tempering:
        text.append(f"tempering: {summary.tempering}")
    text.append(f"verdict: {summary.verdict}")
    return "\n".join(text)


def _count(number: int, noun: str) -> str:
    return f"{number:,} {noun}{'s' * (number != 1)}"


def _cells(row: Row) -> tuple[str, ...]:
    """The cells of one variable, the mean to two digits of its error."""
    if math.isfinite(row.tau_error):
        tau = f"{row.tau:.3g} ± {row.tau_error:.2g}"
    else:
        tau = "-" if math.isnan(row.tau) else f"> {row.tau:.2g}"
    ess = [f"{size:,.0f}" if math.isfinite(size) else "-" for size in (row.ess_bulk, row.ess_tail)]
    r_hat = "-" if math.isnan(row.r_hat) else f"{row.r_hat:.3f}"
    return _mean(row), f"{row.sd:.3g}", "-" if math.isnan(row.mcse) else f"{row.mcse:.2g}", tau, *ess, r_hat


def _mean(row: Row) -> str:
    """The mean with as many digits as its error allows, and at least four."""
    if not row.mcse > 0.0 or row.mean == 0.0:
        return f"{row.mean:.4g}"
    digits = math.floor(math.log10(abs(row.mean))) - math.floor(math.log10(row.mcse)) + 2
    return f"{row.mean:.{min(max(digits, 4), 15)}g}"


def _acceptance(summary: "Summary") -> str:
    """The acceptance of each chain, or its range over many."""
    if len(summary.acceptance) <= MOST_ACCEPTANCES:
        return "  ".join(f"{value:.3f}" for value in summary.acceptance) + "  (by chain)"
    low, middle, high = summary.acceptance.min(), summary.acceptance.mean(), summary.acceptance.max()
    return f"{low:.3f} to {high:.3f}, mean {middle:.3f}"
