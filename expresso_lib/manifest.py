"""The data manifest: every data set and weight file, where it is from, and what it allows.

`load` reads `data_manifest.yaml` against a schema; `locate` says where an entry lies, `verify`
whether it is whole, `fetch` brings it (checked, unpacked safely). Nothing is fetched
unless `fetch` is called, and a copy that somebody put in place by hand is as good as a download.
"""

import itertools
import os
import re
import shutil
import sys
import zipfile
import zlib
from collections.abc import Iterable
from functools import lru_cache
from pathlib import Path
from typing import Annotated, Literal, Self

import pandas as pd
import pooch
import pydantic
import yaml
from pydantic import AfterValidator, BaseModel, Field, TypeAdapter, ValidationError
from tqdm import tqdm

from expresso_lib import _checks, store

PACKAGE = Path(__file__).parent
# Beside the package in a checkout, inside it in a wheel.
SHIPPED = PACKAGE / "project"
PATH = (SHIPPED if SHIPPED.is_dir() else PACKAGE.parent) / "data_manifest.yaml"
# Variables a laboratory sets once for all its users.
ENV_FOLDER, ENV_MIRROR = "EXPRESSO_DATA", "EXPRESSO_MIRROR"
# Largest data set known here unpacks to 26 GB in 1,440 files; far more means a hostile archive.
MAX_FILES, MAX_BYTES = 100_000, 60 * 2**30
HASH = r"^(sha256:[0-9a-f]{64}|sha256-prefix:[0-9a-f]{8,63}|md5:[0-9a-f]{32})$"


Folder = str | Path | None
LISTED = TypeAdapter(dict[str, tuple[int, str]])  # name to size and sha256


class ManifestError(ValueError):
    """The manifest, a file it names, or an archive is not as it must be."""


class FetchError(ManifestError):
    """A file could not be brought; the message says what to get and where to put it."""


def _inside(path: str) -> str:
    """Check that a relative path stays inside its folder on every system."""
    odd = not path.isprintable() or "\\" in path or ":" in path
    if odd or not path or path.startswith("/") or ".." in path.split("/"):
        raise ValueError(f"path {path!r} leaves its folder or is unsafe; use a plain relative one.")
    return path


class File(BaseModel):
    """One file of an entry. A hash that nobody here has checked says ``verified: false``."""

    model_config = pydantic.ConfigDict(extra="forbid", frozen=True)
    path: Annotated[str, AfterValidator(_inside)]
    url: str | None = None
    size: int | None = Field(None, ge=0, description="bytes; approximate where not verified")
    hash: str | None = Field(None, pattern=HASH)
    # Where the hash is learnt at fetch time: a Zenodo record's JSON or a Git-LFS pointer.
    hash_from: str | None = None
    verified: bool = False
    unpack: bool = False
    # Not every combination of names was published: where the server says 404, it is passed over.
    optional: bool = False
    part: str | None = None
    # A file per combination: ``each: {part: "01..24"}`` puts 01 to 24 in for ``{part}``.
    each: dict[str, str | list[str]] = {}
    # A JSON file that lists others beside it: name to size and sha256.
    lists: bool = False


def _choices(values: str | list[str]) -> list[str]:
    if isinstance(values, list):
        return values
    first, last = values.split("..")
    return [f"{i:0{len(first)}d}" for i in range(int(first), int(last) + 1)]


def _written_out(files: tuple[File, ...]) -> tuple[File, ...]:
    """Write each file out once per combination."""
    found = []
    for file in files:
        facts = file.model_dump(exclude={"each"})
        for values in itertools.product(*map(_choices, file.each.values())):
            names = dict(zip(file.each, values))
            texts = {k: v.format(**names) for k, v in facts.items() if isinstance(v, str)}
            found.append(File(**facts | texts))
    return tuple(found)


