"""A convolution is a sparse matrix that commutes with shifts: does a network of them need fewer examples?

A filter k over an image, one number of each place and channel after the other in a vector, is the matrix

    W = sum_ab k_ab (S_a x S_b),      (S_a)_ij = 1 if j = i + a, else 0

with Kronecker's product x. With zero padding S_a is a shift that loses its end, and W is Toeplitz in blocks. With
circular padding i + a is taken modulo the side: W is circulant in blocks, the Fourier modes are its eigenvectors and
the Fourier transform of k its eigenvalues. The gradient goes back through the transpose of W.

Circular shifts T of the image commute with a circulant matrix: f(Tx) = T f(x). Zero padding breaks this at the edges,
and layers of stride two keep only shifts by two. What is measured is |f(Tx) - T f(x)| / |f(x)| of two layers with ReLU
between them, on test digits, whose edges are empty, and on white noise.

A network of full matrices has to learn what a digit looks like at each place. So a CNN and an MLP, both by Adam with
one cycle of the learning rate, learn from the same random parts of MNIST of growing size.
"""

from pathlib import Path
from typing import Any

import classified_digits as cd
import numpy as np
import report
import torch
from scipy import sparse
from torch import nn

import models
from models.streams import seeded

SIDE, SHIFTS = 28, (1, 2, 3, 4)
PICTURES = {
    "convolution.png": "Left: the matrix of a 3 x 3 filter over 5 x 5 pixels with circular padding; colours are the "
    "nine numbers of the filter. Middle: root mean square of f(Tx) - T f(x) over white noise at each place, zero "
    "padding, for a shift of two pixels to the right, relative to that of f(x). Right: error on 10,000 test digits "
    "over the size of the training set, mean of seeds with standard errors; dashed: test digits shifted by three "
    "pixels.",
}


def shift_matrix(side: int, a: int, padding: str) -> sparse.csr_array:
    """Return S_a, (side, side), which brings number i + a to place i, circular or with zeros from beyond the end."""
    i = np.arange(side)
    inside = np.full(side, True) if padding == "circular" else (i + a >= 0) & (i + a < side)
    places = (i[inside], (i + a)[inside] % side)
    return sparse.csr_array((np.ones(inside.sum()), places), shape=(side, side))


def matrix(kernel: np.ndarray, side: int, padding: str) -> sparse.csr_array:
    """Return W, (outputs side^2, inputs side^2), of filters (outputs, inputs, 2r + 1, 2r + 1), in their precision."""
    r, inputs = kernel.shape[-1] // 2, kernel.shape[1]
    size = (kernel.shape[0] * side**2, inputs * side**2)
    total = sparse.csr_array(size, dtype=kernel.dtype)
    for a in range(-r, r + 1):
        for b in range(-r, r + 1):
            shift = sparse.kron(shift_matrix(side, a, padding), shift_matrix(side, b, padding))
            total = total + sparse.kron(kernel[:, :, a + r, b + r], shift.astype(kernel.dtype), format="csr")
    return sparse.csr_array(total)


def agreement(filters: int, seed: int) -> dict[str, dict[str, float]]:
    """Return by precision and padding the largest difference of W x and torch's convolution, and of their gradients.

    Differences are in units of the largest number of the result; filters and images are standard normal.
    """
    rng, found = np.random.default_rng(seed), dict[str, dict[str, float]]()
    for precision in ("float32", "float64"):
        for padding in ("circular", "zeros"):
            worst = dict.fromkeys(("output", "gradient", "spectrum"), 0.0)
            for _ in range(filters):
                layer = nn.Conv2d(3, 4, 3, padding=1, padding_mode=padding, bias=False)
                kernel = rng.standard_normal((4, 3, 3, 3)).astype(precision)
                layer.weight = nn.Parameter(torch.as_tensor(kernel))
                x = torch.as_tensor(rng.standard_normal((1, 3, SIDE, SIDE)).astype(precision)).requires_grad_()
                w, y = matrix(kernel, SIDE, padding), layer(x)
                force = torch.as_tensor(rng.standard_normal(y.shape).astype(precision))
                (gradient,) = torch.autograd.grad(y, x, force)
                pairs = {"output": (w @ flat(x), flat(y)), "gradient": (w.T @ flat(force), flat(gradient))}
                if padding == "circular":
                    pairs["spectrum"] = spectrum(kernel[:1, :1])
                for name, (ours, theirs) in pairs.items():
                    worst[name] = max(worst[name], float(np.abs(ours - theirs).max() / np.abs(theirs).max()))
            found[f"{precision}, {padding}"] = worst
    return found


def flat(x: torch.Tensor) -> np.ndarray:
    """Return the numbers of a tensor as a vector."""
    return x.detach().numpy().ravel()


