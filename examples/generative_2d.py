"""Seven kinds of generative models learn four densities in the plane, and the truth judges them all.

Each learns from the same 2,000 points: an energy by noise-contrastive estimation, one by score matching, a ladder of
energies by denoising score matching, a variational autoencoder, a diffusion model, a continuous normalising flow (by
flow matching; and by its likelihood, from where flow matching has led in half as many epochs) and a generative
adversarial network. The densities are known exactly, so that

    gap = <ln p_true(x) - ln p_model(x)>,    x ~ p_true

is measured by pairs on 20,000 fresh points: the Kullback-Leibler divergence in nats, zero for a perfect model. ln p of
the energies is normalised by quadrature, of the VAE it is the bound of 500 importance samples, of the diffusion model
that of its probability flow; a GAN has none, and is given that of kernels over 2,000 of its samples.

One setting of most models is chosen for each data set by validation: with the points of the first seed, 1,600 to learn
from and 400 to choose by. Then all 2,000 points of each seed are learned with it. The 500 held-out points of the curves
and the fresh points of the tables had no part in that. Networks, epochs, activations and the settings on offer were
set by hand, after looks at gaps of earlier runs, on these fresh points too.
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
import models_told as told
import numpy as np
import report
import torch
from models_in_the_plane import WAYS
from plane import SETS, grid

from models import metrics

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
            density = learned.log_prob(grid(told.DRAWN)[1])
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


def sample_table(name: str, found: dict[str, dict[str, Any]], points: int, seeds: int) -> str:
    """Return the table of what samples are like on one data set, with that of true samples as the last row."""
    runs = {way: of_way[name]["samples"] for way, of_way in found.items()}
    runs["true samples"] = [judged(name, SETS[name].sample(points, 3000 + seed), seed) for seed in range(1, seeds + 1)]
    columns = list(runs["true samples"][0])
    rows = []  # of numbers without the error of rounding, which would look like a spread
    for way, of_way in runs.items():
        values = ([round(1e3 * run[column], 9) for run in of_way] for column in columns)
        rows.append([way, *(report.with_error(*report.mean_and_error(of_column)) for of_column in values)])
    heads = ["MMD^2 (1/1000)", "sliced W_2^2 (1/1000)", "Hellinger (1/1000)", "-ln p_true above entropy (mnats)"]
    return report.table([name, *heads, "off the support (1/1000)"], rows)


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
    tables = [
        told.gap_table(found),
        *told.verdict(found),
        *(sample_table(name, found, points, seeds) for name in names),
    ]
    tables += [told.effort_table(found), "Times are of one process on a core that it shared with other work."]
    print("\n".join(tables))
    told.draw_densities(found, points, folder / "densities.png")
    told.draw_samples(found, points, folder / "samples.png")
    told.draw_curves(found, folder / "curves.png")
    told.draw_gaps(found, folder / "gaps.png")
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