class Entry(BaseModel):
    """One data set or weight file."""

    model_config = pydantic.ConfigDict(extra="forbid", frozen=True)
    name: str = ""
    title: str
    kind: Literal["data", "weights"]
    tier: Literal["demo", "open", "licensed"]
    licence: str
    source: str
    obtain: str
    redistribution: str
    faces_may_be_shown: bool
    reader: str | None = None
    shipped: Annotated[str | None, AfterValidator(lambda p: p and _inside(p))] = None
    files: Annotated[tuple[File, ...], AfterValidator(_written_out)] = ()

    @pydantic.model_validator(mode="after")
    def _consistent(self) -> Self:
        if self.tier == "licensed" and self.faces_may_be_shown:
            raise ValueError("a licensed entry may not show faces; set faces_may_be_shown: false.")
        if self.tier == "licensed" and any(file.url for file in self.files):
            raise ValueError("a licensed entry has no public address; describe `obtain` instead.")
        return self


@lru_cache(maxsize=1)
def load() -> dict[str, Entry]:
    """Read and check the manifest.

    Returns
    -------
    dict
        Entry name to `Entry`.

    Raises
    ------
    ManifestError
        With every fault at once: YAML tags, unknown keys, unsafe paths, malformed hashes.
    """
    # A project of one's own has its own rules about what may be shown.
    own = Path(os.environ.get("EXPRESSO_ROOT") or PATH.parent) / PATH.name
    found = _checks.existing_file(own if own.is_file() else PATH, "data manifest")
    try:
        raw = yaml.safe_load(found.read_text(encoding="utf-8"))
        entries = TypeAdapter(dict[str, Entry]).validate_python(raw["entries"])
    except (yaml.YAMLError, ValidationError, KeyError, TypeError) as error:
        raise ManifestError(f"{found} does not fit its schema: {error}") from error
    return {name: _with_listed(name, entry) for name, entry in entries.items()}


def _with_listed(name: str, known: Entry) -> Entry:
    """Name an entry and add the files that its own list names; where the list is missing, none."""
    files = list(known.files)
    for file in [one for one in known.files if one.lists]:
        path = PACKAGE / str(known.shipped) / file.path
        if path.is_file():
            try:
                listed = LISTED.validate_json(path.read_bytes())
            except ValidationError as error:
                raise ManifestError(f"{path} is no list of files: {error}; restore it.") from error
            for one, (size, digits) in listed.items():
                about = {"size": size, "hash": f"sha256:{digits}", "verified": file.verified}
                files.append(File(path=one, **about))
    return known.model_copy(update={"name": name, "files": tuple(files)})


def entry(name: str) -> Entry:
    """Return one entry (``s3fd`` finds ``weights_s3fd``); an unknown name raises."""
    entries = load()
    name = f"weights_{name}" if f"weights_{name}" in entries else name
    _checks.one_of(name, entries, "entry of the data manifest", ManifestError)
    return entries[name]


def locate(name: str, *, folder: Folder = None) -> Path:
    """Return the folder where an entry's files belong (whether or not they are there).

    Order: `folder`; the copy that ships with this library; ``$EXPRESSO_DATA/<name>``; torch's own
    cache for weights (other programs share it); the user's cache folder.
    """
    known = entry(name)
    if folder is not None:
        return Path(folder).expanduser()
    if known.shipped is not None:
        return PACKAGE / known.shipped
    if os.environ.get(ENV_FOLDER):
        return Path(os.environ[ENV_FOLDER]).expanduser() / known.name
    if known.kind == "weights":
        cache = Path(os.environ.get("XDG_CACHE_HOME", "~/.cache")).expanduser()
        return Path(os.environ.get("TORCH_HOME", cache / "torch")) / "hub" / "checkpoints"
    return Path(pooch.os_cache("expresso")) / known.name


def path_of(name: str, *, folder: Folder = None) -> Path:
    """Return what is used of an entry: the file where it is a single one, else the folder."""
    known, root = entry(name), locate(name, folder=folder)
    single = known.kind == "weights" and len(known.files) == 1
    return root / known.files[0].path if single else root


