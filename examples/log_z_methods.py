"""Four ways to ln Z, on twelve systems where it is known: do their errors mean what they say?

Annealed importance sampling (AIS), thermodynamic integration (TI), Bennett's acceptance ratio between neighbouring
rungs of a parallel-tempering ladder (BAR) and the multistate one over all of them (MBAR). z is (value - exact) / error.
Were all errors honest, z would be standard normal, and 95.4 per cent of all runs would lie within two errors.

Discrete systems start at beta = 0, where ln Z is that of the number of states; real ones start at a normal law fitted
to a short run and angles at the uniform law. TI, BAR and MBAR read the same ladder. A dagger marks a run that warned
that it is not to be trusted, here of an error of integration: along a straight path a heavy tail of the energy in the
base is hard to integrate, which the stated error then holds and the acceptance ratios do not feel.

The error of AIS is honest only while its weights are of one size: with 60 temperatures in place of 200 it was too small
on the torus, where 85 of 100 short runs lay within two errors.

The last figure shows Crooks' relation, p(W) = p_reverse(W) exp(W - dF): the densities of the work W of forward and
reverse annealings cross at the difference of free energy, however fast the schedule is.
"""

import time
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import report
from scipy.stats import binom, norm

import ebm
from ebm.annealing_paths import path_of

METHODS = {"ais": "AIS", "ti": "TI", "bar": "BAR", "mbar": "MBAR"}
CRITICAL = float(np.log(1 + np.sqrt(2)) / 2)
ONCE = {"chains": 8, "draws": 2000, "rungs": 12}, {"chains": 500, "steps": 500}  # of the table: ladders, AIS
OFTEN = {"chains": 4, "draws": 300, "warmup": 150, "rungs": 8}, {"chains": 100, "steps": 200}  # of the histogram
PICTURES = {
    "agreement.png": "One run of each method on each system: value minus exact, in its own errors. Hollow: it warned.",
    "calibration.png": "z of many short runs of each method, all systems together, and the standard normal law.",
    "crooks.png": "Work of forward and reverse annealings of the spin glass by Gibbs sampling, whose scan the reverse "
    "run reverses: the densities cross at the exact difference of free energy (dashed).",
}


def systems() -> dict[str, tuple[Any, float]]:
    """Return energies and inverse temperatures; their parameters come from a seed of their own."""
    rng = np.random.default_rng(7)
    glass, root = np.triu(rng.normal(0, 0.6, (10, 10)), 1), rng.normal(size=(5, 5))
    return {
        "ring of 30 spins in a field": (ebm.Ising(30, field=0.2), 0.8),
        "8 x 8 Ising torus at T_c": (ebm.Ising((8, 8)), CRITICAL),
        "Curie-Weiss, 40 spins": (ebm.CurieWeiss(40, field=0.05), 1.2),
        "Potts, 3 x 3, q = 3": (ebm.Potts((3, 3), 3), 0.9),
        "spin glass, 10 spins": (ebm.BoltzmannMachine(glass + glass.T, rng.normal(0, 0.3, 10), "spin"), 1.0),
        "RBM, 30 + 12 units": (ebm.RBM(30, 12, W=rng.normal(0, 0.7, (30, 12)), b=rng.normal(0, 0.5, 30)), 0.7),
        "Gaussian, 5-D": (ebm.Gaussian(rng.normal(size=5), root @ root.T + 0.3 * np.eye(5)), 1.4),
        "mixture, 2-D": (ebm.GaussianMixture([[-2.0, 0.0], [2.0, 1.0]], np.eye(2), [0.3, 0.7]), 1.0),
        "double well, 3-D": (ebm.DoubleWell(3, barrier=4.0), 1.0),
        "Rosenbrock, 2-D": (ebm.Rosenbrock(2, a=0.3, b=3.0), 1.0),
        "Gaussian RBM, 4 + 3 units": (
            ebm.GaussianRBM(4, 3, W=rng.normal(0, 0.8, (4, 3)), sigma=[0.8, 1.0, 1.2, 0.9]),
            0.8,
        ),
        "pair of rotors": (ebm.XY((2,), coupling=0.8), 1.1),
    }


