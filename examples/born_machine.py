"""Born machines learn distributions as |psi|^2, and interference does what a Boltzmann machine of their size cannot.

    RBM             p(s) ~ sum_h exp(a.s + b.h + s.W.h)
    Born machine    p(s) ~ |psi(s)|^2,   psi(s) = exp(a.s) prod_j cosh(b_j + (s W)_j),   parameters real or complex

A real Born machine of m hidden units is an RBM of 2 m, equal in pairs. A complex one has amplitudes that cancel: since
cosh(i v) = cos v, one hidden unit of imaginary weights i pi / 4 is zero for every string of odd parity and equal for
all the others, a law that an RBM builds from many units.

Three laws of few bits, each uniform over its patterns: bars and stripes of 3 x 3, strings of even parity, and strings
with half of the bits set. ln Z and its gradient are exact sums over all states, so that nothing but the machines
themselves is compared; what is left is the Kullback-Leibler divergence of the law from the machine, in nats. The best
complex machines are then sampled by parallel tempering, since single flips cannot cross from one even string to
another: the correlation of the first two spins along the chains must be that of the sum over states.
"""

from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
import report
import torch
from torch import nn

import ebm
import samplers
from ebm import exact
from models import datasets

BETAS = (0.02, 0.2, 1.0)  # few: where nearly all swaps succeed, frozen replicas come round and round at beta = 1
PICTURES = {
    "divergence.png": "Left: divergence of the law from the machine after learning, a mark a seed. Right: divergence "
    "along the learning of even parity, best seed of each machine.",
}


class Amplitude(nn.Module):
    """-ln |psi(s)|^2 of an RBM wavefunction, real or complex, of spins (k, n): (k,).

    Imaginary parts begin wide, since interference is felt only when phases differ by a good part of pi.
    """

    def __init__(self, n: int, m: int, parts: int, seed: int) -> None:
        super().__init__()
        rng = np.random.default_rng(seed)
        widths = torch.tensor([0.3, 0.8], dtype=torch.float64)[:parts]
        draw = lambda *shape: torch.as_tensor(rng.standard_normal((*shape, parts))) * widths  # noqa: E731
        self.a = nn.Parameter(torch.zeros(n, dtype=torch.float64))
        self.b, self.W = (nn.Parameter(draw(*shape).movedim(-1, 0).contiguous()) for shape in ((m,), (n, m)))

    def forward(self, s: torch.Tensor) -> torch.Tensor:
        """Return the energies."""
        theta = self.b[:, None] + s.to(self.W.dtype) @ self.W  # real and imaginary parts, (parts, k, m)
        u = theta[0].abs()
        v = theta[1] if len(theta) > 1 else torch.zeros_like(u)
        decay = torch.exp(-2.0 * u)
        # ln |2 cosh(u + iv)|^2, as a sum of squares that cannot cancel where psi vanishes
        log_cosh = 2.0 * u + torch.log((1.0 - decay).square() + 4.0 * decay * v.cos().square())
        return -2.0 * s.to(self.W.dtype) @ self.a - log_cosh.sum(1)