def verify(*names: str, folder: Folder = None) -> pd.DataFrame:
    """Compare what lies in place with the manifest.

    Parameters
    ----------
    *names : str
        Entries; without them every one of which something is here.
    folder
        As for `fetch`.

    Returns
    -------
    DataFrame
        name, file, size (bytes), status (``verified``; ``matches`` a hash that nobody here has
        checked; ``present`` without a known hash; ``unpacked``; ``missing``; ``wrong``), detail.
    """
    rows = []
    for name in names or load():
        root = locate(name, folder=folder)
        found = [(name, file.path, file.size, *_state(root / file.path, file))
                 for file in entry(name).files]  # fmt: skip
        if names or any(row[3] != "missing" for row in found):
            rows += found
    return pd.DataFrame(rows, columns=["name", "file", "size", "status", "detail"])


def status() -> pd.DataFrame:
    """List every entry at a glance: tier, size, how much is in place, licence."""
    rows = []
    for name, known in load().items():
        root, size = locate(name), ""
        state = "in place" if _filled(root) else "not here"
        if known.files:
            paths = [root / file.path for file in known.files]
            found = sum(path.is_file() or _receipt(path).is_file() for path in paths)
            state = f"{found} of {len(paths)} files"
            sizes = [file.size or 0 for file in known.files]
            size = f"{tqdm.format_sizeof(sum(sizes))}B" if all(sizes) else "not known"
        shown = "" if known.kind == "weights" else "yes" if known.faces_may_be_shown else "no"
        rows.append((name, known.tier, known.kind, size, state, shown, known.licence))
    columns = "name tier kind size state faces_may_be_shown licence"
    return pd.DataFrame(rows, columns=columns.split())


def _filled(folder: Path) -> bool:
    return folder.is_dir() and any(folder.iterdir())


def fetch(name: str, *, folder: Folder = None, parts: Iterable[str] | None = None) -> Path:
    """Bring an entry into place; what is there and whole is not brought again.

    ``$EXPRESSO_MIRROR`` names an address or a folder to take the files from instead, by their
    names.

    Parameters
    ----------
    name : str
        Entry of the manifest.
    folder : path, optional
        Where to; default as `locate` says.
    parts : iterable of str, optional
        Only these parts, e.g. ``["01", "02"]`` for two RAVDESS actors.

    Returns
    -------
    Path
        As `path_of`.

    Raises
    ------
    FetchError
        If a file cannot be had: names file, source, hash, and where to put it by hand.
    ManifestError
        If a file arrives with another hash, or an archive is unsafe.
    """
    known, root = entry(name), locate(name, folder=folder)
    mirror = os.environ.get(ENV_MIRROR)
    if mirror and "://" not in mirror and not Path(mirror).is_dir():
        raise FetchError(f"mirror {mirror!r} is neither a folder here nor an address (https://…).")
    if not known.files and not _filled(root):
        raise FetchError(f"{known.title} cannot be downloaded: {known.obtain} Put it in {root}.")
    for file in _chosen(known, parts):
        target = root / file.path
        state, detail = _state(target, file)
        if state == "wrong":
            raise ManifestError(f"{detail}; move it away and fetch again.")
        if state == "missing":
            _bring(known, file, target, mirror)
        # A copy put in place by hand is unpacked as a download is.
        if file.unpack and target.is_file():
            unpack(target)
    return path_of(name, folder=folder)


def _chosen(known: Entry, parts: Iterable[str] | None) -> list[File]:
    names = sorted({file.part for file in known.files if file.part})
    wanted = names if parts is None else list(parts)
    for part in wanted:
        _checks.one_of(part, names, f"{known.name}: part", ManifestError)
    return [file for file in known.files if file.part is None or file.part in wanted]


def _state(target: Path, file: File) -> tuple[str, str]:
    if not target.is_file():
        return _unpacked_state(target)
    if file.hash is None:
        return "present", "no hash known"
    if not _hash_fits(target, file.hash):
        return "wrong", f"{target} does not have the hash {file.hash}"
    return ("verified", file.hash) if file.verified else ("matches", f"{file.hash}, unverified")


def _hash_fits(path: Path, expected: str) -> bool:
    kind, _, digits = expected.partition(":")
    found = pooch.file_hash(str(path), "md5") if kind == "md5" else store.file_hash(path)
    return found.startswith(digits)


def _receipt(target: Path) -> Path:
    return target.with_name(f".{target.name}.unpacked.json")


