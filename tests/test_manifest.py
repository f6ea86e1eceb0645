"""The manifest: what it says, what it fetches, what it refuses."""

import hashlib
import http.server
import json
import threading
import zipfile
from pathlib import Path
from typing import ClassVar

import pytest

from expresso_lib import cohort, config, manifest, models, store

HEAD = """
version: 1
entries:
  thing:
    title: A thing
    kind: weights
    tier: open
    licence: CC0-1.0
    source: here
    obtain: free
    redistribution: free
    faces_may_be_shown: true
    files:
"""
CONTENT = bytes(range(256)) * 300


@pytest.fixture
def use(tmp_path, monkeypatch):
    """Write a manifest of one entry and make it the current one."""

    def write(*files, head=HEAD):
        lines = "".join(f"      - {json.dumps(file)}\n" for file in files)
        path = tmp_path / "manifest.yaml"
        path.write_text(head + lines, encoding="utf-8")
        monkeypatch.setattr(manifest, "PATH", path)
        manifest.load.cache_clear()
        return path

    yield write
    manifest.load.cache_clear()


class Handler(http.server.BaseHTTPRequestHandler):
    """Serves CONTENT; may break off; counts how often it did."""

    sent: ClassVar[list[str]] = []
    break_after = 0

    def do_GET(self):
        if self.path.endswith("absent.bin"):
            self.send_error(404)
            return
        if self.path.endswith("record"):
            listing = {"files": [{"key": "a.bin", "checksum": md5(CONTENT)}]}
            self._send(json.dumps(listing).encode())
            return
        Handler.sent.append(self.path)
        self._send(CONTENT, cut=Handler.break_after)

    def _send(self, body, cut=0):
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body[:cut] if cut else body)
        self.close_connection = True

    def log_message(self, *_):
        pass


@pytest.fixture
def server():
    Handler.sent, Handler.break_after = [], 0
    httpd = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=httpd.serve_forever, args=(0.02,), daemon=True).start()
    yield f"http://127.0.0.1:{httpd.server_port}"
    httpd.shutdown()


def md5(data):
    return "md5:" + hashlib.md5(data).hexdigest()


def sha(data, digits=64):
    prefix = "sha256:" if digits == 64 else "sha256-prefix:"
    return prefix + hashlib.sha256(data).hexdigest()[:digits]


# The book's own manifest


def test_load_fits_the_schema_and_every_reader_has_an_entry():
    """The manifest is valid; every data set a parameter can name is in it."""
    entries = manifest.load()
    readers = {entry.reader for entry in entries.values() if entry.reader}
    sources = set(config.CohortSection.model_fields["source"].annotation.__args__)
    assert readers == sources == set(cohort.READERS)


def test_load_knows_every_weight_file_a_model_asks_for():
    """No backbone names weights that the manifest does not know."""
    for name, backbone in models.BACKBONES.items():
        if backbone.weights != "facial-actions":  # these ship
            assert manifest.entry(f"weights_{name}").kind == "weights"
    assert manifest.entry("s3fd").name == "weights_s3fd"


def test_load_hashes_agree_with_torchvisions_file_names():
    """The digits in a file's name are the hash prefix the manifest states."""
    for entry in manifest.load().values():
        if entry.name.startswith("weights_"):
            for file in entry.files:
                prefix = file.hash.startswith("sha256-prefix:")
                assert file.verified != prefix
                assert not prefix or file.hash.partition(":")[2] in file.path


def test_load_says_verified_only_of_what_was_checked():
    """Hashes that nobody here has compared with the file are marked so."""
    checked = {e.name for e in manifest.load().values() if any(f.verified for f in e.files)}
    assert checked == {"demo_cohort", "facial_actions", "weights_face_landmarker"}


def test_shipped_files_are_listed_with_their_hashes():
    """Every file of the demo cohort and the checkpoint lies there as the manifest lists it."""
    for name in ("demo_cohort", "facial_actions"):
        table = manifest.verify(name)
        assert len(table), name
        assert set(table["status"]) == {"verified"}, table[table["status"] != "verified"]
    root = manifest.locate("demo_cohort")
    listed = {file.path for file in manifest.entry("demo_cohort").files}
    found = {p.relative_to(root).as_posix() for p in root.rglob("*") if p.is_file()}
    assert {name for name in found if not Path(name).name.startswith(".")} == listed
    assert sum(file.size for file in manifest.entry("demo_cohort").files) < 30e6


