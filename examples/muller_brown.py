"""The Muller-Brown surface, all of it: wells, saddles, the path, basins, the tree, the committor and a free energy.

E(x, y) is a sum of four exponentials (Muller and Brown 1979), in its own units of energy and length; k_B = 1, and
dynamics have mobility one: dx = -grad E dt + sqrt(2 T) dW.

Each number is held against another way to it: stationary points against published energies, the barrier of the path
against the saddle, the committor's rate of transitions (transition path theory) against transitions counted in Langevin
chains, and the free energy along x from chains of parallel tempering against an integral over y.
"""

from pathlib import Path

import numpy as np
import report

import ebm
import samplers
from ebm import landscape

SURFACE, BOX = ebm.MullerBrown(), [(-1.5, 1.2), (-0.2, 2.0)]
WIDE = [(-2.2, 1.8), (-1.2, 2.8)]  # all of the mass at the temperatures below
PUBLISHED = {
    "minimum A": -146.700,
    "minimum B": -108.167,
    "minimum C": -80.768,
    "saddle CB": -72.249,
    "saddle AC": -40.665,
}
TEMPERATURE, RADIUS = 20.0, 0.2  # of dynamics and free energy; of the discs A and B
LADDER = (0.01, 0.018, 0.03, 1.0 / TEMPERATURE)  # inverse temperatures of parallel tempering
STEP = 5e-6  # of Langevin dynamics: 0.02 of the fastest relaxation time, 1 / 4068 in well A
EDGES = np.linspace(-1.3, 1.1, 31)
PICTURES = {
    "surface.png": "Left: the energy surface, its three minima and two saddles, and the minimum-energy path. Right: "
    "the energy along the path.",
    "basins.png": "Left: to which minimum steepest descent leads from each point. Right: the disconnectivity graph, in "
    "which two wells are joined at the lowest saddle between them.",
    "dynamics.png": "Left: the committor, the probability to reach the disc B before the disc A, at T = 20. Right: "
    "free energy along x at T = 20, from chains and by quadrature.",
}


def exact_free_energy() -> np.ndarray:
    """Return F of every bin of EDGES, -T ln p(bin) up to a constant, by quadrature over the bin and all y."""
    fine = landscape.grid(SURFACE, [(EDGES[0], EDGES[-1]), WIDE[1]], n=(1201, 2001))
    density = np.trapezoid(np.exp(-(fine.energies + 150.0) / TEMPERATURE), fine.axes[1], axis=1)
    steps = (len(density) - 1) // (len(EDGES) - 1)
    p = [np.trapezoid(density[k * steps : (k + 1) * steps + 1]) for k in range(len(EDGES) - 1)]
    return -TEMPERATURE * np.log(np.array(p))


