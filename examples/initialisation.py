"""First weights: He's keep a signal's size through 20 ReLU layers, others do not, and equal ones stay equal.

Claim. Given the numbers a of a layer, z = W a of the next are independent and N(0, 2 |a|^2 / n), by He's choice of the
variance, however many they are. With g ~ N(0, 1) the mean square q of activations therefore changes by the factor

    q' / q = (2 / n) sum_i relu(g_i)^2 = (2 / n) chi^2_K,    K ~ Binomial(n, 1/2) units that are active

of mean 1 and variance (4 <relu^4> - 1) / n = (6 - 1) / n, independent of the layers before. So the mean of q_L / q_0
over networks is 1 exactly and its variance (1 + 5/n)^L - 1: one network of 512 units may well be off by a half. The
logarithm, a sum of L independent terms, has L times the variance <psi'(K/2)> + Var psi(K/2) of ln chi^2_K. Measured
on 100 networks, each with one digit of MNIST.

The other schemes keep nothing, and their factors follow from a Gaussian integral: v n / 2 a ReLU layer for weights of
variance v, hence 1/2 for Xavier's, and 0.026 and 2.6 for naive deviations of 0.01 and 0.1 at n = 512: which of them
vanishes or explodes is a matter of n. Xavier's and orthogonal weights are made for tanh, where they lose less.

Equal units stay equal, since they pass on the same number and receive the same gradient: exactly, if the width is a
multiple of the tiles of a matrix product. Otherwise the last tile may be summed in another order, and units that are
equal on paper differ by rounding. Constant weights learn late, too: the first gradient that goes back is the
constant times sum_k (p_k - [k = y]) = 0. Zeros learn nothing but how frequent each digit is.
"""

from pathlib import Path
from typing import Any

import numpy as np
import report
import torch
from classified_digits import pixels
from mean_field import FUNCTIONS, gaussian_mean
from scipy import special, stats

import models
from models import datasets

SCHEMES: dict[str, tuple[str, float]] = {
    "zeros": ("zeros", 1.0), "constant 0.01": ("constant", 0.01), "normal 0.01": ("normal", 0.01),
    "normal 0.1": ("normal", 0.1), "Xavier": ("xavier", 1.0), "He": ("he", 1.0), "orthogonal": ("orthogonal", 1.0),
}  # fmt: skip
RANDOM = list(SCHEMES)[2:]
PICTURES = {
    "signals.png": "Top: mean square of activations, and of gradients of a random sum of outputs with respect to "
    "pre-activations, through a ReLU network: means over networks (signs) and theory (lines); a line that leaves goes "
    "on as straight. Bottom left: "
    "activations through tanh. Bottom right: loss of deep ReLU networks along training on MNIST, mean over seeds; "
    "dotted: ln 10, a guess."
}


def network(scheme: str, activation: str, width: int, depth: int, seed: int) -> models.MLP:
    """Return a network of equal hidden layers from pixels to digits."""
    name, scale = SCHEMES[scheme]
    return models.MLP(
        784, classes=10, hidden=(width,) * depth, activation=activation, initialisation=name, scale=scale, seed=seed
    )  # fmt: skip


def through(model: models.MLP, x: torch.Tensor, u: torch.Tensor) -> tuple[np.ndarray, np.ndarray]:
    """Return mean squares of the activations, from the input on (L + 1,), and of the gradients of u . output by all z.

    Cross entropy has no gradient left where logits are so large that the right label has all probability.
    """
    a, sizes, forms = x, [x.double().square().mean().item()], []
    for layer in model.network:
        a = layer(a)
        if isinstance(layer, torch.nn.Linear):
            forms.append(a)
        elif not isinstance(layer, torch.nn.Flatten):
            sizes.append(a.detach().double().square().mean().item())
    gradients = torch.autograd.grad((u * a).sum(), forms[:-1])
    return np.array(sizes), np.array([g.double().square().mean().item() for g in gradients])


def measure(scheme: str, activation: str, width: int, depth: int, networks: int, digits: datasets.Split) -> Any:
    """Return the mean squares of `networks` networks, relative to those of the input and of the last layer."""
    found = []
    for seed in range(networks):
        x = torch.as_tensor(digits.train_images[seed : seed + 1])
        u = torch.as_tensor(np.random.default_rng(seed).standard_normal((1, 10)), dtype=x.dtype)
        q, g = through(network(scheme, activation, width, depth, seed), x, u)
        with np.errstate(invalid="ignore"):  # zeros have no gradient at all
            found.append((q / q[0], np.append(np.nan, g / g[-1])))
    return np.array(found).transpose(1, 0, 2)  # (2, networks, L + 1)


