"""An energy of your own, in both tiers: three wells in the plane, as numba functions and as a torch function.

E(x, y) = b (r^2 - 1)^2 - t r^3 cos 3 phi in polar coordinates (r, phi), k_B = 1: a valley in the shape of a ring, with
three wells; b and t are energies.

The compiled tier runs numba functions of one configuration; the array tier calls any torch function once a step, for
all chains together. `samplers.check` compares gradient with energy, and a batch with single configurations, before
anything is sampled. Theory is an integral over a grid, and the virial theorem <x . grad E> = 2 T in the plane.
"""

import time
from pathlib import Path

import numpy as np
import report
import torch
from numba import njit

import ebm
import samplers

PARAMETERS, BETA = (2.0, 0.5), 2.0  # b and t; inverse temperature
PICTURES = {
    "surface.png": "Left: energy, and draws of four chains. Right: density of the angle; points with error bars "
    "are measured in the two tiers, the line is exact."
}


@njit
def f(x, params):
    b, t = params
    r2 = x[0] ** 2 + x[1] ** 2
    return b * (r2 - 1.0) ** 2 - t * (x[0] ** 3 - 3.0 * x[0] * x[1] ** 2)


@njit
def g(x, params, out):
    b, t = params
    ring = 4.0 * b * (x[0] ** 2 + x[1] ** 2 - 1.0)
    out[0] = ring * x[0] - 3.0 * t * (x[0] ** 2 - x[1] ** 2)
    out[1] = ring * x[1] + 6.0 * t * x[0] * x[1]


def three_wells(x: torch.Tensor) -> torch.Tensor:
    """The same energy for a batch of configurations (n, 2); its gradient is autograd's."""
    b, t = PARAMETERS
    return b * (x.square().sum(1) - 1.0) ** 2 - t * (x[:, 0] ** 3 - 3.0 * x[:, 0] * x[:, 1] ** 2)


def theory() -> tuple[float, np.ndarray, np.ndarray]:
    """Return the exact mean energy, and angles with their exact density, from a fine grid in polar coordinates."""
    angle, r = np.linspace(-np.pi, np.pi, 361), np.linspace(0.0, 2.5, 400)
    e = PARAMETERS[0] * (r**2 - 1.0) ** 2 - PARAMETERS[1] * r**3 * np.cos(3.0 * angle[:, None])
    weight = r * np.exp(-BETA * e)
    z = np.trapezoid(weight.sum(1), angle)
    return float(np.trapezoid((e * weight).sum(1), angle) / z), angle, weight.sum(1) / z


def steps_per_second(energy: ebm.Energy, sweeps: int) -> float:
    """Time Langevin steps of 10 chains; the first call compiles."""
    for _ in range(2):
        began = time.perf_counter()
        samplers.sample(
            energy, samplers.Langevin(0.01), chains=10, draws=1, warmup=0, thin=sweeps, seed=1, progress=False
        )
        seconds = time.perf_counter() - began
    return 10 * sweeps / seconds


def draw(runs: dict[str, samplers.Chains], energy: ebm.Energy, path: Path) -> None:
    """Draw the surface with draws on it, and the density of the angle."""
    picture, axes = report.figure(1, 2, 14, 6)
    line, (_, angle, density) = np.linspace(-1.75, 1.75, 200), theory()
    grid = np.stack(np.meshgrid(line, line), axis=-1)
    surface = energy(grid.reshape(-1, 2)).reshape(200, 200)
    filled = axes[0, 0].contourf(line, line, surface, levels=np.linspace(-0.8, 4.0, 17), cmap="cividis", extend="max")
    picture.colorbar(filled, label="energy E(x, y)")
    x = next(iter(runs.values())).x[:4].reshape(-1, 2)
    axes[0, 0].plot(*x.T, ".", color="white", markersize=2.5, alpha=0.7)
    axes[0, 0].set(title="draws on the energy surface", xlabel="x", ylabel="y", aspect="equal")
    edges = np.linspace(-np.pi, np.pi, 37)
    for k, (name, run) in enumerate(runs.items()):
        angles = np.arctan2(run.x[..., 1], run.x[..., 0])
        counts = np.array([np.histogram(chain, edges, density=True)[0] for chain in angles])
        error = counts.std(0, ddof=1) / np.sqrt(len(counts))  # the chains are independent
        style = {"fmt": report.MARKERS[k], "color": report.COLOURS[k], "label": name}
        axes[0, 1].errorbar(edges[:-1] + np.pi / 36 + 0.03 * k, counts.mean(0), error, **style)
    axes[0, 1].plot(angle, density, "k-", label="exact", zorder=0)
    axes[0, 1].set(title="where the draws are", xlabel="angle (radians)", ylabel="probability density")
    axes[0, 1].set_ylim(0.0, 1.25 * density.max())
    axes[0, 1].legend(ncols=3, loc="upper center")
    report.save(picture, path)


def main(
    folder: Path = report.RESULTS / "own_energy", draws: int = 400, thin: int = 40, chains: int = 48,
    sweeps: int = 3000, seed: int = 1,
) -> dict:  # fmt: skip
    """Check, sample and time the energy in both tiers, compare with theory, and write the folder."""
    clock, runs, rows, speeds, numbers = report.begin(folder), {}, [], [], {"theory": theory()[0]}
    tiers = {
        "compiled": ebm.CompiledEnergy(f, g, shape=(2,), params=PARAMETERS),
        "array (torch)": ebm.TorchEnergy(three_wells, shape=(2,)),
    }
    for k, (name, energy) in enumerate(tiers.items()):
        samplers.check(energy)
        runs[name] = samplers.sample(
            energy, samplers.MALA(), chains=chains, draws=draws, thin=thin, beta=BETA, seed=seed + k, progress=False
        )
        mean = samplers.estimate("energy", runs[name])
        virial = samplers.estimate(lambda x, energy=energy: (x * energy.grad(x)).sum(1), runs[name])
        speeds.append(steps_per_second(energy, sweeps if energy.compiled is None else 300 * sweeps))
        numbers[name] = {"energy": mean[:2], "virial": virial[:2], "steps_per_second": speeds[-1]}
        cells = report.with_error(*mean[:2]), report.with_error(*virial[:2]), f"{mean.tau:.1f}", f"{speeds[-1]:.1e}"
        rows.append([name, *cells])
    rows.append(["theory", f"{numbers['theory']:.4f}", f"{2 / BETA:.4f}", "", ""])
    table = report.table(["tier", "mean energy", "virial", "tau (draws)", "Langevin steps/s, 10 chains"], rows)
    ratio = numbers["speed_ratio"] = speeds[0] / speeds[1]
    verdict = f"The compiled tier is {ratio:.0f} times as fast as the array tier at 10 chains."
    runs["compiled"].save(report.new_file(folder / "compiled.h5"))
    print(samplers.summary(samplers.load(folder / "compiled.h5")), table, verdict, sep="\n\n")
    draw(runs, tiers["compiled"], folder / "surface.png")
    settings = {"draws": draws, "thin": thin, "chains": chains, "seed": seed, "seconds": round(clock())}
    report.write(folder, __file__, __doc__, [table, verdict], PICTURES, numbers, settings)
    return numbers


if __name__ == "__main__":
    main()
