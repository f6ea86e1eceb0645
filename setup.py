"""Put the project's own files (manifest, notebooks, book, benchmarks) into the wheel."""

import shutil
from pathlib import Path

from setuptools import setup
from setuptools.command.build_py import build_py

FILES = ("data_manifest.yaml", "notebooks", "book", "benchmarks")


class BuildWithProject(build_py):
    """`expresso_lib/project/` in a wheel is what lies beside `expresso_lib/` in a checkout."""

    def run(self) -> None:
        """Copy after the modules; an editable install reads the checkout itself."""
        super().run()
        if self.editable_mode:
            return
        target = Path(self.build_lib) / "expresso_lib" / "project"
        shutil.rmtree(target, ignore_errors=True)
        target.mkdir(parents=True)
        for name in FILES:
            if Path(name).is_dir():
                dull = shutil.ignore_patterns("__pycache__", ".ipynb_checkpoints")
                shutil.copytree(name, target / name, ignore=dull)
            else:
                shutil.copy2(name, target / name)


setup(cmdclass={"build_py": BuildWithProject})