def spectrum(kernel: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return W e_q and lambda_q e_q of all Fourier modes of 8 x 8, lambda the transform of a filter (1, 1, 3, 3)."""
    side = 8
    modes = np.fft.ifft2(np.eye(side**2).reshape(-1, side, side), norm="forward").reshape(-1, side**2).T
    padded = np.zeros((side, side))
    padded[:3, :3] = kernel[0, 0]
    values = np.conj(np.fft.fft2(np.roll(padded, (-1, -1), (0, 1)))).ravel()
    return matrix(kernel, side, "circular") @ modes, modes * values


def two_layers(padding: str, end: str, seed: int) -> nn.Module:
    """Return two convolutions of eight filters with ReLU between, in double precision, that may halve the image."""
    with seeded(seed):
        parts = [
            nn.Conv2d(1, 8, 3, padding=1, padding_mode=padding), nn.ReLU(),
            nn.Conv2d(8, 8, 3, 2 if end == "stride 2" else 1, padding=1, padding_mode=padding),
        ]  # fmt: skip
        return nn.Sequential(*parts, *([nn.MaxPool2d(2)] if end == "maximum of 2 x 2" else [])).double()


@torch.no_grad()
def broken(network: nn.Module, x: torch.Tensor, shift: int) -> tuple[float, np.ndarray]:
    """Return |f(Tx) - T' f(x)| / |f(x)| for the whole shift T' that fits best, and its mean at each place."""
    f, moved = network(x[:, None]), network(x[:, None].roll(shift, -1))
    differences = [moved - f.roll(back, -1) for back in range(shift + 1)]
    best = min(differences, key=lambda difference: float(difference.norm()))
    size = f.square().mean().sqrt()
    return float(best.norm() / f.norm()), (best.square().mean((0, 1)).sqrt() / size).numpy()


def equivariance(images: np.ndarray, networks: int, seed: int) -> tuple[dict[str, Any], np.ndarray]:
    """Return what shifts break, mean and deviation over networks by layers, images and shift, and the map of zeros."""
    noise = np.random.default_rng(seed).standard_normal(images.shape)
    kinds = {
        "circular": ("circular", ""), "zeros": ("zeros", ""), "circular, stride 2": ("circular", "stride 2"),
        "circular, maximum of 2 x 2": ("circular", "maximum of 2 x 2"),
    }  # fmt: skip
    found, maps = dict[str, Any](), []
    for name, (padding, end) in kinds.items():
        for what, x in (("digits", images), ("noise", noise)):
            values = np.empty((networks, len(SHIFTS)))
            for i in range(networks):
                network = two_layers(padding, end, seed + i)
                for j, shift in enumerate(SHIFTS):
                    values[i, j], place = broken(network, torch.as_tensor(x, dtype=torch.float64), shift)
                    if (name, what, shift) == ("zeros", "noise", 2):
                        maps.append(place)
            found[f"{name}, {what}"] = [values.mean(0).tolist(), values.std(0, ddof=1).tolist()]
    return found, np.sqrt(np.mean(np.square(maps), 0))


def learners(seed: int) -> dict[str, torch.nn.Module]:
    """Return an MLP of 203,530 weights and a CNN of 20,490."""
    return {
        "MLP": models.MLP((SIDE, SIDE), classes=10, hidden=(256,), seed=seed),
        "CNN": models.CNN((SIDE, SIDE), classes=10, channels=(16, 32), seed=seed),
    }


def learn(sizes: dict[int, int], seeds: int, seed: int) -> dict[str, dict[int, np.ndarray]]:
    """Return by network and size of the training set the error on test digits, and on shifted ones, (seeds, 2)."""
    train, (x, y) = cd.digits("train"), cd.digits("test")
    moved = np.roll(x, 3, -1)
    found: dict[str, dict[int, np.ndarray]] = {"MLP": {}, "CNN": {}}
    for n, epochs in sizes.items():
        errors: dict[str, list[list[float]]] = {"MLP": [], "CNN": []}
        for s in range(seed, seed + seeds):
            for name, model in learners(s).items():
                models.fit(
                    model, cd.drawn(train, n, s), epochs=epochs, batch_size=50, learning_rate=2e-3,
                    schedule=models.one_cycle(epochs), seed=s,
                )  # fmt: skip
                errors[name].append([float((model.predict(part) != y).mean()) for part in (x, moved)])
        for name, values in errors.items():
            found[name][n] = np.array(values)
            print(f"{n:6d} digits, {name}: error {100 * found[name][n][:, 0].mean():.2f} %")
    return found


def draw(errors: dict[str, dict[int, np.ndarray]], place: np.ndarray, seed: int, path: Path) -> None:
    """Draw a matrix, the map of what zero padding breaks, and the errors."""
    picture, axes = report.figure(1, 3, 18, 5.6)
    kernel = np.random.default_rng(seed).permutation(np.arange(1.0, 10.0)).reshape(1, 1, 3, 3)
    dense = matrix(kernel, 5, "circular").toarray()
    axes[0, 0].imshow(np.where(dense == 0, np.nan, dense), cmap="tab10")
    axes[0, 0].set(title="circulant in blocks", xlabel="pixel of the image", ylabel="pixel of the result")
    image = axes[0, 1].imshow(place, cmap="viridis")
    axes[0, 1].set(title="zero padding: what a shift breaks", xlabel="column", ylabel="row")
    picture.colorbar(image, ax=axes[0, 1], shrink=0.8)
    panel = axes[0, 2]
    for k, (name, sizes) in enumerate(errors.items()):
        n = np.array(list(sizes))
        values = 100 * np.array(list(sizes.values()))  # (sizes, seeds, 2)
        error = values.std(1, ddof=1) / np.sqrt(values.shape[1])
        for j, (line, label) in enumerate((("-", name), ("--", f"{name}, shifted"))):
            style = {"fmt": report.MARKERS[k] + line, "color": report.COLOURS[k], "label": label}
            panel.errorbar(n, values[:, :, j].mean(1), error[:, j], **style)
    panel.set(xscale="log", yscale="log", xlabel="digits to learn from", ylabel="test error (%)", title="CNN and MLP")
    panel.set_xticks(n, [f"{m:,}" for m in n])
    panel.set_yticks(*[[1, 2, 5, 10, 20, 50, 100]] * 2)
    panel.minorticks_off()
    panel.legend()
    report.save(picture, path)


def mean_and_deviation(mean: float, deviation: float) -> str:
    """Return both, or the order of magnitude of what rounding left."""
    return f"{mean:.3f} ± {deviation:.3f}" if mean > 1e-6 else f"{mean:.0e}"


def tell(same: dict, shifts: dict, errors: dict[str, dict[int, np.ndarray]]) -> list[str]:
    """Return the tables, with sentences."""
    exact = report.table(
        ["precision, padding", "output", "gradient", "Fourier modes"],
        [
            [name, f"{v['output']:.1e}", f"{v['gradient']:.1e}", f"{v['spectrum']:.1e}" if "circ" in name else ""]
            for name, v in same.items()
        ],
    )
    moved = report.table(
        ["layers, images", *(f"shift {s}" for s in SHIFTS)],
        [[name, *(mean_and_deviation(m, d) for m, d in zip(*v, strict=True))] for name, v in shifts.items()],
    )
    rows = []
    for n, mlp in errors["MLP"].items():
        cnn = errors["CNN"][n]
        cells = (mlp[:, 0], cnn[:, 0], (mlp - cnn)[:, 0], mlp[:, 1], cnn[:, 1])
        rows.append([f"{n:,}", *(cd.mean_told(c) for c in cells)])
    head = ["digits", "MLP (%)", "CNN (%)", "MLP - CNN (%)", "MLP, shifted (%)", "CNN, shifted (%)"]
    return [
        "Largest difference of W and torch's convolution of 3 channels to 4, relative to the largest number:",
        exact,
        "What shifts break, |f(Tx) - T f(x)| / |f(x)|, mean ± standard deviation over networks of random weights:",
        moved,
        "Test errors, with standard errors over seeds; the difference is paired, on the same digits:",
        report.table(head, rows),
    ]


def main(
    folder: Path = report.RESULTS / "convolution_as_matrix", filters: int = 100, networks: int = 10, images: int = 200,
    sizes: dict[int, int] | None = None, seeds: int = 3, seed: int = 1,
) -> dict[str, Any]:  # fmt: skip
    """Compare, shift and learn, and write the folder; sizes are epochs by number of digits."""
    clock = report.begin(folder)
    sizes = sizes or {100: 60, 300: 30, 1_000: 15, 3_000: 8, 10_000: 4}
    same = agreement(filters, seed)
    shifts, place = equivariance(cd.digits("test")[0][:images], networks, seed)
    errors = learn(sizes, seeds, seed)
    draw(errors, place, seed, folder / "convolution.png")
    inside, edge = float(place[:, 4:-2].max()), float(place[:, :4].max())  # of two layers, after a shift by two
    told = tell(same, shifts, errors)
    told.insert(4, f"With zero padding, at most {edge:.2f} in the columns at the edge, {inside:.0e} in all others.")
    print(*told, sep="\n\n")
    by_size = {name: {n: v[:, 0] for n, v in found.items()} for name, found in errors.items()}
    moved = {name: {n: v[:, 1] for n, v in found.items()} for name, found in errors.items()}
    numbers = {
        "agreement": same, "equivariance": shifts, "inside": inside, "edge": edge, "errors": by_size,
        "errors_shifted": moved,
    }  # fmt: skip
    settings = {
        "filters": filters, "networks": networks, "images": images, "epochs": sizes, "seeds": seeds, "seed": seed,
        "seconds": round(clock()),
    }  # fmt: skip
    report.write(folder, __file__, __doc__, told, PICTURES, numbers, settings)
    return numbers


if __name__ == "__main__":
    main()
