"""Vanishing gradients: a factor a layer, measured and from theory, and what residual connections and norms make of it.

The gradient of the loss with respect to the activations a_l of layer l comes back through W and the slope f' at every
layer. In a wide network of random weights of variance v / n its mean square changes by a factor that is an integral
over one Gaussian number g (Schoenholz et al. 2017), here of the network

    plain          a' = f(W a)              v <f'(sqrt(v q) g)^2>        q = <a^2>, itself such an integral a layer
    residual       a' = a + f(W a)          1 + v <f'(sqrt(v q) g)^2>    so that no gradient can vanish
    layer norm     a' = f(norm(W a))        <f'(g)^2> / <f(g)^2>         since the norm divides by the root of v q
    batch norm     a' = f(norm(W a))        <f'(g)^2> / Var f(g)         if digits became independent of each other on
                                                                         their way: pi / (pi - 1) for ReLU (Yang 2019)

Claim: with sigmoids, gradients shrink by more than the factor 1/4 a layer, the largest slope of a sigmoid, with
Xavier's weights (v = 1). With tanh (v = 1) and ReLU (He's v = 2) they hardly do: those weights are made for it.

Textbooks say that residual connections and norms cure this. Not always: layer norm leaves sigmoids with a vanishing
gradient, as they are never negative, so that most of <f^2> is the mean, which carries no signal; and what cannot vanish
may grow. With ReLU on residual connections it grows faster than the factor above, as gradients do not come back
independent of the activations there: the network behind layer l is homogeneous, so that a_l . dL/da_l is the same
number at each layer (Euler), and the part of the gradient along a_l grows on its way back as |a_l| does forth. Theory
below has that part, too. Networks were then trained on MNIST (gradient descent with momentum, one rate for all), to
see which of these factors matter.
"""

from pathlib import Path
from typing import Any

import numpy as np
import report
import torch
from classified_digits import pixels
from mean_field import FUNCTIONS, gaussian_mean
from torch.nn.functional import cross_entropy

import ebm
import models
from models import datasets

KINDS = ("plain", "residual", "layer norm", "batch norm")
VARIANCE = {"Sigmoid": 1.0, "Tanh": 1.0, "ReLU": 2.0}  # v, of Xavier's and of He's weights
EDGE = 5  # layers at either end that do not count for the factor: there it is still another one
# n cos^2 of the angle between a_L and its gradient, of logits z so large that p is certain of one of ten labels:
# <(max z - z_y)^2> / <|p - [k = y]|^2> of ten Gaussian numbers, (2.712 - 2 / 10 + 1) / 1.8.
ALIGNED = 1.951
PICTURES = {
    "gradients.png": "Root mean square of the gradient with respect to the activations of each layer, relative to the "
    "last: means over networks of random weights (signs) and theory of wide networks (lines)."
}


class Deep(torch.nn.Module):
    """A multilayer perceptron, with or without residual connections around its hidden layers of equal width."""

    def __init__(self, activation: str, kind: str, width: int, depth: int, seed: int) -> None:
        super().__init__()
        self.residual = kind == "residual"
        self.model = models.MLP(
            784, classes=10, hidden=(width,) * depth, activation=activation, seed=seed,
            norm=kind.removesuffix(" norm") if "norm" in kind else None,
            initialisation="he" if VARIANCE[activation] == 2.0 else "xavier",
        )  # fmt: skip

    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, list[torch.Tensor]]:
        """Return the logits and the activations of each hidden layer."""
        (_, *parts, last), layers = self.model.network, []
        size = len(parts) // len(self.model.settings["hidden"])
        for start in range(0, len(parts), size):
            a = x
            for part in parts[start : start + size]:
                a = part(a)
            x = x + a if self.residual and layers else a
            layers.append(x)
        return last(x), layers

    def loss(self, batch: tuple[torch.Tensor, torch.Tensor]) -> torch.Tensor:
        """Return the mean cross entropy in nats."""
        return cross_entropy(self(batch[0])[0], batch[1])


def gradients(network: Deep, x: torch.Tensor, y: torch.Tensor) -> np.ndarray:
    """Return the root mean square of the gradient with respect to the activations of each layer, over the last's."""
    logits, layers = network(x)
    found = torch.autograd.grad(cross_entropy(logits, y), layers)
    sizes = np.array([g.square().mean().sqrt().item() for g in found])
    return sizes / sizes[-1]


def theory_of(activation: str, kind: str, depth: int, width: int, q0: float) -> np.ndarray:
    """Return the gradient at each layer of a wide network relative to the last, (depth,)."""
    (f, slope), v = FUNCTIONS[activation], VARIANCE[activation]

    def means(variance: float) -> list[float]:
        return [gaussian_mean(part, variance) for part in (f, lambda z: f(z) ** 2, lambda z: slope(z) ** 2)]

    mean, square, steep = means(1.0)
    if "norm" in kind:
        factor = steep / (square - (mean**2 if kind == "batch norm" else 0.0))
        return factor ** (0.5 * np.arange(depth - 1, -1, -1))
    m, q, _ = means(q0 * (v if activation == "ReLU" else 2.0 * 784 / (784 + width)))  # the first layer's own v
    sizes, found = [q], []
    for _ in range(depth - 1):
        mean, square, steep = means(v * q)
        found.append(v * steep + (kind == "residual"))
        m, q = (m + mean, q + 2.0 * m * mean + square) if kind == "residual" else (mean, square)
        sizes.append(q)
    squares = np.append(np.cumprod(found[::-1])[::-1], 1.0)
    if (activation, kind) == ("ReLU", "residual"):
        squares = (1.0 - ALIGNED / width) * squares + ALIGNED / width * q / np.array(sizes)
    return np.sqrt(squares)


