"""How far samples of a model are from data, or from a density that is known.

    against a density           density_score: -ln p of samples, and the share where p = 0
    through kernel densities    kernel_log_likelihood, best_bandwidth; overlap (Bhattacharyya, Hellinger) in the plane
    between samples             mmd, sliced_wasserstein, two_sample_test
    of features of images       frechet_distance, frechet

Samples are arrays (n, *shape), flattened to (n, d). No one of these numbers is enough: kernel densities are blurred, a
distance below its own error tells nothing apart, and samples without one of the modes have a good density score. Where
ln p of the model is known, the paired mean of ln p_true - ln p_model over fresh data says more than all.
"""

from models.metrics.density import DensityScore, density_score
from models.metrics.frechet import frechet, frechet_distance
from models.metrics.kernel_density import KernelScore, best_bandwidth, kernel_log_likelihood
from models.metrics.mmd import TwoSampleTest, mmd, two_sample_test
from models.metrics.overlap import Overlap, overlap
from models.metrics.samples import Estimate
from models.metrics.sliced_wasserstein import sliced_wasserstein

__all__ = [
    "DensityScore",
    "Estimate",
    "KernelScore",
    "Overlap",
    "TwoSampleTest",
    "best_bandwidth",
    "density_score",
    "frechet",
    "frechet_distance",
    "kernel_log_likelihood",
    "mmd",
    "overlap",
    "sliced_wasserstein",
    "two_sample_test",
]
