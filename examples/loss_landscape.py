"""The loss landscape of two small networks: slices, the line between two solutions, and the Hessian's spectrum.

A network of 49-16-10 tanh units (970 weights) learns digits of 7 x 7 pixels twice, from two seeds. Its loss, the mean
cross entropy in nats of 4,000 digits with a weight decay of |w|^2 / 2000, is an energy of its weights.

Slices are through a solution, in two random directions with the norms of the network's filters (Li et al. 2018) and
along the two stiffest directions of the Hessian. Between two solutions, on the straight line, lies a barrier; so it
does between a solution and the same network with its hidden units in another order, whose loss is the same. Few
eigenvalues of the Hessian are large: of networks about one a class was reported (Sagun et al. 2017).

Theory is the dense Hessian, all of whose eigenvalues a network of this size can afford.
"""

from pathlib import Path

import numpy as np
import report
import torch

from ebm import landscape
from ebm.landscape.derivatives import hessian
from models import datasets

UNITS, DECAY, CLASSES = 16, 1e-3, 10
PICTURES = {
    "slices.png": "The loss around a solution: left in two filter-normalised random directions, right along the two "
    "eigenvectors of the largest eigenvalues of the Hessian (unit vectors).",
    "line_and_spectrum.png": "Left: the loss on straight lines from the first solution (a = 0) to the second, and to "
    "itself with hidden units in another order (a = 1). Right: density of the Hessian's eigenvalues, by stochastic "
    "Lanczos quadrature and from all eigenvalues, smoothed alike.",
}


def data(train: int, test: int, seed: int) -> list[tuple[torch.Tensor, torch.Tensor]]:
    """Return pixels (n, 49) of zero mean and unit variance and labels (n,), of training and of test digits."""
    images, labels = datasets.digits()
    small = images.reshape(-1, 7, 4, 7, 4).mean((2, 4)).reshape(-1, 49)
    small = (small - small.mean()) / small.std()
    order = np.random.default_rng(seed).permutation(len(small))
    parts = order[:train], order[train : train + test]
    return [(torch.as_tensor(small[part]), torch.as_tensor(labels[part])) for part in parts]


def network(x: torch.Tensor, labels: torch.Tensor) -> landscape.NetworkLoss:
    """Return the loss of the network over these digits."""
    module = torch.nn.Sequential(torch.nn.Linear(49, UNITS), torch.nn.Tanh(), torch.nn.Linear(UNITS, CLASSES)).double()

    def loss(net: torch.nn.Module) -> torch.Tensor:
        square = sum(p.square().sum() for p in net.parameters())
        return torch.nn.functional.cross_entropy(net(x), labels) + 0.5 * DECAY * square

    return landscape.NetworkLoss(module, loss)


def train(energy: landscape.NetworkLoss, steps: int, seed: int) -> np.ndarray:
    """Train from random weights by Adam on all digits, then by L-BFGS to a small gradient; return the weights."""
    rng = np.random.default_rng(seed)
    weights = rng.standard_normal(energy.shape[0])
    for part in energy.filters(weights):
        part /= np.sqrt(max(part.shape[1], 4))
    energy.assign(weights)
    parameters = list(energy.module.parameters())
    adam = torch.optim.Adam(parameters, lr=0.02)
    polish = torch.optim.LBFGS(parameters, max_iter=2 * steps, history_size=30, line_search_fn="strong_wolfe")

    def closure() -> torch.Tensor:
        polish.zero_grad()
        loss = energy.loss(energy.module)
        loss.backward()
        return loss

    for _ in range(steps):
        closure()
        adam.step()
    polish.step(closure)
    return energy.weights


def reordered(energy: landscape.NetworkLoss, w: np.ndarray, order: np.ndarray) -> np.ndarray:
    """Return the weights of the same network with its hidden units in another order."""
    first, bias, second, last = (part.copy() for part in energy.filters(w))
    return np.concatenate([first[order].ravel(), bias[order].ravel(), second[:, order].ravel(), last.ravel()])


def accuracy(energy: landscape.NetworkLoss, w: np.ndarray, digits: tuple[torch.Tensor, torch.Tensor]) -> float:
    """Return the share of digits that the network with these weights names right."""
    energy.assign(w)
    with torch.no_grad():
        return float((energy.module(digits[0]).argmax(1) == digits[1]).double().mean())


def draw(folder: Path, slices: list, lines: dict, spectrum: landscape.Spectrum, exact: np.ndarray) -> None:
    """Draw the two figures."""
    picture, axes = report.figure(1, 2, 15, 6)
    for panel, plane, title in zip(
        axes[0], slices, ("in two random directions", "along the two stiffest directions"), strict=True
    ):
        plane.plot(panel, label="loss (nats)")
        panel.plot(0.0, 0.0, "o", color="white", markeredgecolor="black")
        panel.set_title(f"loss {title}")
    report.save(picture, folder / "slices.png")
    picture, axes = report.figure(1, 2, 15, 6)
    for k, (name, line) in enumerate(lines.items()):
        axes[0, 0].plot(line.axes[0], line.energies, color=report.COLOURS[k], label=name)
    axes[0, 0].set(xlabel="a", ylabel="loss (nats)", title="straight lines between solutions")
    axes[0, 0].legend()
    width = 0.01 * float(np.ptp(exact))
    spectrum.plot(axes[0, 1], width=width)
    values = np.linspace(exact[0] - 5 * width, exact[-1] + 5 * width, 1000)
    kernel = np.exp(-0.5 * ((values[:, None] - exact) / width) ** 2) / (width * np.sqrt(2.0 * np.pi))
    axes[0, 1].plot(values, kernel.mean(1), "--", color=report.COLOURS[1], label="all eigenvalues")
    axes[0, 1].legend()
    report.save(picture, folder / "line_and_spectrum.png")