def theory(scheme: str, activation: str, width: int, depth: int, q0: float) -> np.ndarray:
    """Return what `measure` gives in wide networks of independent weights, (2, L + 1); of orthogonal ones, nearly."""
    (f, slope), (name, scale) = FUNCTIONS[activation], SCHEMES[scheme]
    q, chi, variance = [q0], [np.nan], np.nan
    for layer in range(depth + 1):
        fan_in, fan_out = (784 if layer == 0 else width), (10 if layer == depth else width)
        gain = {"normal": fan_in * scale**2, "xavier": 2.0 * fan_in / (fan_in + fan_out), "he": 2.0}.get(name, 1.0)
        if 0 < layer < depth:  # back through the weights and the activation before them
            chi.append(gain * gaussian_mean(lambda z: slope(z) ** 2, variance))
        if layer < depth:
            variance = gain * q[-1]
            q.append(gaussian_mean(lambda z: f(z) ** 2, variance))
    g = np.append(np.cumprod(chi[:0:-1])[::-1], 1.0)
    return np.array([np.array(q) / q0, np.append(np.nan, g)])


def law_of_he(width: int, depth: int) -> tuple[float, float, float]:
    """Return the standard deviation of q_L / q_0, and mean and standard deviation of its logarithm, of one network."""
    k = np.arange(1, width + 1)
    p = stats.binom.pmf(k, width, 0.5)
    mean = p @ special.digamma(k / 2)  # of ln(chi^2 / 2)
    variance = p @ (special.polygamma(1, k / 2) + (special.digamma(k / 2) - mean) ** 2)
    deviation = np.sqrt((1 + 5 / width) ** depth - 1)
    return float(deviation), depth * float(mean - np.log(width / 4)), float(np.sqrt(depth * variance))


def twins(scheme: str, activation: str, width: int, digits: datasets.Split, epochs: int) -> dict[str, Any]:
    """Train equal units and return how far apart they end, the losses, and the accuracy."""
    model = network(scheme, activation, width, 2, 0)
    data = digits.train_images, digits.train_labels
    history = models.fit(model, data, epochs=epochs, batch_size=100, seed=1, progress=False)
    w = [p.detach().numpy() for p in model.parameters() if p.ndim == 2]
    apart = max(*(float(np.ptp(part, 0).max()) for part in w[:-1]), float(np.ptp(w[-1], 1).max()))
    right = np.mean(model.predict(digits.test_images) == digits.test_labels)
    largest = max(float(np.abs(part).max()) for part in w)
    return {"apart": apart, "largest": largest, "loss": float(history["loss"][-1]), "accuracy": float(right)}


def converge(scheme: str, width: int, depth: int, digits: datasets.Split, epochs: int, seed: int) -> dict[str, Any]:
    """Train a deep ReLU network by gradient descent with momentum; return the losses and the accuracy."""
    model = network(scheme, "ReLU", width, depth, seed)

    def momentum(parameters: Any, lr: float) -> torch.optim.Optimizer:
        return torch.optim.SGD(parameters, lr=lr, momentum=0.9)

    history = models.fit(
        model, (digits.train_images, digits.train_labels), epochs=epochs, batch_size=100, learning_rate=0.01,
        optimiser=momentum, seed=seed, progress=False,
    )  # fmt: skip
    right = np.mean(model.predict(digits.test_images) == digits.test_labels)
    return {"loss": history["loss"], "accuracy": float(right)}


def draw(found: Any, right: Any, curves: dict[str, list[dict[str, Any]]], path: Path) -> None:
    """Draw activations and gradients through depth, and losses along training."""
    picture, axes = report.figure(2, 2, 14, 11)
    panels = (("ReLU", 0, "activations, ReLU"), ("ReLU", 1, "gradients, ReLU"), ("Tanh", 0, "activations, tanh"))
    for panel, (activation, kind, title) in zip(axes.flat, panels, strict=False):
        for k, scheme in enumerate(RANDOM):
            values, colour = found[scheme, activation][kind].mean(0), report.COLOURS[k]
            layers = np.arange(len(values))
            panel.plot(layers, right[scheme, activation][kind], "-", color=colour, lw=1.5)
            panel.plot(layers, values, report.MARKERS[k], color=colour, label=scheme, ms=6 if k < 4 else 10, mfc="none")
        size = "$q_l / q_0$" if kind == 0 else "relative to the last layer"
        panel.set(yscale="log", xlabel="layer", ylabel=f"mean square, {size}", title=title, ylim=(1e-8, 1e9))
        panel.set_xticks(range(0, len(layers), 5))
    axes[0, 0].legend()
    for k, scheme in enumerate(SCHEMES):
        losses = np.mean([run["loss"] for run in curves[scheme]], 0)
        colour = report.COLOURS[k - 2] if k > 1 else ("0.7", "0.4")[k]
        epochs = np.arange(1, len(losses) + 1)
        axes[1, 1].plot(epochs, losses, report.MARKERS[k - 2] + "-", color=colour, label=scheme, mfc="none")
    axes[1, 1].axhline(np.log(10), color="k", lw=1, ls=":")
    axes[1, 1].set(xlabel="epoch", ylabel="loss (nats)", title="training, ReLU", ylim=(0, 2.6), xticks=epochs)
    axes[1, 1].legend(loc="lower left")
    report.save(picture, path)


