"""Five ways to learn a Boltzmann machine, judged by the likelihood they reach and the time they take.

All five climb the log-likelihood, whose gradient has a term of the data, known, and one of the model. Contrastive
divergence takes the latter from k sweeps that start at the data (CD-1, CD-25), persistent contrastive divergence from
chains that go on between batches (PCD), its tempered form from chains that swap with hotter ones (PT-CD); where the
hidden states can be summed over, it is exact.

- Bars and stripes of 3 x 3 and 4 x 4 pixels, each distinct pattern once, blank and full too: no model has a mean
  log-likelihood above -ln 14 and -ln 30. The machines have as many hidden units as pixels, and ln Z is exact.
- MNIST, pixels binarised stochastically (for every batch anew, the test digits once), with 16 hidden units, where ln Z
  is exact and so can be the gradient.
- MNIST with 500 hidden units, ln Z by short annealing. Published: CD-1 -125.5, CD-25 -86.34 (Salakhutdinov and Murray
  2008, trained for longer).

CD-1 digs wells at the data and leaves what is far from them as it finds it: likelihood falls while its chains, which
never go far, see nothing wrong.
"""

from pathlib import Path
from typing import Any

import numpy as np
import report
from matplotlib.ticker import LogLocator

import ebm
from models import datasets

BETAS = tuple(np.linspace(0.1, 1.0, 10))
PICTURES = {
    "likelihood.png": "Log-likelihood against seconds of learning (evaluation not counted), a mark a look. Bars and "
    "stripes: nats below the best possible. MNIST: test digits; with 500 hidden units by annealing, whose error is "
    "smaller than the marks.",
}
Curve = list[tuple[float, float]]  # (seconds of learning, log-likelihood)


