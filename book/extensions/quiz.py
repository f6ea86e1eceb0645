"""Quizzes: questions with answers that explain themselves, checked in the page without a kernel.

```{quiz}
- question: Which of the two is the *null* model?
  answers:
    - text: It answers the mean.
      right: true
      why: It has seen scores and no face.
    - text: It answers zero.
      why: Zero is a score like others.
```
"""

from __future__ import annotations

from typing import Any

import yaml
from docutils import nodes
from docutils.statemachine import StringList
from sphinx.util.docutils import SphinxDirective

KEYS = {"text", "right", "why"}


class Quiz(SphinxDirective):
    """Write questions as groups of radio buttons; `quiz.js` shows why an answer is right or not."""

    has_content = True

    def run(self) -> list[nodes.Node]:
        """Return the quiz as HTML around its Markdown."""
        questions = yaml.safe_load("\n".join(self.content))
        name = f"quiz-{self.env.docname.replace('/', '-')}-{self.lineno}"
        parts = [_html('<section class="ex-quiz" aria-label="Quiz">')]
        for number, entry in enumerate(questions):
            parts += self._question(f"{name}-{number}", number + 1, entry)
        return [*parts, _html("</section>")]

    def _question(self, name: str, number: int, entry: dict[str, Any]) -> list[nodes.Node]:
        answers = entry.get("answers", [])
        unknown = {key for answer in answers for key in answer} - KEYS
        if unknown or sum(bool(answer.get("right")) for answer in answers) != 1:
            raise self.error(
                f"question {number}: an answer has {', '.join(sorted(KEYS))}, and one of them "
                f"is right: true; got {entry}."
            )
        parts = [_html(f"<fieldset><legend>Question {number}</legend>"),
                 *self._markdown(entry["question"])]  # fmt: skip
        for index, answer in enumerate(answers):
            right = "yes" if answer.get("right") else "no"
            word = "Right." if answer.get("right") else "Not so."
            parts += [
                _html(f'<div class="answer"><input type="radio" name="{name}" '
                      f'id="{name}-{index}" data-right="{right}"><label for="{name}-{index}">'),
                *self._markdown(answer["text"]),
                _html(f'</label></div><div class="why" data-for="{name}-{index}">'
                      f"<strong>{word}</strong>"),
                *self._markdown(answer.get("why", "")),
                _html("</div>"),
            ]  # fmt: skip
        return [*parts, _html('<p class="said" role="status"></p></fieldset>')]

    def _markdown(self, text: str) -> list[nodes.Node]:
        holder = nodes.container()
        holder["classes"].append("ex-words")
        self.state.nested_parse(StringList(str(text).splitlines(), ""), self.content_offset, holder)
        return [holder]


def _html(text: str) -> nodes.raw:
    return nodes.raw("", text, format="html")


def setup(app: Any) -> dict[str, bool]:
    """Offer the directive, and the script that checks an answer."""
    app.add_directive("quiz", Quiz)
    app.add_js_file("quiz.js", loading_method="defer")
    return {"parallel_read_safe": True, "parallel_write_safe": True}
