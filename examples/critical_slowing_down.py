"""Critical slowing down, and how it is beaten: Metropolis, clusters and tempering side by side.

At the critical temperature an L x L magnet forgets its past only after tau ~ L^z sweeps. Metropolis has z = 2.17
(Nightingale and Bloete 1996: 2.1665(12)); the clusters of Wolff and of Swendsen and Wang turn whole domains, with z of
a quarter or less. Wolff's clusters are counted in sweeps of the lattice: tau in clusters times their mean share of the
sites. tau = 1 + 2 sum rho of the squared magnetisation, for the cluster algorithms of its absolute value.

Where the Binder cumulants U = 1 - <m^4> / (3 <m^2>^2) of two sides cross is the critical temperature, but for
corrections that vanish with L. Temperatures in J / k_B, energies in J.

Parallel tempering does for barriers what clusters do for domains: replicas go round by high temperatures. Shown on a
double well of unequal depths and on spin glasses small enough that all their states can be counted.
"""

from itertools import combinations
from pathlib import Path

import numpy as np
import report
from scipy.integrate import quad

import ebm
import samplers
from ebm import exact

CRITICAL = exact.onsager_critical_temperature()
CRITICAL_CUMULANT = 0.61069  # of the periodic square lattice at T_c, L -> infinity (Salas and Sokal 2000)
EXPONENT = 2.1665  # of Metropolis, Nightingale and Bloete (1996)
SIDES = {
    "Metropolis": (16, 24, 32, 48, 64, 80),
    "Wolff": (16, 32, 64, 128, 256),
    "Swendsen-Wang": (16, 32, 64, 128, 256),
}
ALGORITHMS = {"Metropolis": samplers.Metropolis(), "Wolff": samplers.Wolff(), "Swendsen-Wang": samplers.SwendsenWang()}
CROSSING_SIDES, OFFSETS = (16, 32, 64), (-0.024, -0.016, -0.008, 0.0, 0.008, 0.016, 0.024)
DEGREE = 3  # of the polynomials in T through the cumulants: within the offsets (T - T_c) L reaches 1.5
BARRIER, TILT = 12.0, 0.8  # kT, of the double well and between its minima
GLASSES, GLASS_SIDE = 12, 4
PICTURES = {
    "slowing_down.png": "Left: autocorrelation times at T_c with fitted powers of L; a shaded band has the slope of "
    "theory. Right: Binder cumulants and cubics through them; they cross at T_c.",
    "tempering.png": "Left: a double well whose barrier is twelve times the temperature; alone, each chain stays where "
    "it began. Right: of twelve spin glasses the lowest energies that were found, against those counted.",
}


# --- dynamics at T_c --------------------------------------------------------------------------------------------------


def tau_of(name: str, l: int, draws: int, seed: int) -> tuple[float, float]:
    """Return the autocorrelation time in sweeps of an l x l lattice at T_c, and its error."""
    thin, chains = {"Metropolis": (max(1, int(0.03 * l**EXPONENT)), 32)}.get(name, (1, 8))
    warm = {"Metropolis": 30 * thin}.get(name, 200)
    run = samplers.sample(
        ebm.Ising((l, l)), ALGORITHMS[name], chains=chains, draws=draws * 8 // chains, warmup=warm, thin=thin,
        beta=1 / CRITICAL, init=np.ones((chains, l, l), np.int8), seed=seed,
        observables={"m": ebm.absolute_magnetisation}, keep_x=False, progress=False,
    )  # fmt: skip
    m = run.observables["m"]
    tau = samplers.integrated_autocorrelation_time(m**2 if name == "Metropolis" else m)
    unit = thin * (run.acceptance.mean() if name == "Wolff" else 1.0)  # Wolff's acceptance is the share of a cluster
    return tau.tau * unit, tau.error * unit


