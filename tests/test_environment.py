"""Versions are pinned in one place, and the project's files name no machine and no host."""

import re
import subprocess
import tomllib
from importlib.metadata import version
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement

ROOT = Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]


def test_environment_yml_agrees_with_pyproject():
    """conda brings Python and pip; every other version comes from pyproject.toml."""
    environment = yaml.safe_load((ROOT / "environment.yml").read_text())
    plain = [d for d in environment["dependencies"] if isinstance(d, str)]
    (pip,) = [d["pip"] for d in environment["dependencies"] if isinstance(d, dict)]
    assert pip == ["-e .[all]"]
    assert sorted(re.split(r"[<>=]", d)[0] for d in plain) == ["pip", "python"]
    (python,) = [d for d in plain if d.startswith("python")]
    assert python.removeprefix("python") == PROJECT["requires-python"]


@pytest.mark.parametrize("text", PROJECT["dependencies"])
def test_installed_versions_fit_their_pins(text):
    """What is installed here is what pyproject.toml asks for."""
    requirement = Requirement(text)
    assert requirement.specifier.contains(version(requirement.name), prereleases=True)


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
