"""No picture of a participant leaves a data set whose faces may not be shown.

A look-alike of licensed data is made whose frames carry a mark: a random pattern of green and
magenta blocks over the whole picture. Everything that would be published, pictures, videos and
what is embedded in pages alike, is then searched for its colours, and maps, which have colours of
their own, for its pattern. With leave the same searches find it, so the test can fail.
"""

import base64
import json
import logging
import os
import re
import shutil
from pathlib import Path

import cv2
import numpy as np
import pandas as pd
import pytest
import torch
from ipywidgets import embed

from expresso_lib import clips, cohort, config, models, rendered, store
from expresso_lib.clips import preprocessing
from expresso_lib.faces import action_units, tables, video
from expresso_lib.figures import drawing, explorer, page, report, style
from expresso_lib.pipeline import book, chapters, publishing, recording

SIZE, FRAMES, BLOCKS = 160, 40, 20
GREEN, MAGENTA = np.array([20, 235, 20]), np.array([225, 20, 225])
# Share of a picture's pixels in the mark's colours that counts as a trace (measured: 0 in all
# closed pictures, above .05 in open ones), and the correlation with its pattern that does
# (unrelated pictures stay below .35 at the best of all places).
COLOURED, FOUND = 0.002, 0.5


def mark(seed=0):
    """A pattern of BLOCKS x BLOCKS blocks, +-1, in the pixels of a recording, float32."""
    blocks = np.random.default_rng(seed).choice([-1.0, 1.0], (BLOCKS, BLOCKS))
    return cv2.resize(blocks, (SIZE, SIZE), interpolation=cv2.INTER_NEAREST).astype(np.float32)


def write_openface(path, points):
    """Landmarks (F, 68, 2) and quiet AUs as OpenFace writes them."""
    count = len(points)
    columns = {"frame": np.arange(1, count + 1), "timestamp": np.arange(count) / 25,
               "confidence": 0.98, "success": 1}  # fmt: skip
    columns |= dict(zip(tables.X_COLUMNS, points[..., 0].T, strict=True))
    columns |= dict(zip(tables.Y_COLUMNS, points[..., 1].T, strict=True))
    columns |= {f"{code}_r": np.abs(np.sin(np.arange(count) / 5 + i))
                for i, code in enumerate(("AU01", "AU04", "AU12"))}  # fmt: skip
    pd.DataFrame(columns).to_csv(path, index=False)


def write_lookalike(root, people=5):
    """A folder of closed data: one marked recording per person, OpenFace tables, scores."""
    root.mkdir(parents=True)
    face = rendered.average_face(SIZE)
    rows = []
    for number in range(people):
        points = np.repeat(face.landmarks[None], FRAMES, axis=0)
        points[:, 48:, 1] += np.sin(np.arange(FRAMES) / 3)[:, None] * (1 + number)
        paint = np.where(mark(number)[..., None] > 0, GREEN, MAGENTA)
        images = [(face.image * 0.25 + paint * (0.65 + 0.1 * np.sin(f / 4))).astype(np.uint8)
                  for f in range(FRAMES)]  # fmt: skip
        video.write_video(root / f"p{number}.mp4", images, 25.0, crf=12)
        write_openface(root / f"p{number}.csv", points)
        rows.append({"participant": f"p{number}", "path": f"p{number}.mp4", "bdi": 7 * number})
    pd.DataFrame(rows).to_csv(root / "scores.csv", index=False)
    return root


@pytest.fixture(scope="module")
def closed(tmp_path_factory):
    """The look-alike, read, cut and explained: cohort, archive, explanation of p0."""
    base = tmp_path_factory.mktemp("closed")
    data = cohort.read("folder", write_lookalike(base / "data"), score="bdi")
    items = preprocessing.track_items(data.recordings.head(1), "tables")
    store.map(preprocessing.make_track, items, out=base / "tracks")
    work = preprocessing.archive_items(data.recordings.head(1), base / "tracks", size=64, rate=12.5)
    done = store.map(preprocessing.make_archive, work, out=base / "archives")
    archive = clips.ClipArchive.load(done[0].path)
    torch.manual_seed(0)
    model = models.build("small", weights="none", frames=8, size=64).eval()
    rows = clips.windows(archive.n_frames, 8, step=5)
    explained = recording.explained_by_any(archive, model, rows)
    return data, archive, explained


def coloured(image):
    """Share of pixels in the mark's colours: the rarer of far greener, and far less green."""
    red, green, blue = np.moveaxis(image.astype(float), -1, 0)
    is_green = (green > 1.7 * np.maximum(red, blue)) & (green > 90)
    is_magenta = (np.minimum(red, blue) > 1.8 * green) & (np.minimum(red, blue) > 90)
    # Either colour alone may stand in a chart; the mark has both, in equal parts.
    return float(min(is_green.mean(), is_magenta.mean()))


