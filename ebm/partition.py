"""ln Z of an energy, exactly or bracketed from both sides, by any of five methods."""

import warnings
from typing import Any

import numpy as np

import samplers
from ebm import tempered
from ebm.ais import anneal, effective_sample_size, log_mean_exp
from ebm.annealing_paths import Path, path_of
from ebm.bar import bar
from ebm.bracket import SIGMAS, LogZ, LogZWarning, bracket_complaints
from ebm.known_log_z import known_log_z
from samplers import protocols, random

LADDERS = ("ti", "bar", "mbar")
METHODS = ("exact", "ais", *LADDERS)
# What is for one way only: an argument that the method would not use is refused.
OF_ANNEALING = ("steps", "data", "starts")
OF_LADDERS = ("rungs", "draws", "warmup", "thin", "run")  # all others are for both
FEW = 0.02  # effective sample size, as a share of the chains, below which weights have collapsed
GROUP = 10  # chains whose weights are averaged into one stochastic bound
LEAST_OVERLAP = 0.05  # of neighbouring rungs, 1 being the same law
LEAST_DRAWS = 100  # effective, of a ladder


def log_z(
    energy: Any,
    method: str = "exact",
    beta: float = 1.0,
    *,
    chains: int | None = None,
    steps: int | np.ndarray | None = None,
    data: np.ndarray | None = None,
    starts: np.ndarray | None = None,
    rungs: int | np.ndarray | None = None,
    draws: int | None = None,
    warmup: int | None = None,
    thin: int | None = None,
    run: Any = None,
    base: Any = None,
    sampler: samplers.Sampler | None = None,
    seed: int | None = None,
    progress: bool = True,
) -> LogZ:
    """Estimate ln Z(beta) = ln sum_x exp(-u(x, beta)), the sum an integral for continuous energies.

    "exact": a closed form, the sum over all states, or quadrature over one or two coordinates.
    "ais": annealed importance sampling (Neal 2001) forward and in reverse. The bounds are means over groups of ten
    chains of ln mean w forward, and of -ln mean 1 / w in reverse, which are low and high in the mean.
    "ti", "bar", "mbar": thermodynamic integration (Kirkwood 1935), Bennett's acceptance ratio (1976) between neighbours
    and the multistate one (Shirts and Chodera 2008) over a parallel-tempering ladder. The bounds are those of
    one-sided exponential averages between neighbours; the errors know autocorrelation and correlated rungs.

    Where no beta = 0 exists, as for real coordinates, the way starts at `base`, exp(-u_base) of known ln Z, and goes
    straight in the reduced energy.

    Args:
        energy: any energy; see "exact" for what that takes.
        method: "exact", "ais", "ti", "bar" or "mbar".
        beta: inverse temperature, positive.
        chains: of each of the two runs of "ais" (default 1000), or the number of ladders (default 8).
        steps: "ais": number of temperatures (default 1000; evenly spaced, for RBMs denser towards beta), or all of
            them: rising from 0 to 1, as shares of the way.
        data: "ais": configurations (n, n_visible) like those an RBM has learned; it then starts from their means.
        starts: "ais": equilibrium draws (n, *shape) at beta, n >= chains, for the reverse run, best those of a run of
            ParallelTempering. Without them it starts from the resampled ends of the forward run, and a mode that no
            forward chain has found is then missed by both sides.
        rungs: of a ladder: their number (default 12), or all of them, from 0 to 1 as shares of the way (a guess:
            warm-up moves the inner ones until all neighbours swap equally often).
        draws: of each ladder (default 2000).
        warmup: sweeps of each ladder before them (default 500).
        thin: sweeps a draw (default 1).
        run: what a ladder's method reads in place of a new run: one of ParallelTempering of this discrete energy, on a
            ladder that starts at 0 and holds beta; or `details["ladder"]` of another method's result.
        base: start of the way to a continuous energy: one with `log_z` and `sample`, such as `Gaussian`. None fits a
            normal law to a short run; angles start uniform.
        sampler: what moves the chains; None is Gibbs for discrete energies, HMC for continuous ones, and a random walk
            where there is no gradient.
        seed: non-negative integer; None takes one from the operating system and records it.
        progress: show a progress bar on a terminal.

    Returns:
        LogZ(value, error, lower, upper, method, details, complaints). Print it.

    Raises:
        ValueError, TypeError: an argument is out of range, or not used by the method (`seed` and `progress` may always
            be given), or the energy is unfit for the method.

    Warns:
        LogZWarning: what is in `complaints`: brackets disagree, weights have collapsed, chains are too short.

    Example:
        >>> import ebm
        >>> ring = ebm.Ising(8)
        >>> result = log_z(ring, "mbar", rungs=5, draws=500, seed=1, progress=False)
        >>> bool(abs(result.value - log_z(ring).value) < 5 * result.error)
        True
    """
    protocols.check_space(energy)
    protocols.check_positive(beta, "beta")
    if not protocols.has_energy(energy):
        raise TypeError(f"log_z needs an energy, got {protocols.name_of(energy)}, which has a gradient only")
    asked = {
        "chains": chains, "steps": steps, "data": data, "starts": starts, "rungs": rungs, "draws": draws,
        "warmup": warmup, "thin": thin, "run": run, "base": base, "sampler": sampler,
    }  # fmt: skip
    given = {name: value for name, value in asked.items() if value is not None}
    _check_given(method, given)
    if seed is not None:
        protocols.check_positive(seed, "seed", integer=True, zero=True)
    beta, entropy = float(beta), random.fresh_entropy() if seed is None else int(seed)
    if method == "exact":
        known = known_log_z(energy, beta)
        bounds = known.value - known.error, known.value + known.error
        return LogZ(known.value, known.error, *bounds, "exact", {"how": known.how})
    if method == "ais":
        result = _annealed(energy, beta, entropy, progress, **given)
    else:
        result = _tempered(energy, method, beta, entropy, progress, **given)
    for complaint in result.complaints:
        warnings.warn(complaint, LogZWarning, stacklevel=2)
    return result


