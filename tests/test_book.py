"""The book in a browser without a network: every page, wide and narrow, light and dark."""

import json
import shutil
from pathlib import Path

import nbformat
import numpy as np
import pandas as pd
import pytest

from expresso_lib import clips, cohort
from expresso_lib.attribution import explanation, pooling
from expresso_lib.faces import anatomy, video
from expresso_lib.figures import report
from expresso_lib.pipeline import publishing

pytestmark = [pytest.mark.browser, pytest.mark.slow]

BROWSERS = ("chromium", "chromium-browser", "google-chrome")
CHROMIUM = next((path for name in BROWSERS if (path := shutil.which(name))), None)
ROOT = Path(__file__).resolve().parents[1]
CHAPTERS = [
    "01_cohort",
    "02_faces",
    "03_finetune",
    "04_regions",
    "05_time",
    "06_action_units",
    "07_trust",
    "09_participant",
]
FIGURE = (
    '<figure class="expresso-figure"><img alt="One pixel." src="data:image/gif;base64,'
    'R0lGODlhAQABAIAAAAAAAP///ywAAAAAAQABAAACAUwAOw=="><figcaption><strong>Figure 1.1.</strong> '
    'A pixel. <span class="expresso-note">Demo.</span></figcaption></figure>'
)

# Text whose contrast with what lies behind it is below WCAG 2.2 AA.
LOW_CONTRAST = """() => {
  const UNREAD = "svg, script, style, noscript, option, [aria-hidden='true'], .headerlink";
  const parse = c => [...c.match(/[\\d.]+/g).map(Number), 1].slice(0, 4);
  const over = (a, b) => [0, 1, 2].map(i => a[i] * a[3] + b[i] * (1 - a[3])).concat(1);
  const light = c => [0, 1, 2].map(i => c[i] / 255)
    .map(v => v <= .03928 ? v / 12.92 : ((v + .055) / 1.055) ** 2.4)
    .reduce((s, v, i) => s + v * [.2126, .7152, .0722][i], 0);
  const behind = node => {
    const layers = [];
    for (let n = node; n; n = n.parentElement) {
      const c = parse(getComputedStyle(n).backgroundColor);
      layers.push(c);
      if (c[3] === 1) break;
    }
    return layers.reduceRight((below, c) => over(c, below), [255, 255, 255, 1]);
  };
  const bad = [], walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (walker.nextNode()) {
    const text = walker.currentNode.textContent.trim(), node = walker.currentNode.parentElement;
    if (!text || node.closest(UNREAD)) continue;
    const box = node.getBoundingClientRect(), css = getComputedStyle(node);
    if (!box.width || !box.height || css.visibility === "hidden" || +css.opacity === 0) continue;
    const back = behind(node), front = over(parse(css.color), back);
    const [hi, lo] = [light(front), light(back)].sort((a, b) => b - a);
    const size = parseFloat(css.fontSize);
    const large = size >= 24 || (size >= 18.66 && +css.fontWeight >= 700);
    const ratio = (hi + .05) / (lo + .05);
    if (ratio < (large ? 3 : 4.5))
      bad.push(`${ratio.toFixed(2)} ${css.color} on ${back} ${node.tagName}.${node.className}`
               + `: ${text.slice(0, 40)}`);
  }
  return bad;
}"""
HYPHENS = r"""[...document.querySelectorAll('.pasted-text')].map(e => e.textContent)
    .filter(text => /^-\d/.test(text)).map(text => 'hyphen for a minus: ' + text)"""
BROKEN_IMAGES = """() => [...document.images].filter(i => !i.complete || !i.naturalWidth
  || !i.hasAttribute('alt') || (!i.alt && !i.closest('.navbar-brand')))
  .map(i => i.outerHTML.slice(0, 120))"""
DEAD_LINKS = """() => [...document.querySelectorAll('a[href]')].map(a => a.getAttribute('href'))
  .filter(h => h && !/^(https?:|mailto:|#|data:)/.test(h))
  .map(h => h.split('#')[0]).filter(Boolean)"""