def patterned(image, archive, side=drawing.SIZE):
    """Highest |correlation| with the aligned crop's mark, over all places, at the known scale."""
    template = cv2.resize(cv2.warpAffine(mark(), archive.transform[0], (64, 64)), (side, side))
    views = (image.mean(axis=2), image[..., 0].astype(float) - image[..., 2])
    fits = [cv2.matchTemplate(v.astype(np.float32), template, cv2.TM_CCOEFF_NORMED) for v in views]
    return max(float(np.abs(fit[np.isfinite(fit)]).max()) for fit in fits)


def decode(data):
    return cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)[..., ::-1]


def pictures(folder, scratch):
    """Every picture below a folder: files, frames of videos, and what pages embed."""
    scratch.mkdir(exist_ok=True)
    for path in sorted(p for p in Path(folder).rglob("*") if p.is_file()):
        kind = path.suffix.casefold()
        if kind in (".png", ".jpg", ".jpeg", ".gif", ".webp"):
            yield path.name, decode(path.read_bytes())
        elif kind == ".mp4":
            yield from ((path.name, frame.image) for frame in video.read_frames(path, [0, 5]))
        elif kind in (".html", ".svg", ".ipynb", ".md", ".json", ".js"):
            text = path.read_text(encoding="utf-8").replace("\\n", "")
            yield from embedded(path.name, text, scratch)


def embedded(name, text, scratch):
    """Pictures and videos that a page or notebook carries inside."""
    address = r'(?:data:(image|video)/[\w+]+;base64,|"image/png": ?")\s*([A-Za-z0-9+/=\s]{200,})'
    for number, found in enumerate(re.finditer(address, text)):
        data = base64.b64decode(re.sub(r"\s", "", found[2]) + "==")
        if found[1] == "video":
            path = scratch / f"{number}.mp4"
            path.write_bytes(data)
            for frame in video.read_frames(path, [0, 5]):
                yield f"{name} video {number}", frame.image
        elif data[:4] in (b"\x89PNG", b"RIFF") or data[:2] == b"\xff\xd8":
            yield f"{name} picture {number}", decode(data)


def publish(closed, permission, out):
    """Make everything of one recording that a book, an export or a card would hold."""
    data, archive, explained = closed
    path = Path(data.recordings["path"][0])
    units = action_units.read(path.with_suffix(".csv"), n_frames=FRAMES)
    case = report.Case("p0", explained, units, data.scale, outside="not of the training domain",
                       data=data.name)  # fmt: skip
    footage = drawing.Footage(archive, permission, path)
    recording.write(case, footage, out)
    scene = footage.scene([0, 5, 9])
    channel = explained.channels[0]
    worst = archive.frames[[0, 5, 9]].mean(axis=-1) - archive.frames.mean()
    for name, shown in {"plain": scene.pictures, "lines": scene.with_landmarks(),
                        "regions": scene.with_regions(),
                        "attribution": scene.with_attribution(channel.map[[0, 5, 9]]),
                        # the map of a network that only hands its input on
                        "worst": scene.with_attribution(worst)}.items():  # fmt: skip
        figure, axes = style.figure(height=2.4)
        axes.imshow(drawing.strip(shown))
        axes.set_axis_off()
        for kind in ("png", "svg"):
            figure.savefig(out / f"{name}.{kind}")
        (out / f"{name}.html").write_text(page.picture(figure, name=name, alt=name), "utf-8")
        cv2.imwrite(str(out / f"strip-{name}.png"), drawing.strip(shown)[..., ::-1])
    return out


def search(folder, archive, scratch):
    """Every picture below `folder`: its share of the mark's colours, the maps' correlation."""
    rows = []
    for name, image in pictures(folder, scratch):
        is_map = name.startswith(("strip-", "overlay-")) or "card.html video" in name
        rows.append((name, coloured(image), patterned(image, archive) if is_map else np.nan))
    return pd.DataFrame(rows, columns=["name", "colour", "pattern"]).set_index("name")


def test_nothing_published_shows_the_mark(closed, tmp_path, caplog):
    """Card, overlay videos, figures, SVG, attribution maps: the mark is in none of them."""
    caplog.set_level(logging.DEBUG)
    data, archive, _ = closed
    permission = drawing.Permission.of(data)
    assert not permission.faces
    found = search(publish(closed, permission, tmp_path / "out"), archive, tmp_path / "scratch")
    made = {"card.html", "plain.svg", "plain.html", "overlay-DeepLift-blur.mp4", "strip-worst.png"}
    assert made <= set(found.index.str.split(" ").str[0])
    assert found.index.str.contains("card.html video").any()
    assert found["colour"].max() < COLOURED, found.sort_values("colour").tail()
    assert found["pattern"].max() < FOUND, found.sort_values("pattern").tail()
    assert not re.search(r"base64|array\(\[|\[\[", caplog.text)


