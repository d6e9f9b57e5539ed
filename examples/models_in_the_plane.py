"""Seven ways to learn a density in the plane from points, each with its ln p and its samples.

Every way is a function of points, a setting to be chosen by validation, a seed, a share of the epochs (below 1 for a
quick look) and a `watch`, which is called along learning with the epoch and what is learned by then.
"""

from collections.abc import Callable
from functools import lru_cache, partial
from typing import Any, NamedTuple

import numpy as np
import torch
from plane import log_z
from scipy.optimize import minimize_scalar
from sklearn.mixture import GaussianMixture
from sklearn.neighbors import KernelDensity

import ebm
import models
import samplers
from models import metrics

HIDDEN = (128, 128, 128)
MARKS = 16  # times along learning at which it is looked at
LADDER = tuple(np.geomspace(2.0, 0.03, 14))  # noises of denoising score matching
CODES = 500  # importance samples of a VAE's ln p


class Learned(NamedTuple):
    """What was learned: ln p of points (n, 2), and n samples from a seed."""

    log_prob: Callable[[np.ndarray], np.ndarray]
    sample: Callable[[int, int], np.ndarray]


Watch = Callable[[int, Learned], Any]


class Way(NamedTuple):
    """A way to learn, the settings that validation chooses from, and what they are."""

    learn: Callable[..., Learned]
    settings: tuple[Any, ...]
    what: str


def marked(watch: Watch | None, epochs: int, learned: Callable[[], Learned]) -> Callable[[Any], None] | None:
    """Return a callback for `fit` that calls `watch` at evenly spread epochs."""
    if watch is None:
        return None
    marks = set(np.linspace(epochs / MARKS, epochs, MARKS).round().astype(int))

    def callback(record: Any) -> None:
        if record["epoch"] in marks:
            watch(int(record["epoch"]), learned())

    return callback


def jittered(x: np.ndarray, factor: float) -> float:
    """Return a width of noise: a factor of the best kernel width of the points."""
    return factor * metrics.best_bandwidth(x)


def of_energy(energy: Any, width: float) -> Learned:
    """Return ln p of an energy, its ln Z by quadrature, and samples by chains of adjusted Langevin from wide noise."""
    constant = log_z(energy)

    def sample(n: int, seed: int) -> np.ndarray:
        init = width * np.random.default_rng(seed).standard_normal((n, 2))
        run = samplers.sample(
            energy, samplers.MALA(0.05), chains=n, draws=1, warmup=600, init=init, seed=seed, progress=False
        )
        return np.asarray(run.x)[:, -1]

    return Learned(lambda x: -energy(x) - constant, sample)


def by_contrast(x: np.ndarray, decay: float, seed: int, share: float = 1.0, watch: Watch | None = None) -> Learned:
    """An energy by noise-contrastive estimation, beside a wide Gaussian."""
    width, epochs = float(x.std()), max(1, round(300 * share))
    energy = ebm.NeuralEnergy((2,), hidden=HIDDEN, width=1.5 * width, seed=seed)
    learned = lambda: of_energy(energy, 1.5 * width)  # noqa: E731
    ebm.fit(
        energy, x, ebm.NoiseContrastive(ratio=8, widen=1.2), epochs=epochs, batch_size=200, learning_rate=0.002,
        optimiser=ebm.Adam(weight_decay=decay), averaging=0.99, schedule=lambda epoch: 1.0 - epoch / epochs, seed=seed,
        callback=marked(watch, epochs, learned), progress=False,
    )  # fmt: skip
    return learned()


def by_score(x: np.ndarray, jitter: float, seed: int, share: float = 1.0, watch: Watch | None = None) -> Learned:
    """An energy by score matching (Hyvarinen 2005), exact trace, on points with a little noise."""
    width, epochs, noise = float(x.std()), max(1, round(400 * share)), jittered(x, jitter)
    energy = ebm.NeuralEnergy((2,), hidden=HIDDEN, width=1.5 * width, seed=seed)
    learned = lambda: of_energy(energy, 1.5 * width)  # noqa: E731
    ebm.fit(
        energy, x, ebm.ScoreMatching(), epochs=epochs, batch_size=200, learning_rate=0.002, optimiser=ebm.Adam(),
        averaging=0.99, schedule=lambda epoch: 1.0 - epoch / epochs, seed=seed, progress=False,
        augment=lambda rows, rng: rows + noise * rng.standard_normal(rows.shape),
        callback=marked(watch, epochs, learned),
    )  # fmt: skip
    return learned()


