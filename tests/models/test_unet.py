"""The U-Net: it sees whole images, and knows their level of noise."""

import numpy as np
import pytest
import torch

import models

pytestmark = pytest.mark.usefixtures("one_torch_thread")


@pytest.mark.parametrize("shape", ((4, 6), (1, 4, 6), (3, 8, 8)))
def test_images_keep_their_shape_and_each_its_level(shape: tuple[int, ...]) -> None:
    model = models.DDPM(shape, channels=(8, 4), seed=1).double()
    x = torch.as_tensor(np.random.default_rng(2).normal(size=(3, *shape)))
    levels = torch.tensor([-2.0, 0.0, 3.0], dtype=torch.float64)
    with torch.no_grad():
        together = model.network(x, levels)
        alone = torch.cat([model.network(x[i : i + 1], levels[i : i + 1]) for i in range(3)])
        assert together.shape == x.shape and torch.allclose(together, alone, rtol=0, atol=1e-12)
        assert not torch.allclose(together, model.network(x, levels + 1.0), rtol=0, atol=1e-3)


def test_it_learns_that_the_numbers_of_an_image_belong_together() -> None:
    # Images of one grey, N(0, 1): to whoever looks at one number alone they are noise, and the loss of v is 1 at best.
    x = np.random.default_rng(3).standard_normal((400, 1, 1)) * np.ones((4, 4))
    model = models.DDPM((4, 4), channels=(8, 8), seed=4)
    history = models.fit(model, x, epochs=12, batch_size=50, learning_rate=3e-3, seed=5, progress=False)
    assert history["loss"][-1] < 0.6
    drawn = model.sample(50, seed=6, sampler=models.DDIM(20)).reshape(50, -1)
    assert drawn.var(1).mean() < 0.5 * drawn.var()
