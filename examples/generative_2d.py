"""Seven kinds of generative models learn four densities in the plane, and the truth judges them all.

Each learns from the same 2,000 points: an energy by noise-contrastive estimation, one by score matching, a ladder of
energies by denoising score matching, a variational autoencoder, a diffusion model, a continuous normalising flow (by
its likelihood, and by flow matching) and a generative adversarial network. The densities are known exactly, so that

    gap = <ln p_true(x) - ln p_model(x)>,    x ~ p_true

is measured by pairs on 20,000 fresh points: the Kullback-Leibler divergence in nats, zero for a perfect model. ln p of
the energies is normalised by quadrature, of the VAE it is the bound of 500 importance samples, of the diffusion model
that of its probability flow; a GAN has none, and is given that of kernels over 2,000 of its samples.

One setting of most models is chosen for each data set by validation: with the points of the first seed, 1,600 to learn
from and 400 to choose by. Then all 2,000 points of each seed are learned with it. The 500 held-out points of the curves
and the fresh points of the tables had no part in any choice.
"""

import hashlib
import pickle
import shutil
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from multiprocessing import get_context
from pathlib import Path
from time import perf_counter
from typing import Any

import models_in_the_plane
import numpy as np
import report
import torch
from models_in_the_plane import BASELINES, WAYS
from plane import SETS, grid

from models import metrics

GOAL = {"8 gaussians": 0.05}  # of the gap of flows and diffusion where kernels are that good
MOST = {"EBM": 0.3, "denoising score matching": 0.3, "VAE": 0.3}
BEST = ("DDPM", "CNF, likelihood", "CNF, flow matching")
DRAWN = 150  # points along a side of the pictures of densities
LENGTH, BANDWIDTH = 0.5, 0.15  # of the Gaussian kernels of MMD, and of the estimates in Hellinger's distance
PICTURES = {
    "densities.png": "Columns: data sets. Rows: the true density, and that of each model (of a GAN, that of kernels "
    "over its samples), first seed, with 400 of the training points.",
    "samples.png": "2,000 samples of each model (coloured) over the 2,000 training points (grey), first seed.",
    "curves.png": "-ln p of 500 training points (dashed) and of 500 held-out ones (solid) along learning, above the "
    "entropy of the truth, first seed. What lies between the two is what was learned by heart.",
    "gaps.png": "Gap to the truth of every model, a point a seed; dashed: kernels.",
}


def gap(log_true: np.ndarray, log_model: np.ndarray) -> tuple[float, float]:
    """Return the mean of ln p_true - ln p_model over points, and its standard error."""
    pairs = log_true - log_model
    return float(pairs.mean()), float(pairs.std(ddof=1) / np.sqrt(len(pairs)))


def chosen(way: str, name: str, points: int, share: float) -> tuple[Any, dict[str, float]]:
    """Return the setting that is best for a fifth of the points of the first seed, learned from the others."""
    settings, scores = WAYS[way].settings, {}
    if len(settings) == 1:
        return settings[0], {}
    x = SETS[name].sample(points, 1)
    cut = points * 4 // 5
    for setting in settings:
        scores[setting] = float(-WAYS[way].learn(x[:cut], setting, 1, share=share).log_prob(x[cut:]).mean())
    return min(scores, key=scores.__getitem__), {f"{setting:g}": score for setting, score in scores.items()}


def judged(name: str, samples: np.ndarray, seed: int) -> dict[str, float]:
    """Return what the samples are like, beside as many true ones and the exact density."""
    truth = SETS[name]
    true, score = truth.sample(len(samples), 2000 + seed), metrics.density_score(samples, truth.log_prob)
    return {
        "mmd": metrics.mmd(samples, true, length=LENGTH).value,
        "sliced_wasserstein": metrics.sliced_wasserstein(samples, true, seed=seed).value,
        "hellinger": metrics.overlap(samples, truth.log_prob, BANDWIDTH).hellinger,
        "surprise": score.surprise.value - truth.entropy, "off_support": score.off_support.value,
    }  # fmt: skip