def by_denoising(x: np.ndarray, sigma: float, seed: int, share: float = 1.0, watch: Watch | None = None) -> Learned:
    """The energies of a ladder of noises by denoising score matching; ln p is that of one of them."""
    return level(denoised(x.tobytes(), seed, share, watch, sigma if watch else None), sigma)


def level(model: ebm.ScoreModel, sigma: float) -> Learned:
    """Return ln p of one level of a ladder, and samples by Langevin dynamics along all of it."""
    energy = model.at_noise(sigma)
    constant = log_z(energy)

    def sample(n: int, seed: int) -> np.ndarray:
        init = LADDER[0] * np.random.default_rng(seed).standard_normal((n, 2))
        sampler = samplers.AnnealedLangevin(LADDER, step_size=0.1 * LADDER[-1] ** 2, steps=50)
        run = samplers.sample(
            model, sampler, chains=n, draws=1, warmup=50 * len(LADDER), init=init, seed=seed, progress=False
        )
        return np.asarray(run.x)[:, -1]

    return Learned(lambda x: -energy(x) - constant, sample)


@lru_cache(maxsize=1)
def denoised(data: bytes, seed: int, share: float, watch: Watch | None, sigma: float | None) -> ebm.ScoreModel:
    """Learn a ladder, once for all of its levels that validation chooses from."""
    x, epochs = np.frombuffer(data).reshape(-1, 2), max(1, round(1200 * share))
    model = ebm.ScoreModel((2,), hidden=HIDDEN, energy=True, data_width=float(x.std()), seed=seed)
    ebm.fit(
        model, x, ebm.DenoisingScoreMatching(LADDER, noises=2), epochs=epochs, batch_size=250, learning_rate=0.002,
        optimiser=ebm.Adam(), averaging=0.99, schedule=lambda epoch: 1.0 - epoch / epochs, seed=seed, progress=False,
        callback=None if watch is None else marked(watch, epochs, lambda: level(model, sigma)),
    )  # fmt: skip
    return model


def by_codes(x: np.ndarray, setting: None, seed: int, share: float = 1.0, watch: Watch | None = None) -> Learned:
    """A variational autoencoder with a Gaussian decoder, its width learned; ln p by importance samples.

    The weight of KL grows over the first quarter: at its full weight from the start, codes often stay unused.
    """
    epochs = max(1, round(1200 * share))
    vae = models.VAE(
        (2,), latent=2, hidden=HIDDEN, likelihood="gaussian", activation="ReLU", warmup=epochs // 4, seed=seed
    )
    learned = lambda: Learned(lambda x: vae.log_prob(x, CODES, 0).value, vae.sample)  # noqa: E731
    models.fit(
        vae, x, epochs=epochs, batch_size=200, learning_rate=0.003, schedule=lambda time: 1.0 - time / epochs,
        averaging=0.99, seed=seed, callback=marked(watch, epochs, learned), progress=False,
    )  # fmt: skip
    return learned()


def by_diffusion(x: np.ndarray, waves: int, seed: int, share: float = 1.0, watch: Watch | None = None) -> Learned:
    """A diffusion model; ln p by its probability flow."""
    epochs = max(1, round(240 * share))
    model = models.DDPM((2,), waves=waves, data_width=float(x.std()), seed=seed)
    learned = lambda: Learned(lambda x: model.log_prob(x, steps=32), model.sample)  # noqa: E731
    models.fit(
        model, np.repeat(x, 4, 0), epochs=epochs, batch_size=250, learning_rate=0.002, averaging=0.995,
        schedule=lambda time: 1.0 - time / epochs, seed=seed, callback=marked(watch, epochs, learned), progress=False,
    )  # fmt: skip
    return learned()


def flow(
    x: np.ndarray, jitter: float, seed: int, passes: int, rate: float, start: models.CNF | None = None,
    watch: Watch | None = None,
) -> tuple[models.CNF, Learned]:  # fmt: skip
    """A continuous normalising flow: by flow matching, or by its likelihood from a field to start with."""
    objective, noise = "flow_matching" if start is None else "likelihood", jittered(x, jitter)
    cnf = models.CNF(
        (2,), objective=objective, mean=x.mean(0), width=x.std(0), tolerance=1e-5, seed=seed
    )  # of a step: ln p is right to 1e-4
    if start is not None:
        cnf.load_state_dict(start.state_dict())
    learned = Learned(cnf.log_prob, cnf.sample)
    models.fit(
        cnf, x, epochs=passes, batch_size=200, learning_rate=rate, schedule=lambda time: 1.0 - time / passes,
        averaging=0.995 if start is None else 0.9, augment=lambda rows: rows + noise * torch.randn_like(rows),
        seed=seed, callback=marked(watch, passes, lambda: learned), progress=False,
    )  # fmt: skip
    return cnf, learned