def power(sides: tuple[int, ...], taus: np.ndarray) -> tuple[np.ndarray, float]:
    """Return the fit ln tau = z ln L + constant to tau (sides, (value, error)), and the error of z."""
    weights = taus[:, 0] / taus[:, 1]
    fit, covariance = np.polyfit(np.log(sides), np.log(taus[:, 0]), 1, w=weights, cov="unscaled")
    return fit, float(np.sqrt(covariance[0, 0]))


def cumulants(l: int, draws: int, seed: int) -> np.ndarray:
    """Return the Binder cumulants (temperatures, (value, error)) around T_c by Wolff's clusters."""
    found = []
    for k, offset in enumerate(OFFSETS):
        run = samplers.sample(
            ebm.Ising((l, l)), samplers.Wolff(), chains=8, draws=draws, warmup=500, thin=4,
            beta=1 / (CRITICAL + offset), seed=seed + k, observables={"m": ebm.magnetisation}, keep_x=False,
            progress=False,
        )  # fmt: skip
        m = run.observables["m"]
        found.append(samplers.estimate(lambda m2, m4: 1.0 - m4 / (3.0 * m2 * m2), run, of=[m**2, m**4])[:2])
    return np.array(found)


def crossing(small: np.ndarray, large: np.ndarray) -> tuple[float, float]:
    """Return the temperature at which two cumulants (temperatures, (value, error)) cross, by a cubic through both."""
    difference, error = large[:, 0] - small[:, 0], np.hypot(large[:, 1], small[:, 1])
    fit, covariance = np.polyfit(OFFSETS, difference, DEGREE, w=1.0 / error, cov="unscaled")
    root = min(np.roots(fit), key=abs).real
    powers = root ** np.arange(DEGREE, -1, -1)
    return CRITICAL + root, float(np.sqrt(powers @ covariance @ powers) / abs(np.polyval(np.polyder(fit), root)))


# --- tempering --------------------------------------------------------------------------------------------------------


def tilted_well() -> ebm.Energy:
    """E(x) = BARRIER (x^2 - 1)^2 + TILT x / 2 in units of kT, the sum of a double well and of a wide valley."""
    width = 50.0  # the valley (x + shift)^2 / (2 width^2) has the slope TILT / 2 at 0
    return ebm.DoubleWell(barrier=BARRIER) + ebm.Gaussian([-0.5 * TILT * width**2], [[width**2]])


def occupation(draws: int, seed: int) -> dict:
    """Return the share of the right well: exact, by parallel tempering and by MALA alone, each with its error."""
    well, beta = tilted_well(), 1.0
    lowest = well(np.linspace(-2.0, 2.0, 4001)[:, None]).min()

    def weight(x: float) -> float:
        return float(np.exp(lowest - well(np.array([[x]]))[0]))

    right, left = quad(weight, 0.0, 3.0, points=[1.0])[0], quad(weight, -3.0, 0.0, points=[-1.0])[0]
    ladder = samplers.ParallelTempering(samplers.MALA(), np.geomspace(0.05, beta, 8))
    found: dict = {"exact": right / (right + left)}
    for name, sampler in (("tempering", ladder), ("alone", samplers.MALA())):
        run = samplers.sample(
            well, sampler, chains=16, draws=draws, warmup=2000, thin=5, beta=beta, seed=seed, progress=False
        )
        x = np.asarray(run.x)[..., 0]
        share = (x > 0.0).mean(1)
        found[name] = (share.mean(), share.std(ddof=1) / 4.0)  # by 16 independent chains
        found[f"x {name}"] = x
        if name == "tempering":
            found["tempering data"] = run.tempering
    return found


