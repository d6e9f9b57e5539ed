"""Exact results to test against: each function is a closed form, or a sum or integral over everything.

Convention: p(x) = exp(-beta E(x)) / Z(beta), k_B = 1, lattice energies in units of the coupling J. A `log_z` is the
total ln Z unless its docstring says per site; energies and heat capacities of lattices are per site. Arguments such as
beta are single numbers.

    enumeration.py      any discrete energy with at most 2^24 configurations, summed in blocks
    configurations.py   the configurations themselves, numbered
    ring.py             Ising ring of n spins in a field, by its transfer matrix
    kaufman.py          Ising on an l x l torus at any l
    onsager.py          Ising on the infinite square lattice
    mean_field.py       Curie-Weiss at any n and at n -> infinity; annealed Sherrington-Kirkpatrick
    potts_and_xy.py     Potts model at its transition; chain of XY spins
    rbm.py              ln Z of binary and Gaussian RBMs with a small layer
    quadrature.py       ln Z of a continuous energy in one or two dimensions
    kramers.py          rate of barrier crossing: asymptotic, and from the Fokker-Planck operator
    integrators.py      what ULA, SGLD and BAOAB sample on a harmonic well at a finite step
    ppca.py             probabilistic PCA: likelihood, its maximum, posterior of the codes
    diffusion.py        what diffusion models do to Gaussians, and their best denoiser for mixtures
    tfim.py             ground state of the transverse-field Ising ring of n spins
"""

from ebm.exact.configurations import count_states, state_at, state_index, states
from ebm.exact.diffusion import best_epsilon, ddim_variance, ddpm_variance, diffused, ode_variance, sde_variance
from ebm.exact.enumeration import Enumeration, enumerate, probabilities
from ebm.exact.integrators import (
    baoab_variances,
    batch_variance,
    sgld_variance,
    ula_autocorrelation,
    ula_autocorrelation_time,
    ula_variance,
)
from ebm.exact.kaufman import kaufman_energy, kaufman_heat_capacity, kaufman_log_z
from ebm.exact.kramers import fokker_planck_rate, kramers_rate_asymptotic
from ebm.exact.mean_field import (
    curie_weiss_distribution,
    curie_weiss_energy,
    curie_weiss_log_z,
    curie_weiss_magnetisation,
    mean_field_magnetisation,
    sk_annealed_free_energy,
)
from ebm.exact.onsager import (
    onsager_critical_temperature,
    onsager_energy,
    onsager_heat_capacity,
    onsager_log_z,
    onsager_magnetisation,
)
from ebm.exact.potts_and_xy import potts_critical_energy, potts_critical_temperature, xy_chain_energy
from ebm.exact.ppca import PPCA, ppca_fit, ppca_log_likelihood, ppca_posterior
from ebm.exact.quadrature import log_z_quadrature
from ebm.exact.rbm import gaussian_rbm_log_z, rbm_log_likelihood, rbm_log_z
from ebm.exact.ring import ring_correlation, ring_energy, ring_heat_capacity, ring_log_z, ring_magnetisation
from ebm.exact.tfim import tfim_correlation, tfim_energy, tfim_magnetisation

__all__ = [
    "PPCA",
    "Enumeration",
    "baoab_variances",
    "batch_variance",
    "best_epsilon",
    "count_states",
    "curie_weiss_distribution",
    "curie_weiss_energy",
    "curie_weiss_log_z",
    "curie_weiss_magnetisation",
    "ddim_variance",
    "ddpm_variance",
    "diffused",
    "enumerate",
    "fokker_planck_rate",
    "gaussian_rbm_log_z",
    "kaufman_energy",
    "kaufman_heat_capacity",
    "kaufman_log_z",
    "kramers_rate_asymptotic",
    "log_z_quadrature",
    "mean_field_magnetisation",
    "ode_variance",
    "onsager_critical_temperature",
    "onsager_energy",
    "onsager_heat_capacity",
    "onsager_log_z",
    "onsager_magnetisation",
    "potts_critical_energy",
    "potts_critical_temperature",
    "ppca_fit",
    "ppca_log_likelihood",
    "ppca_posterior",
    "probabilities",
    "rbm_log_likelihood",
    "rbm_log_z",
    "ring_correlation",
    "ring_energy",
    "ring_heat_capacity",
    "ring_log_z",
    "ring_magnetisation",
    "sde_variance",
    "sgld_variance",
    "sk_annealed_free_energy",
    "state_at",
    "state_index",
    "states",
    "tfim_correlation",
    "tfim_energy",
    "tfim_magnetisation",
    "ula_autocorrelation",
    "ula_autocorrelation_time",
    "ula_variance",
    "xy_chain_energy",
]