def measure(
    energy: Any, beta: float, ladder: dict[str, Any], annealing: dict[str, Any], seed: int
) -> dict[str, tuple[ebm.LogZ, float]]:
    """Return the result of each method and its seconds; the ladder's own seconds count for all that read it."""
    out, run = {}, None
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ebm.LogZWarning)  # the table shows them
        for method in ("bar", "ti", "mbar", "ais"):
            start = time.perf_counter()
            more = annealing if method == "ais" else ladder if run is None else {"run": run}
            result = ebm.log_z(energy, method, beta, **more, seed=seed, progress=False)
            seconds = time.perf_counter() - start
            if method == "bar":
                run, shared = result.details["ladder"], seconds
            out[method] = result, seconds + (shared if method in ("ti", "mbar") else 0.0)
    return out


def works(name: str, steps: int, chains: int, seed: int) -> tuple[np.ndarray, np.ndarray, float]:
    """Return works of forward and reverse annealings from equilibrium, and the difference of free energy."""
    energy, beta = systems()[name]
    path, rng = path_of(energy, beta, None), np.random.default_rng(seed)
    state, times = path.start(chains, rng, seed), path.times(steps)
    path.anneal(state, times, True)
    forward = -state["log_weight"]
    p = ebm.exact.probabilities(energy, beta)
    state["x"][...] = ebm.exact.state_at(rng.choice(len(p), chains, p=p), energy.shape, energy.domain)
    state["log_weight"][:] = 0.0
    path.anneal(state, times[::-1], False)
    return forward, state["log_weight"], path.log_z_start - ebm.log_z(energy, beta=beta).value


def count(names: list[str], z: dict[str, np.ndarray], repeats: int) -> tuple[dict[str, np.ndarray], str]:
    """Return how many z of each method (systems, repeats) lie within two errors, (systems,), and the table of them."""
    within = {m: (np.abs(z[m]) < 2).sum(1) for m in METHODS}
    lines = [[name, *(within[m][k] for m in METHODS)] for k, name in enumerate(names)]
    lines.append(["all, in per cent", *(f"{100 * within[m].mean() / repeats:.1f}" for m in METHODS)])
    lines.append(["standard deviation of z", *(f"{z[m].std():.2f}" for m in METHODS)])
    return within, report.table([f"within two errors, of {repeats}", *METHODS.values()], lines)


def draw_agreement(names: list[str], z: dict[str, list[float]], warned: dict[str, list[bool]], path: Path) -> None:
    """Draw z of each method on each system."""
    picture, ((panel,),) = report.figure(1, 1, 13, 7.5)
    panel.axvspan(-2, 2, color="0.93", zorder=0)
    panel.axvline(0, color="black", linewidth=1)
    for k, (method, label) in enumerate(METHODS.items()):
        for row, (value, doubt) in enumerate(zip(z[method], warned[method], strict=True)):
            panel.plot(
                value, row + 0.15 * (k - 1.5), report.MARKERS[k], color=report.COLOURS[k], markersize=9,
                markerfacecolor="none" if doubt else None, label=label if row == 0 else None,
            )  # fmt: skip
    panel.set(xlim=(-4.5, 4.5), xlabel="(value − exact) / error; grey: within two errors")
    panel.set_yticks(range(len(names)), names)
    panel.invert_yaxis()
    panel.legend(loc="center left", bbox_to_anchor=(1.0, 0.5))
    report.save(picture, path)


def draw_calibration(z: dict[str, np.ndarray], path: Path) -> None:
    """Draw the histogram of z of each method (systems, repeats) beside the standard normal density."""
    picture, axes = report.figure(1, 4, 16, 4.8)
    x, edges = np.linspace(-4.5, 4.5, 200), np.linspace(-4.5, 4.5, 37)
    for k, (panel, (method, label)) in enumerate(zip(axes.flat, METHODS.items(), strict=True)):
        panel.hist(np.clip(z[method].ravel(), -4.4, 4.4), edges, density=True, color=report.COLOURS[k], alpha=0.6)
        panel.plot(x, norm.pdf(x), "k-", label="standard normal")
        inside = (np.abs(z[method]) < 2).mean()
        panel.set(title=f"{label}: {100 * inside:.1f} % within 2", xlabel="(value − exact) / error", ylim=(0, 0.55))
    axes[0, 0].set_ylabel("probability density")
    axes[0, 0].legend(loc="upper left")
    report.save(picture, path)


