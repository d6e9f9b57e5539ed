"""The house rules: arrows only point down, imports stay light, and what is public is explained by text that is true."""

import ast
import doctest
import importlib
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
FLOORS = ("samplers", "ebm", "models", "examples")  # from the ground up
PACKAGES = FLOORS[:3]
FILES = sorted(path for floor in FLOORS for path in (ROOT / floor).rglob("*.py"))
MODULES = sorted(
    ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")
    for path in FILES
    if path.relative_to(ROOT).parts[0] in PACKAGES and path.name != "__main__.py"
)
# What a floor may load only inside a function, when it is first needed.
LATE = {
    "samplers": {"torch", "jax", "netket", "matplotlib", "arviz_stats", "xarray", "sklearn", "scipy.stats"},
    "ebm": {"torch", "jax", "netket", "matplotlib", "sklearn", "scipy.stats"},
    "models": {"jax", "netket", "matplotlib"},
    "examples": set(),
}
QUANTUM_ROOM = ROOT / "ebm" / "quantum"  # its modules are loaded on first use, and import these at the top
# Decorators of what numba compiles or calls while it compiles; its types are inferred there.
COMPILED = {"njit", "inline", "inner", "overload", "Driver", "unbox", "register"}


def _name(path: Path) -> str:
    return str(path.relative_to(ROOT))


def _imports(tree: ast.AST, into_functions: bool) -> Iterator[str]:
    """The full names of the modules that a file imports, `from a import b` as a.b."""
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield from (f"{node.module or ''}.{alias.name}" for alias in node.names)
        elif isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
            continue
        elif into_functions or not isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            yield from _imports(node, into_functions)


def _within(module: str, banned: set[str]) -> bool:
    return any(module == name or module.startswith(name + ".") for name in banned)


@pytest.mark.parametrize("path", FILES, ids=_name)
def test_arrows_only_point_down(path: Path) -> None:
    floor = path.relative_to(ROOT).parts[0]
    tree = ast.parse(path.read_text(encoding="utf-8"))
    above = {"tests", *FLOORS[FLOORS.index(floor) + 1 :]}
    assert [module for module in _imports(tree, into_functions=True) if _within(module, above)] == []
    late = LATE[floor] - ({"jax", "netket"} if path.parent == QUANTUM_ROOM else set())
    assert [module for module in _imports(tree, into_functions=False) if _within(module, late)] == []


@pytest.mark.parametrize(
    ("package", "banned"),
    [
        ("samplers", {"torch", "jax", "matplotlib", "scipy.stats", "ebm", "models"}),
        ("ebm", {"torch", "jax", "netket", "matplotlib", "models"}),
    ],
)
def test_importing_a_package_stays_light(package: str, banned: set[str]) -> None:
    code = f"import {package}, sys; print(*sys.modules)"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert [module for module in run.stdout.split() if _within(module, banned)] == []


@pytest.mark.parametrize("package", ["ebm", "models"])
def test_no_name_that_loads_on_first_use_is_that_of_a_module(package: str) -> None:
    # Whoever imports the module makes it an attribute of the package, in the place of what the name stands for.
    assert not {path.stem for path in (ROOT / package).glob("*.py")} & set(importlib.import_module(package).__all__)


@pytest.mark.parametrize("package", PACKAGES)
def test_the_tests_import_this_checkout(package: str) -> None:
    assert Path(importlib.import_module(package).__file__).resolve() == ROOT / package / "__init__.py"


def test_the_distribution_lists_every_package() -> None:
    listed = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["setuptools"]["packages"]
    found = [".".join(path.relative_to(ROOT).parent.parts) for path in FILES if path.name == "__init__.py"]
    assert sorted(listed) == sorted(found)


@pytest.mark.parametrize("name", MODULES)
def test_everything_public_has_a_docstring(name: str) -> None:
    module = importlib.import_module(name)
    assert module.__doc__
    for public in getattr(module, "__all__", []):
        value = getattr(module, public)  # a name that is listed exists
        if isinstance(value, type) or callable(value):
            # A dataclass or named tuple without one of its own gets its signature for a docstring.
            assert value.__doc__, f"{name}.{public} has no docstring"
            assert not value.__doc__.startswith(f"{public}("), f"{name}.{public} has no docstring of its own"


@pytest.mark.parametrize("name", MODULES)
def test_docstring_examples_are_true(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    module = importlib.import_module(name)
    assert doctest.testmod(module, optionflags=doctest.NORMALIZE_WHITESPACE | doctest.ELLIPSIS).failed == 0


def _untyped(tree: ast.AST) -> Iterator[str]:
    """Functions with an argument or result without a type, but for those that numba compiles and what is in them."""
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.FunctionDef):
            decorators = {ast.unparse(decorator).split("(")[0].split(".")[-1] for decorator in node.decorator_list}
            only_compiled = "NotImplementedError" in ast.unparse(node.body[-1])
            if decorators & COMPILED or only_compiled:
                continue
            arguments = [*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs]
            arguments += [argument for argument in (node.args.vararg, node.args.kwarg) if argument]
            typed = all(a.annotation or a.arg in ("self", "cls") for a in arguments)
            if not (typed and node.returns):
                yield f"{node.name}, line {node.lineno}"
        yield from _untyped(node)


@pytest.mark.parametrize("path", FILES, ids=_name)
def test_signatures_are_typed_and_files_short(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    assert list(_untyped(ast.parse(text))) == []
    assert len(text.splitlines()) <= 350, "one idea a file; split it"


def test_no_file_mentions_where_it_was_written() -> None:
    folders = ("tmp", "work", "root", "home")
    paths = tuple(f"{quote}/{folder}/" for folder in folders for quote in (" ", '"', "'", "(", "=", ":", "`"))
    texts = [path for path in ROOT.iterdir() if path.is_file() and path.suffix in {".md", ".toml", ".txt", ""}]
    texts += [path for floor in (*FLOORS, "tests", "results", ".ci") for path in (ROOT / floor).rglob("*")]
    for path in texts:
        if path.is_file() and path.suffix in {".py", ".md", ".json", ".toml", ".txt", ""}:
            text = path.read_text(encoding="utf-8")
            assert [found for found in paths if found in text] == [], f"{_name(path)} names a folder of one machine"
