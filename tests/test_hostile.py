"""Hostile and clumsy input: a clear error, nothing executed, nothing overwritten."""

import ast
import os
import pickle
import stat
import sys
import time
import zipfile
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from expresso_lib import cohort, config, faces, manifest, models, store
from expresso_lib.cohort import core
from expresso_lib.faces import tables, video

needs_links = pytest.mark.skipif(sys.platform == "win32", reason="links need rights on Windows")


def make_zip(path, members):
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as bundle:
        for name, content in members.items():
            info = name if isinstance(name, zipfile.ZipInfo) else zipfile.ZipInfo(name)
            bundle.writestr(info, content, zipfile.ZIP_DEFLATED)
    return path


# Archives


@pytest.mark.parametrize("name", [
    "../evil.txt", "a/../../evil.txt", "/evil.txt", "C:evil.txt", "..\\evil.txt",
    "a\\..\\..\\evil.txt", "bad\nname.txt", "//server/share/evil.txt",
])  # fmt: skip
def test_unpack_refuses_paths_that_leave_the_folder(tmp_path, name):
    """Not one member is written if any leaves the folder."""
    archive = make_zip(tmp_path / "x.zip", {"good.txt": b"1", name: b"2"})
    with pytest.raises(manifest.ManifestError):
        manifest.unpack(archive)
    assert [path.name for path in tmp_path.rglob("*")] == ["x.zip"]


def test_unpack_makes_no_links(tmp_path):
    """A symbolic link in an archive comes out as a file that holds its target's name."""
    link = zipfile.ZipInfo("link")
    link.create_system, link.external_attr = 3, (stat.S_IFLNK | 0o777) << 16
    manifest.unpack(make_zip(tmp_path / "x.zip", {link: b"/etc/passwd"}))
    assert not (tmp_path / "link").is_symlink()
    assert (tmp_path / "link").read_bytes() == b"/etc/passwd"


@pytest.mark.parametrize(("limit", "value"), [("MAX_FILES", 4), ("MAX_BYTES", 4999)])
def test_unpack_keeps_limits(tmp_path, monkeypatch, limit, value):
    """Too many files, too many bytes: refused before anything is written."""
    archive = make_zip(tmp_path / "x.zip", {f"{i}.txt": b"0" * 1000 for i in range(5)})
    monkeypatch.setattr(manifest, limit, value)
    with pytest.raises(manifest.ManifestError, match="limits"):
        manifest.unpack(archive)
    monkeypatch.setattr(manifest, limit, value + 1)
    manifest.unpack(archive)
    assert len(list(tmp_path.glob("*.txt"))) == 5


def test_unpack_does_not_trust_the_promised_size(tmp_path):
    """A header that promises 10 bytes for a bomb is found out while writing."""
    archive = make_zip(tmp_path / "x.zip", {"bomb": b"0" * 5_000_000})
    raw = bytearray(archive.read_bytes())
    size = (5_000_000).to_bytes(4, "little")
    while size in raw:
        at = raw.index(size)
        raw[at : at + 4] = (10).to_bytes(4, "little")
    archive.write_bytes(raw)
    with pytest.raises(manifest.ManifestError):
        manifest.unpack(archive)
    assert not (tmp_path / "bomb").exists()


def test_unpack_never_overwrites(tmp_path):
    """Other contents under a member's name stay."""
    archive = make_zip(tmp_path / "x.zip", {"a.txt": b"new"})
    (tmp_path / "a.txt").write_bytes(b"precious")
    with pytest.raises(manifest.ManifestError, match="other contents"):
        manifest.unpack(archive)
    assert (tmp_path / "a.txt").read_bytes() == b"precious"


def test_unpack_names_a_broken_archive(tmp_path):
    """Cut short, no zip, password: one error with the file's name."""
    whole = make_zip(tmp_path / "x.zip", {"a": os.urandom(9999)}).read_bytes()
    for content in (b"", b"no zip", whole[:5000]):
        (tmp_path / "y.zip").write_bytes(content)
        with pytest.raises(manifest.ManifestError, match=r"y\.zip"):
            manifest.unpack(tmp_path / "y.zip")


# YAML


@pytest.fixture
def manifest_at(tmp_path, monkeypatch):
    """Write a manifest and make it the current one."""

    def write(text):
        (tmp_path / "m.yaml").write_text(text)
        monkeypatch.setattr(manifest, "PATH", tmp_path / "m.yaml")
        manifest.load.cache_clear()

    yield write
    manifest.load.cache_clear()


TAGS = ["!!python/object/apply:os.system ['touch {0}']", "!!python/name:os.system",
        "!!python/object/new:os.system ['touch {0}']"]  # fmt: skip