def test_licensed_data_may_not_show_faces():
    """The entries whose faces are closed; GRID's until its licence is read at the source."""
    closed = {e.name for e in manifest.load().values() if not e.faces_may_be_shown}
    assert closed == {"avec2014", "folder", "grid"}


def test_each_writes_one_file_per_combination():
    """24 RAVDESS actors; 91 CREMA-D actors with 82 spoken clips and the rest optional."""
    ravdess = manifest.entry("ravdess").files
    assert [f.part for f in ravdess] == [f"{i:02d}" for i in range(1, 25)]
    assert ravdess[4].path == "Video_Speech_Actor_05.zip"
    names = {Path(f.path).stem for f in manifest.entry("cremad").files if f.part == "1001"}
    assert {"1001_IEO_SAD_HI", "1001_WSI_NEU_XX", "1001_DFA_ANG_XX"} <= names


def test_entry_names_the_nearest():
    """A misspelt name is answered with the nearest one."""
    with pytest.raises(manifest.ManifestError, match="did you mean 'ravdess'"):
        manifest.entry("ravdes")


def test_status_lists_every_entry():
    """At a glance: tier, licence, how much is here."""
    table = manifest.status()
    assert set(table["name"]) == set(manifest.load())
    table = table.set_index("name")
    assert table.loc["avec2014", "tier"] == "licensed"
    # Weights show nobody; a sum over files of which most have no known size is none.
    shown = table["faces_may_be_shown"]
    assert set(shown[table["kind"] == "weights"]) == {""}
    assert (shown["demo_cohort"], shown["avec2014"]) == ("yes", "no")
    sizes = table["size"]
    assert (sizes["cremad"], sizes["avec2014"]) == ("not known", "")
    assert sizes["weights_face_landmarker"] == "3.76MB"


# Schema


@pytest.mark.parametrize(("file", "words"), [
    ({"path": "../x"}, "leaves its folder"), ({"path": "/etc/passwd"}, "leaves its folder"),
    ({"path": "a\\..\\b"}, "leaves its folder"), ({"path": "C:/x"}, "leaves its folder"),
    ({"path": "a\nb"}, "unsafe"), ({"path": "x", "hash": "md5:12"}, "should match"),
    ({"path": "x", "hsah": "1"}, "Extra inputs"),
])  # fmt: skip
def test_load_refuses_unsafe_files(use, file, words):
    """Paths that leave the folder, malformed hashes and unknown keys stop the load."""
    use(file)
    with pytest.raises(manifest.ManifestError, match=words):
        manifest.load()


def test_load_refuses_licensed_entries_that_show_faces(use):
    """A licensed tier cannot be combined with shown faces or a public address."""
    use({"path": "x"}, head=HEAD.replace("tier: open", "tier: licensed"))
    with pytest.raises(manifest.ManifestError, match="may not show faces"):
        manifest.load()


# Fetching


def test_fetch_downloads_checks_and_does_not_repeat(use, server, tmp_path):
    """One request; the second call finds the file whole."""
    use({"path": "a.bin", "url": f"{server}/a.bin", "hash": sha(CONTENT, 8)})
    for _ in range(2):
        path = manifest.fetch("thing", folder=tmp_path / "to")
    assert path.read_bytes() == CONTENT
    assert len(Handler.sent) == 1
    assert manifest.verify("thing", folder=tmp_path / "to")["status"].tolist() == ["matches"]


def test_fetch_keeps_nothing_of_a_broken_download(use, server, tmp_path):
    """A connection that breaks leaves no half file; the next attempt is whole."""
    use({"path": "a.bin", "url": f"{server}/a.bin"})
    Handler.break_after = 40_000
    with pytest.raises(manifest.FetchError, match=r"a\.bin"):
        manifest.fetch("thing", folder=tmp_path / "to")
    assert not list((tmp_path / "to").iterdir())
    Handler.break_after = 0
    assert manifest.fetch("thing", folder=tmp_path / "to").read_bytes() == CONTENT


def test_fetch_refuses_another_hash(use, server, tmp_path):
    """What arrives with another hash is removed, and said."""
    use({"path": "a.bin", "url": f"{server}/a.bin", "hash": sha(b"other", 10)})
    with pytest.raises(manifest.ManifestError, match="another hash"):
        manifest.fetch("thing", folder=tmp_path)
    assert not (tmp_path / "a.bin").exists()