def make_case():
    rows = clips.windows(20, 8, step=6)
    shape = (len(rows), 8, len(anatomy.REGIONS))
    generator = np.random.default_rng(0)
    channels = tuple(
        explanation.Channel(
            "DeepLift",
            baseline,
            mass=pooling.RegionMass(
                generator.random(shape), -generator.random(shape), np.full(shape, 9.0)
            ),
            output=np.array([9.0, 12.0, 15.0]),
            output_baseline=np.zeros(3),
            delta=np.zeros(3),
            complete=np.ones(3, bool),
            map=np.zeros((20, 4, 4), np.float32),
        )
        for baseline in ("own_neutral", "blur")
    )
    aus = pd.DataFrame({"frame": np.arange(40), "AU04": 1.0, "AU12": np.linspace(0, 4, 40)})
    aus.attrs |= {"source": "truth", "unit": "intensity, 0 to 5"}
    explained = explanation.Explanation(rows, 2 * rows, 12.5, channels)
    return report.Case("P01_R1", explained, aus, cohort.BDI_II, half_width=8.0, score=11.0)


def chapter(name, card):
    new = nbformat.v4
    parameters = new.new_code_cell('run_name = "demo"', metadata={"tags": ["parameters"]})
    figure = new.new_code_cell(
        "run.figure(...)", outputs=[new.new_output("display_data", data={"text/html": FIGURE})]
    )
    cells = [
        new.new_markdown_cell(f"# Title of {name}\n\nWhat is asked? $a^2$"),
        parameters,
        figure,
        new.new_markdown_cell(f"```{{exercise}} One\n:label: {name}-1\nTry.\n```"),
        new.new_markdown_cell(
            f"```{{solution}} {name}-1\n:class: dropdown\nThe secret answer.\n```"
        ),
    ]
    if card:
        shown = new.new_output("display_data", data={"text/html": card})
        cells.append(new.new_code_cell("run.show(card)", outputs=[shown]))
    stamp = {
        "fingerprint": {"notebook": "a" * 64},
        "seconds": 2.5,
        "parameters": {"run_name": "demo"},
        "defaults": {"run_name": "other"},
        "device": "cpu",
        "packages": {"torch": "2"},
        "error": "",
    }
    return new.new_notebook(
        cells=cells, metadata={"expresso": stamp, "language_info": {"name": "python"}}
    )


@pytest.fixture(scope="module")
def book(tmp_path_factory):
    """A book of stand-in chapters: the real pages, one chapter that was not run."""
    run = tmp_path_factory.mktemp("build") / "demo"
    for folder in ("notebooks", "tables", "figures"):
        (run / folder).mkdir(parents=True)
    movie = video.write_video(
        run / "m.mp4", [np.full((64, 64, 3), 8 * i, np.uint8) for i in range(20)], 12.5
    )
    case, movies = make_case(), {"DeepLift/own_neutral": movie}
    (run / "figures" / "opening.html").write_text(report.opening(case, movies=movies))
    card = report.card(case, movies=movies, page=False)
    for name in CHAPTERS:
        nbformat.write(
            chapter(name, card if name == "09_participant" else ""),
            run / "notebooks" / f"{name}.ipynb",
        )
    scores = pd.DataFrame(
        {
            "recipe": ["a"],
            "level": ["participant"],
            "metric": ["mae"],
            "estimate": [5.5],
            "ci_low": [4.0],
            "ci_high": [7.0],
        }
    )
    scores.to_parquet(run / "tables" / "model_scores.parquet")
    (run / "run.json").write_text(
        json.dumps({"name": "demo", "default_recipe": "a", "parameters": {}})
    )
    return publishing.build(run, {}).parent


def books():
    """Return the books to read: the stand-in, and every one that has been built here."""
    built = sorted(path.parent for path in (ROOT / "build").glob("*/html/index.html"))
    return ["stand-in", *built]


@pytest.fixture(scope="module")
def browser():
    playwright = pytest.importorskip("playwright.sync_api")
    if CHROMIUM is None:
        pytest.skip("no Chromium on this machine")
    with playwright.sync_playwright() as driver:
        opened = driver.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield opened
        opened.close()


def watched(browser, width, scheme):
    """Open a page without a network that notes everything that goes wrong."""
    context = browser.new_context(
        viewport={"width": width, "height": 900}, color_scheme=scheme, offline=True
    )
    context.set_default_timeout(180_000)  # a busy machine is slow, not wrong
    page, wrong = context.new_page(), []
    page.on(
        "console",
        lambda m: wrong.append(f"console: {m.text}") if m.type in ("error", "warning") else None,
    )
    page.on("pageerror", lambda error: wrong.append(f"page error: {error}"))
    page.on("requestfailed", lambda request: wrong.append(f"failed: {request.url[:200]}"))
    page.on(
        "request",
        lambda request: (
            wrong.append(f"external: {request.url}")
            if not request.url.startswith(("file:", "data:", "blob:"))
            else None
        ),
    )
    return context, page, wrong


