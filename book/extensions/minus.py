"""Numbers that chapters glue into their text, with a minus sign and not a hyphen."""

from __future__ import annotations

import re
from typing import Any

from docutils import nodes

NEGATIVE = re.compile(r"^-(?=\d)")


def write_minus(app: Any, document: nodes.document, page: str) -> None:
    """Replace the hyphen of every pasted number."""
    for pasted in document.findall(nodes.inline):
        if "pasted-text" in pasted["classes"]:
            for text in list(pasted.findall(nodes.Text)):
                written = NEGATIVE.sub("−", text)
                if written != text:
                    text.parent.replace(text, nodes.Text(written))


def setup(app: Any) -> dict[str, bool]:
    """Hook into Sphinx when a page's references, the pasted numbers among them, are resolved."""
    app.connect("doctree-resolved", write_minus)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