def test_fetch_never_overwrites_a_file_that_differs(use, server, tmp_path):
    """A file somebody put there is theirs."""
    use({"path": "a.bin", "url": f"{server}/a.bin", "hash": sha(CONTENT)})
    (tmp_path / "a.bin").write_bytes(b"mine")
    with pytest.raises(manifest.ManifestError, match="move"):
        manifest.fetch("thing", folder=tmp_path)
    assert (tmp_path / "a.bin").read_bytes() == b"mine"
    assert manifest.verify("thing", folder=tmp_path)["status"].tolist() == ["wrong"]


def test_fetch_learns_the_hash_from_the_publisher(use, server, tmp_path):
    """A record's JSON states the md5; a wrong one refuses the file."""
    use({"path": "a.bin", "url": f"{server}/a.bin", "hash_from": f"{server}/record"})
    assert manifest.fetch("thing", folder=tmp_path).is_file()
    use({"path": "b.bin", "url": f"{server}/b.bin", "hash_from": f"{server}/record"})
    with pytest.raises(manifest.ManifestError, match="no hash"):
        manifest.fetch("thing", folder=tmp_path)


def test_fetch_passes_over_combinations_that_were_never_published(
    use, server, tmp_path, monkeypatch
):
    """404 of an optional file is no error; of another it is."""
    file = {"path": "absent.bin", "url": f"{server}/absent.bin"}
    use({**file, "optional": True})
    manifest.fetch("thing", folder=tmp_path)
    use({"path": "b.bin", "url": f"{server}/b.bin", "hash_from": f"{server}/record",
         "optional": True})  # fmt: skip
    manifest.fetch("thing", folder=tmp_path)  # the publisher's record does not list it
    use(file)
    with pytest.raises(manifest.FetchError):
        manifest.fetch("thing", folder=tmp_path)
    (tmp_path / "mirror").mkdir()
    monkeypatch.setenv(manifest.ENV_MIRROR, str(tmp_path / "mirror"))
    with pytest.raises(manifest.FetchError):
        manifest.fetch("thing", folder=tmp_path)
    use({**file, "optional": True})
    manifest.fetch("thing", folder=tmp_path)


def test_fetch_offline_says_what_to_get_and_where_to_put_it(use, tmp_path):
    """Without a network: file, source, hash, place, and the variable that names a mirror."""
    use({"path": "a.bin", "url": "http://127.0.0.1:9/a.bin", "hash": sha(CONTENT, 10)})
    with pytest.raises(manifest.FetchError) as caught:
        manifest.fetch("thing", folder=tmp_path)
    for words in (
        "a.bin",
        "http://127.0.0.1:9/a.bin",
        sha(CONTENT, 10),
        str(tmp_path),
        manifest.ENV_MIRROR,
    ):
        assert words in str(caught.value)


def test_fetch_takes_no_missing_folder_for_a_host(use, tmp_path, monkeypatch):
    """A mirror is a folder that is there or an address; nothing is asked of a network."""
    use({"path": "a.bin", "url": "http://127.0.0.1:9/a.bin"})
    monkeypatch.setenv(manifest.ENV_MIRROR, "my/mirror")
    with pytest.raises(manifest.FetchError, match="neither a folder here nor an address"):
        manifest.fetch("thing", folder=tmp_path)


def test_fetch_takes_a_mirror_folder_or_address(use, server, tmp_path, monkeypatch):
    """A colleague's folder or another host is enough; the hash is still checked."""
    use({"path": "sub/a.bin", "url": "http://127.0.0.1:9/a.bin", "hash": sha(CONTENT, 8)})
    (tmp_path / "mirror").mkdir()
    (tmp_path / "mirror" / "a.bin").write_bytes(CONTENT)
    monkeypatch.setenv(manifest.ENV_MIRROR, str(tmp_path / "mirror"))
    path = manifest.fetch("thing", folder=tmp_path / "1")
    assert path.read_bytes() == CONTENT
    monkeypatch.setenv(manifest.ENV_MIRROR, server)
    path = manifest.fetch("thing", folder=tmp_path / "2")
    assert path.read_bytes() == CONTENT


def test_fetch_of_licensed_data_says_how_to_obtain_it(tmp_path):
    """Nothing is requested; the text says whom to ask and where to unpack."""
    with pytest.raises(manifest.FetchError, match=r"agreement.*Put it in"):
        manifest.fetch("avec2014", folder=tmp_path)