def tell(found: Any, right: Any, equal: dict[str, Any], curves: Any, law: tuple[float, float, float]) -> Any:
    """Return tables and sentences, and the numbers of the claims."""
    rows = []
    for scheme, activation in found:
        cells = []
        for kind, layer in ((0, -1), (1, 1)):
            mean, error = report.mean_and_error(found[scheme, activation][kind][:, layer])
            known = scheme in RANDOM
            cells.append(f"{mean:.2g} ± {error:.1g}" if known or kind == 0 else "-")
            cells.append(f"{right[scheme, activation][kind][layer]:.2g}" if known else "-")
        accuracy = "-"
        if activation == "ReLU":
            mean, error = report.mean_and_error([run["accuracy"] for run in curves[scheme]])
            accuracy = f"{mean:.1%} ± {error:.1%}"
        rows.append([scheme, activation, *cells, accuracy])
    head = ["weights", "f", "q, last layer / input", "theory", "gradient, first / last", "theory", "test accuracy"]
    he = found["He", "ReLU"][0][:, -1]
    n, logs = len(he), np.log(he)
    away = (he.mean() - 1.0) / (law[0] / np.sqrt(n))
    numbers = {
        "mean": he.mean(), "error": law[0] / np.sqrt(n), "errors_away": away, "deviation": [he.std(ddof=1), law[0]],
        "log_mean": [logs.mean(), law[1], law[2] / np.sqrt(n)], "log_deviation": [logs.std(ddof=1), law[2]],
    }  # fmt: skip
    verdict = (
        f"He's weights, ReLU: mean of q_L / q_0 over {n} networks {report.with_error(he.mean(), numbers['error'])}, "
        f"{abs(away):.1f} standard errors from 1 (error by the formula). Logarithm: mean "
        f"{report.with_error(logs.mean(), law[2] / np.sqrt(n))}, theory {law[1]:.3f}; standard deviation "
        f"{report.with_error(logs.std(ddof=1), law[2] / np.sqrt(2 * (n - 1)))}, theory {law[2]:.3f}."
    )
    pairs = [
        [name, f"{v['apart']:.1e}", f"{v['largest']:.2g}", f"{v['loss']:.3f}", f"{v['accuracy']:.2%}"]
        for name, v in equal.items()
    ]
    twin_head = [
        "equal units of two hidden layers",
        "weights of two units differ by",
        "largest weight",
        "loss",
        "test accuracy",
    ]
    return [report.table(head, rows), verdict, report.table(twin_head, pairs)], numbers


def main(
    folder: Path = report.RESULTS / "initialisation", width: int = 512, depth: int = 20, networks: int = 100,
    others: int = 8, digits: int = 5000, trained: int = 64, epochs: int = 4, seeds: int = 3,
) -> dict[str, Any]:  # fmt: skip
    """Measure signals, train equal units and deep networks, and write the folder."""
    clock = report.begin(folder)
    data = pixels(digits)
    q0 = float(np.square(data.train_images[:others], dtype=float).mean())
    found, right = {}, {}
    for activation in ("ReLU", "Tanh"):
        for scheme in SCHEMES:
            count = networks if (scheme, activation) == ("He", "ReLU") else others
            found[scheme, activation] = measure(scheme, activation, width, depth, count, data)
            right[scheme, activation] = theory(scheme, activation, width, depth, q0)
    print(f"signals: {clock():.0f} s", flush=True)
    uneven = trained - trained // 5  # no multiple of a tile
    pairs = (
        ("zeros", "ReLU", trained), ("constant 0.01", "ReLU", trained), ("constant 0.01", "Tanh", trained),
        ("constant 0.01", "Tanh", uneven), ("He", "ReLU", trained),
    )  # fmt: skip
    equal = {f"{scheme}, {f}, {units} units": twins(scheme, f, units, data, epochs) for scheme, f, units in pairs}
    print(f"equal units: {clock():.0f} s", flush=True)
    curves = {
        scheme: [converge(scheme, trained, depth, data, epochs, seed) for seed in range(1, seeds + 1)]
        for scheme in SCHEMES
    }
    draw(found, right, curves, folder / "signals.png")
    told, numbers = tell(found, right, equal, curves, law_of_he(width, depth))
    print(*told, sep="\n\n")
    numbers |= {"equal": equal, "curves": curves}
    numbers["signals"] = {f"{s}, {a}": [v.mean(1), right[s, a]] for (s, a), v in found.items()}
    settings = {
        "width": width, "depth": depth, "networks": networks, "others": others, "digits": digits, "trained": trained,
        "epochs": epochs, "seeds": seeds, "seconds": round(clock()),
    }  # fmt: skip
    report.write(folder, __file__, __doc__, told, PICTURES, numbers, settings)
    return numbers


if __name__ == "__main__":
    main()
