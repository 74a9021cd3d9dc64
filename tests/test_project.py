"""Rules of the whole tree: licence, versions, layers, and what may stand where."""

from __future__ import annotations

import ast
import re
import stat
import sys
import tomllib
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from ollamapy.modelfile import parse_modelfile
from ollamapy.options import options_from_parameters
from ollamapy.version import OLLAMA_VERSION, __version__
from tests.conftest import CHECKOUT

PACKAGE = CHECKOUT / "ollamapy"
SOURCES = sorted(PACKAGE.rglob("*.py"))
PROJECT = tomllib.loads((CHECKOUT / "pyproject.toml").read_text())
MAX_FILE_LINES = 500
MAX_FUNCTION_LINES = 60


def parse(path: Path) -> ast.Module:
    return ast.parse(path.read_text(), filename=str(path))


def places(found: Callable[[ast.AST], bool]) -> set[str]:
    """The files of the package in which a node of that kind stands."""
    return {str(p.relative_to(PACKAGE)) for p in SOURCES if any(found(node) for node in ast.walk(parse(p)))}


def is_environment(node: ast.AST) -> bool:
    return isinstance(node, ast.Attribute) and node.attr in ("environ", "getenv")


def looks_into_environment(tree: ast.Module) -> bool:
    """Whether a module does anything with the environment but hand all of it to `config`."""
    calls = [node for node in ast.walk(tree) if isinstance(node, ast.Call) and isinstance(node.func, ast.Name)]
    imports = [node for node in ast.walk(tree) if isinstance(node, ast.ImportFrom) and node.module == "ollamapy.config"]
    readers = {name.name for node in imports for name in node.names}
    handed = {id(arg) for call in calls if ast.unparse(call.func) in readers for arg in call.args}
    return any(is_environment(node) and id(node) not in handed for node in ast.walk(tree))


def functions(tree: ast.AST) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
    return (node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef))


def test_the_licence_is_mit_everywhere() -> None:
    licence = (CHECKOUT / "LICENSE").read_text()
    assert licence.startswith("MIT License\n\nCopyright (c) the ollamapy authors\n")
    assert (CHECKOUT / "modelfiles" / "wren" / "LICENSE").read_text() == licence
    assert PROJECT["project"]["license"] == "MIT"


def test_the_changelog_opens_with_the_version_of_the_package() -> None:
    headings = re.findall(r"^## \[([^\]]+)\]", (CHECKOUT / "CHANGELOG.md").read_text(), re.MULTILINE)
    assert headings[0] == __version__


@pytest.mark.parametrize("version", [__version__, OLLAMA_VERSION], ids=["own", "ollama"])
def test_versions_are_plainly_numeric(version: str) -> None:
    assert re.fullmatch(r"\d+\.\d+\.\d+", version)


def test_every_unit_stands_in_the_table_of_layers() -> None:
    contracts = {contract["name"]: contract for contract in PROJECT["tool"]["importlinter"]["contracts"]}
    named = {name for row in contracts["layers"]["layers"] for name in re.findall(r"\w+", row)}
    units = {path.stem for path in PACKAGE.iterdir() if path.suffix == ".py" or (path / "__init__.py").exists()}
    assert units - named == {"__init__", "__main__"}
    assert named - units == set()


def test_variables_of_the_environment_are_known_to_config_alone() -> None:
    looking = {path.relative_to(PACKAGE).parts[0] for path in SOURCES if looks_into_environment(parse(path))}
    assert looking <= {"config"}


def test_print_stands_in_render_alone() -> None:
    def prints(node: ast.AST) -> bool:
        return isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "print"

    assert places(prints) <= {"cli/render.py"}


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_files_and_functions_are_short_and_the_module_says_what_it_owns(path: Path) -> None:
    tree = parse(path)
    assert len(path.read_text().splitlines()) <= MAX_FILE_LINES
    assert ast.get_docstring(tree)
    long = [f.name for f in functions(tree) if (f.end_lineno or f.lineno) - f.lineno >= MAX_FUNCTION_LINES]
    assert long == []


@pytest.mark.parametrize("path", sorted(CHECKOUT.glob("modelfiles/*/Modelfile")), ids=lambda path: path.parent.name)
def test_every_sample_modelfile_is_read_and_names_a_file_beside_it(path: Path) -> None:
    modelfile = parse_modelfile(path.read_bytes())
    options_from_parameters(modelfile.parameters)
    assert modelfile.licenses
    assert all((path.parent / source).is_file() for source in modelfile.from_)


def test_every_test_folder_is_a_package() -> None:
    folders = {path.parent for path in (CHECKOUT / "tests").rglob("test_*.py")}
    assert [folder for folder in folders if not (folder / "__init__.py").exists()] == []


@pytest.mark.parametrize("name", ["install.sh", "scripts/install", "scripts/lint", "scripts/test", ".ci/run"])
def test_scripts_are_executable(name: str) -> None:
    assert (CHECKOUT / name).stat().st_mode & stat.S_IXUSR


def test_dependencies_are_ranges_and_tools_are_pinned() -> None:
    assert [d for d in PROJECT["project"]["dependencies"] if ">=" not in d or "==" in d.split(";")[0]] == []
    assert [d for d in PROJECT["dependency-groups"]["lint"] if "==" not in d] == []


def test_the_dependencies_are_exactly_what_is_imported() -> None:
    """httptools is the exception: uvicorn finds it by itself."""
    modules = {"pillow": "PIL", "llama-cpp-python": "llama_cpp"}
    declared = {re.split(r"[<>=;\[\s]", d)[0] for d in PROJECT["project"]["dependencies"]} - {"httptools"}
    imported: set[str] = set()
    for path in SOURCES:
        for node in ast.walk(parse(path)):
            if isinstance(node, ast.Import):
                imported |= {alias.name.split(".")[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom):
                imported.add((node.module or "").split(".")[0])
    assert imported - sys.stdlib_module_names - {"ollamapy"} == {modules.get(name, name) for name in declared}