@pytest.mark.parametrize("tag", TAGS)
def test_yaml_tags_are_refused_and_nothing_runs(tmp_path, manifest_at, tag):
    """In the manifest and in parameter files alike."""
    trace = tmp_path / "ran"
    text = tag.format(trace)
    manifest_at(f"entries: {{x: {text}}}")
    (tmp_path / "bad.yaml").write_text(f"cohort: {{folder: {text}}}")
    with pytest.raises(manifest.ManifestError, match="tags"):
        manifest.load()
    with pytest.raises(config.ParameterError):
        config.load_profile("bad", tmp_path)
    assert not trace.exists()


@pytest.mark.parametrize("text", ["", "- 1", "entries: 3", "entries: {x: {files: 7}}", "{"])
def test_yaml_of_another_shape_is_refused(manifest_at, text):
    """No traceback of the parser's, one error of ours."""
    manifest_at(text)
    with pytest.raises(manifest.ManifestError):
        manifest.load()


# Pickles


class Bomb:
    """Unpickled, it would leave a file."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return (Path.touch, (Path(self.path),))


def test_checkpoints_with_pickles_do_not_run(tmp_path):
    """Weights are read as tensors only; a pickle in their place is refused."""
    trace = tmp_path / "ran"
    torch.save({"weight": Bomb(trace)}, tmp_path / "weights.pth")
    with pytest.raises(pickle.UnpicklingError):
        torch.load(tmp_path / "weights.pth", weights_only=True)
    (tmp_path / "model.safetensors").write_bytes(pickle.dumps(Bomb(trace)))
    (tmp_path / "model.json").write_text("{}")
    with pytest.raises(ValueError, match="no whole checkpoint"):
        models.load(tmp_path / "model.safetensors")
    assert not trace.exists()


def test_arrays_with_pickles_do_not_run(tmp_path):
    """NPZ files with objects are refused."""
    trace = tmp_path / "ran"
    content = np.array([Bomb(trace)], dtype=object)
    names = ("boxes", "landmarks", "confidence", "fps")
    np.savez(tmp_path / "track.npz", **dict.fromkeys(names, content))
    with pytest.raises(ValueError, match="pickle"):
        faces.FaceTrack.load(tmp_path / "track.npz")
    assert not trace.exists()


def calls(path):
    """Names and literal keywords of every call in a file."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Call):
            yield ast.unparse(node.func)
            for word in node.keywords:
                yield f"{word.arg}={ast.unparse(word.value)}"


def test_no_code_of_ours_unpickles():
    """The library never loads pickles, builds objects from YAML, or runs text."""
    banned = {"eval", "exec", "pickle.load", "pickle.loads", "yaml.load", "yaml.unsafe_load",
              "yaml.full_load", "pd.read_pickle", "joblib.load", "os.system", "allow_pickle=True",
              "weights_only=False", "shell=True"}  # fmt: skip
    for path in Path(manifest.PACKAGE).rglob("*.py"):
        assert not banned & set(calls(path)), path


# Tables


def write(path, text, encoding="utf-8"):
    path.write_bytes(text.encode(encoding))
    return path


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "cp1252"])
@pytest.mark.parametrize("separator", [",", ";", "\t"])
def test_read_table_understands_encodings_and_separators(tmp_path, encoding, separator):
    """What any spreadsheet writes is read alike."""
    rows = [["Participant", " Score"], ["Zoë", "3"], ["Ünal", "4"]]
    text = "\r\n".join(separator.join(row) for row in rows)
    table = core.read_table(write(tmp_path / "t.csv", text, encoding))
    assert table.to_dict("list") == {"participant": ["Zoë", "Ünal"], "score": ["3", "4"]}


def test_read_table_keeps_quoted_separators(tmp_path):
    """A quoted decimal comma in a comma table is one cell."""
    table = core.read_table(write(tmp_path / "t.csv", 'participant,score\nann,"12,5"\n'))
    assert core.numbers(table["score"]).tolist() == [12.5]


@pytest.mark.parametrize(
    ("content", "error"),
    [
        (b"", tables.TableError),
        (b"\n\n", tables.TableError),
        (b"PK\x03\x04\0\0\0\0", tables.TableError),
        (b"a,A\n1,2\n", cohort.CohortError),
        (b'a,b\n1,2,3\n1\n"x', tables.TableError),
    ],
)
def test_read_table_refuses_what_is_no_table(tmp_path, content, error):
    """Empty, a spreadsheet's binary, a name twice, ragged rows: our error, with the file."""
    (tmp_path / "t.csv").write_bytes(content)
    with pytest.raises(error, match=r"t\.csv"):
        core.read_table(tmp_path / "t.csv")