def by_matching(x: np.ndarray, jitter: float, seed: int, share: float = 1.0, watch: Watch | None = None) -> Learned:
    """A flow by conditional flow matching."""
    return flow(x, jitter, seed, max(1, round(1200 * share)), 0.004, watch=watch)[1]


def by_likelihood(x: np.ndarray, jitter: float, seed: int, share: float = 1.0, watch: Watch | None = None) -> Learned:
    """A flow by its likelihood, which is costly: from where flow matching has led in half of its epochs."""
    start, _ = flow(x, jitter, seed, max(1, round(600 * share)), 0.004)
    return flow(x, jitter, seed, max(1, round(16 * share)), 0.001, start, watch)[1]


def by_game(x: np.ndarray, penalty: float, seed: int, share: float = 1.0, watch: Watch | None = None) -> Learned:
    """A generative adversarial network. It has no density: its ln p is that of kernels over 2,000 of its samples.

    Their width is the one that serves the training points best. R1 is in the squared unit of x: a penalty far above
    the square of the finest detail forbids the discriminator to see it.
    """
    epochs = max(1, round(400 * share))
    gan = models.GAN((2,), latent=2, hidden=HIDDEN, activation="ReLU", gradient_penalty=penalty, seed=seed)

    def learned() -> Learned:
        return Learned(fitted_kernels(gan.sample(len(x), 0), x).score_samples, gan.sample)

    models.fit(
        gan, x, epochs=epochs, batch_size=200, learning_rate=0.001, averaging=0.99, seed=seed,
        optimiser=partial(torch.optim.Adam, betas=(0.0, 0.99)), schedule=lambda time: 1.0 - time / epochs,
        callback=marked(watch, epochs, learned), progress=False,
    )  # fmt: skip
    return learned()


def fitted_kernels(centres: np.ndarray, x: np.ndarray) -> KernelDensity:
    """Return Gaussian kernels over centres, of the width of greatest likelihood of points x."""

    def loss(log_width: float) -> float:
        return -float(KernelDensity(bandwidth=np.exp(log_width)).fit(centres).score_samples(x).mean())

    best = minimize_scalar(loss, bounds=(np.log(0.02), np.log(2.0)), method="bounded", options={"xatol": 0.02}).x
    return KernelDensity(bandwidth=np.exp(best)).fit(centres)


def kernels(x: np.ndarray, setting: None = None, seed: int = 0, **unused: Any) -> Learned:
    """Gaussian kernels over points, of the width that serves each point best under the others."""
    h = metrics.best_bandwidth(x)
    estimate = KernelDensity(bandwidth=h).fit(x)
    return Learned(estimate.score_samples, lambda n, seed: estimate.sample(n, seed))


def mixture(x: np.ndarray, components: int, seed: int, **unused: Any) -> Learned:
    """A mixture of Gaussians by expectation maximisation."""
    estimate = GaussianMixture(components, random_state=seed, n_init=2).fit(x)
    return Learned(estimate.score_samples, lambda n, seed: _drawn(estimate, n, seed))


def _drawn(estimate: GaussianMixture, n: int, seed: int) -> np.ndarray:
    estimate.random_state = seed
    return estimate.sample(n)[0]


WAYS = {
    "EBM": Way(by_contrast, (0.05, 0.2), "weight decay"),
    "score matching": Way(by_score, (1.0, 1.5), "noise of points in kernel widths"),
    "denoising score matching": Way(by_denoising, (LADDER[7], LADDER[9]), "noise level of ln p"),
    "VAE": Way(by_codes, (None,), ""),
    "DDPM": Way(by_diffusion, (3, 4, 5), "waves"),
    "CNF, likelihood": Way(by_likelihood, (0.5,), ""),
    "CNF, flow matching": Way(by_matching, (0.5,), ""),
    "GAN": Way(by_game, (0.02, 0.1), "R1"),
    "kernels": Way(kernels, (None,), ""),
    "mixture of Gaussians": Way(mixture, (8, 16, 32), "components"),
    "one Gaussian": Way(mixture, (1,), ""),
}
BASELINES = ("kernels", "mixture of Gaussians", "one Gaussian")
