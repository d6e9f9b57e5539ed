"""The ground state of the Ising chain in a transverse field, by an RBM wavefunction, beside free fermions.

    H = -sum_i z_i z_{i+1} - h sum_i x_i        on a ring of N spins, the coupling being the unit of energy

A real RBM is the amplitude psi(s) > 0, NetKet's variational Monte Carlo with stochastic reconfiguration (Sorella 1998;
Carleo and Troyer 2017) lowers its energy, and `ebm.quantum.NumbaMetropolis` samples |psi|^2 in the place of NetKet's
MetropolisLocal. Free fermions give energy, magnetisation <x> and correlations <z_0 z_r> exactly at any N, on both sides
of the critical point h = 1 and at it. Expectations are taken anew when learning is over, from independent chains, with
errors by the Gamma method; up to 16 spins the formula is set against Lanczos' method as well.

The variational principle: no energy may lie below the exact one by more than its error.
"""

import time
from pathlib import Path
from typing import Any

import netket as nk
import numpy as np
import report

import ebm
import samplers
from ebm.quantum import NumbaMetropolis, chains_of

RATE = 0.03
LARGEST_LANCZOS = 16
PICTURES = {
    "ground_state.png": "Left: magnetisation along the field, by RBMs (marks; errors are smaller) and exact (lines). "
    "Right: correlations along the longest ring, likewise.",
    "learning.png": "Relative error of the energy while learning the longest ring at h = 1, against seconds: the same "
    "run with NumbaMetropolis and with NetKet's MetropolisLocal (means over 10 steps).",
}


def learn(sampler: Any, h: float, steps: int, samples: int, seed: int) -> tuple[nk.vqs.MCState, np.ndarray, np.ndarray]:
    """Return the learned state, and seconds since the first step (which compiles) and energy at every step."""
    space, log, times = sampler.hilbert, nk.logging.RuntimeLog(), []
    model = nk.models.RBM(alpha=1, param_dtype=float)
    state = nk.vqs.MCState(sampler, model, n_samples=samples, n_discard_per_chain=0, seed=seed)
    driver = nk.VMC(
        hamiltonian(space, h), nk.optimizer.Sgd(RATE), variational_state=state,
        preconditioner=nk.optimizer.SR(diag_shift=0.01),
    )  # fmt: skip
    driver.run(steps, out=log, show_progress=False, callback=lambda *_: times.append(time.perf_counter()) or True)
    return state, np.array(times) - times[0], np.asarray(log.data["Energy"].Mean).real


def hamiltonian(space: Any, h: float) -> Any:
    """Return the chain's Hamiltonian on a ring of all spins of the space."""
    return nk.operator.Ising(space, nk.graph.Chain(space.size), h=h, J=-1.0)


