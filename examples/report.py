"""What all examples share: the look of their figures, and the folder in results/ that says what a run gave."""

import json
import math
import platform
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from importlib import metadata
from pathlib import Path
from typing import Any

import matplotlib

matplotlib.use("agg")  # figures go to files: no screen is needed

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from PIL import Image

RESULTS = Path(__file__).resolve().parents[1] / "results"
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9")  # Okabe and Ito (2008)
MARKERS = ("o", "s", "D", "^", "v", "P")  # a second sign beside the colour
LIBRARIES = ("numpy", "numba", "scipy", "h5py", "torch", "matplotlib")
STYLE = {
    "font.size": 15,
    "axes.titlesize": 17,
    "axes.labelsize": 16,
    "legend.fontsize": 13,
    "legend.frameon": False,
    "lines.linewidth": 2.0,
    "lines.markersize": 6.5,
    "errorbar.capsize": 3.0,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "figure.dpi": 120,
}


def begin(folder: Path) -> Callable[[], float]:
    """Make the folder of a run, and return a clock of the seconds since."""
    folder.mkdir(parents=True, exist_ok=True)
    start = time.perf_counter()
    return lambda: time.perf_counter() - start


def new_file(path: Path) -> Path:
    """Return the path with what an earlier run left there removed, so that `sample(store=...)` may write it anew."""
    for old in (path, path.with_name(path.name + ".journal")):
        old.unlink(missing_ok=True)
    return path


def figure(rows: int, columns: int, width: float, height: float) -> tuple[Figure, np.ndarray]:
    """Return a figure of a size in inches and its axes (rows, columns), in letters that can be projected."""
    plt.rcParams.update(STYLE)
    return plt.subplots(rows, columns, figsize=(width, height), layout="constrained", squeeze=False)


def save(picture: Figure, path: Path) -> None:
    """Write a figure as a PNG of 128 colours, a third of the size of one of all colours, and close it."""
    canvas = FigureCanvasAgg(picture)
    canvas.draw()
    image = Image.fromarray(np.asarray(canvas.buffer_rgba())).convert("RGB")
    image.quantize(128).save(path, optimize=True)
    plt.close(picture)


def with_error(value: float, error: float) -> str:
    """Return a value and its standard error in units of the last digits: 1.234(56) means 1.234 ± 0.056."""
    if not math.isfinite(error):
        return f"{value:.3g} (error unknown)"
    if error == 0:
        return f"{value:.3g}"
    digits = max(0, 1 - math.floor(math.log10(error)))
    return f"{value:.{digits}f}({error * 10**digits:.0f})"


def mean_and_error(values: Any) -> tuple[float, float]:
    """Return the mean of independent values and its standard error, which one value alone leaves unknown."""
    error = np.std(values, ddof=1) / np.sqrt(len(values)) if len(values) > 1 else math.inf
    return float(np.mean(values)), float(error)


def table(head: Sequence[str], rows: Iterable[Sequence[Any]]) -> str:
    """Return an aligned table in Markdown, which a terminal shows as well."""
    lines = [list(head), *([str(cell) for cell in row] for row in rows)]
    widths = [max(len(line[k]) for line in lines) for k in range(len(head))]
    lines.insert(1, ["-" * width for width in widths])
    return "\n".join("| " + " | ".join(c.ljust(w) for c, w in zip(line, widths, strict=True)) + " |" for line in lines)


def write(
    folder: Path, script: str, story: str | None, tables: Sequence[str], pictures: Mapping[str, str],
    numbers: Mapping[str, Any], settings: Mapping[str, Any],
) -> None:  # fmt: skip
    """Write metrics.json and README.md of a run, beside the figures and chain files that its folder already holds.

    Args:
        folder: the folder of the run.
        script: `__file__` of the example.
        story: `__doc__` of the example: a headline, and paragraphs in Markdown.
        tables: tables and sentences about what was measured.
        pictures: caption of each figure, by file name.
        numbers: what was measured.
        settings: sizes and seed of the run.
    """
    headline, _, paragraphs = (story or "").partition("\n")
    command = f"python examples/{Path(script).name}"
    versions = {"python": platform.python_version(), **{name: metadata.version(name) for name in LIBRARIES}}
    record = {"command": command, "settings": settings, "versions": versions, "results": numbers}
    record = json.loads(json.dumps(record, default=_plain), parse_constant=lambda _: None)  # JSON knows no infinity
    (folder / "metrics.json").write_text(json.dumps(record, indent=1, allow_nan=False) + "\n", "utf-8")
    parts = [f"# {headline.rstrip('.')}", paragraphs.strip(), *tables]
    parts += [f"![{name}]({name})\n\n*{caption}*" for name, caption in pictures.items()]
    parts += ["## How it was made", f"`{command}`: {_listed(settings)}.", f"Versions: {_listed(versions)}."]
    parts += [
        f"Look into the chains: `python -m samplers results/{folder.name}/{file.name} --plot`"
        for file in sorted(folder.glob("*.h5"))
    ]
    parts.append("All numbers: [metrics.json](metrics.json). The script writes this folder; edit the script instead.")
    (folder / "README.md").write_text("\n\n".join(parts) + "\n", "utf-8")


def _plain(value: Any) -> Any:
    """Return numpy numbers and arrays as those of Python."""
    return value.tolist()


def _listed(values: Mapping[str, Any]) -> str:
    """Return "a 1, b 2"."""
    return ", ".join(f"{name} {value}" for name, value in values.items())