def test_read_folder_takes_100000_rows(tmp_path):
    """A hundred thousand rows, one good: seconds, and a report that is still readable."""
    video.write_video(tmp_path / "a.mp4", [np.full((16, 16, 3), i, np.uint8) for i in range(4)], 25)
    rows = [f"p{i % 500},r{i},gone/{i}.mp4,{i % 64}" for i in range(100_000)]
    text = "participant,recording,path,score\nann,a,a.mp4,5\n" + "\n".join(rows)
    write(tmp_path / "t.csv", text)
    start = time.process_time()
    found = cohort.read("folder", tmp_path, low=0, high=63)
    assert time.process_time() - start < 20
    assert found.recordings["recording"].tolist() == ["a"]
    assert len(found.problems) >= 100_000
    assert len(core.report_text(found.problems)) < 3000


def test_read_folder_reports_duplicates_and_scores_out_of_range(tmp_path):
    """Each is named; none stops the rest."""
    for i, name in enumerate("ab"):
        video.write_video(tmp_path / f"{name}.mp4", [np.full((16, 16, 3), i, np.uint8)] * 3, 25)
    text = "participant;path;score\nann;a.mp4;12,5\nann;a.mp4;12,5\nbob;b.mp4;-1\nbob;b.mp4;1e9\n"
    found = cohort.read("folder", write(tmp_path / "t.csv", text).parent, low=0, high=63)
    assert found.recordings["score"].tolist() == [12.5]
    assert "more than once" in core.report_text(found.problems)


NAMES = ['"quoted"', "line\nbreak", "<script>", "a/b", "..", ".hidden", "a\tb", "%s{x}",
         "x" * 300, "'; DROP TABLE", "$(touch x)", "`id`", "naïve name", "ok-1.2_3"]  # fmt: skip


def test_read_folder_survives_odd_names(tmp_path):
    """Unsafe names are left out and shown escaped; safe ones, accents too, stay."""
    table = pd.DataFrame({"participant": NAMES, "path": "v.mp4", "score": range(len(NAMES)),
                          "recording": [f"r{i}" for i in range(len(NAMES))]})  # fmt: skip
    for i in range(len(NAMES)):
        video.write_video(tmp_path / f"v{i}.mp4", [np.full((16, 16, 3), 9 * i, np.uint8)] * 2, 25)
    table["path"] = [f"v{i}.mp4" for i in range(len(NAMES))]
    table.to_csv(tmp_path / "t.csv", index=False)
    found = cohort.read("folder", tmp_path)
    assert sorted(found.participants["participant"]) == ["naïve name", "ok-1.2_3"]
    assert all(item.isprintable() for item in found.problems["item"])
    assert "line\\nbreak" in core.report_text(found.problems)


@needs_links
def test_read_folder_refuses_links_to_elsewhere(tmp_path):
    """A link out of the folder is not followed; a loop of links does not hang."""
    outside = tmp_path / "outside.mp4"
    video.write_video(outside, [np.zeros((16, 16, 3), np.uint8)] * 3, 25)
    root = tmp_path / "mine"
    (root / "deep").mkdir(parents=True)
    (root / "deep" / "up").symlink_to(root)
    (root / "loop.mp4").symlink_to(root / "loop.mp4")
    (root / "link.mp4").symlink_to(outside)
    video.write_video(root / "own.mp4", [np.full((16, 16, 3), 99, np.uint8)] * 3, 25)
    text = "participant,path,score\nann,link.mp4,1\nbob,loop.mp4,2\ncid,own.mp4,3\n"
    found = cohort.read("folder", write(root / "t.csv", text).parent)
    assert found.participants["participant"].tolist() == ["cid"]
    assert found.problems["problem"].str.contains("leaves the data folder").sum() >= 1


@settings(max_examples=200, deadline=None)
@given(st.text(max_size=40))
def test_inside_never_leaves_the_folder(text):
    """Whatever the text, the path stays below the root or is None."""
    root = Path("/data/mine")
    found = core.inside(root, text)
    assert found is None or found.resolve().is_relative_to(root)


@settings(max_examples=200, deadline=None)
@given(st.text(max_size=40))
def test_safe_names_are_safe_file_names(text):
    """Every accepted name is one plain file name without markup or control characters."""
    if core.SAFE_NAME.fullmatch(text):
        assert Path(text).name == text
        assert text.isprintable()
        assert not set(text) & set("<>&\"'\\/:|?*`$;")


# Results


def test_results_are_never_half_written(tmp_path):
    """A writer that dies leaves the old file and no debris."""
    path = tmp_path / "t.csv"
    path.write_text("old")

    def dies():
        with store.atomic(path) as temporary:
            temporary.write_text("half")
            raise RuntimeError("killed")

    with pytest.raises(RuntimeError, match="killed"):
        dies()
    assert [p.name for p in tmp_path.iterdir()] == ["t.csv"]
    assert path.read_text() == "old"
