"""What an abbreviation stands for, on hover: action units and the words of the field."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from docutils import nodes

from expresso_lib.faces import anatomy

MEANINGS = {code: name for code, name in anatomy.AU_TITLES.items()} | {
    "AU": "action unit: a movement of the face that FACS names and numbers",
    "AUs": "action units: movements of the face that FACS names and numbers",
    "AVEC": "Audio/Visual Emotion Challenge",
    "BDI-II": "Beck Depression Inventory, second edition: 21 questions, 0 to 63 points",
    "CCC": "concordance correlation coefficient",
    "CNN": "convolutional neural network",
    "FACS": "Facial Action Coding System",
    "FAN": "Face Alignment Network, which finds 68 landmarks",
    "LRP": "layer-wise relevance propagation",
    "MAE": "mean absolute error",
    "PHQ-9": "Patient Health Questionnaire: nine questions, 0 to 27 points",
    "RMSE": "root mean squared error",
    "S3FD": "Single Shot Scale-invariant Face Detector",
}
# OpenFace writes AU04, people write AU4.
SHORT = {f"AU{int(code[2:])}": name for code, name in anatomy.AU_TITLES.items()}
ANY = "|".join(sorted(map(re.escape, MEANINGS | SHORT), key=len, reverse=True))
WORDS = re.compile(rf"\b({ANY})(?![\w-])")
# Where a title, a link or code must stay as it is written.
KEPT = (nodes.literal, nodes.literal_block, nodes.title, nodes.reference, nodes.raw, nodes.math,
        nodes.math_block, nodes.abbreviation, nodes.term)  # fmt: skip


def explain(app: Any, document: nodes.document, page: str) -> None:
    """Wrap every abbreviation of running text."""
    for text in list(document.findall(nodes.Text)):
        if WORDS.search(text) and not any(isinstance(node, KEPT) for node in _above(text)):
            text.parent.replace(text, list(_parts(str(text))))


def _above(node: nodes.Node) -> Iterator[nodes.Node]:
    while node.parent is not None:
        node = node.parent
        yield node


def _parts(text: str) -> Iterator[nodes.Node]:
    at = 0
    for found in WORDS.finditer(text):
        yield nodes.Text(text[at : found.start()])
        yield nodes.abbreviation(found[0], found[0], explanation=(MEANINGS | SHORT)[found[0]])
        at = found.end()
    yield nodes.Text(text[at:])


def setup(app: Any) -> dict[str, bool]:
    """Hook into Sphinx when a page's references are resolved."""
    app.connect("doctree-resolved", explain)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
