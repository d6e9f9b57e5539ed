"""The transverse-field Ising ring against diagonalisation, by scipy and by NetKet."""

from itertools import product

import numpy as np
import pytest
from scipy.sparse import csr_array
from scipy.sparse.linalg import eigsh

from ebm.exact import tfim_correlation, tfim_energy, tfim_magnetisation

FIELDS = (0.5, 1.0, 1.5)


def diagonalise(n: int, h: float) -> tuple[float, float, np.ndarray]:
    """Return E, <x> per spin and <z_0 z_r> of the ground state, r = 0 .. n - 1, by Lanczos' method."""
    states = np.arange(2**n)
    z = 1.0 - 2.0 * ((states[:, None] >> np.arange(n)) & 1)
    diagonal = -(z * np.roll(z, 1, axis=1)).sum(1)
    columns = [states, *(states ^ (1 << i) for i in range(n))]
    values = [diagonal, *(np.full(2**n, -h) for _ in range(n))]
    matrix = csr_array((np.concatenate(values), (np.tile(states, n + 1), np.concatenate(columns))))
    start = np.ones(2**n)  # in the even sector, where the ground state is
    (energy,), vector = eigsh(matrix, k=1, which="SA", tol=1e-13, v0=start)
    p = vector[:, 0] ** 2
    x = sum(vector[:, 0] @ vector[states ^ (1 << i), 0] for i in range(n)) / n
    return energy, x, np.array([p @ (z[:, 0] * z[:, r]) for r in range(n)])


@pytest.mark.parametrize(
    ("n", "h"),
    [*product((10, 12), FIELDS), (3, 0.7), (5, 1.3), (7, 1.0), (2, 0.4), (6, -0.8)]
    + [pytest.param(16, h, marks=pytest.mark.slow) for h in FIELDS],
)
def test_free_fermions_give_what_lanczos_gives(n: int, h: float) -> None:
    energy, x, correlation = diagonalise(n, abs(h))
    assert tfim_energy(n, h) == pytest.approx(energy, abs=1e-8)
    assert tfim_magnetisation(n, h) == pytest.approx(np.sign(h) * x, abs=1e-8)
    assert [tfim_correlation(n, h, r) for r in range(n)] == pytest.approx(correlation, abs=1e-8)


def test_known_values() -> None:
    assert tfim_energy(10, 0.5) == pytest.approx(-10.63560441, abs=5e-9)
    for n in (2, 9, 10, 1000):
        assert tfim_energy(n, 1.0) == pytest.approx(-2.0 / np.sin(np.pi / (2 * n)), rel=1e-13)
    assert tfim_energy(8, 0.0) == -8.0 and tfim_magnetisation(8, 0.0) == 0.0 and tfim_correlation(8, 0.0, 4) == 1.0
    assert tfim_correlation(400, 0.5, 200) == pytest.approx(0.75**0.25, rel=1e-12)  # Pfeuty: (1 - h^2)^(1/4)


def test_bad_arguments_are_named() -> None:
    with pytest.raises(ValueError, match="n must be at least 2, got 1"):
        tfim_energy(1, 0.5)
    with pytest.raises(ValueError, match="h must be finite, got nan"):
        tfim_magnetisation(4, float("nan"))
    with pytest.raises(ValueError, match="r must be from 0 to 4, got 5"):
        tfim_correlation(4, 0.5, 5)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")  # those of NetKet and what it imports
@pytest.mark.parametrize("h", FIELDS)
def test_netket_has_the_same_ground_state(h: float) -> None:
    import netket as nk

    ring = nk.graph.Chain(10)
    hamiltonian = nk.operator.Ising(nk.hilbert.Spin(0.5, 10), ring, h=h, J=-1.0)
    assert tfim_energy(10, h) == pytest.approx(nk.exact.lanczos_ed(hamiltonian)[0], abs=1e-8)