def tell(
    named: list, losses: np.ndarray, ends: tuple[landscape.Lanczos, landscape.Lanczos], exact: np.ndarray, numbers: dict
) -> list[str]:
    """Return the tables of the solutions and of the Hessian, and a sentence."""
    found = report.table(
        ["solution", "loss (nats)", "accuracy, training", "accuracy, test"],
        [[k + 1, f"{losses[k]:.5f}", *(f"{share:.2%}" for share in named[k])] for k in range(2)],
    )
    low, high = ends
    rows = [
        ["largest eigenvalue", f"{high.values[0]:.8f}", f"{exact[-1]:.8f}"],
        ["second largest", f"{high.values[1]:.8f}", f"{exact[-2]:.8f}"],
        ["smallest", f"{low.values[0]:.6f} (residual {low.residuals[0]:.0e})", f"{exact[0]:.6f}"],
        *([f"mean of lambda^{p}", report.with_error(*m), f"{e:.5f}"] for p, m, e in numbers["moments"]),
        ["curvature of the loss along eigenvector 1", f"{numbers['curvature']:.5f}", f"{exact[-1]:.5f}"],
        ["loss with hidden units reordered", f"{numbers['reordered']:.12f}", f"{losses[0]:.12f} (before)"],
        ["eigenvalues above a tenth of the largest", numbers["large"], f"published: about {CLASSES}, one a class"],
    ]
    barriers = ", ".join(f"{barrier:.3f} nats {name}" for name, barrier in numbers["barriers"].items())
    verdict = (
        f"Gradient left at solution 1: {numbers['gradient']:.1e}. Barriers above the higher end: {barriers}. "
        f"{np.sum(exact < 0)} of {len(exact)} eigenvalues are negative, {np.mean(exact < 2 * DECAY):.0%} below twice "
        "the weight decay."
    )
    return [found, report.table(["Hessian at solution 1", "found", "dense Hessian"], rows), verdict]


def main(
    folder: Path = report.RESULTS / "loss_landscape", digits: int = 4000, steps: int = 500, n: int = 31,
    probes: int = 60, seed: int = 1,
) -> dict:  # fmt: skip
    """Train twice, look at the loss, compare with the dense Hessian, and write the folder."""
    clock = report.begin(folder)
    training, test = data(digits, 1000, seed)
    energy = network(*training)
    solutions = [train(energy, steps, seed + k) for k in range(2)]
    w, losses = solutions[0], energy(np.array(solutions))
    named = [[accuracy(energy, v, part) for part in (training, test)] for v in solutions]
    print(f"two networks trained: {clock():.0f} s")
    energy.assign(w)
    low, high = landscape.extreme_eigenvalues(energy, w, count=2, steps=80, seed=seed)
    spectrum = landscape.hessian_spectrum(energy, w, probes=probes, steps=60, seed=seed)
    exact = np.linalg.eigvalsh(hessian(energy, w))
    print(f"Hessian: {clock():.0f} s")
    slices = [
        landscape.slice_through(energy, w, landscape.filter_directions(energy, 2, seed=seed), n=n),
        landscape.slice_through(energy, w, high.vectors, (-2.0, 2.0), n, names=("eigenvector 1", "eigenvector 2")),
    ]
    other = reordered(energy, w, np.random.default_rng(seed).permutation(UNITS))
    lines = {
        "to the second solution": landscape.interpolation(energy, w, solutions[1], n=2 * n),
        "to itself, units reordered": landscape.interpolation(energy, w, other, n=2 * n),
    }
    draw(folder, slices, lines, spectrum, exact)
    h = 1e-3  # of a second difference of the loss along the stiffest direction
    around = energy(w + h * np.array([[-1.0], [0.0], [1.0]]) * high.vectors[0])
    between = {name: line.energies[(line.axes[0] >= 0) & (line.axes[0] <= 1)] for name, line in lines.items()}
    numbers = {
        "losses": losses, "accuracy": named, "largest": [high.values, exact[:-3:-1]],
        "smallest": [low.values, exact[:2]], "residuals": [low.residuals, high.residuals],
        "moments": [(power, spectrum.moment(power), float(np.mean(exact**power))) for power in (1, 2, 3)],
        "curvature": float((around[0] - 2.0 * around[1] + around[2]) / h**2),
        "barriers": {name: float(values.max() - max(losses)) for name, values in between.items()},
        "reordered": float(energy(other[None])[0]), "large": int(np.sum(exact > 0.1 * exact[-1])),
        "gradient": float(np.linalg.norm(energy.grad(w[None]))),
    }  # fmt: skip
    told = tell(named, losses, (low, high), exact, numbers)
    print(*told, sep="\n\n")
    settings = {"digits": digits, "steps": steps, "n": n, "probes": probes, "seed": seed, "seconds": round(clock())}
    report.write(folder, __file__, __doc__, told, PICTURES, numbers, settings)
    return numbers


if __name__ == "__main__":
    main()
