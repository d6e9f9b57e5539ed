"""Reduced energies and gradients of many configurations by compiled functions."""

from samplers.tags import Driver, gradient_of, reduced_of


@Driver
def reduced_batch(tag, p, x, beta, out):
    """Set out[i] to the reduced energy of row x[i] at inverse temperature beta[i]."""
    for i in range(x.shape[0]):
        out[i] = reduced_of(tag)(x[i], beta[i], p)


@Driver
def gradient_batch(tag, p, x, beta, out, work):
    """Set out[i] to the gradient of the reduced energy at row x[i] and inverse temperature beta[i]."""
    for i in range(x.shape[0]):
        out[i] = 0.0
        gradient_of(tag)(x[i], beta[i], 1.0, p, out[i], work)