def laws(bits: int) -> dict[str, np.ndarray]:
    """Return the patterns of each law, as bits (k, n) int8."""
    strings = np.concatenate(list(exact.states((bits,), "binary")))
    chosen = list(combinations(range(bits), bits // 2))
    half = np.zeros((len(chosen), bits), np.int8)
    half[np.arange(len(chosen))[:, None], chosen] = 1
    return {
        "bars and stripes": datasets.bars_and_stripes(3).patterns,
        "even parity": strings[strings.sum(1) % 2 == 0],
        "half of the bits": half,
    }


def machines(n: int, m: int, seed: int) -> dict[str, Any]:
    """Return untrained machines by name; the complex one has as many real parameters as the last."""
    spins = lambda parts: ebm.TorchEnergy(Amplitude(n, m, parts, seed), shape=(n,), domain="spin")  # noqa: E731
    return {
        f"RBM, {m} hidden": ebm.RBM(n, m, seed=seed, dtype="float64"),
        f"real Born machine, {m}": spins(1),
        f"complex Born machine, {m}": spins(2),
        f"RBM, {2 * m} hidden": ebm.RBM(n, 2 * m, seed=seed, dtype="float64"),
    }


def learn(energy: Any, patterns: np.ndarray, steps: int, looks: int) -> list[float]:
    """Learn by the exact likelihood; return the divergence at looks spread evenly."""
    x = patterns if energy.domain == "binary" else 2 * patterns - 1
    marks, curve = set(np.linspace(steps / looks, steps, looks).astype(int)), []
    run = ebm.training(
        energy, x, ebm.ExactLikelihood(), epochs=steps, batch_size=len(x), learning_rate=0.03, optimiser=ebm.Adam(),
        schedule=lambda step: 1.0 - step / steps, seed=0,
    )  # fmt: skip
    for record in run:
        if int(record["epoch"]) in marks:
            curve.append(float(np.mean(energy(x)) + ebm.log_z(energy, "exact").value - np.log(len(x))))
    return curve


def wavefunction(energy: ebm.TorchEnergy) -> ebm.ComplexRBMWaveFunction:
    """Return a complex Born machine as the compiled energy of the library."""
    p = {name: value.detach().numpy() for name, value in energy.module.named_parameters()}
    return ebm.ComplexRBMWaveFunction(p["W"][0] + 1j * p["W"][1], p["a"] + 0j, p["b"][0] + 1j * p["b"][1])


def sampled(psi: ebm.ComplexRBMWaveFunction, draws: int, seed: int) -> tuple[float, float, float]:
    """Return the correlation of the first two spins along tempered chains, its error, and the sum over all states."""
    ladder, pair = samplers.ParallelTempering(samplers.Metropolis(), BETAS), lambda s: 1.0 * s[:, 0] * s[:, 1]
    run = samplers.sample(
        psi, ladder, chains=16, draws=draws, thin=5, warmup=500, seed=seed, observables={"pair": pair}, progress=False
    )
    found, states = samplers.estimate("pair", run), np.concatenate(list(exact.states(psi.shape, "spin")))
    return found.value, found.error, float(exact.probabilities(psi) @ pair(states))


def draw(found: dict[str, dict[str, list[list[float]]]], steps: int, path: Path) -> None:
    """Draw the divergence of every machine and seed, and its fall while even parity is learned."""
    picture, axes = report.figure(1, 2, 15, 5.6)
    for j, (law, runs) in enumerate(found.items()):
        for k, (name, curves) in enumerate(zip_names(runs)):
            ends = [max(curve[-1], 1e-7) for curve in curves]
            places = j + 0.18 * (k - 1.5) + 0.02 * np.arange(len(ends))
            style = {"color": report.COLOURS[k], "marker": report.MARKERS[k], "linestyle": "none"}
            axes[0, 0].plot(places, ends, **style, label=name if j == 0 else None)
            if law == "even parity":
                best = np.maximum(min(curves, key=lambda curve: curve[-1]), 1e-7)
                axes[0, 1].plot(np.linspace(steps / len(best), steps, len(best)), best, color=report.COLOURS[k])
    axes[0, 0].set(xticks=range(len(found)), xticklabels=list(found), ylabel="divergence (nats)", yscale="log")
    axes[0, 1].set(xlabel="steps", ylabel="divergence (nats)", yscale="log", title="even parity")
    picture.legend(loc="outside upper center", ncols=4)
    report.save(picture, path)


def zip_names(runs: dict[str, list[list[float]]]) -> list[tuple[str, list[list[float]]]]:
    """Return the machines in one order; sizes differ from law to law and are left out of the names."""
    names = "RBM", "real Born machine", "complex Born machine", "RBM, twice the units"
    return list(zip(names, runs.values(), strict=True))


def main(
    folder: Path = report.RESULTS / "born_machine", bits: int = 10, steps: int = 3000, seeds: int = 5,
    draws: int = 2000, looks: int = 20,
) -> dict:  # fmt: skip
    """Learn every law by every machine and seed, sample the complex ones, and write the folder."""
    clock, found, rows, chains = report.begin(folder), dict[str, dict](), [], []
    for law, patterns in laws(bits).items():
        m = {"bars and stripes": 6, "even parity": 2, "half of the bits": 4}[law]
        runs: dict[str, list[list[float]]] = {}
        best: tuple[float, Any] = (np.inf, None)
        for seed in range(1, seeds + 1):
            for name, energy in machines(patterns.shape[1], m, seed).items():
                runs.setdefault(name, []).append(learn(energy, patterns, steps, looks))
                if name.startswith("complex") and runs[name][-1][-1] < best[0]:
                    best = runs[name][-1][-1], energy
        found[law] = runs
        rows.append(
            [law, str(len(patterns)), str(m), *(f"{min(c[-1] for c in curves):.4f}" for curves in runs.values())]
        )
        chains.append((law, *sampled(wavefunction(best[1]), draws, 7)))
        print(f"{' | '.join(rows[-1])}   ({clock():.0f} s)", flush=True)
    head = ["divergence (nats), best seed", "patterns", "m", "RBM, m", "real Born, m", "complex Born, m", "RBM, 2m"]
    energies = [
        [law, report.with_error(value, error), f"{right:.5f}", f"{(value - right) / error:.1f}"]
        for law, value, error, right in chains
    ]
    tables = [
        report.table(head, rows),
        report.table(["best complex machine, sampled", "<s_1 s_2>", "exact", "sigmas apart"], energies),
    ]
    print("\n".join(tables))
    draw(found, steps, folder / "divergence.png")
    settings = {"bits": bits, "steps": steps, "seeds": seeds, "draws": draws, "seconds": round(clock())}
    report.write(folder, __file__, __doc__, tables, PICTURES, {"divergence": found, "sampled": chains}, settings)
    return {"divergence": found, "sampled": chains}


if __name__ == "__main__":
    main()