def objectives(chains: int, exact: bool) -> dict[str, Any]:
    """Return the objectives by name; all have about the same number of chains that end at temperature 1."""
    found = {
        "CD-1": ebm.ContrastiveDivergence(k=1),
        "CD-25": ebm.ContrastiveDivergence(k=25),
        "PCD": ebm.PersistentCD(chains=chains),
        "PT-CD": ebm.ParallelTemperingCD(chains=max(chains // 5, 1), betas=BETAS),
    }
    return found | ({"exact": ebm.ExactLikelihood()} if exact else {})


def climb(
    rbm: ebm.RBM, data: np.ndarray, objective: Any, judge: Any, epochs: int, looks: int, **settings: Any
) -> Curve:
    """Learn in place; return seconds of learning and what `judge` says of the machine, at looks evenly spread."""
    curve, seconds = [], 0.0
    marks = set(np.linspace(epochs / looks, epochs, looks).astype(int))
    schedule = lambda epoch: 1.0 - epoch / epochs  # noqa: E731
    for record in ebm.training(rbm, data, objective, epochs=epochs, schedule=schedule, **settings):
        seconds += record["seconds"]
        if int(record["epoch"]) in marks:
            curve.append((seconds, judge(rbm)))
    return curve


def exactly(test: np.ndarray) -> Any:
    """Return what gives a machine's exact mean log-likelihood of test configurations."""
    return lambda rbm: ebm.log_likelihood(rbm, test, ebm.log_z(rbm, "exact")).value


def annealed(test: np.ndarray, steps: int, seed: int) -> Any:
    """Return what gives a machine's log-likelihood of test digits by short annealing, started at their mean pixels."""

    def judge(rbm: ebm.RBM) -> float:
        log_z = ebm.log_z(rbm, "ais", chains=100, steps=steps, data=test, seed=seed, progress=False)
        return ebm.log_likelihood(rbm, test, log_z).value

    return judge


def bars(side: int, steps: int, looks: int, seed: int) -> dict[str, Curve]:
    """Learn bars and stripes by every objective; 420 rows hold every pattern equally often."""
    patterns = datasets.bars_and_stripes(side).patterns
    data, curves = np.tile(patterns, (420 // len(patterns), 1)), {}
    for name, objective in objectives(500, exact=True).items():
        rbm = ebm.RBM(side**2, side**2, seed=seed)
        curves[name] = climb(
            rbm, data, objective, exactly(patterns), steps, looks, batch_size=len(data), learning_rate=0.02,
            optimiser=ebm.Adam(), averaging=0.998, seed=seed,
        )  # fmt: skip
    return curves


def binarised(grey: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Return pixels that are 1 with probability grey level / 255."""
    return (rng.random(grey.shape, np.float32) * 255 < grey).astype(np.int8)


def digits(part: str) -> np.ndarray:
    """Return MNIST's grey levels, (n, 784), from 0 to 255."""
    images = datasets.mnist(part)[0]
    return images.reshape(len(images), 784)


def mnist(hidden: int, epochs: dict[str, int], images: int, steps: int, looks: int, seed: int) -> dict[str, Curve]:
    """Learn MNIST by the objectives that have epochs; exact ln Z if there are at most 20 hidden units."""
    grey, test = digits("train")[:images], binarised(digits("test"), np.random.default_rng(seed))
    judge, curves = exactly(test) if hidden <= 20 else annealed(test, steps, seed), {}
    on = (grey.sum(0) / 255 + 1.0) / (len(grey) + 2.0)
    for name, objective in objectives(100, exact=hidden <= 20).items():
        rows = 600 if name == "exact" else 100  # a sum over all states costs as much for any batch
        rbm = ebm.RBM(784, hidden, b=np.log(on) - np.log1p(-on), seed=seed)
        curves[name] = climb(
            rbm, grey, objective, judge, epochs[name], looks, batch_size=rows, learning_rate=0.05 * (rows / 100) ** 0.5,
            centred=True, averaging=0.999, augment=binarised, seed=seed,
        )  # fmt: skip
        print(f"{hidden} hidden, {name}: {curves[name][-1][1]:.2f} after {curves[name][-1][0]:.0f} s", flush=True)
    return curves


def draw(curves: dict[str, dict[str, Curve]], best: dict[str, float], path: Path) -> None:
    """Draw log-likelihood against time, a panel a task."""
    picture, axes = report.figure(2, 2, 14, 10.5)
    for panel, (task, runs) in zip(axes.flat, curves.items(), strict=True):
        for k, (name, curve) in enumerate(runs.items()):
            seconds, values = np.transpose(curve)
            shown = best[task] - values if task in best else values
            panel.plot(seconds, shown, report.MARKERS[k] + "-", color=report.COLOURS[k], label=name)
        panel.set(title=task, xlabel="seconds of learning", xscale="log")
        panel.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
        panel.xaxis.set_major_formatter("{x:g}")
        panel.xaxis.set_minor_formatter("")
        if task in best:
            panel.set(ylabel="below the best (nats)", yscale="log")
            panel.axhline(0.05, color="0.6", linewidth=1)
        else:
            panel.set_ylabel("log-likelihood (nats a digit)")
        panel.legend()
    report.save(picture, path)


def main(
    folder: Path = report.RESULTS / "rbm_objectives", steps: int = 6000, small: dict[str, int] | None = None,
    large: dict[str, int] | None = None, images: int = 60_000, annealing: int = 2000, looks: int = 8, seed: int = 1,
) -> dict:  # fmt: skip
    """Learn every task by every objective, and write the folder."""
    clock = report.begin(folder)
    small = small or {"CD-1": 60, "CD-25": 60, "PCD": 60, "PT-CD": 60, "exact": 20}
    large = large or {"CD-1": 30, "CD-25": 10, "PCD": 30, "PT-CD": 30}
    curves = {}
    for side in (3, 4):
        curves[f"bars and stripes, {side} x {side}"] = bars(side, steps, looks, seed)
        print(f"bars and stripes of side {side} ({clock():.0f} s)", flush=True)
    best = {task: -float(np.log(2 ** (side + 1) - 2)) for task, side in zip(curves, (3, 4), strict=True)}
    for hidden, epochs in ((16, small), (500, large)):
        curves[f"MNIST, {hidden} hidden"] = mnist(hidden, epochs, images, annealing, looks, seed)
    names = list(objectives(1, exact=True))
    rows = [
        [task, *(f"{runs[n][-1][1]:.3f} ({runs[n][-1][0]:.0f} s)" if n in runs else "" for n in names),
         f"{best[task]:.3f}" if task in best else ""] for task, runs in curves.items()
    ]  # fmt: skip
    found = report.table(["log-likelihood (nats)", *names, "best possible"], rows)
    print(f"{found}\n{clock():.0f} s")
    draw(curves, best, folder / "likelihood.png")
    settings = {
        "steps": steps, "small": small, "large": large, "images": images, "annealing": annealing, "looks": looks,
        "seed": seed, "seconds": round(clock()),
    }  # fmt: skip
    report.write(folder, __file__, __doc__, [found], PICTURES, {"curves": curves, "best": best}, settings)
    return {"curves": curves, "best": best}


if __name__ == "__main__":
    main()