def test_fetch_takes_parts(use, server, tmp_path):
    """Two actors are enough to try; an unknown part is refused."""
    head = HEAD.replace("kind: weights", "kind: data")
    file = {"path": "{part}/a.bin", "url": f"{server}/a.bin", "part": "{part}"}
    use(file | {"each": {"part": "01..04"}}, head=head)
    manifest.fetch("thing", folder=tmp_path, parts=["02", "03"])
    assert sorted(p.parent.name for p in tmp_path.rglob("a.bin")) == ["02", "03"]
    with pytest.raises(manifest.ManifestError, match="part '9' is unknown"):
        manifest.fetch("thing", folder=tmp_path, parts=["9"])


def test_fetch_unpacks_once_and_notices_damage(use, tmp_path, monkeypatch):
    """The archive's space is freed; verify still knows what came out of it."""
    source = tmp_path / "mirror" / "set.zip"
    source.parent.mkdir()
    with zipfile.ZipFile(source, "w") as bundle:
        bundle.writestr("Actor_01/x.mp4", b"video" * 50)
    use({"path": "set.zip", "unpack": True, "hash": sha(source.read_bytes())},
        head=HEAD.replace("kind: weights", "kind: data"))  # fmt: skip
    root = tmp_path / "to"
    monkeypatch.setenv(manifest.ENV_MIRROR, str(source.parent))
    for _ in range(2):
        manifest.fetch("thing", folder=root)
    assert (root / "Actor_01/x.mp4").read_bytes() == b"video" * 50
    assert not (root / "set.zip").exists()
    assert manifest.verify("thing", folder=root)["status"].tolist() == ["unpacked"]
    (root / "Actor_01/x.mp4").unlink()
    assert manifest.verify("thing", folder=root)["status"].tolist() == ["wrong"]


def test_fetch_unpacks_what_was_put_there_by_hand(use, tmp_path):
    """Without a network: a copy in the right place is as good as a download."""
    with zipfile.ZipFile(tmp_path / "set.zip", "w") as bundle:
        bundle.writestr("x.mp4", b"video")
    file = {"path": "set.zip", "unpack": True, "url": "http://127.0.0.1:9/set.zip"}
    use(file, head=HEAD.replace("kind: weights", "kind: data"))
    (tmp_path / "x.mp4").write_bytes(b"other")  # of the same size
    with pytest.raises(manifest.ManifestError, match="there with other contents"):
        manifest.fetch("thing", folder=tmp_path)
    assert (tmp_path / "x.mp4").read_bytes() == b"other"
    (tmp_path / "x.mp4").unlink()
    assert (manifest.fetch("thing", folder=tmp_path) / "x.mp4").read_bytes() == b"video"


def test_locate_prefers_the_laboratorys_folder(monkeypatch, tmp_path):
    """An argument wins, then $EXPRESSO_DATA; shipped data stay where they ship."""
    monkeypatch.setenv(manifest.ENV_FOLDER, str(tmp_path))
    assert manifest.locate("ravdess") == tmp_path / "ravdess"
    assert manifest.locate("ravdess", folder="x") == Path("x")
    assert manifest.locate("demo_cohort").parts[-2:] == ("assets", "demo_cohort")
    assert manifest.path_of("fan").name == "2DFAN4-11f355bf06.pth.tar"


def test_a_list_beside_the_data_stands_for_its_files(use, tmp_path, monkeypatch):
    """One line of the manifest, the list's own hash; what it lists is verified like the rest."""
    head = HEAD.replace(
        "faces_may_be_shown: true", "faces_may_be_shown: true\n    shipped: goods"
    ).replace("weights", "data")
    monkeypatch.setattr(manifest, "PACKAGE", tmp_path)
    (tmp_path / "goods").mkdir()
    (tmp_path / "goods" / "a.csv").write_bytes(b"x")
    digest = store.file_hash(tmp_path / "goods" / "a.csv")
    listing = tmp_path / "goods" / "files.json"
    listing.write_text(f'{{"a.csv": [1, "{digest}"]}}')
    own = {"path": listing.name, "hash": sha(listing.read_bytes()), "verified": True, "lists": True}
    use(own, head=head)
    assert manifest.verify("thing")["status"].tolist() == ["verified", "verified"]
    (tmp_path / "goods" / "a.csv").write_bytes(b"y")
    assert manifest.verify("thing")["status"].tolist() == ["verified", "wrong"]
    listing.write_text("[1]")
    manifest.load.cache_clear()
    with pytest.raises(manifest.ManifestError, match="no list of files"):
        manifest.load()