def count_transitions(a: np.ndarray, b: np.ndarray, chains: int, draws: int, seed: int) -> tuple[float, float]:
    """Return transitions from disc A to disc B in a unit of time, and the standard error over Langevin chains."""
    start = np.concatenate([np.tile(a, (chains - chains // 8, 1)), np.tile(b, (chains // 8, 1))])
    run = samplers.sample(
        SURFACE, samplers.Langevin(STEP), chains=chains, draws=draws, warmup=100_000, thin=100, init=start,
        beta=1.0 / TEMPERATURE, seed=seed, progress=False,
    )  # fmt: skip
    counts = []
    for x in np.asarray(run.x):
        inside = np.where(landscape.disc(a, RADIUS)(x), 0, np.where(landscape.disc(b, RADIUS)(x), 1, -1))
        visits = inside[inside >= 0]
        counts.append(np.sum((visits[:-1] == 0) & (visits[1:] == 1)))
    time = draws * 100 * STEP
    return float(np.mean(counts)) / time, float(np.std(counts, ddof=1)) / np.sqrt(chains) / time


def draw(
    folder: Path, wells: list, tops: list, path: landscape.MinimumEnergyPath, basins: landscape.Basins,
    tree: landscape.DisconnectivityGraph, committor: landscape.Committor, free: landscape.FreeEnergy, exact: np.ndarray,
) -> None:  # fmt: skip
    """Draw the three figures."""
    picture, axes = report.figure(1, 2, 15, 6)
    landscape.grid(SURFACE, BOX, n=161).plot(axes[0, 0], points=wells + tops, path=path.images, highest=60.0)
    path.plot(axes[0, 1])
    report.save(picture, folder / "surface.png")
    picture, axes = report.figure(1, 2, 15, 6)
    basins.plot(axes[0, 0], points=tops)
    tree.plot(axes[0, 1])
    report.save(picture, folder / "basins.png")
    picture, axes = report.figure(1, 2, 15, 6)
    committor.plot(axes[0, 0])
    free.plot(axes[0, 1])
    axes[0, 1].plot(free.q, exact, "k-", zorder=0, label="quadrature")
    axes[0, 1].legend()
    report.save(picture, folder / "dynamics.png")


def tempered_chains(file: Path, draws: int, seed: int) -> samplers.Chains:
    """Return chains of parallel tempering at T = 20, and keep a short run of the same kind in a file."""
    ladder = samplers.ParallelTempering(samplers.MALA(), LADDER)
    settings: dict = {"thin": 2, "beta": LADDER[-1], "seed": seed, "progress": False}
    samplers.sample(SURFACE, ladder, draws=500, store=report.new_file(file), **settings)
    return samplers.sample(SURFACE, ladder, chains=8, draws=draws, **settings)


def tell(
    wells: list, tops: list, path: landscape.MinimumEnergyPath, tree: landscape.DisconnectivityGraph,
    committor: landscape.Committor, counted: tuple[float, float], z: np.ndarray,
) -> list[str]:  # fmt: skip
    """Return the tables of the stationary points and of the comparisons, and a sentence."""
    rows = [
        [name, f"{p.x[0]:.6f}, {p.x[1]:.6f}", f"{p.energy:.6f}", f"{value:.3f}", f"{p.gradient_norm:.0e}",
         ", ".join(f"{e:.1f}" for e in p.eigenvalues)]
        for (name, value), p in zip(PUBLISHED.items(), wells + tops, strict=True)
    ]  # fmt: skip
    points = report.table(["point", "x, y", "energy", "published", "gradient left", "Hessian eigenvalues"], rows)
    climbs = [tops[1].energy - well.energy for well in wells[:2]]
    counts = report.with_error(*counted)
    rows = [
        ["barrier from A, along the path", f"{path.barrier:.6f}", f"{climbs[0]:.6f} (saddle AC)"],
        ["barrier from B", f"{path.barrier_back:.6f}", f"{climbs[1]:.6f} (saddle AC)"],
        ["energy at which B and C join", f"{tree.height_between(1, 2):.6f}", f"{tops[0].energy:.6f} (saddle CB)"],
        ["transitions from A to B in a unit of time", f"{counts} (counted)", f"{committor.rate:.4f} (committor)"],
        [
            "F(x) from quadrature, at most",
            f"{np.abs(z).max():.1f} sigma",
            f"3.1 sigma in 95% of {len(z)} normal numbers",
        ],
    ]
    verdict = (
        f"The path of length {path.arc[-1]:.3f} passes {len(path.saddles)} saddles; the gradients of its images across "
        f"it are {path.across:.1e} of the largest gradient. F differs from quadrature by {np.sqrt(np.mean(z**2)):.2f} "
        "standard errors (root mean square)."
    )
    return [points, report.table(["what", "found", "theory"], rows), verdict]


def main(
    folder: Path = report.RESULTS / "muller_brown", n: int = 201, chains: int = 64, draws: int = 40_000,
    tempered: int = 40_000, seed: int = 1,
) -> dict:  # fmt: skip
    """Find all that there is on the surface, compare, and write the folder."""
    clock = report.begin(folder)
    wells = landscape.minima(SURFACE, landscape.points_in(BOX, 40, seed))
    path = landscape.minimum_energy_path(SURFACE, np.stack([wells[0].x, wells[1].x]))
    tops = landscape.saddles(SURFACE, np.stack([saddle.x for saddle in path.saddles]))
    basins = landscape.basins(SURFACE, BOX, wells, n=n)
    tree = landscape.disconnectivity_graph(SURFACE, wells, tops)
    discs = [landscape.disc(well.x, RADIUS) for well in wells[:2]]
    committor = landscape.committor(SURFACE, WIDE, discs[0], discs[1], beta=1.0 / TEMPERATURE, n=2 * n)
    print(f"geometry and committor: {clock():.0f} s")
    counted = count_transitions(wells[0].x, wells[1].x, chains, draws, seed)
    print(f"Langevin chains: {clock():.0f} s")
    run = tempered_chains(folder / "tempered.h5", tempered, seed)
    free = landscape.free_energy(lambda x: x[:, 0], run, EDGES, name="x")
    lowest, exact = int(np.argmin(free.values)), exact_free_energy()
    exact = exact - exact[lowest]
    others = np.flatnonzero((free.probabilities > 0.0) & (np.arange(len(exact)) != lowest))
    differences = np.array([free.difference(free.q[lowest], free.q[k]) for k in others])
    z = (differences[:, 0] - exact[others]) / differences[:, 1]
    draw(folder, wells, tops, path, basins, tree, committor, free, exact)
    told = tell(wells, tops, path, tree, committor, counted, z)
    print(*told, sep="\n\n")
    numbers = {
        "energies": [p.energy for p in wells + tops], "published": list(PUBLISHED.values()),
        "barrier": path.barrier, "barrier_back": path.barrier_back, "path_length": path.arc[-1],
        "basins": [float(np.mean(basins.labels == k)) for k in range(3)], "rate": committor.rate, "counted": counted,
        "free_energy": {"x": free.q, "F": free.values, "error": free.errors, "exact": exact, "z": z},
    }  # fmt: skip
    settings = {"n": n, "chains": chains, "draws": draws, "tempered": tempered, "seed": seed, "seconds": round(clock())}
    report.write(folder, __file__, __doc__, told, PICTURES, numbers, settings)
    return numbers


if __name__ == "__main__":
    main()