@pytest.mark.parametrize("which", books(), ids=lambda path: Path(path).parent.name or str(path))
@pytest.mark.parametrize(("width", "scheme"), [(1280, "light"), (1280, "dark"), (390, "light")])
def test_every_page_reads_well_without_a_network(which, book, browser, width, scheme):
    """No request leaves, nothing errs or overflows, images are described, text can be read."""
    folder = book if which == "stand-in" else which
    context, page, wrong = watched(browser, width, scheme)
    for path in sorted(folder.glob("*.html")):
        page.goto(path.as_uri(), wait_until="load")
        # What is folded is read too.
        page.evaluate("document.querySelectorAll('details').forEach(d => d.open = true)")
        page.evaluate("window.dispatchEvent(new Event('resize'))")
        page.wait_for_timeout(60)
        # Colours are read when they have settled, however slow the machine.
        page.add_style_tag(content="* { transition: none !important; }")
        page.wait_for_timeout(50)
        found = page.evaluate(LOW_CONTRAST) + page.evaluate(BROKEN_IMAGES)
        found += page.evaluate(HYPHENS)
        wide = page.evaluate("document.documentElement.scrollWidth")
        found += [f"{wide} px wide on {width}"] if wide > width else []
        missing = [
            h for h in set(page.evaluate(DEAD_LINKS)) if not (folder / h.split("?")[0]).exists()
        ]
        wrong += [f"{path.name}: {text}" for text in found + [f"dead link {h}" for h in missing]]
    context.close()
    assert not wrong, "\n".join(sorted(set(wrong))[:40])


def test_search_finds_a_word_by_double_click(book, browser):
    """The index is read from disk, without a server."""
    context, page, wrong = watched(browser, 1280, "light")
    page.goto((book / "search.html").as_uri() + "?q=completeness")
    page.wait_for_selector("#search-results li a")
    assert "explaining.html" in page.content()
    assert not wrong
    context.close()


def test_scrubber_follows_the_keyboard(book, browser):
    """Arrow keys move frame, regions and words together; another channel changes the numbers."""
    context, page, wrong = watched(browser, 1280, "light")
    page.goto((book / "index.html").as_uri())
    slider = page.locator(".ex-scrubber input[type=range]").first
    slider.focus()
    before = slider.get_attribute("aria-valuetext")
    slider.press("ArrowLeft")
    after = slider.get_attribute("aria-valuetext")
    assert before != after
    words = page.locator(".ex-scrubber [data-ex=region] b").first.inner_text()
    page.locator(".ex-scrubber [data-ex=baseline]").first.select_option("blur")
    assert page.locator(".ex-scrubber [data-ex=region] b").first.inner_text() != words
    assert (
        page.locator(".ex-scrubber [data-channel='DeepLift/blur']").first.get_attribute("hidden")
        is None
    )
    assert not wrong
    context.close()


def test_labels_of_action_units_lie_over_no_curve(browser):
    """Also where the intensity is the highest there is: the words end above the line."""
    case = make_case()
    case.action_units["AU04"] = 5.0
    context, page, wrong = watched(browser, 1280, "light")
    page.set_content(report.card(case))
    page.wait_for_selector("[data-ex=timeline] path")
    places = page.evaluate(
        """() => ["text", "path"].map(tag => [...document.querySelectorAll(
        "[data-ex=timeline] " + tag)].filter(n => tag === "path" || /^AU\\d/.test(n.textContent))
        .map(n => n.getBoundingClientRect()).map(box => [box.top, box.bottom]))"""
    )
    labels, curves = places
    assert len(labels) == len(curves) == 2
    for (_, end), (top, _) in zip(labels, curves):
        assert end <= top + 1
    assert not wrong
    context.close()


def test_chapter_that_was_not_run_says_so(book):
    """A gap is shown as a gap."""
    assert "not been" in (book / "e_your_data.html").read_text()


def test_run_card_shows_what_differs_from_the_default(book):
    """Typed parameters, default beside this run's value."""
    text = (book / "01_cohort.html").read_text()
    assert "Run card" in text
    assert "&#39;other&#39;" in text
    assert "changed" in text
