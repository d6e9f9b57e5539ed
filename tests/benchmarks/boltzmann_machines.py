"""Block Gibbs sampling and learning of restricted Boltzmann machines: rbms (torch), scikit-learn, bare products."""

from functools import partial
from typing import Any

import limits
import numpy as np
from timing import Check, Line, Side, compare, fastest, same

import ebm
import samplers

VISIBLE, HIDDEN, CHAINS = 784, 500, 1000
IMAGES, BATCH = 60_000, 100
GIBBS = "RBM 784x500 block Gibbs, 1,000 chains"
EPOCH = "one PCD epoch, 60,000 x 784, 500 hidden, batch 100"


def machine() -> tuple[Any, np.ndarray]:
    """A machine with random weights and states of its chains."""
    rng = np.random.default_rng(0)
    W = rng.normal(scale=0.05, size=(VISIBLE, HIDDEN)).astype(np.float32)
    return ebm.RBM(VISIBLE, HIDDEN, W=W), rng.integers(0, 2, (CHAINS, VISIBLE)).astype(np.int8)


def gibbs_sweeps(rbm: Any, v: np.ndarray, n: int, keep_x: bool = False) -> samplers.Chains:
    """n block Gibbs sweeps of our own."""
    return samplers.sample(
        rbm, samplers.Gibbs(), chains=CHAINS, draws=1, thin=n, warmup=0, init=v, seed=1, keep_x=keep_x, progress=False
    )


def ours(rbm: Any, v: np.ndarray) -> Side:
    """Our side; units are sweeps of one chain."""

    def work(n: int) -> float:
        gibbs_sweeps(rbm, v, n)
        return float(n * CHAINS)

    return Side("ebmlab", work)


def products() -> list[Side]:
    """The two products of a sweep."""
    return limits.products([(CHAINS, VISIBLE, HIDDEN), (CHAINS, HIDDEN, VISIBLE)], CHAINS)


def check_gibbs(rbm: Any, v: np.ndarray, theirs: np.ndarray) -> Check:
    """Compare free energies after 20 sweeps from the same start."""
    mine = np.asarray(gibbs_sweeps(rbm, v, 20, keep_x=True).x)[:, 0]
    return same("free energy", rbm(mine), rbm(theirs.astype(np.int8)))


def gibbs_products() -> Line:
    """Block Gibbs beside its bare products."""
    rbm, v = machine()
    limit = fastest(products())
    return compare(GIBBS, "chain-sweeps/s", 0.85, [ours(rbm, v)], [limit], (), (limit, 1.0))


def gibbs_rbms() -> Line:
    """Block Gibbs beside rbms.

    Its only knob on a processor is torch's number of threads; it is scripted (torch.jit) already. float32: its command
    line offers nothing shorter that a processor multiplies faster. Each call of `sample_state` ends with one more draw
    of the hidden units; calls of twenty sweeps make that small.
    """
    import torch
    from rbms.bernoulli_bernoulli.classes import BBRBM

    rbm, v = machine()
    peer = BBRBM(torch.from_numpy(rbm.W), torch.zeros(VISIBLE), torch.zeros(HIDDEN))
    chains = peer.init_chains(CHAINS, start_v=torch.from_numpy(v.astype(np.float32)))

    def work(n: int, threads: int) -> float:
        torch.set_num_threads(threads)
        with torch.inference_mode():
            for _ in range(n):
                peer.sample_state(chains=chains, n_steps=20)
        torch.set_num_threads(limits.THREADS)
        return float(n * 20 * CHAINS)

    sides = [Side(f"rbms ({k} torch threads)", partial(work, threads=k)) for k in range(1, limits.THREADS + 1)]
    check = check_gibbs(rbm, v, peer.sample_state(chains=chains, n_steps=20)["visible"].numpy())
    return compare(GIBBS, "chain-sweeps/s", 2.5, [ours(rbm, v)], sides, [check], (fastest(products()), 1.0))


def gibbs_sklearn() -> Line:
    """Block Gibbs beside scikit-learn's BernoulliRBM, in float32 (half of float64's time), BLAS on all cores."""
    from sklearn.neural_network import BernoulliRBM

    rbm, v = machine()
    peer = BernoulliRBM(HIDDEN, random_state=0)
    peer.components_ = rbm.W.T.copy()
    peer.intercept_hidden_, peer.intercept_visible_ = np.zeros(HIDDEN, np.float32), np.zeros(VISIBLE, np.float32)
    peer.random_state_ = np.random.RandomState(0)

    def sweeps(n: int) -> np.ndarray:
        x = v.astype(np.float32)
        for _ in range(n):
            x = peer.gibbs(x)
        return x

    def work(n: int) -> float:
        sweeps(n)
        return float(n * CHAINS)

    check = check_gibbs(rbm, v, sweeps(20))
    peers = [Side("scikit-learn (float32)", work)]
    return compare(GIBBS, "chain-sweeps/s", 2.0, [ours(rbm, v)], peers, [check], (fastest(products()), 1.0))


