"""The book on paper: one document, links within, solutions last; slides from Markdown."""

import shutil

import pytest

from expresso_lib.pipeline import printing

PAGE = """<!doctype html><html><head><title>{title}</title></head><body>
<div class="bd-sidebar-primary"><nav><a class="reference internal" href="one.html">1</a></nav></div>
<article class="bd-article"><h1 id="top">{title}</h1>{body}</article></body></html>"""


@pytest.fixture
def pages(tmp_path):
    folder = tmp_path / "html"
    folder.mkdir()
    first = '<a href="one.html#top">on</a><a href="#top">up</a><svg><g id="top"/></svg>'
    second = (
        '<details><summary>code</summary>x = 1</details><a href="data:,x" download="n">get</a>'
        '<div class="solution dropdown admonition"><p>The answer.</p></div><p>The end.</p>'
    )
    (folder / "index.html").write_text(PAGE.format(title="Front", body=first), "utf-8")
    (folder / "one.html").write_text(PAGE.format(title="One", body=second), "utf-8")
    return folder


def test_pages_become_one_document_with_links_within(pages):
    """Names of two pages do not collide, links lead to the other part, drawings keep theirs."""
    text = printing.in_one(pages)
    assert text.count("<article") == 3
    for part in ('href="#one--top"', 'href="#index--top"', 'id="one--top"', '<g id="top"'):
        assert part in text
    assert "download" not in text


def test_solutions_come_last_and_folds_are_open(pages):
    """Nobody reads a solution before the exercise; what is folded is printed."""
    text = printing.in_one(pages)
    assert text.index("The end.") < text.index("Solutions of the exercises")
    assert text.index("Solutions of the exercises") < text.index("The answer.")
    assert 'querySelectorAll("details").forEach(one => { one.open = true; })' in text
    assert "dropdown" not in text


def test_a_browser_that_prints_nothing_or_never_ends_is_said_so(pages, tmp_path, monkeypatch):
    """A mistake of the machine, in one message that says what it said."""
    program = tmp_path / "chromium"
    program.write_text('#!/bin/sh\nif [ -n "$SLOW" ]; then exec sleep 9; fi\necho no room >&2\n')
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/bin:/usr/bin")
    with pytest.raises(printing.PrintFailed, match="it said: no room"):
        printing.write_pdf(pages, tmp_path / "book.pdf")
    monkeypatch.setenv("SLOW", "yes")
    monkeypatch.setattr(printing, "PATIENCE", 0.2)
    with pytest.raises(printing.PrintFailed, match="had not printed"):
        printing.write_pdf(pages, tmp_path / "book.pdf")
    assert not (tmp_path / "book.pdf").exists()


def test_slides_hold_the_figures_of_the_run(tmp_path):
    """A rule starts a slide; a figure is taken in, or said to be missing."""
    source, out = tmp_path / "pages" / "html", tmp_path / "html"
    for folder in (source, out, tmp_path / "figures"):
        folder.mkdir(parents=True)
    text = "# First\n\n---\n\n![The planted](figure:planted)\n\n![Gone](figure:gone)\n"
    (source / "slides.md").write_text(text, "utf-8")
    (tmp_path / "figures" / "planted.svg").write_text(
        '<?xml?><svg width="9"><g id="a"/></svg>', "utf-8"
    )
    printing.write_slides(source, out)
    slides = (out / "slides.html").read_text("utf-8")
    assert slides.count("<section") == 2
    assert '<svg role="img" aria-label="The planted" ' in slides
    assert 'id="planted-a"' in slides
    assert "Gone: not drawn in this run." in slides
    assert not (out / "handout.html").exists()


def test_pdf_without_a_browser_says_what_to_do(pages, tmp_path, monkeypatch):
    """The message names the remedy."""
    monkeypatch.setenv("PATH", "")
    with pytest.raises(printing.PrintFailed, match="install one, or print"):
        printing.write_pdf(pages, tmp_path / "book.pdf")


@pytest.mark.browser
def test_pdf_is_printed_by_chromium(pages, tmp_path):
    """A PDF of several pages, and no leftover beside the book."""
    if not any(map(shutil.which, printing.BROWSERS)):
        pytest.skip("no Chromium on this machine")
    data = printing.write_pdf(pages, tmp_path / "book.pdf").read_bytes()
    assert data.startswith(b"%PDF")
    assert data.count(b"/Type /Page\n") >= 3
    assert not (pages / "whole.html").exists()
