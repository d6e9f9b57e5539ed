"""The frustrated Heisenberg ring, by a complex RBM wavefunction whose samples stay at zero magnetisation.

    H = J1 sum_i S_i . S_{i+1} + J2 sum_i S_i . S_{i+2}        spins 1/2 on a ring of N, J1 = 1 being the unit of energy

The chains of `ebm.quantum.NumbaMetropolis` exchange two spins at a time and so keep the magnetisation at zero. The
rotation of every second spin (Marshall 1955) makes the ground state positive at J2 = 0, but for frustrated rings it
cannot: complex weights must find the signs. At J2 = 1/2 the ground state is one of dimers, of energy -3 N / 8 exactly
(Majumdar and Ghosh 1969), there with a twin; elsewhere Lanczos' method gives it.

Energies are taken from independent chains when learning is over, with errors by the Gamma method. So is the structure
factor of staggered order, <(sum_i (-1)^i S^z_i)^2> / N, which frustration takes away. The relative error is also given
without any sampling error, by the sum of |psi|^2 over all configurations: local energies have long tails, since rare
configurations are learned last, and a short run that has met none of them is wrong by more than it says.
"""

import time
from pathlib import Path
from typing import Any

import netket as nk
import numpy as np
import report

import samplers
from ebm.quantum import NumbaMetropolis, chains_of

PICTURES = {
    "frustration.png": "Left: energy along the frustration J2 (marks; errors are smaller), and Lanczos' (lines). "
    "Right: structure factor of staggered order, likewise; at J2 = 1/2 the exact one depends on the choice of a twin.",
}


def ring(n: int, j2: float) -> Any:
    """Return the Hamiltonian in units where a bond of NetKet's Pauli matrices is four of spins 1/2."""
    edges = [(i, (i + step) % n, step - 1) for step in (1, 2) for i in range(n)]
    space = nk.hilbert.Spin(0.5, n, total_sz=0)
    return nk.operator.Heisenberg(space, nk.graph.Graph(edges=edges), J=[0.25, 0.25 * j2], sign_rule=[True, False])


def learn(hamiltonian: Any, sampler: Any, steps: int, samples: int, seed: int) -> tuple[nk.vqs.MCState, float]:
    """Return the learned state, and seconds without those of the first step, which compiles."""
    model = nk.models.RBM(alpha=2, param_dtype=complex)
    state = nk.vqs.MCState(sampler, model, n_samples=samples, n_discard_per_chain=0, seed=seed)
    driver = nk.VMC(
        hamiltonian, nk.optimizer.Sgd(0.08), variational_state=state,
        preconditioner=nk.optimizer.SR(diag_shift=0.01, holomorphic=True),
    )  # fmt: skip
    times: list[float] = []
    driver.run(steps, out=None, show_progress=False, callback=lambda *_: times.append(time.perf_counter()) or True)
    return state, times[-1] - times[0]


def staggered(x: np.ndarray) -> np.ndarray:
    """Return (sum_i (-1)^i S^z_i)^2 / N of configurations (..., N) of spins -1 and +1."""
    n = x.shape[-1]
    return ((x * (-1.0) ** np.arange(n)).sum(-1) / 2.0) ** 2 / n


def measure(state: nk.vqs.MCState, hamiltonian: Any, chains: int, draws: int, seed: int) -> dict[str, Any]:
    """Return energy and structure factor with their errors, from chains of their own, and the energy by summation."""
    sampler = NumbaMetropolis(state.hilbert, n_chains=chains, sweep_size=4 * state.hilbert.size)
    fresh = nk.vqs.MCState(
        sampler, state.model, variables=state.variables, n_samples=chains * draws, n_discard_per_chain=100,
        sampler_seed=seed,
    )  # fmt: skip
    run = chains_of(fresh, H=hamiltonian)
    order = samplers.estimate(lambda x: staggered(np.asarray(x, float)), run)
    full = nk.vqs.FullSumState(state.hilbert, state.model, variables=state.variables).expect(hamiltonian)
    return {"H": samplers.estimate("H", run)[:2], "order": order[:2], "full": float(full.mean.real)}


