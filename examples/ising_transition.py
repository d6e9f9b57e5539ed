"""The Ising magnet through its transition: Metropolis against the exact solutions of Onsager and Kaufman.

Periodic square lattices of L x L spins, E = -J sum s s'; energies in J and heat capacities in k_B a spin, temperatures
in J / k_B. The Binder cumulant is U = 1 - <m^4> / (3 <m^2>^2) (Binder 1981).

Kaufman's solution is exact at every L, Onsager's on the infinite lattice. Errors are standard errors by the Gamma
method, which includes the autocorrelation of the draws. Above T_c half of the chains start disordered and half ordered;
below it all start ordered, since a random start can freeze into stripes.
"""

from pathlib import Path

import numpy as np
import report
from scipy.stats import chi2

import ebm
import samplers
from ebm import exact

CRITICAL = exact.onsager_critical_temperature()
CRITICAL_CUMULANT = 0.61069  # of the periodic square lattice at T_c, L -> infinity (Salas and Sokal 2000)
TEMPERATURES = (1.7, 1.9, 2.05, 2.15, 2.21, 2.23, 2.25, CRITICAL, 2.29, 2.31, 2.33, 2.4, 2.5, 2.7, 3.0)
SWEEPS = {8: 40_000, 16: 40_000, 32: 30_000}  # of each chain at each temperature, by side of the lattice
NEAR = 0.07  # distance from T_c within which a Binder cumulant is a parabola, to its errors
THIN = 5  # sweeps a draw: draws stay correlated over 10 to 100 sweeps, so hardly anything is lost
QUANTITIES = (  # name, unit, exact on an L x L torus, exact on the infinite lattice
    ("energy", "energy per spin (J)", exact.kaufman_energy, exact.onsager_energy),
    ("heat capacity", "heat capacity per spin ($k_B$)", exact.kaufman_heat_capacity, exact.onsager_heat_capacity),
    ("magnetisation", r"magnetisation per spin, $\langle|m|\rangle$", None, exact.onsager_magnetisation),
    ("Binder cumulant", "Binder cumulant U", None, None),
)
PICTURES = {
    "spins.png": "Spins below, at and above the critical temperature: order, domains of all sizes, small domains.",
    "transition.png": "Points are measured; lines are exact, but for the parabolas through the Binder cumulants. Only "
    "the infinite lattice has a singular heat capacity. Cumulants of two L cross near T_c, the nearer the larger.",
}


def measure(l: int, temperature: float, sweeps: int, chains: int, seed: int) -> list[samplers.Estimate]:
    """Sample an l x l lattice at one temperature and estimate the four quantities with their errors."""
    beta, spins, start = 1.0 / temperature, l * l, np.ones((chains, l, l), np.int8)
    if temperature > CRITICAL:  # below, a random start may freeze into stripes
        start[::2] = np.random.default_rng(seed).choice([-1, 1], size=start[::2].shape)
    run = samplers.sample(
        ebm.Ising((l, l)), samplers.Metropolis(), chains=chains, draws=sweeps // THIN, warmup=sweeps // 10, thin=THIN,
        beta=beta, init=start, seed=seed, observables={"m": ebm.magnetisation}, keep_x=False, progress=False,
    )  # fmt: skip
    e, m = run.energy / spins, run.observables["m"]
    return [
        samplers.estimate(lambda e: e, run, of=[e]),
        samplers.estimate(lambda e, e2: beta**2 * spins * (e2 - e * e), run, of=[e, e**2]),
        samplers.estimate(lambda m: m, run, of=[np.abs(m)]),
        samplers.estimate(lambda m2, m4: 1.0 - m4 / (3.0 * m2 * m2), run, of=[m**2, m**4]),
    ]


def crossing(temperatures: np.ndarray, small: np.ndarray, large: np.ndarray) -> tuple[float, float]:
    """Return where two Binder cumulants (temperatures, (U, error)) cross, from a parabola through their difference."""
    near = np.abs(temperatures - CRITICAL) < NEAR
    difference, error = (large - small)[near, 0], np.hypot(small[near, 1], large[near, 1])
    fit, covariance = np.polyfit(temperatures[near] - CRITICAL, difference, 2, w=1.0 / error, cov="unscaled")
    root = min(np.roots(fit).real, key=abs)
    powers = np.array([root**2, root, 1.0])
    return CRITICAL + root, float(np.sqrt(powers @ covariance @ powers) / abs(np.polyval(np.polyder(fit), root)))


