"""The book's own extensions: quizzes that explain, abbreviations that unfold."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

BOOK = Path(__file__).resolve().parents[1] / "book"
QUIZ = """# The title AU12

AU12 and AU4 in text, `AU04` in code, [AU45](other.md) in a link, MAEs in a word, BDI-II.

```{quiz}
- question: Which is the *null* model?
  answers:
    - text: It answers the mean.
      right: true
      why: It has seen no face.
    - text: It answers <zero>.
      why: Zero is a score.
```

```{toctree}
other
```
"""


def build(folder, text):
    """Build two pages with the book's extensions; return Sphinx's outcome."""
    (folder / "index.md").write_text(text, "utf-8")
    (folder / "other.md").write_text("# Other\n", "utf-8")
    (folder / "conf.py").write_text(
        f"import sys; sys.path.insert(0, {str(BOOK / 'extensions')!r})\n"
        "extensions = ['myst_parser', 'quiz', 'hover']\n"
        f"html_static_path = [{str(BOOK / 'assets')!r}]\n"
    )
    command = [sys.executable, "-m", "sphinx", "-q", "-W", "-b", "html", ".", "out"]
    environment = os.environ | {"PYTHONPATH": str(BOOK.parent)}
    return subprocess.run(
        command, cwd=folder, env=environment, capture_output=True, text=True, check=False
    )


@pytest.fixture(scope="module")
def page(tmp_path_factory):
    folder = tmp_path_factory.mktemp("site")
    done = build(folder, QUIZ)
    assert done.returncode == 0, done.stderr
    return (folder / "out" / "index.html").read_text("utf-8")


def test_quiz_has_one_group_of_buttons_per_question(page):
    """Radio buttons of one name, labels that belong to them, Markdown within."""
    assert page.count('type="radio"') == 2
    assert page.count('data-right="yes"') == 1
    assert "<em>null</em>" in page
    assert "quiz.js" in page


def test_quiz_reads_without_a_script(page):
    """Every reason stands in the page; the script only folds it away."""
    assert "It has seen no face." in page
    assert "Zero is a score." in page


def test_quiz_with_two_right_answers_is_refused(tmp_path):
    """A question has one; the message says which question has not."""
    done = build(tmp_path, QUIZ.replace("why: Zero is a score.", "right: true"))
    assert done.returncode
    assert "question 1: an answer has" in done.stderr


def test_hover_unfolds_running_text_alone(page):
    """Action units in both spellings; titles, code, links and parts of words stay."""
    assert '<abbr title="lip corner puller">AU12</abbr>' in page
    assert '<abbr title="brow lowerer">AU4</abbr>' in page
    assert page.count("<abbr") == 3