def one(job: tuple[str, str, int, int, int, int, float]) -> dict[str, Any]:
    """Choose, learn and judge one way on one data set, for every seed."""
    way, name, points, held_out, fresh, seeds, share = job
    torch.set_num_threads(1)  # one a process: as fast for these sizes, and the same bits on every machine
    truth, found = SETS[name], {"gaps": [], "errors": [], "samples": [], "seconds": []}
    start = perf_counter()
    found["setting"], found["validation"] = chosen(way, name, points, share)
    found["seconds_of_choice"] = perf_counter() - start
    for seed in range(1, seeds + 1):
        x, curve = truth.sample(points, seed), []
        looks = {"training": x[:held_out], "held-out": truth.sample(held_out, 500 + seed)}

        def watch(epoch: int, learned: Any, looks: dict = looks, curve: list = curve) -> None:
            curve.append([epoch, *(-float(learned.log_prob(points).mean()) for points in looks.values())])

        start = perf_counter()
        learned = WAYS[way].learn(x, found["setting"], seed, share=share, watch=watch if seed == 1 else None)
        found["seconds"].append(perf_counter() - start)
        y = truth.sample(fresh, 1000 + seed)
        value, error = gap(truth.log_prob(y), learned.log_prob(y))
        samples = learned.sample(points, seed)
        found["gaps"].append(value)
        found["errors"].append(error)
        found["samples"].append(judged(name, samples, seed))
        if seed == 1:
            density = learned.log_prob(grid(DRAWN)[1])
            found |= {"curve": curve, "points": samples, "density": density}
    gaps = "  ".join(f"{value:.3f}" for value in found["gaps"])
    print(f"{name:13s} {way:25s} {gaps}   {sum(found['seconds']) + found['seconds_of_choice']:.0f} s", flush=True)
    return found


def kept(job: tuple[Any, ...], folder: Path) -> dict[str, Any]:
    """Return the outcome of a job, from its file if a run of the same sizes and scripts was cut and has left one."""
    path, scripts = folder / f"{job[0]}, {job[1]}.pickle", hashlib.sha256()
    for script in (__file__, str(models_in_the_plane.__file__)):
        scripts.update(Path(script).read_bytes())
    story = (job, scripts.hexdigest())
    if path.exists():
        found, outcome = pickle.loads(path.read_bytes())
        if found == story:
            return outcome
    outcome = one(job)
    part = path.with_suffix(".part")
    part.write_bytes(pickle.dumps((story, outcome)))
    part.replace(path)
    return outcome


def gap_table(found: dict[str, dict[str, Any]]) -> str:
    """Return the table of gaps: a row a model, a column a data set."""
    rows = [
        [way, *(report.with_error(*report.mean_and_error(one["gaps"])) for one in of_way.values())]
        for way, of_way in found.items()
    ]
    return report.table(["gap to the truth (nats)", *next(iter(found.values()))], rows)


def sample_table(name: str, found: dict[str, dict[str, Any]], points: int, seeds: int) -> str:
    """Return the table of what samples are like on one data set, with that of true samples as the last row."""
    runs = {way: of_way[name]["samples"] for way, of_way in found.items()}
    runs["true samples"] = [judged(name, SETS[name].sample(points, 3000 + seed), seed) for seed in range(1, seeds + 1)]
    columns = list(runs["true samples"][0])
    rows = [
        [way, *(report.with_error(*report.mean_and_error([1e3 * run[column] for run in of_way])) for column in columns)]
        for way, of_way in runs.items()
    ]
    heads = ["MMD^2 (1/1000)", "sliced W_2^2 (1/1000)", "Hellinger (1/1000)", "-ln p_true above entropy (mnats)"]
    return report.table([name, *heads, "off the support (1/1000)"], rows)


def effort_table(found: dict[str, dict[str, Any]]) -> str:
    """Return the table of what validation chose, and of how long learning took."""
    rows = []
    for way, of_way in found.items():
        picks = ", ".join(f"{one['setting']:.3g}" for one in of_way.values() if one["setting"] is not None)
        total = sum(sum(one["seconds"]) + one["seconds_of_choice"] for one in of_way.values())
        rows.append(
            [way, WAYS[way].what, picks, f"{np.median([s for one in of_way.values() for s in one['seconds']]):.0f}"]
        )
        rows[-1].append(f"{total / 60.0:.1f}")
    return report.table(["model", "setting", "chosen, by data set", "seconds to learn", "minutes of the row"], rows)