def ground_states(seed: int, sweeps: int) -> np.ndarray:
    """Return the lowest energies of +-J glasses: counted, and found by tempering and annealing, (glasses, 3)."""
    rng, shape, found = np.random.default_rng(seed), (GLASS_SIDE, GLASS_SIDE), []
    for k in range(GLASSES):
        glass = ebm.Ising(shape, rng.choice([-1.0, 1.0], (2, *shape)))
        counted = min(glass(block).min() for block in exact.states(shape, "spin"))
        ladder = samplers.ParallelTempering(samplers.Gibbs(), np.linspace(0.2, 2.5, 8))
        run = samplers.sample(
            glass, ladder, chains=4, draws=sweeps, warmup=100, beta=2.5, seed=seed + k, keep_x=False, progress=False
        )
        annealed = samplers.simulated_annealing(
            glass, samplers.Metropolis(), betas=np.linspace(0.2, 3.0, 30), sweeps=5, chains=8, seed=seed + k,
            progress=False,
        )  # fmt: skip
        found.append((counted, run.energy.min(), annealed.best_energy.min()))
    return np.array(found)


# --- figures and the whole --------------------------------------------------------------------------------------------


def draw_dynamics(taus: dict[str, np.ndarray], fits: dict, binder: dict[int, np.ndarray], path: Path) -> None:
    """Draw autocorrelation times with their powers, and the crossing of the cumulants."""
    picture, axes = report.figure(1, 2, 14, 6.2)
    left, right = axes[0]
    for (name, points), colour, marker in zip(taus.items(), report.COLOURS, report.MARKERS, strict=False):
        sides, (fit, error) = np.array(SIDES[name][: len(points)]), fits[name]
        z = report.with_error(fit[0], error)
        left.errorbar(sides, *points.T, fmt=marker, color=colour, label=f"{name}, z = {z}")
        left.plot(sides, np.exp(np.polyval(fit, np.log(sides))), color=colour, linewidth=1.2)
    first, sides = taus["Metropolis"][0, 0], np.array(SIDES["Metropolis"][: len(taus["Metropolis"])], float)
    left.fill_between(
        sides, 0.6 * first * (sides / sides[0]) ** EXPONENT, 0.75 * first * (sides / sides[0]) ** EXPONENT,
        color="0.85", linewidth=0, label=f"slope {EXPONENT} (theory)",
    )  # fmt: skip
    left.set(xscale="log", yscale="log", xlabel="side L (sites)", ylabel=r"$\tau$ at $T_c$ (sweeps)")
    left.set(title="Autocorrelation times", xticks=[16, 32, 64, 128, 256], xticklabels=[16, 32, 64, 128, 256])
    left.minorticks_off()
    left.legend(loc="center right", bbox_to_anchor=(1.0, 0.5))
    for (l, points), colour, marker in zip(binder.items(), report.COLOURS, report.MARKERS, strict=False):
        grid = CRITICAL + np.array(OFFSETS)
        right.errorbar(grid, *points.T, fmt=marker, color=colour, label=f"L = {l}")
        fine = np.linspace(min(OFFSETS), max(OFFSETS), 101)
        fit = np.polyfit(OFFSETS, points[:, 0], DEGREE, w=1.0 / points[:, 1])
        right.plot(CRITICAL + fine, np.polyval(fit, fine), color=colour, linewidth=1.2)
    right.axvline(CRITICAL, color="0.6", linewidth=1.0, label="exact $T_c$")
    right.axhline(CRITICAL_CUMULANT, color="k", linestyle=":", label=f"{CRITICAL_CUMULANT} (Salas, Sokal 2000)")
    right.set(title="Binder cumulants", xlabel=r"temperature T ($J\,/\,k_B$)", ylabel="U")
    right.legend(loc="lower left")
    report.save(picture, path)


