"""The table, the figure and the files of a run of the benchmarks."""

import json
import math
import os
import platform
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from timing import PAIRS, Line

import samplers

PEERS = (
    "peapods", "dwave-samplers", "rbms", "torchebm", "blackjax", "emcee", "thrml", "scikit-learn", "netket",
    "torch", "jax", "numpy", "numba",
)  # fmt: skip
HEAD = (
    "| work | unit | ours | peer | theirs | ratio | goal | reached | of the limit |",
    "| --- | --- | --: | --- | --: | --: | --: | --- | --: |",
)


def row(line: Line) -> str:
    """One line of the table."""
    if math.isnan(line.ratio):
        return f"| {line.work} | {line.unit} | - | {line.peer} | - | - | - | {line.note} | - |"
    reached = "WRONG" if not line.right else "yes" if line.ratio >= line.goal else "no"
    share = "-" if math.isnan(line.share) else f"{100 * line.share:.0f} %"
    return (
        f"| {line.work} | {line.unit} | {line.ours:.3g} | {line.peer} | {line.theirs:.3g} | {line.ratio:.3g} | "
        f"{line.goal:g} | {reached} | {share} |"
    )


def table(lines: list[Line]) -> str:
    """All lines as a table in Markdown."""
    return "\n".join([*HEAD, *(row(line) for line in lines)])


def _versions(folder: Path) -> list[str]:
    """Names and versions of the peers; of one that is not installed now, that of the run that its lines are from."""
    path = folder / "metrics.json"
    earlier = json.loads(path.read_text(encoding="utf-8"))["versions"] if path.exists() else []
    found = dict(told.split(" ", 1) for told in earlier)
    for name in PEERS:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            found.setdefault(name, "(not installed)")
    return [f"{name} {found[name]}" for name in PEERS]


def _processor() -> str:
    try:
        names = [x for x in Path("/proc/cpuinfo").read_text().splitlines() if x.startswith("model name")]
        return names[0].split(":")[1].strip()
    except (OSError, IndexError):
        return platform.processor() or platform.machine()


def write(lines: dict[str, Line], load: float, folder: Path) -> None:
    """Write README.md, metrics.json and figure.png."""
    folder.mkdir(parents=True, exist_ok=True)
    machine = (
        f"{_processor()}, {os.cpu_count()} cores, Python {platform.python_version()}, "
        f"{samplers.get_threads()} threads, load {load:.1f} when the run began"
    )
    record = {
        "machine": machine,
        "versions": _versions(folder),
        "pairs": PAIRS,
        "lines": {name: _plain(line) for name, line in lines.items()},
    }
    (folder / "metrics.json").write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")
    figure(list(lines.values()), folder / "figure.png")
    notes = "\n".join(f"- {line.work} / {line.peer}: {line.note}" for line in lines.values() if line.note)
    (folder / "README.md").write_text(
        f"""# Benchmarks

Ours and the peer's runs in turn, median of {PAIRS} pairs. Written by `make bench`; a line alone, by which others
stay as they were: `.venv/bin/python tests/benchmarks/run.py NAME`. The last run was on
{machine}. Look at the ratios: rates depend on the machine and its other users.
The limit is a random-number generator that fills a buffer, or the bare matrix products, measured in the same pairs.
Ranges of the ratios, and how many cores each side kept busy, are in metrics.json.

{table(list(lines.values()))}

![Ratios and goals](figure.png)

{", ".join(record["versions"])}.

## What was checked, and what the settings were

{notes}
""",
        encoding="utf-8",
    )


def stored(folder: Path) -> dict[str, Line]:
    """Return the lines that earlier runs wrote."""
    path = folder / "metrics.json"
    lines = json.loads(path.read_text(encoding="utf-8"))["lines"] if path.exists() else {}
    return {name: Line(**{"goal": float("nan"), **fields}) for name, fields in lines.items()}


def _plain(line: Line) -> dict[str, object]:
    """A line without the numbers that were not measured."""
    fields = {k: list(v) if isinstance(v, tuple) else v for k, v in line._asdict().items()}
    numbers = {k: [v] if isinstance(v, float) else v for k, v in fields.items()}
    return {k: v for k, v in fields.items() if not (isinstance(numbers[k], list) and any(x != x for x in numbers[k]))}


def figure(lines: list[Line], path: Path) -> None:
    """Draw the ratios as bars on a logarithmic axis, the goal as a mark on each."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    drawn = [line for line in lines if line.ratio > 0][::-1]
    if not drawn:
        return
    places = range(len(drawn))
    ratios, goals = [line.ratio for line in drawn], [line.goal for line in drawn]
    colours = ["C0" if line.ratio >= line.goal else "C1" for line in drawn]
    picture, axes = plt.subplots(figsize=(11, 1.2 + 0.32 * len(drawn)), layout="constrained")
    axes.barh(places, ratios, color=colours, left=0)
    axes.scatter(goals, places, marker="|", s=160, color="black", zorder=3, label="goal")
    axes.errorbar(
        ratios, places, xerr=[[r - x.spread[0] for r, x in zip(ratios, drawn, strict=True)],
                              [x.spread[1] - r for r, x in zip(ratios, drawn, strict=True)]],
        fmt="none", color="grey", linewidth=1, label="range of the pairs",
    )  # fmt: skip
    axes.axvline(1.0, color="grey", linewidth=0.8)
    axes.set_xscale("log")
    axes.set_yticks(places, [f"{line.work} / {line.peer}" for line in drawn], fontsize=7)
    axes.set_xlabel("our rate / the peer's rate, median of pairs (blue: goal reached)")
    axes.set_title("ebmlab beside other libraries and physical limits")
    axes.legend(loc="lower right")
    picture.savefig(path, dpi=120)
    plt.close(picture)