def test_the_search_finds_the_mark_where_leave_is_given(closed, tmp_path):
    """The test can fail: with leave the same search finds the frames, also in the maps."""
    _, archive, _ = closed
    out = publish(closed, drawing.Permission(True), tmp_path / "out")
    found = search(out, archive, tmp_path / "scratch")
    for name in ("strip-plain.png", "strip-lines.png", "plain.png", "plain.svg picture 0",
                 "plain.html picture 0"):  # fmt: skip
        assert found.loc[name, "colour"] > 0.05, found
    for name in ("strip-plain.png", "strip-worst.png"):
        assert found.loc[name, "pattern"] > 0.8, found
    assert found.loc["overlay-DeepLift-blur.mp4", "pattern"].max() > FOUND


def test_closed_pictures_hang_on_the_landmarks_alone(closed):
    """Other pixels under the same landmarks give the very same pictures, maps aside."""
    data, archive, explained = closed
    other = clips.ClipArchive(**vars(archive) | {"frames": 255 - archive.frames})
    permission = drawing.Permission.of(data)
    for one, two in zip(*(
        (s.pictures, s.with_landmarks(), s.with_regions(),
         s.with_attribution(explained.channels[0].map[[0, 5]]))
        for s in (drawing.Footage(a, permission).scene([0, 5]) for a in (archive, other))
    ), strict=True):  # fmt: skip
        np.testing.assert_array_equal(one, two)


def test_explorers_hold_no_frame(closed, tmp_path):
    """Neither the figure nor the widgets' state, which a saved notebook keeps, shows the mark."""
    data, archive, explained = closed
    path = Path(data.recordings["path"][0])
    units = action_units.read(path.with_suffix(".csv"), n_frames=FRAMES)
    case = report.Case("p0", explained, units, data.scale, data=data.name)
    footage = drawing.Footage(archive, drawing.Permission.of(data))
    widget = explorer.recording(case, footage)
    state = json.dumps(embed.embed_data([widget])["manager_state"], default=repr)
    assert not re.search(r"[A-Za-z0-9+/]{500}", state)
    explorer.moment(case, footage, place=3).savefig(tmp_path / "moment.png")
    found = search(tmp_path, archive, tmp_path / "scratch")
    assert found["colour"].max() < COLOURED


def test_frames_reach_pages_through_drawing_alone():
    """No other module hands frames to matplotlib or encodes pictures of them."""
    allowed = {"drawing.py", "report.py", "run.py", "explorer.py"}
    for path in Path(drawing.__file__).parents[1].rglob("*.py"):
        text = path.read_text(encoding="utf-8")
        if path.name not in allowed and "rendered" not in path.parts and "oracle" not in path.name:
            assert "imencode" not in text, path
            assert "Image.fromarray" not in text, path


QUICK = (
    "clips.frames=8", "training.folds=3", "training.epochs=1",
    "training.bootstrap=100", "attribution.randomised=1",
    "attribution.trust_clips=2", "statistics.window=8",
    "statistics.permutations=100", "statistics.bootstrap=100", "faces.min_share=0.5",
)  # fmt: skip


# Chapters that show what was filmed; the others draw tables, or rendered people.
FILMED = ("01_cohort", "02_faces", "03_finetune", "04_regions", "05_time", "09_participant",
          "b_tracking")  # fmt: skip


@pytest.mark.slow
def test_book_of_closed_data_shows_the_mark_nowhere(tmp_path, project):
    """A book on the look-alike: pages, notebooks, figures, videos; every chapter in `make hard`."""
    data = write_lookalike(tmp_path / "data", people=9)
    out = project / "build" / "privacy-test"
    shutil.rmtree(out, ignore_errors=True)
    given = (f"cohort.folder={data}", "cohort.score=bdi", f"run.name={out.name}", *QUICK)
    parameters = config.load_profile("folder", project / "notebooks" / "params", given)
    hard = "EXPRESSO_HARD" in os.environ
    wanted = [one for one in chapters.CHAPTERS if hard or one.name in FILMED]
    assert book.run_chapters(wanted, parameters, project) == {}
    made = {path.stem: path for path in (out / "notebooks").glob("*.ipynb")}
    assert sorted(made) == sorted(one.name for one in wanted)
    publishing.build(out, {})
    for name in ("html", "notebooks", "figures"):
        shown = list(pictures(out / name, tmp_path / "scratch"))
        assert shown
        for picture, image in shown:
            assert coloured(image) < COLOURED, f"{name}: {picture}"
    shutil.rmtree(out, ignore_errors=True)
