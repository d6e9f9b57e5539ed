"""`python -m samplers FILE`: the story of a chain file, its summary, and with --plot a picture (two for a ladder)."""

import argparse
import os
import sys
from pathlib import Path

from samplers.chains import Chains, load
from samplers.store import StoreError
from samplers.summary import summary

FIRST = ("energy", "sampler", "seed", "warmup", "thin")


def main(arguments: list[str] | None = None) -> int:
    """Run the command.

    Args:
        arguments: the words after the command, by default those of the shell.
    Returns:
        The exit code: 0, or 1 if the file cannot be read or the picture not be made (2, by argparse, for bad words).

    >>> main(["no_such_file.h5"])
    1
    """
    parser = argparse.ArgumentParser(prog="python -m samplers", description="Tell and judge a file of chains.")
    parser.add_argument("file", type=Path, metavar="FILE", help="an HDF5 file that sample(store=...) wrote")
    parser.add_argument(
        "--plot", nargs="?", type=Path, const=Path(), metavar="OUT.png", help="draw it (default: FILE with .png)"
    )
    options = parser.parse_args(arguments)
    try:
        chains = load(options.file)
        print(story(chains))
        print()
        print(summary(chains))
        if options.plot is not None:
            picture = options.file.with_suffix(".png") if options.plot == Path() else options.plot
            print("".join(f"\npicture: {path}" for path in draw(chains, picture)))
    except BrokenPipeError:  # `| head` has read enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    except (StoreError, ValueError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    return 0


def story(chains: Chains) -> str:
    """Tell how chains were made: energy, sampler, temperature, seed, versions, and whether the run is finished.

    Args:
        chains: chains loaded from a file.
    Returns:
        Lines "name  value".
    """
    count, draws = chains.shape
    requested = int(chains.attributes.get("draws_requested", draws))
    unfinished = f"unfinished, {draws:,} of {requested:,} draws: being written now, or cut short (resume=True goes on)"
    known = {name: chains.attributes[name] for name in FIRST if name in chains.attributes}
    rest = {name: value for name, value in chains.attributes.items() if name not in known}
    lines = {
        "file": chains.path,
        "state": unfinished if draws < requested else "finished",
        "chains": f"{count:,} of {draws:,} draws",
        "x": "not kept" if chains.x is None else f"{chains.domain}, shape {tuple(chains.x.shape[2:])}",
        "beta": f"{chains.beta:g}",
        **known,
        **{name: value for name, value in rest.items() if name not in ("chains", "beta", "domain", "draws_requested")},
        "versions": ", ".join(_versions(chains.path)),
    }
    width = max(map(len, lines))
    return "\n".join(f"{name.ljust(width)}  {value}" for name, value in lines.items())


def _versions(path: Path | None) -> list[str]:
    """The versions of the libraries that wrote a file, such as "numpy 2.4.0"."""
    import h5py

    with h5py.File(path, "r") as file:
        attributes = {name: value for name, value in file.attrs.items() if name.endswith("_version")}
    texts = {name: value.decode() if isinstance(value, bytes) else value for name, value in attributes.items()}
    return [f"{name.removesuffix('_version')} {text}" for name, text in sorted(texts.items())]


def draw(chains: Chains, picture: Path) -> list[Path]:
    """Write the overview of chains to a picture file, and the ladder of parallel tempering to a second one beside it.

    Args:
        chains: the chains.
        picture: the path to write; its name says the format. The second one has "_tempering" before the suffix.
    Returns:
        The paths that were written.
    Raises:
        OSError: if it cannot be written.
        ValueError: for a format that matplotlib does not know, or a variable with values that are not finite.
    """
    from samplers.plots import plot_overview
    from samplers.tempering_plots import plot_tempering

    pages = {picture: plot_overview(chains)}
    if chains.tempering is not None:
        pages[picture.with_name(f"{picture.stem}_tempering{picture.suffix}")] = plot_tempering(chains)
    for path, page in pages.items():
        page.savefig(path, dpi=150)
    return list(pages)


if __name__ == "__main__":
    sys.exit(main())