def draw_crooks(runs: dict[int, tuple[np.ndarray, np.ndarray, float]], path: Path) -> None:
    """Draw the densities of the works at each number of steps."""
    picture, axes = report.figure(1, len(runs), 14, 5.2)
    for panel, (steps, (forward, reverse, difference)) in zip(axes.flat, runs.items(), strict=True):
        edges = np.linspace(*np.percentile(np.r_[forward, reverse], [0.1, 99.9]), 50)
        for values, label, colour in ((forward, "forward", 0), (reverse, "reverse", 1)):
            panel.hist(values, edges, density=True, alpha=0.55, color=report.COLOURS[colour], label=label)
        panel.axvline(difference, color="black", linestyle="--")
        panel.set(title=f"{steps} temperatures", xlabel="work W (k_B T)")
        panel.legend()
    axes[0, 0].set_ylabel("probability density")
    report.save(picture, path)


def main(
    folder: Path = report.RESULTS / "log_z_methods", repeats: int = 100, once: tuple[dict, dict] = ONCE,
    often: tuple[dict, dict] = OFTEN, only: tuple[str, ...] = (), chains: int = 40_000, seed: int = 1,
) -> dict:  # fmt: skip
    """Run every method once in full and often in short on every system, compare with exact values, write the folder."""
    clock, chosen = report.begin(folder), {n: s for n, s in systems().items() if not only or n in only}
    rows, found, warned = [], {m: [] for m in METHODS}, {m: [] for m in METHODS}
    pulls = {m: np.empty((len(chosen), repeats)) for m in METHODS}
    for row, (name, (energy, beta)) in enumerate(chosen.items()):
        truth = ebm.log_z(energy, beta=beta).value
        measure(energy, beta, *often, seed)  # compiles what is new, so that seconds are those of the run
        results, cells = measure(energy, beta, *once, seed), []
        for method in METHODS:
            result, seconds = results[method]
            found[method].append((result.value - truth) / result.error)
            warned[method].append(bool(result.complaints))
            dagger = " †" if result.complaints else ""
            cells.append(f"{found[method][-1]:+.1f}; {result.error:.1g}; {seconds:.1f} s{dagger}")
        rows.append([name, f"{truth:.4f}", *cells])
        for repeat in range(repeats):
            short = measure(energy, beta, *often, seed + 1000 + repeat)
            for method, (result, _) in short.items():
                pulls[method][row, repeat] = (result.value - truth) / result.error
        print(f"{name}: {clock():.0f} s", flush=True)
        if energy.shape == (8, 8):
            run = short["bar"][0].details["ladder"].run
            run.save(report.new_file(folder / "ladder.h5"))
    methods = report.table(["system", "ln Z", *(f"{label}: z; error; time" for label in METHODS.values())], rows)
    within, counts = count(list(chosen), pulls, repeats)
    low, high = binom.interval(0.99, repeats, 0.9545)
    print(f"{methods}\n\n{counts}\n{clock():.0f} s")
    draw_agreement(list(chosen), found, warned, folder / "agreement.png")
    draw_calibration(pulls, folder / "calibration.png")
    runs = {steps: works("spin glass, 10 spins", steps, chains, seed) for steps in (3, 30)}
    draw_crooks(runs, folder / "crooks.png")
    weights = {steps: np.exp(difference - forward) for steps, (forward, _, difference) in runs.items()}
    crooks = {steps: (float(w.mean()), float(w.std() / np.sqrt(chains))) for steps, w in weights.items()}
    text = [f"{s} temperatures: {report.with_error(*value)}" for s, value in crooks.items()]
    spread = {method: pulls[method].std(1) for method in METHODS}
    numbers = {"z": found, "within": within, "deviation_of_z": spread, "jarzynski": crooks}
    story = [
        methods,
        f"Of {repeats} honest runs of a system {low:.0f} to {high:.0f} lie within two errors, 99 times in 100.",
        counts,
        f"Jarzynski's mean of exp(dF - W), which is 1, of {chains:,} forward annealings: " + "; ".join(text) + ".",
    ]
    settings = {"repeats": repeats, "once": once, "often": often, "chains": chains, "seed": seed}
    settings["seconds"] = round(clock())
    report.write(folder, __file__, __doc__, story, PICTURES, numbers, settings)
    return numbers


if __name__ == "__main__":
    main()