def unpack(archive: Path) -> None:
    """Unpack a zip where it lies, keep a receipt, and free its disk space.

    Nothing is written unless every member stays inside the folder and the whole keeps within the
    limits; files that lie there with other contents are never overwritten.

    Raises
    ------
    ManifestError
        Naming the archive and what is wrong with it.
    """
    digest, root = store.file_hash(archive), archive.parent
    try:
        with zipfile.ZipFile(archive) as bundle:
            members = [member for member in bundle.infolist() if not member.is_dir()]
            sizes = {_inside(member.filename): member.file_size for member in members}
            if len(members) > MAX_FILES or sum(sizes.values()) > MAX_BYTES:
                raise ValueError(f"the limits are {MAX_FILES} files and {MAX_BYTES} bytes")
            for member in members:
                there = root / member.filename
                if there.exists() and zlib.crc32(there.read_bytes()) != member.CRC:
                    raise ValueError(
                        f"{member.filename} is there with other contents; move it away first"
                    )
            for member in members:
                with store.atomic(root / member.filename) as path, open(path, "wb") as stream:
                    shutil.copyfileobj(bundle.open(member), stream)
    except (zipfile.BadZipFile, zlib.error, EOFError, RuntimeError, ValueError) as error:
        raise ManifestError(f"{archive} cannot be unpacked: {error}") from error
    store.write_json(_receipt(archive), {"sha256": digest, "files": sizes})
    archive.unlink()


def _unpacked_state(target: Path) -> tuple[str, str]:
    receipt = _receipt(target)
    if not receipt.is_file():
        return "missing", "not there"
    files = store.read_json(receipt)["files"]
    for name, size in files.items():
        path = target.parent / name
        if not path.is_file() or path.stat().st_size != size:
            return "wrong", f"{path} is gone or was changed (delete {receipt} to fetch again)"
    return "unpacked", f"{len(files)} files"


def _bring(known: Entry, file: File, target: Path, mirror: str | None) -> None:
    """Copy from a mirror folder or download, check the hash, and only then name the file."""
    url = f"{mirror.rstrip('/')}/{target.name}" if mirror else file.url
    try:
        expected = file.hash or _learn_hash(file, mirror)
        with store.atomic(target) as temporary:
            if mirror and Path(mirror).is_dir():
                shutil.copyfile(str(url), temporary)
            elif url:
                download = pooch.HTTPDownloader(sys.stderr.isatty(), chunk_size=2**16)
                download(url, str(temporary), None)
            else:
                raise OSError("it has no public address")
            if expected and not _hash_fits(temporary, expected):
                raise ManifestError(f"{target.name} arrived with another hash than {expected}.")
    except OSError as error:  # requests' exceptions are OSErrors too
        absent = getattr(getattr(error, "response", None), "status_code", 0) == 404
        if file.optional and (absent or isinstance(error, FileNotFoundError)):
            return
        raise FetchError(
            f"{file.path} of {known.title} could not be fetched ({error}). Get it from "
            f"{file.url or known.source} ({known.obtain}), hash {file.hash or 'not known'}, and "
            f"put it at {target}, or name a mirror, an address or a folder, in ${ENV_MIRROR}."
        ) from error


def _learn_hash(file: File, mirror: str | None) -> str | None:
    """Ask the publisher for the hash: a Zenodo record's JSON, or the text of a Git-LFS pointer."""
    if file.hash_from is None or mirror:
        return None
    import requests  # comes with pooch; costs a tenth of a second that most runs never need

    reply = requests.get(file.hash_from, timeout=30)
    reply.raise_for_status()
    if pointer := re.search(r"^oid (sha256:[0-9a-f]{64})$", reply.text, re.M):
        return pointer[1]
    sums = {f.get("key"): f.get("checksum") for f in reply.json().get("files", [])}
    found = sums.get(Path(file.path).name)
    if found is None and file.optional:
        raise FileNotFoundError(f"{file.hash_from} lists no {file.path}")
    if not found or not re.match(HASH, found):
        raise ManifestError(f"{file.hash_from} lists no hash of {file.path}; verify it by hand.")
    return str(found)
