"""Bugs of the kinds that samplers really had, each a small change of one file, and the quick tests that must see it."""

import in_energies
import in_lattices
import in_learning
import in_models
import in_posteriors
import in_sampling
import in_supervised
import in_weighing

BUGS = (
    *in_sampling.BUGS, *in_lattices.BUGS, *in_energies.BUGS, *in_learning.BUGS, *in_weighing.BUGS, *in_models.BUGS,
    *in_supervised.BUGS, *in_posteriors.BUGS,
)  # fmt: skip
