"""The wheel works away from the checkout: it carries the manifest, the notebooks and the book."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow
ROOT = Path(__file__).parents[1]


@pytest.fixture(scope="module")
def site(tmp_path_factory) -> Path:
    """A folder that the wheel of this checkout is installed in, without its dependencies."""
    pytest.importorskip("setuptools")
    folder = tmp_path_factory.mktemp("package")
    dull = shutil.ignore_patterns(".*", "build", "__pycache__", "*.egg-info", "tests")
    shutil.copytree(ROOT, folder / "source", ignore=dull)
    pip = [sys.executable, "-m", "pip", "--quiet"]
    build = ["wheel", "--no-deps", "--no-build-isolation", "-w", folder, folder / "source"]
    subprocess.run([*pip, *build], check=True)
    (wheel,) = folder.glob("*.whl")
    subprocess.run([*pip, "install", "--no-deps", "--target", folder / "site", wheel], check=True)
    return folder / "site"


def expresso(site: Path, folder: Path, *words: str) -> str:
    """What the installed command prints when it is typed in a folder."""
    done = subprocess.run(
        [sys.executable, "-m", "expresso_lib.cli", *words],
        cwd=folder,
        env=os.environ | {"PYTHONPATH": str(site)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_wheel_holds_what_a_checkout_holds(site):
    """Every file that git has below the four folders, and the marker of a typed package."""
    for name in ("data_manifest.yaml", "notebooks", "book", "benchmarks"):
        source, target = ROOT / name, site / "expresso_lib" / "project" / name
        files = [p.relative_to(source) for p in source.rglob("*") if p.is_file()] or [Path()]
        wanted = {
            file for file in files if not {"__pycache__", ".ipynb_checkpoints"} & {*file.parts}
        }
        assert not {file for file in wanted if not (target / file).is_file()}
    assert (site / "expresso_lib" / "py.typed").is_file()


@pytest.mark.parametrize("words", [["--help"], ["data", "list"], ["data", "verify", "demo_cohort"]])
def test_commands_work_outside_the_checkout(site, tmp_path, words):
    """In an empty folder, without a word on a missing manifest, and leaving nothing behind."""
    assert expresso(site, tmp_path, *words)
    assert not list(tmp_path.iterdir())
