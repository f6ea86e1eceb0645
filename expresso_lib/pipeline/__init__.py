"""From parameters to a book: chapters, their runs, and what is up to date.

A notebook calls `open_run` and gets a `Run`: its typed parameters, the run's folders, tables
in and out. `book.make` (used by the command line) executes every chapter that is not up to
date through papermill and has the book built.
"""

from expresso_lib.pipeline.project import project_root
from expresso_lib.pipeline.run import MissingRun, Run, open_run