def images() -> np.ndarray:
    """MNIST's training images, binary, if they lie in the data folder; else random pixels of the same density."""
    from models.datasets.download import data_folder

    if (data_folder() / "mnist" / "train-images-idx3-ubyte.gz").exists():
        from models.datasets import mnist

        return (mnist("train")[0].reshape(IMAGES, VISIBLE) > 127).astype(np.int8)
    return (np.random.default_rng(0).random((IMAGES, VISIBLE), np.float32) < 0.13).astype(np.int8)


def logits(data: np.ndarray) -> np.ndarray:
    """Visible biases of independent pixels."""
    mean = np.clip(data.mean(0), 1e-4, 1 - 1e-4)
    return np.log(mean / (1.0 - mean)).astype(np.float32)


def learn(data: np.ndarray, epochs: int) -> Any:
    """Learn for some epochs by persistent contrastive divergence with 100 chains; all that `fit` does is timed."""
    rbm = ebm.RBM(VISIBLE, HIDDEN, b=logits(data), seed=0)
    ebm.fit(
        rbm, data, ebm.PersistentCD(1, chains=BATCH), epochs=epochs, batch_size=BATCH, learning_rate=0.01, seed=1,
        progress=False,
    )  # fmt: skip
    return rbm


def epoch_ours(data: np.ndarray) -> Side:
    """Our side; units are epochs."""

    def work(n: int) -> float:
        learn(data, n)
        return float(n)

    return Side("ebmlab", work)


def epoch_limit() -> Side:
    """The products that an epoch cannot do without: three passes between the layers and one gradient of both terms."""
    shapes = [(BATCH, VISIBLE, HIDDEN)] * 2 + [(BATCH, HIDDEN, VISIBLE), (VISIBLE, 2 * BATCH, HIDDEN)]
    return fastest(limits.products(shapes, BATCH / IMAGES))


def check_epoch(data: np.ndarray, b: np.ndarray, W: np.ndarray, who: str) -> Check:
    """Check that learning left numbers, and a machine that still has about the density of the data."""
    v = data[:1000].astype(np.float64)
    density = 1.0 / (1.0 + np.exp(-b - (v @ W > 0) @ W.T.astype(np.float64)))
    right = bool(np.isfinite(W).all() and abs(density.mean() - v.mean()) < 0.05)
    return Check(right, f"{who} density {density.mean():.3f}, data {v.mean():.3f}")


def epoch_products() -> Line:
    """An epoch beside its bare products."""
    data = images()
    rbm = learn(data, 1)
    limit = epoch_limit()
    checks = [check_epoch(data, rbm.b, rbm.W, "ours")]
    return compare(EPOCH, "epochs/s", 0.65, [epoch_ours(data)], [limit], checks, (limit, 1.0))


def epoch_rbms() -> Line:
    """An epoch beside rbms.

    Its own `train` opens a file at every update, so we call what it calls, `fit_batch_pcd` and the optimiser's step,
    with one permutation an epoch. Plain gradients on both sides (its default, centring, costs it two passes more).
    """
    import torch
    from rbms.bernoulli_bernoulli.classes import BBRBM
    from rbms.training.pcd import fit_batch_pcd

    data = images()
    pixels, weights = torch.from_numpy(data.astype(np.float32)), torch.ones(BATCH)
    generator = torch.Generator().manual_seed(0)

    def epochs(n: int, threads: int) -> Any:
        torch.set_num_threads(threads)
        W = 0.01 * torch.randn(VISIBLE, HIDDEN, generator=generator)
        peer = BBRBM(W, torch.from_numpy(logits(data)), torch.zeros(HIDDEN))
        peer.init_grad()
        optimizer = torch.optim.SGD(peer.parameters(), lr=0.01, maximize=True)
        chains = peer.init_chains(num_samples=BATCH)
        with torch.no_grad():
            for _ in range(n):
                for rows in torch.randperm(IMAGES, generator=generator).split(BATCH):
                    batch = (pixels[rows], weights)
                    chains, _ = fit_batch_pcd(batch, chains, peer, gibbs_steps=1, beta=1.0, centered=False)
                    optimizer.step()
        torch.set_num_threads(limits.THREADS)
        return peer

    def work(n: int, threads: int) -> float:
        epochs(n, threads)
        return float(n)

    sides = [Side(f"rbms ({k} torch threads)", partial(work, threads=k)) for k in range(1, limits.THREADS + 1)]
    peer, rbm = epochs(1, limits.THREADS), learn(data, 1)
    checks = [
        check_epoch(data, rbm.b, rbm.W, "ours"),
        check_epoch(data, peer.vbias.numpy(), peer.weight_matrix.numpy(), "rbms"),
    ]
    return compare(EPOCH, "epochs/s", 2.0, [epoch_ours(data)], sides, checks, (epoch_limit(), 1.0))


LINES = {
    "rbm-products": gibbs_products,
    "rbm-rbms": gibbs_rbms,
    "rbm-sklearn": gibbs_sklearn,
    "epoch-products": epoch_products,
    "epoch-rbms": epoch_rbms,
}