def rate(through: np.ndarray) -> np.ndarray:
    """Return the factor a layer by which gradients (..., L) change on their way back, without the ends."""
    inner = np.log(through[..., EDGE:-EDGE])
    return np.exp((inner[..., 0] - inner[..., -1]) / (inner.shape[-1] - 1))


def accuracies(
    activation: str, kind: str, width: int, depth: int, data: datasets.Split, epochs: int, seeds: int
) -> Any:
    """Return the test accuracy of trained networks, (seeds,); NaN if the loss became so."""
    found = []

    def momentum(parameters: Any, lr: float) -> torch.optim.Optimizer:
        return torch.optim.SGD(parameters, lr=lr, momentum=0.9)

    for seed in range(1, seeds + 1):
        network = Deep(activation, kind, width, depth, seed)
        try:
            models.fit(
                network, (data.train_images, data.train_labels), epochs=epochs, batch_size=100, learning_rate=0.01,
                optimiser=momentum, seed=seed, progress=False,
            )  # fmt: skip
        except ebm.LearningError:
            found.append(np.nan)
            continue
        with torch.no_grad():
            named = network(torch.as_tensor(data.test_images))[0].argmax(1).numpy()
        found.append(float(np.mean(named == data.test_labels)))
    return found


def draw(found: dict[str, np.ndarray], theory: dict[str, np.ndarray], path: Path) -> None:
    """Draw gradients through depth for each activation."""
    picture, axes = report.figure(1, 3, 16, 5.8)
    for panel, activation in zip(axes[0], VARIANCE, strict=True):
        for k, kind in enumerate(KINDS):
            values = np.exp(np.log(found[f"{activation}, {kind}"]).mean(0))
            layers = np.arange(1, len(values) + 1)
            panel.plot(layers, theory[f"{activation}, {kind}"], "-", color=report.COLOURS[k], lw=1.5)
            panel.plot(layers, values, report.MARKERS[k], color=report.COLOURS[k], label=kind, mfc="none")
        panel.set(yscale="log", xlabel="layer", title=activation.lower() if activation != "ReLU" else "ReLU")
    axes[0, 0].set_ylabel("gradient, relative to the last layer")
    axes[0, 0].legend()
    report.save(picture, path)


def tell(found: dict[str, np.ndarray], theory: dict[str, np.ndarray], right: dict[str, list[float]]) -> Any:
    """Return the table, what it says of the claim, and the factors."""
    rows, numbers = [], {}
    for name, values in found.items():
        mean, error = report.mean_and_error(rate(values))
        accuracy, spread = report.mean_and_error(right[name])
        numbers[name] = {"factor": mean, "error": error, "theory": float(rate(theory[name])), "accuracy": accuracy}
        ends = np.log10(values[:, 0])
        rows.append([
            *name.split(", "), report.with_error(mean, error), f"{numbers[name]['theory']:.4f}",
            f"10^{ends.mean():.1f}", f"{accuracy:.1%} ± {spread:.1%}" if np.isfinite(accuracy) else "diverged",
        ])  # fmt: skip
    head = ["f", "network", "factor a layer", "theory", "first layer / last", "test accuracy"]
    worst = max(abs(n["factor"] / n["theory"] - 1.0) for n in numbers.values())
    plain, normed = numbers["Sigmoid, plain"], numbers["Sigmoid, layer norm"]
    verdict = (
        f"Plain sigmoids: {report.with_error(plain['factor'], plain['error'])} a layer, below 1/4 as the claim is. "
        f"With layer norm still {report.with_error(normed['factor'], normed['error'])}. Measured factors are within "
        f"{worst:.1%} of those of infinitely wide networks."
    )
    return [report.table(head, rows), verdict], numbers


def main(
    folder: Path = report.RESULTS / "vanishing_gradients", width: int = 256, depth: int = 30, networks: int = 6,
    rows: int = 128, digits: int = 5000, trained: int = 64, epochs: int = 3, seeds: int = 3,
) -> dict[str, Any]:  # fmt: skip
    """Measure gradients, train, and write the folder."""
    clock = report.begin(folder)
    data = pixels(digits)
    x, y = torch.as_tensor(data.train_images[:rows]).double(), torch.as_tensor(data.train_labels[:rows])
    q0 = x.square().mean().item()
    found, theory, right = {}, {}, {}
    for activation in VARIANCE:
        for kind in KINDS:
            name = f"{activation}, {kind}"
            deep = [Deep(activation, kind, width, depth, seed).double() for seed in range(networks)]
            found[name] = np.array([gradients(network, x, y) for network in deep])
            theory[name] = theory_of(activation, kind, depth, width, q0)
            right[name] = accuracies(activation, kind, trained, depth, data, epochs, seeds)
            print(f"{name}: {clock():.0f} s", flush=True)
    draw(found, theory, folder / "gradients.png")
    told, numbers = tell(found, theory, right)
    print(*told, sep="\n\n")
    settings = {
        "width": width, "depth": depth, "networks": networks, "rows": rows, "digits": digits, "trained": trained,
        "epochs": epochs, "seeds": seeds, "seconds": round(clock()),
    }  # fmt: skip
    report.write(folder, __file__, __doc__, told, PICTURES, numbers, settings)
    return numbers


if __name__ == "__main__":
    main()