def _check_given(method: str, given: dict[str, Any]) -> None:
    """Raise unless the method exists and uses every argument that was given, and there are at least two chains."""
    if method not in METHODS:
        raise ValueError(f"method must be one of {', '.join(METHODS)}, got {method!r}")
    users = {**dict.fromkeys(OF_ANNEALING, ("ais",)), **dict.fromkeys(OF_LADDERS, LADDERS)}
    for name in given:
        methods = users.get(name, METHODS[1:])
        if method not in methods:
            raise ValueError(f"{name} is for method {' or '.join(map(repr, methods))}, got it with {method!r}")
        if "run" in given and name != "run":
            raise ValueError(f"{name} is for a new run, got it with a run to be read")
    if "chains" in given:
        protocols.check_positive(given["chains"], "chains", integer=True)
        if given["chains"] < 2:
            raise ValueError(f"chains must be at least 2 for an error to be known, got {given['chains']}")


def shares_of(given: int | np.ndarray, name: str, path: Path | None = None) -> np.ndarray:
    """Return shares of the way rising from 0 to 1: as many steps as a path wants, as many rungs, or those given."""
    if np.ndim(given) == 0:
        protocols.check_positive(given, name, integer=True)
        if path is not None:
            return path.times(int(given))
        if given < 2:
            raise ValueError(f"{name} must be at least 2, got {given}")
        return np.linspace(0.0, 1.0, int(given))
    times = np.asarray(given, np.float64)
    if times.ndim != 1 or len(times) < 2 or times[0] != 0 or times[-1] != 1 or not (np.diff(times) > 0).all():
        raise ValueError(f"{name} must be a positive integer or rise from 0 to 1, got {given!r}")
    return times


# --- annealing --------------------------------------------------------------------------------------------------------


def _annealed(
    energy: Any, beta: float, entropy: int, progress: bool, *, chains: int = 1000, steps: int | np.ndarray = 1000,
    data: np.ndarray | None = None, starts: np.ndarray | None = None, base: Any = None,
    sampler: samplers.Sampler | None = None,
) -> LogZ:  # fmt: skip
    if starts is not None:
        starts = protocols.check_configurations(starts, energy, "starts")
        if len(starts) < chains:
            raise ValueError(f"starts must hold at least one configuration a chain ({chains}), got {len(starts)}")
        starts = starts.reshape(len(starts), -1)
    path = path_of(energy, beta, data, base, sampler, entropy)
    times = shares_of(steps, "steps", path)
    runs = anneal(path, times, int(chains), entropy, progress, starts)
    settings = {"chains": chains, "steps": len(times) - 1, "seed": entropy, "tempered_starts": starts is not None}
    return summary(runs.forward, runs.reverse, settings)


def summary(forward: np.ndarray, reverse: np.ndarray, settings: dict[str, Any]) -> LogZ:
    """Return what the log weights of both runs, (chains,) each, say of ln Z."""
    value, error = log_mean_exp(forward)
    reverse_value, reverse_error = log_mean_exp(-reverse)
    lower, lower_error = _bound(forward)
    upper, upper_error = _bound(-reverse)
    ess = effective_sample_size(forward)
    # Resampled starts are worth no more than the effective sample size of the weights that chose them.
    copies = 1.0 if settings.get("tempered_starts") else float(np.sqrt(max(1.0, len(reverse) / ess)))
    both = bar(-forward, -reverse)  # of the works; where weights 1 / w have no variance it still has an error
    details = {
        **settings,
        "lower_error": lower_error,
        "upper_error": upper_error * copies,
        "effective_sample_size": ess,
        "reverse_value": -reverse_value,
        "reverse_error": reverse_error * copies,
        "reverse_effective_sample_size": effective_sample_size(-reverse),
        "bar_value": both.value,
        "bar_error": float(np.hypot(both.first.std(), both.second.std() * copies) / np.sqrt(len(forward))),
    }
    result = LogZ(value, error, lower, -upper, "ais", details)
    return result._replace(complaints=tuple(_complaints(result)))