def lanczos(hamiltonian: Any) -> tuple[float, float]:
    """Return the exact energy, and the structure factor of the ground state: NaN if it has a twin."""
    energies, vectors = nk.exact.lanczos_ed(hamiltonian, k=2, compute_eigenvectors=True)
    if energies[1] - energies[0] < 1e-8:
        return float(energies[0]), np.nan
    p = np.abs(vectors[:, 0]) ** 2
    return float(energies[0]), float(p @ staggered(np.asarray(hamiltonian.hilbert.all_states(), float)))


def draw(found: dict[tuple[int, float], dict], path: Path) -> None:
    """Draw energy and structure factor along J2."""
    picture, axes = report.figure(1, 2, 14, 5.4)
    for k, n in enumerate(sorted({n for n, _ in found})):
        j2 = sorted(j for m, j in found if m == n)
        runs = [found[n, j] for j in j2]
        for panel, name, exact, factor in ((axes[0, 0], "H", 0, 1.0 / n), (axes[0, 1], "order", 1, 1.0)):
            values, errors = factor * np.transpose([run[name] for run in runs])
            panel.plot(j2, [factor * run["exact"][exact] for run in runs], color=report.COLOURS[k], linewidth=1)
            panel.errorbar(j2, values, errors, fmt=report.MARKERS[k], color=report.COLOURS[k], label=f"N = {n}")
    axes[0, 0].set(xlabel="J2 / J1", ylabel="energy per spin (J1)")
    axes[0, 1].set(xlabel="J2 / J1", ylabel="staggered structure factor")
    for panel in axes.flat:
        panel.legend()
    report.save(picture, path)


def main(
    folder: Path = report.RESULTS / "nqs_j1j2", sizes: tuple[int, ...] = (10, 16),
    couplings: tuple[float, ...] = (0.0, 0.2, 0.4, 0.5), steps: int = 600, samples: int = 1024, chains: int = 16,
    draws: int = 1000, seed: int = 1,
) -> dict:  # fmt: skip
    """Learn every ring at every frustration, measure, time both samplers, and write the folder."""
    clock, found, rows = report.begin(folder), {}, []
    for n in sizes:
        for j2 in couplings:
            hamiltonian = ring(n, j2)
            sampler = NumbaMetropolis(hamiltonian.hilbert, n_chains=chains)
            state, _ = learn(hamiltonian, sampler, steps, samples, seed)
            one = measure(state, hamiltonian, 64, draws, 100 + seed) | {"exact": lanczos(hamiltonian)}
            found[n, j2] = one
            energy, order = one["exact"]
            rows.append([
                str(n), f"{j2:g}", report.with_error(*one["H"]), f"{energy:.6f}",
                f"{(one['full'] - energy) / -energy:.1e}", report.with_error(*one["order"]),
                f"{order:.4f}" if np.isfinite(order) else "has a twin",
            ])  # fmt: skip
            print(f"{' | '.join(rows[-1])}   ({clock():.0f} s)", flush=True)
    hamiltonian = ring(sizes[-1], couplings[-1])
    space, size = hamiltonian.hilbert, sizes[-1]
    rivals = {
        "NumbaMetropolis": NumbaMetropolis(space, n_chains=chains),
        "MetropolisExchange": nk.sampler.MetropolisExchange(
            space, n_chains=chains, sweep_size=size, graph=nk.graph.Chain(size), d_max=size // 2
        ),
    }
    seconds = {name: learn(hamiltonian, rival, steps // 4, samples, seed)[1] for name, rival in rivals.items()}
    told = (
        f"{steps // 4} steps on the ring of {size} at J2 = {couplings[-1]:g} took {seconds['NumbaMetropolis']:.1f} s "
        f"with NumbaMetropolis and {seconds['MetropolisExchange']:.1f} s with MetropolisExchange of any two spins."
    )
    head = ["N", "J2", "energy", "exact", "relative error, summed", "staggered order", "exact"]
    tables = [report.table(head, rows), told]
    print("\n".join(tables))
    draw(found, folder / "frustration.png")
    numbers = {"found": {f"{n}, {j:g}": one for (n, j), one in found.items()}, "seconds": seconds}
    settings = {
        "sizes": sizes, "couplings": couplings, "steps": steps, "samples": samples, "chains": chains, "draws": draws,
        "seed": seed, "seconds": round(clock()),
    }  # fmt: skip
    report.write(folder, __file__, __doc__, tables, PICTURES, numbers, settings)
    return numbers


if __name__ == "__main__":
    main()
