"""Lines and arcs among codes, and the geometry of a decoder on surfaces whose shortest paths are known."""

import itertools
import math
from typing import Any

import numpy as np
import pytest
import torch

import models

pytestmark = pytest.mark.usefixtures("one_torch_thread")

RNG = np.random.default_rng(5)


class Surface(torch.nn.Module):
    """A decoder given by a formula."""

    def __init__(self, formula: Any) -> None:
        super().__init__()
        self.formula = formula

    def decode(self, z: torch.Tensor) -> torch.Tensor:
        return torch.stack(self.formula(*z.T), 1)


SPHERE = Surface(lambda t, p: (t.sin() * p.cos(), t.sin() * p.sin(), t.cos()))  # polar angle, azimuth
PLANE = Surface(lambda r, p: (r * p.cos(), r * p.sin()))


def example(**options: Any) -> models.VAE:
    return models.VAE((3, 4), latent=2, hidden=(6,), activation="Tanh", seed=1, **options)


def test_an_arc_turns_evenly_and_lengths_change_evenly() -> None:
    a, b = RNG.normal(size=(2, 7))
    b *= np.linalg.norm(a) / np.linalg.norm(b)
    arc = models.interpolate(a, b, 9, "spherical")
    assert np.allclose(np.linalg.norm(arc, axis=1), np.linalg.norm(a), rtol=1e-13)
    turns = [u @ v / (a @ a) for u, v in itertools.pairwise(arc)]
    assert np.allclose(np.arccos(turns), math.acos(a @ b / (a @ a)) / 8, rtol=1e-7)
    assert np.allclose(models.interpolate(a, b, 9), a + np.linspace(0, 1, 9)[:, None] * (b - a), rtol=0, atol=1e-15)
    for kind in ("linear", "spherical"):
        ends = models.interpolate(a, b, 5, kind)[[0, -1]]
        assert np.allclose(ends, [a, b], rtol=0, atol=1e-14)
    near = models.interpolate(a, a * (1 + 1e-12), 5, "spherical")
    assert np.allclose(near, a, rtol=1e-11)


def test_codes_and_images_go_back_and_forth() -> None:
    vae = example()
    x = vae.sample(5, seed=1)
    codes = vae.infer(x)
    with torch.no_grad():
        mean, log_variance = vae.encode(torch.as_tensor(x))
        image = vae.decode(mean)
    assert np.allclose(codes.mean, mean) and np.allclose(codes.sigma**2, log_variance.exp(), rtol=1e-5)
    assert np.allclose(models.reconstructed(vae, x), image, rtol=0, atol=1e-6)
    walk = models.traverse([0.3, -0.2], 1, [-3, 0, 3])
    assert models.decoded(vae, walk).shape == (3, 3, 4) and (walk[:, 0] == 0.3).all()


def test_the_metric_is_that_of_finite_differences() -> None:
    for options in ({}, {"channels": (3,)}, {"likelihood": "gaussian"}):
        vae = example(**options).double()
        z, h = RNG.normal(size=(4, 2)), 1e-6
        slopes = [
            (models.decoded(vae, z + h * e) - models.decoded(vae, z - h * e)).reshape(4, -1) / (2 * h)
            for e in np.eye(2)
        ]
        J = np.stack(slopes, 2)
        M = models.pullback_metric(vae, z)
        assert np.allclose(M, J.transpose(0, 2, 1) @ J, rtol=1e-6, atol=1e-12)
        assert np.allclose(models.log_volume(vae, z), np.log(np.sqrt(np.linalg.det(M))), rtol=1e-9)


def test_the_metric_of_a_sphere_and_of_a_linear_decoder() -> None:
    z = np.array([[0.4, 2.0], [1.5, -1.0]])
    M = models.pullback_metric(SPHERE, z)
    assert np.allclose(M, [np.diag([1.0, math.sin(t) ** 2]) for t in z[:, 0]], rtol=0, atol=1e-14)
    assert np.allclose(models.log_volume(SPHERE, z), np.log(np.sin(z[:, 0])))
    flat = models.VAE((6,), latent=3, hidden=(), likelihood="gaussian", seed=2)
    W = flat.decoder.network[0].weight.detach().double().numpy()
    assert np.allclose(models.pullback_metric(flat, RNG.normal(size=(2, 3))), W.T @ W, rtol=1e-12)


def test_shortest_paths_are_great_circles_and_straight_lines() -> None:
    a, b, n = np.array([1.0, 0.2]), np.array([1.2, 2.4]), 24
    first, last = SPHERE.decode(torch.tensor(np.stack([a, b]))).numpy()
    angle = math.acos(first @ last)
    path = models.geodesic(SPHERE, a, b, points=n + 1)
    assert path.length == pytest.approx(2 * n * math.sin(angle / (2 * n)), rel=1e-9)  # n chords of a great circle
    assert path.straight > 1.05 * path.length and np.array_equal(path.codes[[0, -1]], [a, b])
    plane = models.geodesic(PLANE, [1.0, 0.0], [2.0, 1.5], points=n + 1)
    x = PLANE.decode(torch.as_tensor(plane.codes)).numpy()
    assert np.allclose(x, models.interpolate(x[0], x[-1], n + 1), rtol=0, atol=1e-5)
    flat = models.VAE((6,), latent=3, hidden=(), likelihood="gaussian", seed=2)
    a, b = RNG.normal(size=(2, 3))
    line = models.geodesic(flat, a, b, points=9)
    assert np.allclose(line.codes, models.interpolate(a, b, 9), rtol=0, atol=1e-12)
    assert line.length == pytest.approx(line.straight, rel=1e-12)


def test_a_path_that_has_not_relaxed_says_so() -> None:
    with pytest.warns(RuntimeWarning, match="the path has not relaxed in 2 steps"):
        models.geodesic(SPHERE, [1.0, 0.2], [1.2, 2.4], steps=2)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: models.interpolate([1.0], [1.0, 2.0], 3), r"b must have shape \(1\)"),
        (lambda: models.interpolate([1.0], [2.0], 1), "steps must be at least 2, got 1"),
        (lambda: models.interpolate([1.0], [2.0], 3, "cubic"), 'kind must be "linear" or "spherical"'),
        (lambda: models.interpolate([1.0, 0], [-2.0, 0], 3, "spherical"), "must not be opposite"),
        (lambda: models.interpolate([0.0, 0], [-2.0, 0], 3, "spherical"), "must not be zero"),
        (lambda: models.traverse([1.0, 2.0], 2, [0.0]), "axis must be 0 to 1, got 2"),
        (lambda: models.decoded(example(), np.zeros((3, 4))), r"z must have shape \(any, 2\)"),
        (lambda: models.geodesic(PLANE, [1.0, 0.0], [2.0, 0.0], points=2), "points must be at least 3, got 2"),
        (lambda: models.geodesic(PLANE, [0.0, 0.0], [0.0, 1.0]), "does not change"),
        (lambda: models.pullback_metric(PLANE, [[math.nan, 0.0]]), "z must be finite"),
    ],
)
def test_errors_name_the_argument(call: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        call()
