"""A double well: the exact density, the bias of a finite step, and Kramers' rate of crossing the barrier.

E(x) = (x^2 - 1)^2 with energies in barriers, k_B = 1 and mobility one: dx = -E'(x) dt + sqrt(2 T) dW, and a rate is a
number of crossings in a unit of this time t.

Unadjusted Langevin dynamics samples the law of its finite step, here computed from the matrix of its transitions. All
other samplers are held against the exact density (the bias of underdamped Langevin is of second order in its step, and
below its error here). tau and ESS are those of x, which must cross the barrier.

Rates are measured along Langevin trajectories. The law of a step is half the spectral gap of its matrix; half the first
eigenvalue of the Fokker-Planck operator is the limit of small steps; Kramers' formula is the limit of a high barrier.
"""

import math
from functools import partial
from pathlib import Path

import numpy as np
import report
from scipy.stats import chi2

import ebm
import samplers
from ebm import exact

WELL, LIMITS, BETA = ebm.DoubleWell(), (-2.4, 2.4), 3.0  # BETA is that of the five samplers
GRID = np.linspace(*LIMITS, 300)
METHODS = {  # sampler, gradients a draw
    "Langevin, step 0.02": (samplers.Langevin(0.02), 1),
    "Langevin, step 0.08": (samplers.Langevin(0.08), 1),
    "underdamped, step 0.15": (samplers.UnderdampedLangevin(0.15, friction=1.0), 1),
    "MALA": (samplers.MALA(), 1),
    "HMC, 10 leapfrog steps": (samplers.HMC(steps=10), 10),
}
TEMPERATURES = (0.15, 0.175, 0.2, 0.25, 0.3, 0.4)
STEPS = {0.04: 40_000_000, 0.005: 400_000_000}  # number of steps, over all chains, at each temperature, by size
PICTURES = {
    "densities.png": "Densities at T = 1/3. Points are measured. Left: Langevin steps of finite size have densities of "
    "their own (lines), not the exact one. Right: the other samplers follow the exact density.",
    "rates.png": "Left: rate of crossing against 1/T. Right: divided by the exact rate. Kramers' formula is 7 to 11 "
    "per cent high at these temperatures; the bias of a finite step is what its own law says.",
}
exact_rate = partial(exact.fokker_planck_rate, WELL, LIMITS)  # of beta
kramers = partial(exact.kramers_rate_asymptotic, 8.0, 4.0, 1.0)  # E'' is 8 in the wells and -4 at the top


def langevin_law(step: float, beta: float) -> tuple[np.ndarray, float]:
    """Return the density on GRID that Langevin samples at a finite step, and its rate -ln(mu) / (2 step) of crossing.

    A step is the matrix K(x', x) = N(x'; x - step E'(x), 2 step / beta); mu is its second eigenvalue.
    """
    mean = GRID - step * WELL.grad(GRID[:, None])[:, 0]
    kernel = np.exp(-beta * (GRID[:, None] - mean) ** 2 / (4.0 * step))
    values, vectors = np.linalg.eig(kernel / kernel.sum(0))
    first, second = np.argsort(-values.real)[:2]
    density = vectors[:, first].real
    return density / np.trapezoid(density, GRID), -math.log(values[second].real) / (2.0 * step)


def law(sampler: samplers.Sampler) -> np.ndarray:
    """Return the density on GRID that a sampler should follow: the exact one, or that of Langevin's step."""
    if isinstance(sampler, samplers.Langevin):
        return langevin_law(sampler.step_size, BETA)[0]
    return np.exp(-BETA * WELL(GRID[:, None]) - exact.log_z_quadrature(WELL, [LIMITS], BETA))


def start(chains: int) -> np.ndarray:
    """Return half of the chains in each well: from far outside a Langevin step of finite size runs away."""
    return np.resize([-1.0, 1.0], (chains, 1))


def measure_rate(step: float, temperature: float, steps: int, chains: int, seed: int) -> samplers.Estimate:
    """Measure the rate of crossing as ln(C(t1) / C(t2)) / (2 (t2 - t1)) with C(t) = <s(0) s(t)>, s = sign(x).

    From t1 = 2 on, when those who cross back at once have done so, C(t) is one exponential; t2 is 1 / (4 rate) later.
    """
    unit, beta = round(1.0 / step), 1.0 / temperature  # steps in a unit of time
    run = samplers.sample(
        WELL, samplers.Langevin(step), chains=chains, draws=steps // unit // chains, warmup=20 * unit, thin=unit,
        beta=beta, init=start(chains), seed=seed, observables={"s": lambda x: np.sign(x[:, 0])}, keep_x=False,
        progress=False,
    )  # fmt: skip
    s, lag = run.observables["s"], max(1, round(0.25 / kramers(beta)))
    pairs = s.shape[1] - 2 - lag
    window = samplers.Chains(None, None, {}, run.acceptance[:, :pairs], beta, "real")
    products = [s[:, :pairs] * s[:, 2 : 2 + pairs], s[:, :pairs] * s[:, 2 + lag :]]
    return samplers.estimate(lambda near, far: math.log(near / far) / (2.0 * lag), window, of=products)