def _bound(log_weight: np.ndarray) -> tuple[float, float]:
    """Return the mean over groups of chains of ln mean w, a lower bound by Jensen's inequality, and its error.

    Averages of a few weights bound ln Z far closer than single weights do (Grosse, Ancha, Roy 2016), and several groups
    show the error.
    """
    groups = max(2, len(log_weight) // GROUP)
    # Neighbours may be copies of one start, hence every group takes chains from all over.
    logs = np.array([log_mean_exp(log_weight[g::groups])[0] for g in range(groups)])
    return float(logs.mean()), float(logs.std(ddof=1) / np.sqrt(groups))


def _complaints(result: LogZ) -> list[str]:
    d, out = result.details, []
    least = max(2.0, FEW * d["chains"])
    if min(d["effective_sample_size"], d["reverse_effective_sample_size"]) < least:
        out.append(
            f"the weights have collapsed: effectively {d['effective_sample_size']:.1f} forward and "
            f"{d['reverse_effective_sample_size']:.1f} reverse of {d['chains']}; ln Z is not to be trusted, more steps "
            "are needed"
        )
    gap, error = abs(result.value - d["bar_value"]), float(np.hypot(result.error, d["bar_error"]))
    if gap > SIGMAS * error:
        out.append(
            f"forward and reverse disagree: ln Z = {result.value:.3f} ± {result.error:.3f} forward, and "
            f"{d['bar_value']:.3f} ± {d['bar_error']:.3f} by both; more steps or chains are needed, or tempered chains "
            "as starts"
        )
    return out + bracket_complaints(result, "take more steps")


# --- ladders ----------------------------------------------------------------------------------------------------------


def _tempered(
    energy: Any, method: str, beta: float, entropy: int, progress: bool, *, chains: int = 8,
    rungs: int | np.ndarray = 12, draws: int = 2000, warmup: int = 500, thin: int = 1, run: Any = None,
    base: Any = None, sampler: samplers.Sampler | None = None,
) -> LogZ:  # fmt: skip
    if run is None:
        sizes = int(chains), draws, warmup, thin
        shares = shares_of(rungs, "rungs")
        ladder = tempered.run_ladder(energy, beta, shares, base, sampler, *sizes, entropy, progress)
    else:
        ladder = tempered.rungs_of(run, energy, beta)
    found = tempered.estimate(ladder, method)
    lower, upper = tempered.bounds(ladder)
    error, tau = tempered.error_of(found.series, ladder.run)
    details = {
        "lower_error": float(lower.std(ddof=1) / np.sqrt(len(lower))),
        "upper_error": float(upper.std(ddof=1) / np.sqrt(len(upper))),
        "statistical_error": error,
        "tau": tau,
        "effective_draws": found.series.size / tau,
        "overlap": float(tempered.overlaps(ladder).min()),
        "rungs": ladder.tempering.betas - (1.0 if energy.domain in protocols.CONTINUOUS else 0.0),
        "swap_rates": ladder.tempering.swap_rates,
        "seed": entropy if run is None else ladder.run.attributes.get("seed"),
        "ladder": ladder,
        **found.details,
    }
    error = float(np.hypot(error, found.details.get("integration_error", 0.0)))
    value = ladder.log_z_start + found.value
    result = LogZ(float(value), error, float(lower.mean()), float(upper.mean()), method, details)
    return result._replace(complaints=tuple(_ladder_complaints(result, ladder)))


def _ladder_complaints(result: LogZ, ladder: tempered.Rungs) -> list[str]:
    d, run = result.details, ladder.run
    out = list(ladder.tempering.report(run.shape[1] * int(run.attributes.get("thin", 1)))[1])
    if d["overlap"] < LEAST_OVERLAP:
        out.append(f"neighbouring rungs overlap by {d['overlap']:.3f} only: take more rungs")
    if not np.isfinite(result.error) or d["effective_draws"] < LEAST_DRAWS:
        out.append(
            f"the chains are short: {run.shape[0]} of {run.shape[1]} draws with tau = {d['tau']:.3g} draws, so that "
            "the error is not known well; take more draws or thin more"
        )
    if d.get("integration_error", 0.0) > 2.0 * d["statistical_error"]:
        out.append(
            f"the error of integration, {d['integration_error']:.2g}, is larger than the statistical one, "
            f"{d['statistical_error']:.2g}: take more rungs, or mbar"
        )
    return out + bracket_complaints(result, "take more rungs and draws")