def verdict(found: dict[str, dict[str, Any]]) -> list[str]:
    """Return sentences on what was to be shown and whether it was."""
    beaten, within, least = [], [], np.inf
    names = list(next(iter(found.values())))
    for name in names:
        gaps = {way: float(np.mean(of_way[name]["gaps"])) for way, of_way in found.items()}
        least = min(least, *(gaps["one Gaussian"] - gaps[way] for way in found if way not in BASELINES))
        limit = max(gaps["kernels"], GOAL.get(name, 0.0))
        beaten += [f"{way} on {name} ({gaps[way]:.3f}, kernels {limit:.3f})" for way in BEST if gaps[way] > limit]
        within += [f"{way} on {name} ({gaps[way]:.3f})" for way, most in MOST.items() if gaps[way] > most]
    cases = len(names)
    told = [
        "Diffusion and both flows are nearer to the truth than kernels over the same points (or than .05, on the "
        f"mixture) in {len(BEST) * cases - len(beaten)} of {len(BEST) * cases} cases",
        "The energies by contrast and by denoising and the VAE are within .30 of it in "
        f"{len(MOST) * cases - len(within)} of {len(MOST) * cases}",
    ]
    for k, fails in enumerate((beaten, within)):
        told[k] += f"; not so: {', '.join(fails)}." if fails else "."
    if least > 0:
        told.append(f"Every model is nearer than one Gaussian, by {least:.2f} nats or more.")
    else:
        told.append(f"Not every model is nearer than one Gaussian: one is {-least:.2f} nats farther.")
    return [" ".join(told)]


def draw_densities(found: dict[str, dict[str, Any]], points: int, path: Path) -> None:
    """Draw the density of the truth and of each model on each data set, with training points on it."""
    ways, names = ["truth", *found], list(next(iter(found.values())))
    picture, axes = report.figure(len(ways), len(names), 3.1 * len(names), 3.0 * len(ways))
    axis, x, _ = grid(DRAWN)
    for column, name in enumerate(names):
        true, data = SETS[name].log_prob(x), SETS[name].sample(points, 1)[:400]
        for row, way in enumerate(ways):
            panel, log_p = axes[row, column], true if row == 0 else found[way][name]["density"]
            p = np.exp(log_p).reshape(DRAWN, DRAWN).T
            panel.pcolormesh(axis, axis, p, cmap="viridis", vmax=1.2 * np.exp(true.max()), rasterized=True)
            panel.plot(*data.T, "w.", markersize=1.5)
    name_panels(axes, ways, names)
    report.save(picture, path)


def draw_samples(found: dict[str, dict[str, Any]], points: int, path: Path) -> None:
    """Draw samples of each model over the training points."""
    ways, names = [way for way in found if way not in BASELINES], list(next(iter(found.values())))
    picture, axes = report.figure(len(ways), len(names), 3.1 * len(names), 3.0 * len(ways))
    for column, name in enumerate(names):
        data = SETS[name].sample(points, 1)
        for row, way in enumerate(ways):
            axes[row, column].plot(*data.T, ".", color="0.75", markersize=2)
            axes[row, column].plot(*found[way][name]["points"].T, ".", color=report.COLOURS[0], markersize=2)
    name_panels(axes, ways, names)
    report.save(picture, path)


def name_panels(axes: np.ndarray, ways: list[str], names: list[str]) -> None:
    """Write the data set above each column and the model beside each row, and make all panels alike."""
    for panel in axes.ravel():
        panel.set(xlim=(-4.5, 4.5), ylim=(-4.5, 4.5), aspect="equal", xticks=(-4, 0, 4), yticks=(-4, 0, 4))
    for panel, name in zip(axes[0], names, strict=True):
        panel.set_title(name)
    for panel in axes[-1]:
        panel.set_xlabel("$x_1$")
    for panel, way in zip(axes[:, 0], ways, strict=True):
        panel.set_ylabel(f"{way}\n$x_2$")