def draw_tempering(well: dict, glasses: np.ndarray, path: Path) -> None:
    """Draw the double well's density with and without tempering, and the energies of the glasses."""
    picture, axes = report.figure(1, 2, 14, 6.2)
    left, right = axes[0]
    grid, edges = np.linspace(-1.6, 1.6, 801), np.linspace(-1.6, 1.6, 65)
    density = np.exp(-tilted_well()(grid[:, None]) + tilted_well()(grid[:, None]).min())
    left.plot(grid, density / np.trapezoid(density, grid), "k", linewidth=1.5, label="exact density")
    for (name, label), colour in zip(
        (("tempering", "parallel tempering"), ("alone", "MALA alone")), report.COLOURS, strict=False
    ):
        share = report.with_error(*well[name])
        left.hist(
            well[f"x {name}"].ravel(), edges, density=True, histtype="step", color=colour, linewidth=2.0,
            label=f"{label}: {share} right",
        )  # fmt: skip
    left.set(title=f"{BARRIER:g} kT between two wells", xlabel="x", ylabel="probability density")
    left.legend(loc="upper right", title=f"exact: {well['exact']:.4f} right")
    low, high = glasses.min() - 2, glasses.max() + 2
    right.plot([low, high], [low, high], color="0.7", linewidth=1.0)
    jitter = np.linspace(-0.5, 0.5, len(glasses))
    for k, (label, marker) in enumerate((("parallel tempering", "o"), ("simulated annealing", "^")), 1):
        right.plot(glasses[:, 0] + jitter, glasses[:, k] + jitter, marker, color=report.COLOURS[k], label=label)
    right.set(title=f"$\\pm J$ glasses, {GLASS_SIDE} x {GLASS_SIDE} spins", xlabel="lowest energy, counted (J)")
    right.set_ylabel("lowest energy, found (J)")
    right.legend(loc="upper left")
    report.save(picture, path)


def main(
    folder: Path = report.RESULTS / "critical_slowing_down", draws: int = 20_000,
    sides: dict[str, tuple[int, ...]] = SIDES, crossing_sides: tuple[int, ...] = CROSSING_SIDES, seed: int = 1,
) -> dict:  # fmt: skip
    """Measure dynamics, crossing and tempering, compare with what is known, and write the folder."""
    clock, taus, fits, rows = report.begin(folder), {}, {}, []
    for name, each in sides.items():
        taus[name] = np.array([tau_of(name, l, draws, seed + l) for l in each])
        fits[name] = power(each, taus[name])
        theory = {"Metropolis": f"{EXPONENT}", "Wolff": "below 0.5", "Swendsen-Wang": "below 0.5"}[name]
        z = report.with_error(fits[name][0][0], fits[name][1])
        rows.append([f"z of {name}, L = {each[0]} to {each[-1]}", z, theory])
        print(rows[-1], f"{clock():.0f} s", flush=True)
    binder = {l: cumulants(l, draws, seed + 100 * l) for l in crossing_sides}
    crossings = {f"{a}, {b}": crossing(binder[a], binder[b]) for a, b in combinations(crossing_sides, 2)}
    for pair, found in crossings.items():
        rows.append([f"T_c, where U of L = {pair} cross", report.with_error(*found), f"{CRITICAL:.5f}"])
    well = occupation(draws // 4, seed)
    rows.append(["share of the right well, tempered", report.with_error(*well["tempering"]), f"{well['exact']:.4f}"])
    rows.append(["share of the right well, MALA alone", report.with_error(*well["alone"]), f"{well['exact']:.4f}"])
    glasses = ground_states(seed, 200)
    for k, name in ((1, "tempering"), (2, "annealing")):
        hits = int((np.abs(glasses[:, k] - glasses[:, 0]) < 1e-9).sum())
        rows.append([f"ground states of glasses found by {name}", f"{hits}", f"{len(glasses)}"])
    table = report.table(["", "measured", "theory"], rows)
    print(table)
    draw_dynamics(taus, fits, binder, folder / "slowing_down.png")
    draw_tempering(well, glasses, folder / "tempering.png")
    numbers = {
        "tau": taus, "z": {name: (fit[0], error) for name, (fit, error) in fits.items()}, "binder": binder,
        "crossings": crossings, "well": {k: well[k] for k in ("exact", "tempering", "alone")}, "glasses": glasses,
    }  # fmt: skip
    sizes = {"draws": draws, "sides": sides, "crossing_sides": crossing_sides, "seed": seed}
    report.write(folder, __file__, __doc__, [table], PICTURES, numbers, {**sizes, "seconds": round(clock())})
    return numbers


if __name__ == "__main__":
    main()