def measure(state: nk.vqs.MCState, h: float, chains: int, draws: int, seed: int) -> dict[str, Any]:
    """Return energy and <x> per spin and the correlations <z_0 z_r>, each with its error, from chains of their own."""
    space = state.hilbert
    n = space.size
    fresh = nk.vqs.MCState(
        NumbaMetropolis(space, n_chains=chains, sweep_size=2 * n), state.model, variables=state.variables,
        n_samples=chains * draws, n_discard_per_chain=100, sampler_seed=seed,
    )  # fmt: skip
    flips = sum(nk.operator.spin.sigmax(space, i) for i in range(n)) * (1.0 / n)
    run = chains_of(fresh, H=hamiltonian(space, h) * (1.0 / n), x=flips)
    x = np.asarray(run.x).astype(float)
    found = {name: samplers.estimate(name, run)[:2] for name in ("H", "x")}
    along = [(x * np.roll(x, -r, 2)).mean(2) for r in range(1, n // 2 + 1)]  # the ring has no first spin
    found["z"] = [(float(c.mean()), float(c.mean(1).std(ddof=1) / np.sqrt(chains))) for c in along]
    return found


def row(n: int, h: float, found: dict[str, Any]) -> list[str]:
    """Return a line of the table: energy and magnetisation beside the exact ones, and beside Lanczos' where it can."""
    exact, (value, error) = ebm.exact.tfim_energy(n, h) / n, found["H"]
    lanczos = ""
    if n <= LARGEST_LANCZOS:
        lowest = nk.exact.lanczos_ed(hamiltonian(nk.hilbert.Spin(0.5, n), h))[0] / n
        lanczos = f"{lowest - exact:.0e}"
    return [
        str(n), f"{h:g}", report.with_error(value, error), f"{exact:.7f}", f"{(value - exact) / abs(exact):.1e}",
        f"{error / abs(exact):.0e}", lanczos, report.with_error(*found["x"]),
        f"{ebm.exact.tfim_magnetisation(n, h):.5f}",
    ]  # fmt: skip


def race(n: int, steps: int, samples: int, chains: int, seed: int) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """Return seconds and relative errors of the energy along the same learning with our sampler and with NetKet's."""
    space, exact = nk.hilbert.Spin(0.5, n), ebm.exact.tfim_energy(n, 1.0)
    rivals = {
        "NumbaMetropolis": NumbaMetropolis(space, n_chains=chains),
        "MetropolisLocal": nk.sampler.MetropolisLocal(space, n_chains=chains, sweep_size=n),
    }
    curves = {}
    for name, sampler in rivals.items():
        _, seconds, energies = learn(sampler, 1.0, steps, samples, seed)
        means = energies[: steps // 10 * 10].reshape(-1, 10).mean(1)
        curves[name] = seconds[9::10][: len(means)], (means - exact) / abs(exact)
    return curves


def draw_ground_state(found: dict[tuple[int, float], dict], path: Path) -> None:
    """Draw magnetisation along the field of every ring, and correlations of the longest."""
    picture, axes = report.figure(1, 2, 14, 5.4)
    sizes, fields = sorted({n for n, _ in found}), sorted({h for _, h in found})
    line = np.linspace(0.9 * fields[0], 1.1 * fields[-1], 100)
    for k, n in enumerate(sizes):
        style = {"color": report.COLOURS[k % 6], "label": f"N = {n}"}
        axes[0, 0].plot(line, [ebm.exact.tfim_magnetisation(n, h) for h in line], color=style["color"], linewidth=1)
        axes[0, 0].plot(fields, [found[n, h]["x"][0] for h in fields], report.MARKERS[k % 6], **style)
    for k, h in enumerate(fields):
        distance = np.arange(1, sizes[-1] // 2 + 1)
        values, errors = np.transpose(found[sizes[-1], h]["z"])
        exact = [ebm.exact.tfim_correlation(sizes[-1], h, int(r)) for r in distance]
        axes[0, 1].plot(distance, exact, color=report.COLOURS[k], linewidth=1)
        axes[0, 1].errorbar(
            distance, values, errors, fmt=report.MARKERS[k], color=report.COLOURS[k], label=f"h = {h:g}", markersize=4
        )
    axes[0, 0].set(xlabel="transverse field h (units of the coupling)", ylabel="<x> per spin")
    axes[0, 1].set(xlabel="distance r (spins)", ylabel="<z_0 z_r>", title=f"N = {sizes[-1]}", ylim=(-0.05, 1.05))
    for panel in axes.flat:
        panel.legend()
    report.save(picture, path)


def draw_race(curves: dict[str, tuple[np.ndarray, np.ndarray]], n: int, path: Path) -> None:
    """Draw the error of the energy against seconds."""
    picture, axes = report.figure(1, 1, 8, 5.4)
    for k, (name, (seconds, errors)) in enumerate(curves.items()):
        axes[0, 0].plot(seconds, errors, color=report.COLOURS[k], label=name)
    axes[0, 0].set(xlabel="seconds", ylabel="relative error of the energy", yscale="log", title=f"N = {n}, h = 1")
    axes[0, 0].legend()
    report.save(picture, path)


def main(
    folder: Path = report.RESULTS / "nqs_tfim", sizes: tuple[int, ...] = (10, 12, 16, 20, 40),
    fields: tuple[float, ...] = (0.5, 1.0, 1.5), steps: int = 600, samples: int = 2048, chains: int = 16,
    draws: int = 500, seed: int = 1,
) -> dict:  # fmt: skip
    """Learn every ring at every field, measure, race the samplers, and write the folder."""
    clock, found, rows = report.begin(folder), {}, []
    for n in sizes:
        for h in fields:
            state, _, _ = learn(NumbaMetropolis(nk.hilbert.Spin(0.5, n), n_chains=chains), h, steps, samples, seed)
            found[n, h] = measure(state, h, 64, draws, 100 + seed)
            rows.append(row(n, h, found[n, h]))
            print(f"{' | '.join(rows[-1])}   ({clock():.0f} s)", flush=True)
    curves = race(sizes[-1], steps, samples, chains, seed)
    head = ["N", "h", "E / N", "exact", "relative error", "its sigma", "Lanczos - exact", "<x>", "exact"]
    lasted = {name: float(seconds[-1]) for name, (seconds, _) in curves.items()}
    ratio = lasted["MetropolisLocal"] / lasted["NumbaMetropolis"]
    told = (
        f"Learning the ring of {sizes[-1]} at h = 1 in {steps} steps of {samples} samples by {chains} chains took "
        f"{lasted['NumbaMetropolis']:.1f} s with NumbaMetropolis and {lasted['MetropolisLocal']:.1f} s with "
        f"MetropolisLocal, {ratio:.1f} times as long."
    )
    tables = [report.table(head, rows), told]
    print("\n".join(tables))
    draw_ground_state(found, folder / "ground_state.png")
    draw_race(curves, sizes[-1], folder / "learning.png")
    numbers = {
        "found": {f"{n}, {h:g}": value for (n, h), value in found.items()}, "seconds": lasted, "ratio": ratio,
        "race": {name: [list(s), list(e)] for name, (s, e) in curves.items()},
    }  # fmt: skip
    settings = {"sizes": sizes, "fields": fields, "steps": steps, "samples": samples, "chains": chains, "draws": draws}
    report.write(
        folder, __file__, __doc__, tables, PICTURES, numbers, {**settings, "seed": seed, "seconds": round(clock())}
    )
    return numbers


if __name__ == "__main__":
    main()