def draw_densities(runs: dict[str, samplers.Chains], path: Path) -> None:
    """Draw the histogram of each run beside its law; error bars come from the spread of the chains."""
    picture, axes = report.figure(1, 2, 14, 5.8)
    for k, (name, run) in enumerate(runs.items()):
        centres, colour, marker = np.linspace(-1.7, 1.7, 35) + 0.03 * (k % 3), report.COLOURS[k], report.MARKERS[k]
        biased = name.startswith("Langevin")
        panel = axes[0, 0 if biased else 1]
        if biased:
            panel.plot(GRID, law(METHODS[name][0]), color=colour, label="law of this step")
        inside = np.array([(np.abs(run.x[..., 0] - c) < 0.05).mean(1) for c in centres]) / 0.1  # (bins, chains)
        error = inside.std(1, ddof=1) / math.sqrt(inside.shape[1])
        panel.errorbar(centres, inside.mean(1), error, fmt=marker, color=colour, label=name)
    titles = "Langevin: each step has its own density", "all others: the exact density"
    for panel, title in zip(axes.flat, titles, strict=True):
        panel.plot(GRID, law(samplers.MALA()), "k--", label="exact density", zorder=0)
        panel.set(title=title, xlabel="x", ylabel="probability density", xlim=(-1.9, 1.9), ylim=(0.0, 1.2))
        panel.legend(loc="upper center", fontsize=12)
    report.save(picture, path)


def draw_rates(inverse: np.ndarray, rates: dict[float, np.ndarray], laws: dict[float, np.ndarray], path: Path) -> None:
    """Draw measured rates (temperatures, (value, error)), the law of each step, the exact one and Kramers' formula."""
    picture, axes = report.figure(1, 2, 14, 5.8)
    fine = np.linspace(inverse.min(), inverse.max(), 40)
    for panel, divided in zip(axes.flat, (False, True), strict=True):
        unit, units = (np.array([exact_rate(b) if divided else 1.0 for b in points]) for points in (fine, inverse))
        panel.plot(fine, [exact_rate(b) for b in fine] / unit, "k-", label="exact (Fokker-Planck)")
        panel.plot(fine, [kramers(b) for b in fine] / unit, "k:", label="Kramers' formula")
        for (step, found), colour, marker in zip(rates.items(), report.COLOURS[1::-1], report.MARKERS, strict=False):
            panel.plot(inverse, laws[step] / units, "--", color=colour, linewidth=1.2, label=f"law of the step {step}")
            panel.errorbar(inverse, *(found.T / units), fmt=marker, color=colour, label=f"measured, step {step}")
        panel.set_xlabel("inverse temperature 1/T (1/barrier)")
    axes[0, 0].set(yscale="log", title="crossing the barrier", ylabel="rate (1/time)")
    axes[0, 1].set(title="divided by the exact rate", ylabel="rate / exact rate")
    axes[0, 0].legend()
    report.save(picture, path)


def main(
    folder: Path = report.RESULTS / "double_well", draws: int = 40_000, temperatures: tuple[float, ...] = TEMPERATURES,
    steps: dict[float, int] = STEPS, chains: int = 64, seed: int = 1,
) -> dict:  # fmt: skip
    """Sample the well by every method, measure rates at every temperature, compare, and write the folder."""
    clock, runs, rows, squares = report.begin(folder), {}, [], {}
    for k, (name, (sampler, gradients)) in enumerate(METHODS.items()):
        runs[name] = run = samplers.sample(
            WELL, sampler, chains=chains, draws=draws, beta=BETA, init=start(chains), seed=seed + k, progress=False
        )
        square, x = (samplers.estimate(f, run) for f in (lambda x: x[:, 0] ** 2, lambda x: x[:, 0]))
        squares[name] = square.value, square.error, np.trapezoid(GRID**2 * law(sampler), GRID)
        cells = report.with_error(*squares[name][:2]), f"{squares[name][2]:.5f}", f"{x.tau:.0f}"
        rows.append([name, *cells, f"{1000 / x.tau / gradients:.2f}"])
    methods = report.table(["sampler", "mean of x^2", "theory", "tau (draws)", "ESS per 1000 gradients"], rows)
    print(f"{methods}\n{clock():.0f} s")
    draw_densities(runs, folder / "densities.png")
    rates, laws, z, rows = {}, {}, [], [[t] for t in temperatures]
    for i, (step, number) in enumerate(steps.items()):
        found = [measure_rate(step, t, number, chains, seed + 100 * (i + 1) + k) for k, t in enumerate(temperatures)]
        rates[step] = np.array(found)[:, :2]  # (temperatures, (value, error))
        laws[step] = np.array([langevin_law(step, 1 / t)[1] for t in temperatures])
        z.extend((rates[step][:, 0] - laws[step]) / rates[step][:, 1])
        for row, rate, theory in zip(rows, rates[step], laws[step], strict=True):
            row += [report.with_error(*rate), f"{theory:.6f}"]
        print(f"rates with steps of {step}: {clock():.0f} s")
    for row, t in zip(rows, temperatures, strict=True):
        row += [f"{exact_rate(1 / t):.6f}", f"{kramers(1 / t):.6f}"]
    head = [f"{what} {step}" for step in steps for what in ("measured, step", "law of step")]
    crossings = report.table(["T", *head, "Fokker-Planck", "Kramers"], rows)
    square = float(np.square(z).sum())
    p_value = chi2.sf(square, len(z))
    verdict = f"Chi-square of the rates about the law of their step: {square:.1f} for {len(z)} (p = {p_value:.2f})."
    print(f"{crossings}\n{verdict}")
    draw_rates(1 / np.array(temperatures), rates, laws, folder / "rates.png")
    file = report.new_file(folder / "mala.h5")
    samplers.sample(WELL, samplers.MALA(), draws=2000, beta=BETA, seed=seed, store=file, progress=False)
    numbers = {"mean_square": squares, "temperatures": temperatures, "rates": rates, "laws": laws, "z": z}
    numbers |= {"chi_square": square, "p_value": p_value}
    settings = {"draws": draws, "steps": steps, "chains": chains, "seed": seed, "seconds": round(clock())}
    report.write(folder, __file__, __doc__, [methods, crossings, verdict], PICTURES, numbers, settings)
    return numbers


if __name__ == "__main__":
    main()
