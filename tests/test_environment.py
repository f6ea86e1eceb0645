"""Dependencies are declared once, with ranges; exact versions agree; no machine and no host."""

import ast
import re
import subprocess
import sys
import tomllib
from importlib.metadata import packages_distributions, version
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
EXTRAS = PROJECT["optional-dependencies"]
DIRECT = [
    Requirement(text)
    for texts in (PROJECT["dependencies"], *(EXTRAS[name] for name in EXTRAS if name != "all"))
    for text in texts
]
EXACT = dict(
    line.split("==") for line in (ROOT / "constraints.txt").read_text(encoding="utf-8").split()
)
# Declared, and used by name only: the chapters' kernel, Jupyter Book's extension, a tracker that
# is imported where it is asked for.
BY_NAME = {"ipykernel", "sphinx-exercise", "mediapipe"}


def imported(*folders: str) -> set[str]:
    """Top-level packages that the Python files below `folders` import, at any depth."""
    names = set()
    for path in (path for folder in folders for path in (ROOT / folder).rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Import):
                names |= {alias.name.split(".")[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and not node.level and node.module:
                names.add(node.module.split(".")[0])
    own = {"expresso_lib", "benchmarks", *(path.stem for path in (ROOT / "tests").rglob("*.py"))}
    return names - set(sys.stdlib_module_names) - own


def undeclared(packages: set[str], declared: set[str]) -> set[str]:
    """Those of the installed packages that no declared distribution brings."""
    known = packages_distributions()
    brought = {name: {canonicalize_name(d) for d in known[name]} for name in packages & {*known}}
    return {name for name, those in brought.items() if not those & declared}


def test_constraints_are_exact_versions_without_hosts():
    """Every line is name==version, so the file works with any index."""
    lines = (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
    wrong = [line for line in lines if not re.fullmatch(r"[A-Za-z0-9._-]+==[0-9A-Za-z.!]+", line)]
    assert not wrong
    assert len(lines) == len({canonicalize_name(line.split("==")[0]) for line in lines})


@pytest.mark.parametrize("requirement", DIRECT, ids=str)
def test_exact_version_lies_in_its_range(requirement):
    """What the book was made with is what pyproject.toml allows."""
    exact = {canonicalize_name(name): number for name, number in EXACT.items()}
    name = canonicalize_name(requirement.name)
    if name == "jupyterlab":
        pytest.skip("for reading along; no result comes from it")
    assert requirement.specifier.contains(exact[name], prereleases=True)


@pytest.mark.parametrize("requirement", [Requirement(t) for t in PROJECT["dependencies"]], ids=str)
def test_installed_version_lies_in_its_range(requirement):
    """What is installed here is what pyproject.toml asks for."""
    assert requirement.specifier.contains(version(requirement.name), prereleases=True)


def test_torch_and_opencv_are_pinned_as_pairs():
    """torchvision fits one torch only; the two OpenCV builds share one folder."""
    torch, vision = (EXACT[name].split(".") for name in ("torch", "torchvision"))
    assert int(vision[1]) - int(torch[1]) == 15
    assert EXACT["opencv-python"] == EXACT["opencv-contrib-python"]


def test_every_import_is_declared_and_every_dependency_used():
    """A package that only comes with another may be gone tomorrow; an unused one is cost."""
    library = imported("expresso_lib", "benchmarks")
    texts = (*PROJECT["dependencies"], *EXTRAS["dask"], *EXTRAS["mediapipe"])
    runtime = {canonicalize_name(Requirement(text).name) for text in texts}
    assert not undeclared(library, runtime)
    known = packages_distributions()
    used = {canonicalize_name(d) for name in library for d in known.get(name, ())}
    assert not runtime - used - BY_NAME, "unused"
    everything = {canonicalize_name(requirement.name) for requirement in DIRECT}
    assert not undeclared(imported("tests"), everything)


def test_environment_yml_agrees_with_pyproject():
    """conda brings Python and pip; every other version comes from the two files."""
    environment = yaml.safe_load((ROOT / "environment.yml").read_text(encoding="utf-8"))
    plain = [d for d in environment["dependencies"] if isinstance(d, str)]
    (pip,) = [d["pip"] for d in environment["dependencies"] if isinstance(d, dict)]
    assert pip == ["-c constraints.txt", "-e .[all]"]
    assert sorted(re.split(r"[<>=]", d)[0] for d in plain) == ["pip", "python"]
    (python,) = [d for d in plain if d.startswith("python")]
    assert python.removeprefix("python") == PROJECT["requires-python"]


def test_one_version_everywhere():
    """pyproject.toml, CITATION.cff and the newest entry of the changes name one version."""
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))
    assert citation["version"] == PROJECT["version"]
    changes = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    assert re.search(r"^## (\S+)", changes, re.M)[1] == PROJECT["version"].removesuffix(".dev0")


def test_opencv_is_installed_once():
    """The headless build shares a folder with the other one and must not stand beside it."""
    with pytest.raises(Exception, match="headless"):
        version("opencv-python-headless")


@pytest.mark.skipif(not (ROOT / ".git").exists(), reason="not a git checkout")
def test_tree_names_no_machine_path_and_no_package_host():
    """A clone works elsewhere: no absolute path of a machine, no registry host."""
    hosts = "pypi" + r"\.org|pythonhosted" + r"\.org|registry\.npm" + "js"
    machine = "(^|[^A-Za-z])/(wo" + "rk|ro" + "ot)/"
    for pattern in (hosts, machine):
        found = subprocess.run(
            ["git", "-C", str(ROOT), "grep", "-nIE", pattern],
            capture_output=True,
            text=True,
            check=False,
        ).stdout
        assert not found, found
