"""The book on paper and on a wall: one PDF, slides for a class, a handout.

Chromium prints what a browser shows, so that figures stay vectors and no page is written again.
"""

import re
import shutil
import subprocess
import tempfile
from pathlib import Path

from bs4 import BeautifulSoup, Tag
from markdown_it import MarkdownIt

from expresso_lib import store
from expresso_lib.figures import report

BROWSERS = ("chromium", "chromium-browser", "google-chrome", "chrome", "msedge")
# Seconds; a book with films takes Chromium about one minute.
PATIENCE = 600


class PrintFailed(OSError):
    """There is no Chromium here, or it wrote no PDF; the message holds what it said."""


def write_pdf(pages: Path, target: Path) -> Path:
    """Print a built book as one PDF: pages in their order, solutions at the end.

    Parameters
    ----------
    pages : Path
        The folder of ``index.html``.
    target : Path
        The PDF to write.

    Raises
    ------
    PrintFailed
        If there is no Chromium, it writes nothing, or takes longer than `PATIENCE`.
    """
    program, whole = next(filter(None, map(shutil.which, BROWSERS)), ""), pages / "whole.html"
    if not program:
        raise PrintFailed("a PDF needs a Chromium; install one, or print the pages from a browser.")
    store.write_text(whole, in_one(pages))
    try:
        _printed(program, whole, target)
    finally:
        whole.unlink()
    return target


def _printed(program: str, whole: Path, target: Path) -> None:
    """Have Chromium print a page."""
    with tempfile.TemporaryDirectory() as profile, store.atomic(target) as temporary:
        try:
            done = subprocess.run(
                [program, "--headless", "--no-sandbox", "--disable-gpu",
                 f"--user-data-dir={profile}", "--no-pdf-header-footer",
                 "--virtual-time-budget=20000", f"--print-to-pdf={temporary}", whole.as_uri()],
                capture_output=True, text=True, check=False, timeout=PATIENCE,
            )  # fmt: skip
        except subprocess.TimeoutExpired as error:
            raise PrintFailed(f"Chromium had not printed {whole} after {PATIENCE} s.") from error
        if not temporary.is_file() or not temporary.stat().st_size:
            raise PrintFailed(f"Chromium printed nothing; it said: {done.stderr[-500:]}")


def in_one(pages: Path) -> str:
    """Return all pages of a built book as one, links within, solutions last."""
    first = _soup(pages / "index.html")
    # Pages in the order of the sidebar.
    links = first.select(".bd-sidebar-primary nav a.reference.internal[href]")
    names = [str(link["href"]).split("#")[0] for link in links]
    articles, solutions = [], []
    for name in dict.fromkeys(["index.html", *(n for n in names if n.endswith(".html"))]):
        article = _soup(pages / name).select_one("article.bd-article")
        if isinstance(article, Tag):
            solutions += [one.extract() for one in article.select("div.solution")]
            articles.append(_placed(article, name))
    for part in solutions:
        part["class"] = "solution admonition"
    head = "".join(str(tag) for tag in first.select("head link[rel=stylesheet], head style"))
    title = first.title.string if first.title else "Expresso"
    parts = {"articles": [*map(str, articles)], "solutions": [*map(str, solutions)]}
    return report.template("whole.html", escape=False).render(head=head, title=title, **parts)


def _soup(path: Path) -> BeautifulSoup:
    return BeautifulSoup(path.read_text(encoding="utf-8"), "html.parser")


def _placed(article: Tag, name: str) -> Tag:
    """Make a page part of the one: names are its own, links lead to the other parts."""
    stem = Path(name).stem
    for node in article.select("[id]"):
        if node.find_parent("svg") is None:
            node["id"] = f"{stem}--{node['id']}"
    for link in article.select("a[href]"):
        page, _, place = str(link["href"]).partition("#")
        if not page and place:
            link["href"] = f"#{stem}--{place}"
        elif page.endswith(".html") and "/" not in page and ":" not in page:
            link["href"] = f"#{Path(page).stem}--{place}" if place else f"#{Path(page).stem}"
        elif page.startswith("data:"):
            link.decompose()
    article["id"] = stem
    return article


def write_slides(source: Path, out: Path) -> None:
    """Write ``slides.html`` and ``handout.html`` from the Markdown of the same names, if any.

    A line ``---`` starts the next slide. Figures of the run are taken in by
    ``![words](figure:NAME)``.

    Parameters
    ----------
    source : Path
        ``pages/html`` of a run: the pages with this run's numbers in them.
    out : Path
        Where the book lies.
    """
    figures = source.parents[1] / "figures"
    for name in ("slides", "handout"):
        path = source / f"{name}.md"
        if path.is_file():
            parts = re.split(r"^---\s*$", path.read_text(encoding="utf-8"), flags=re.M)
            render = MarkdownIt("commonmark", {"html": True}).enable("table").render
            slides = [_with_figures(render(part.strip()), figures) for part in parts]
            page = report.template(f"{name}.html", escape=False).render(slides=slides)
            store.write_text(out / f"{name}.html", page)


def _with_figures(text: str, figures: Path) -> str:
    """Put a figure's drawing in place of its name; words where this run did not draw it."""

    def drawn(found: re.Match[str]) -> str:
        path = figures / f"{found[1]}.svg"
        if not path.is_file():
            return f"<p><em>{found[2]}: not drawn in this run.</em></p>"
        # A name of its own, because what a hidden slide holds cannot be referred to.
        svg = re.sub(r'(id="|url\(#|href="#)', rf"\g<1>{found[1]}-", path.read_text("utf-8"))
        words = f'<svg role="img" aria-label="{found[2]}" '
        return svg[svg.index("<svg") :].replace("<svg ", words, 1)

    return re.sub(r'<img src="figure:([\w-]+)" alt="([^"]*)"\s*/?>', drawn, text)