def draw_curves(found: dict[str, dict[str, Any]], path: Path) -> None:
    """Draw -ln p of training and of held-out points along learning, above the entropy."""
    ways = [way for way in found if way not in BASELINES]
    picture, axes = report.figure(2, (len(ways) + 1) // 2, 3.8 * ((len(ways) + 1) // 2), 8.4)
    for panel, way in zip(axes.ravel(), ways, strict=False):
        for k, (name, of_set) in enumerate(found[way].items()):
            epochs, training, held_out = np.array(of_set["curve"]).T
            entropy = SETS[name].entropy
            panel.plot(epochs, training - entropy, "--", color=report.COLOURS[k], linewidth=1.4)
            panel.plot(epochs, held_out - entropy, "-", color=report.COLOURS[k], label=name)
        panel.set(title=way, xlabel="epoch", ylim=(-0.3, 1.2))
    for panel in axes[:, 0]:
        panel.set_ylabel("-ln p above the entropy (nats)")
    axes[0, 0].legend()
    report.save(picture, path)


def draw_gaps(found: dict[str, dict[str, Any]], path: Path) -> None:
    """Draw the gap of every model, data set and seed."""
    ways, names = [way for way in found if way not in BASELINES], list(next(iter(found.values())))
    picture, axes = report.figure(1, len(names), 3.8 * len(names), 5.6)
    for column, (panel, name) in enumerate(zip(axes[0], names, strict=True)):
        for k, way in enumerate(ways):
            values = found[way][name]["gaps"]
            panel.plot(values, [k] * len(values), report.MARKERS[k % 6], color=report.COLOURS[k % 6])
        panel.axvline(np.mean(found["kernels"][name]["gaps"]), color="k", linestyle="--", linewidth=1.2)
        panel.set(title=name, xlabel="gap (nats)", xscale="log", ylim=(len(ways) - 0.5, -0.5))
        panel.set_yticks(range(len(ways)), ways if column == 0 else [])
    report.save(picture, path)


def main(
    folder: Path = report.RESULTS / "generative_2d", points: int = 2000, held_out: int = 500, fresh: int = 20_000,
    seeds: int = 3, share: float = 1.0, workers: int = 2, names: tuple[str, ...] = tuple(SETS),
) -> dict[str, Any]:  # fmt: skip
    """Learn every model on every data set and seed, judge it, and write the folder."""
    report.begin(folder)
    jobs = [(way, name, points, held_out, fresh, seeds, share) for way in WAYS for name in names]
    parts = folder / "unfinished"  # what a run that is cut has reached: the next one goes on from there
    parts.mkdir(exist_ok=True)
    if workers == 1:
        outcomes = [kept(job, parts) for job in jobs]
    else:
        with ProcessPoolExecutor(workers, mp_context=get_context("spawn")) as pool:
            outcomes = list(pool.map(partial(kept, folder=parts), jobs))
    found: dict[str, dict[str, Any]] = {way: {} for way in WAYS}
    for (way, name, *_), outcome in zip(jobs, outcomes, strict=True):
        found[way][name] = outcome
    tables = [gap_table(found), *verdict(found), *(sample_table(name, found, points, seeds) for name in names)]
    tables += [effort_table(found), "Times are of one process on a core that it shared with other work."]
    print("\n".join(tables))
    draw_densities(found, points, folder / "densities.png")
    draw_samples(found, points, folder / "samples.png")
    draw_curves(found, folder / "curves.png")
    draw_gaps(found, folder / "gaps.png")
    drawn = ("points", "density")
    numbers = {
        way: {name: {k: v for k, v in of_set.items() if k not in drawn} for name, of_set in of_way.items()}
        for way, of_way in found.items()
    }
    settings = {"points": points, "held_out": held_out, "fresh": fresh, "seeds": seeds}
    report.write(folder, __file__, __doc__, tables, PICTURES, numbers, settings)
    shutil.rmtree(parts)
    return numbers


if __name__ == "__main__":
    main()
