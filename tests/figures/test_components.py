"""Removals and sliders: what they show was computed before, and a hand can move it."""

import re
import shutil

import numpy as np
import pandas as pd
import pytest

from expresso_lib import figures
from expresso_lib.faces import video
from expresso_lib.figures import style

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser"))), None)
NAMES = ("none", "smile", "head_motion")


@pytest.fixture
def table(tmp_path):
    rows = pd.DataFrame(
        {
            "recording": np.repeat(["Read well", "Read <badly>"], 3),
            "removal": NAMES * 2,
            "prediction": [20.0, 16.0, 21.0, 40.0, 40.5, 39.0],
            "promised": [np.nan, -3.0, 0.5, np.nan, 0.0, -1.0],
            "actual": [np.nan, -4.0, 1.0, np.nan, 0.5, -1.0],
            "score": [22.0] * 3 + [12.0] * 3,
        }
    )
    films = []
    for level in range(len(rows)):
        pictures = [np.full((32, 32, 3), 30 * level, np.uint8)] * 10
        films.append(video.write_video(tmp_path / f"{level}.mp4", pictures, 12.5))
    return rows.assign(film=films)


def test_removals_say_every_number_without_a_script(table):
    """Promised, actual and what is read then stand in a table; titles cannot be markup."""
    text = figures.removals(table)
    for number in ("−3.0", "−4.0", "16.0", "head motion", "Read &lt;badly&gt;"):
        assert number in text
    assert "<badly>" not in text
    assert not re.search(r"(src|href)=\"https?:", text)


def test_removals_bars_share_a_scale_and_point_where_the_score_goes(table):
    """The largest change fills its half; what lowers the score lies left of the middle."""
    text = figures.removals(table.iloc[:3])
    assert 'class="actual down" style="left:0.0%;width:50.0%"' in text
    assert 'class="promised down" style="left:12.5%;width:37.5%"' in text
    assert 'class="actual up" style="left:50%;width:12.5%"' in text


def test_removals_show_what_was_not_promised_as_a_dash(table):
    """An explanation that was refused promises nothing: a dash, no bar, and no zero."""
    text = figures.removals(table.assign(promised=np.nan))
    assert text.count('class="promised down" style="left:50%;width:0.0%"></i></span><b>–</b>') == 4


def steps():
    drawn = [style.figure(height=2.8)[0] for _ in range(2)]
    return figures.slider(
        [*drawn, np.zeros((8, 8, 3), np.uint8)], ["12 people", "24 people", "<84>"],
        caption="More people.", question="People", start=1,
    )  # fmt: skip


def test_slider_begins_where_it_is_told_and_describes_every_step():
    """The label of the first step is read aloud, and every picture has words."""
    text = steps()
    assert 'value="1" aria-valuetext="24 people"' in text
    assert text.count('aria-label="12 people"') == 2
    assert 'alt="&lt;84&gt;"' in text


@pytest.mark.browser
def test_both_are_moved_by_the_keyboard(table, tmp_path):
    """Arrow keys choose removal and step; the film follows, and nothing errs without a network."""
    playwright = pytest.importorskip("playwright.sync_api")
    if CHROMIUM is None:
        pytest.skip("no Chromium on this machine")
    path = tmp_path / "page.html"
    text = figures.removals(table) + steps()
    path.write_text(f"<!doctype html><meta charset=utf-8>{text}", encoding="utf-8")
    with playwright.sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        page, wrong = browser.new_context(offline=True).new_page(), []
        page.on("console", lambda message: wrong.append(message.text))
        page.on("pageerror", lambda error: wrong.append(str(error)))
        page.goto(path.as_uri())
        film = page.locator(".case.on video")
        before = film.get_attribute("src")
        page.locator(".case.on tbody input").first.focus()
        page.keyboard.press("ArrowDown")
        assert "Without smile: the model reads 16.0" in page.locator(".case.on output").inner_text()
        assert film.get_attribute("src") != before
        page.locator(".pick input").first.focus()
        page.keyboard.press("ArrowRight")
        assert page.locator(".case.on").get_attribute("data-case") == "r1"
        page.locator("input[type=range]").focus()
        page.keyboard.press("ArrowRight")
        assert page.locator(".ex-slider output").inner_text() == "<84>"
        assert page.locator(".ex-slider .step.on").count() == 1
        assert not wrong
        browser.close()
