"""The goals of the book's benchmark page and the calibrations of its tests.

Each module has ``run(quick) -> list[dict]``; ``python -m benchmarks`` runs them all, or one.
Every value is a ratio or a bound measured in one run, the reference way beside ours.
"""
