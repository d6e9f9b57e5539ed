"""samplers: the engine of ebmlab. Sample any energy, keep the chains, trust or distrust them.

energy      anything with shape, domain and a call E(x)            samplers.protocols, samplers.check
samplers    Metropolis, Gibbs, Wolff, SwendsenWang, Langevin, UnderdampedLangevin, SGLD, MALA, HMC,
            AnnealedLangevin, ParallelTempering(sampler, betas)
run         sample(energy, sampler, ...) -> Chains                 Chains.save, load, Chains.to_arviz
minimise    simulated_annealing(energy, sampler, betas=...) -> Annealed
diagnose    summary(chains), integrated_autocorrelation_time, estimate, plots
"""

from samplers.annealed_langevin import AnnealedLangevin
from samplers.autocorrelation import AutocorrelationTime, effective_sample_size, integrated_autocorrelation_time
from samplers.blocks import SamplingError
from samplers.chains import Chains, load
from samplers.check import check
from samplers.estimate import Estimate, estimate
from samplers.gibbs import Gibbs
from samplers.hmc import HMC
from samplers.langevin import Langevin, UnderdampedLangevin
from samplers.mala import MALA
from samplers.metropolis import Metropolis
from samplers.plots import plot_autocorrelation, plot_energy, plot_overview, plot_rank, plot_trace
from samplers.run import sample
from samplers.sampler import Kernel, Sampler, get_threads, set_threads
from samplers.sgld import SGLD
from samplers.simulated_annealing import Annealed, simulated_annealing
from samplers.store import StoreError
from samplers.summary import Summary, summary
from samplers.swendsen_wang import SwendsenWang
from samplers.tempering import ParallelTempering
from samplers.tempering_plots import plot_tempering
from samplers.wolff import Wolff

__all__ = [
    "HMC",
    "MALA",
    "SGLD",
    "Annealed",
    "AnnealedLangevin",
    "AutocorrelationTime",
    "Chains",
    "Estimate",
    "Gibbs",
    "Kernel",
    "Langevin",
    "Metropolis",
    "ParallelTempering",
    "Sampler",
    "SamplingError",
    "StoreError",
    "Summary",
    "SwendsenWang",
    "UnderdampedLangevin",
    "Wolff",
    "check",
    "effective_sample_size",
    "estimate",
    "get_threads",
    "integrated_autocorrelation_time",
    "load",
    "plot_autocorrelation",
    "plot_energy",
    "plot_overview",
    "plot_rank",
    "plot_tempering",
    "plot_trace",
    "sample",
    "set_threads",
    "simulated_annealing",
    "summary",
]