def draw(temperatures: np.ndarray, found: dict[int, np.ndarray], path: Path) -> None:
    """Draw measurements as points with error bars, and what is exact as lines."""
    picture, axes = report.figure(2, 2, 13, 9.6)
    fine = np.linspace(temperatures.min() - 0.05, temperatures.max() + 0.05, 501)
    near = np.abs(temperatures - CRITICAL) < NEAR
    for k, (panel, (name, label, finite, infinite)) in enumerate(zip(axes.flat, QUANTITIES, strict=True)):
        for (l, points), colour, marker in zip(found.items(), report.COLOURS, report.MARKERS, strict=False):
            if finite:
                panel.plot(fine, [finite(l, 1 / t) for t in fine], color=colour, linewidth=1.5, label=f"L = {l}, exact")
            panel.errorbar(temperatures, *points[:, k, :2].T, fmt=marker, color=colour, label=f"L = {l}, measured")
        if infinite:
            panel.plot(fine, [infinite(1 / t) for t in fine], "k--", label="infinite, exact")
        panel.axvline(CRITICAL, color="0.7", linewidth=1.0, zorder=0, label="exact $T_c$")
        panel.set(title=name, xlabel=r"temperature T ($J\,/\,k_B$)", ylabel=label)
    axes[0, 1].set_ylim(0.0, 1.25 * max(points[:, 1, 0].max() for points in found.values()))
    axes[0, 1].legend(fontsize=11)
    for points, colour in zip(found.values(), report.COLOURS, strict=False):
        fit = np.polyfit(temperatures[near] - CRITICAL, points[near, 3, 0], 2, w=1.0 / points[near, 3, 1])
        axes[1, 1].plot(fine, np.polyval(fit, fine - CRITICAL), color=colour, linewidth=1.0)
    axes[1, 1].axhline(CRITICAL_CUMULANT, color="k", linestyle=":", label=f"{CRITICAL_CUMULANT} (Salas, Sokal 2000)")
    axes[1, 1].set(title="Binder cumulant near $T_c$", xlim=CRITICAL + NEAR * np.array([-1, 1]), ylim=(0.5, 0.66))
    axes[1, 1].legend(fontsize=11, loc="lower left")
    report.save(picture, path)


def draw_spins(l: int, sweeps: int, seed: int, path: Path) -> None:
    """Draw a configuration below, at and above T_c, each reached from the ordered lattice."""
    picture, axes = report.figure(1, 3, 13, 4.8)
    for panel, temperature, where in zip(axes.flat, (2.0, CRITICAL, 2.6), ("below", "at", "above"), strict=True):
        run = samplers.sample(
            ebm.Ising((l, l)), samplers.Metropolis(), chains=1, draws=1, warmup=sweeps, beta=1 / temperature,
            init=np.ones((1, l, l), np.int8), seed=seed, progress=False,
        )  # fmt: skip
        panel.imshow(run.x[0, 0], cmap="gray", vmin=-1, vmax=1, interpolation="nearest")
        panel.spines[:].set_visible(True)
        panel.set(title=rf"{where} $T_c$: T = {temperature:.3f} $J\,/\,k_B$", xticks=[], yticks=[])
    report.save(picture, path)


def main(
    folder: Path = report.RESULTS / "ising_transition", sweeps: dict[int, int] = SWEEPS,
    temperatures: tuple[float, ...] = TEMPERATURES, chains: int = 8, seed: int = 1,
) -> dict:  # fmt: skip
    """Measure each lattice at each temperature, compare with what is exact, and write the folder."""
    clock, found, grid = report.begin(folder), {}, np.array(temperatures)
    for l, number in sweeps.items():
        estimates = [measure(l, t, number, chains, seed + 1000 * l + k) for k, t in enumerate(temperatures)]
        found[l] = np.array(estimates)  # (temperatures, quantities, (value, error, tau, ess))
        print(f"L = {l}: tau at most {THIN * found[l][..., 2].max():.0f} sweeps, {clock():.0f} s")
    numbers: dict = {"temperatures": grid, "estimates": found}
    rows = []
    for k, (name, _, finite, _) in enumerate(QUANTITIES[:2]):
        z = np.concatenate([(p[:, k, 0] - [finite(l, 1 / t) for t in grid]) / p[:, k, 1] for l, p in found.items()])
        p_value = chi2.sf(z @ z, z.size)
        numbers[name] = {"chi_square": z @ z, "points": z.size, "p_value": p_value, "z": z}
        rows.append([f"{name}, chi-square about Kaufman", f"{z @ z:.1f} (p = {p_value:.2f})", f"{z.size} points"])
    small, l = list(sweeps)[-2:]
    numbers["crossing"] = meeting = crossing(grid, found[small][:, 3, :2], found[l][:, 3, :2])
    rows.append([f"T_c, where U of L = {small} and {l} cross", report.with_error(*meeting), f"{CRITICAL:.5f}"])
    numbers["cumulant"] = found[l][np.abs(grid - CRITICAL).argmin(), 3, :2]
    rows.append([f"Binder cumulant at T_c, L = {l}", report.with_error(*numbers["cumulant"]), f"{CRITICAL_CUMULANT}"])
    table = report.table(["", "measured", "theory"], rows)
    print(table)
    draw(grid, found, folder / "transition.png")
    draw_spins(2 * l, sweeps[l], seed, folder / "spins.png")
    samplers.sample(
        ebm.Ising((l, l)), samplers.Metropolis(), draws=500, thin=max(1, sweeps[l] // 500), beta=1 / CRITICAL,
        seed=seed, observables={"m": ebm.magnetisation}, store=report.new_file(folder / "critical.h5"), progress=False,
    )  # fmt: skip
    settings = {"sweeps": sweeps, "chains": chains, "seed": seed, "seconds": round(clock())}
    report.write(folder, __file__, __doc__, [table], PICTURES, numbers, settings)
    return numbers


if __name__ == "__main__":
    main()
