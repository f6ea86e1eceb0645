"""Finished work is never redone, and nothing half-written is ever seen."""

import json
import os
import resource
import subprocess
import sys
import textwrap
import threading
import types
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from expresso_lib import store


def square(item: store.Item, path: Path) -> None:
    """Write the square of the recipe's number, and leave a trace of having run."""
    with (path.parent / "trace.log").open("a") as log:
        log.write(f"{item.name}\n")
    np.savez(path, value=item.recipe["number"] ** 2)


def cube(item: store.Item, path: Path) -> None:
    """Write the third power."""
    np.savez(path, value=item.recipe["number"] ** 3)


def picky(item: store.Item, path: Path) -> None:
    """Fail on odd numbers."""
    if item.recipe["number"] % 2:
        raise ValueError(f"{item.recipe['number']} is odd; take an even number.")
    square(item, path)


def kills_itself_once(item: store.Item, path: Path) -> None:
    """Die like a killed worker the first time number 2 is tried."""
    mark = Path(item.payload) / f"{item.name}.died"
    if item.recipe["number"] == 2 and not mark.exists():
        mark.write_text("")
        os._exit(9)
    square(item, path)


def too_large(item: store.Item, path: Path) -> None:
    """Write more than the file-size limit of the test allows."""
    path.write_bytes(b"x" * 3_000_000)


def items(count: int, **more) -> list[store.Item]:
    return [store.Item(f"n{i}", {"number": i}, **more) for i in range(count)]


def runs(folder: Path) -> list[str]:
    log = folder / "trace.log"
    return log.read_text().split() if log.exists() else []


def test_map_runs_each_item_once(tmp_path):
    """A second call with the same recipes computes nothing."""
    first = store.map(square, items(3), out=tmp_path)
    second = store.map(square, items(3), out=tmp_path)
    assert [int(np.load(o.path)["value"]) for o in first] == [0, 1, 4]
    assert runs(tmp_path) == ["n0", "n1", "n2"]
    assert [o.reused for o in first] == [False] * 3
    assert [o.reused for o in second] == [True] * 3


def test_a_result_is_not_vouched_for_by_the_key_before(tmp_path, monkeypatch):
    """Killed after the result and before its key: the old key must not fit the new result."""

    def killed(path, text):
        raise KeyboardInterrupt

    one, two = store.Item("n1", {"number": 1}), store.Item("n1", {"number": 2})
    store.map(square, [one], out=tmp_path)
    with monkeypatch.context() as patch:
        patch.setattr(store, "write_text", killed)
        with pytest.raises(KeyboardInterrupt):
            store.map(square, [two], out=tmp_path)
    assert int(np.load(store.map(square, [one], out=tmp_path)[0].path)["value"]) == 1


def test_two_that_make_it_at_once_do_not_mix_result_and_key(tmp_path, monkeypatch):
    """While one stands between its result and its key, another one waits."""
    one, two = store.Item("n1", {"number": 1}), store.Item("n1", {"number": 2})
    write, other = store.write_text, []

    def slow(path, text):
        if not other:
            other.append(threading.Thread(target=store.map, args=(square, [two]),
                                          kwargs={"out": tmp_path}))  # fmt: skip
            other[0].start()
            other[0].join(0.5)
            assert other[0].is_alive()
        return write(path, text)

    monkeypatch.setattr(store, "write_text", slow)
    store.map(square, [one], out=tmp_path)
    other[0].join()
    for item, value in ((two, 4), (one, 1)):
        assert int(np.load(store.map(square, [item], out=tmp_path)[0].path)["value"]) == value


def test_another_function_makes_it_anew(tmp_path):
    """What one function made does not pass for another's."""
    store.map(square, items(1), out=tmp_path)
    assert not store.map(cube, items(1), out=tmp_path)[0].reused


def test_map_redoes_only_what_changed(tmp_path):
    """A changed recipe or a changed input redoes that item and no other."""
    source = tmp_path / "input.txt"
    source.write_text("one")
    out = tmp_path / "out"
    store.map(square, items(3, inputs=(source,)), out=out)
    changed = items(3, inputs=(source,))
    changed[1] = store.Item("n1", {"number": 7}, (source,))
    store.map(square, changed, out=out)
    assert runs(out) == ["n0", "n1", "n2", "n1"]
    source.write_text("other")
    store.map(square, changed, out=out)
    assert len(runs(out)) == 7


def test_map_keeps_finished_items_when_one_fails(tmp_path):
    """An error names the item and the cause; the others stay and are not repeated."""
    with pytest.raises(store.WorkFailed, match=r"1 of 3.*\nn1: ValueError: 1 is odd"):
        store.map(picky, items(3), out=tmp_path)
    assert runs(tmp_path) == ["n0", "n2"]
    outcomes = store.map(picky, items(3), out=tmp_path, collect_errors=True)
    assert runs(tmp_path) == ["n0", "n2"]
    assert [o.error is None for o in outcomes] == [True, False, True]


def test_map_names_what_lacks_its_input_and_does_the_rest(tmp_path):
    """A table that is not there is that recording's error, and nobody else's."""
    some = [replace(one, inputs=(tmp_path / "gone.csv",) if one.name == "n1" else ())
            for one in items(3)]  # fmt: skip
    outcomes = store.map(square, some, out=tmp_path, collect_errors=True)
    assert [o.error is None for o in outcomes] == [True, False, True]
    assert "gone.csv is not there" in outcomes[1].error
    with pytest.raises(store.WorkFailed, match=r"1 of 3.*\nn1: .*gone.csv is not there"):
        store.map(square, some, out=tmp_path)


@pytest.mark.parametrize("name", ["process", "loky"])
def test_map_gives_the_same_files_whoever_runs_it(tmp_path, name):
    """In this process or in workers, the results are equal."""
    executor = store.executor(name, workers=2)
    outcomes = store.map(square, items(4), out=tmp_path, executor=executor)
    assert [int(np.load(o.path)["value"]) for o in outcomes] == [0, 1, 4, 9]


def threads() -> tuple[int, int]:
    import cv2
    import torch

    return torch.get_num_threads(), cv2.getNumThreads()


def test_workers_use_as_many_threads_as_they_are_told(monkeypatch):
    """More than one per core would wait in turn; what the machine's environment says yields."""
    monkeypatch.setenv("MKL_NUM_THREADS", "4")
    with store.executor("loky", workers=2, threads=1) as executor:
        assert executor.submit(threads).result() == (1, 1)


def test_map_in_this_process_shows_each_finished_item(tmp_path, monkeypatch):
    """Long work in one process moves its bar with every piece, not once at the end."""
    seen = []

    def look(self, n=1):
        seen.append(len(runs(tmp_path)))

    monkeypatch.setattr(store.tqdm, "update", look)
    store.map(square, items(3), out=tmp_path, executor=store.executor("process"), describe="x")
    assert seen == [1, 2, 3]


@pytest.mark.slow
def test_map_survives_a_killed_worker(tmp_path):
    """A worker that dies takes its item with it; the item is tried again, the others are not."""
    out = tmp_path / "out"
    with store.executor("loky", workers=2) as executor:
        outcomes = store.map(
            kills_itself_once, items(4, payload=str(tmp_path)), out=out, executor=executor
        )
    assert [o.error for o in outcomes] == [None] * 4
    assert (tmp_path / "n2.died").exists()
    assert not list(out.glob(".tmp-*.key.json"))


@pytest.mark.slow
def test_map_resumes_after_a_killed_run(tmp_path):
    """A killed run leaves whole files only; the next run makes the rest."""
    script = tmp_path / "work.py"
    script.write_text(
        textwrap.dedent("""
        import os, sys
        from pathlib import Path
        from expresso_lib import store

        def work(item, path):
            with (path.parent / "trace.log").open("a") as log:
                log.write(item.name + "\\n")
            path.write_text("half")
            if item.name == "n2" and len(sys.argv) > 2:
                os._exit(9)
            path.write_text("whole")

        items = [store.Item(f"n{i}") for i in range(4)]
        store.map(work, items, out=Path(sys.argv[1]), suffix=".txt")
        """)
    )
    out = tmp_path / "out"
    killed = subprocess.run([sys.executable, script, out, "die"], check=False)
    assert killed.returncode == 9
    assert sorted(p.read_text() for p in out.glob("n*.txt")) == ["whole", "whole"]
    subprocess.run([sys.executable, script, out], check=True)
    assert runs(out) == ["n0", "n1", "n2", "n2", "n3"]
    assert all((out / f"n{i}.txt").read_text() == "whole" for i in range(4))


def test_atomic_leaves_nothing_behind_on_failure(tmp_path):
    """A failed write changes neither the old file nor the folder."""
    target = tmp_path / "table.csv"
    target.write_text("old")

    def fail() -> None:
        with store.atomic(target) as temporary:
            temporary.write_text("new")
            raise RuntimeError("broken")

    with pytest.raises(RuntimeError, match="broken"):
        fail()
    assert target.read_text() == "old"
    assert list(tmp_path.iterdir()) == [target]


@pytest.mark.slow
def test_map_says_that_the_disk_is_full(tmp_path):
    """A full disk (here a file-size limit) is named as such, and nothing half-written stays."""
    import signal

    old = resource.getrlimit(resource.RLIMIT_FSIZE)
    ignored = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    try:
        resource.setrlimit(resource.RLIMIT_FSIZE, (1_000_000, old[1]))
        outcomes = store.map(too_large, items(1), out=tmp_path, suffix=".bin", collect_errors=True)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, old)
        signal.signal(signal.SIGXFSZ, ignored)
    assert "disk is full" in outcomes[0].error
    assert not list(tmp_path.glob("*.bin"))


@pytest.mark.parametrize("name", ["../up", "a/b", "new\nline"])
def test_map_refuses_names_that_are_no_file_names(tmp_path, name):
    """An item cannot write outside its folder."""
    with pytest.raises(ValueError, match="rename it"):
        store.map(square, [store.Item(name)], out=tmp_path)


def test_map_refuses_two_items_of_one_name(tmp_path):
    """Two items of one name would overwrite each other."""
    with pytest.raises(ValueError, match="its own name"):
        store.map(square, [store.Item("a"), store.Item("a")], out=tmp_path)


def test_is_finished_reads_a_damaged_key_as_unfinished(tmp_path):
    """A key file cut short means: do it again."""
    path = tmp_path / "a.npz"
    path.write_bytes(b"1")
    (tmp_path / "a.npz.key.json").write_text('{"key": "1')
    assert not store.is_finished(path, "1")
    (tmp_path / "a.npz.key.json").write_text(json.dumps({"key": "1"}))
    assert store.is_finished(path, "1")


def test_keys_ignore_docstrings_and_comments(tmp_path):
    """Editing a sentence redoes nothing; editing a statement does."""
    path = tmp_path / "module.py"
    path.write_text('"""One."""\n\ndef f(x):\n    """Two."""\n    return x  # three\n')
    before = store.code_of(path)
    path.write_text('"""Uno."""\n# four\ndef f(x):\n    """Due."""\n\n    return x\n')
    assert store.code_of(path) == before
    path.write_text("def f(x):\n    return x + 1\n")
    assert store.code_of(path) != before


@pytest.fixture
def house(tmp_path, monkeypatch):
    """A library of three rooms: upper uses lower; beside is used by nobody."""
    package = tmp_path / "expresso_lib"
    texts = {
        "upper/work.py": "from expresso_lib import lower, store\n",
        "lower/__init__.py": "VALUE = 1\n",
        "lower/more.py": "",
        "beside/__init__.py": "",
    }
    for name, text in texts.items():
        (package / name).parent.mkdir(parents=True, exist_ok=True)
        (package / name).write_text(text)
    monkeypatch.setattr(store, "PACKAGE", package)
    return package


@pytest.mark.parametrize(
    ("file", "redone"),
    [("upper/work.py", True), ("lower/more.py", True), ("beside/__init__.py", False)],
)
def test_an_edited_room_makes_its_work_stale(house, file, redone):
    """A function's room and all below it count, every file of them; other rooms do not."""
    before = store.basis("expresso_lib.upper.work")
    with (house / file).open("a") as stream:
        stream.write("MORE = 2\n")
    assert (store.basis("expresso_lib.upper.work") != before) == redone


@pytest.mark.parametrize(
    ("file", "redone"),
    [("study/cut.py", True), ("study/shape.py", True), ("study/other.py", False),
     ("expresso_lib/lower/more.py", True), ("expresso_lib/beside/__init__.py", False)],
)  # fmt: skip
def test_work_of_a_benchmark_rests_on_what_it_imports(house, monkeypatch, file, redone):
    """Its file, those beside it that it imports, and their rooms; not the whole folder."""
    folder = house.parent / "study"
    folder.mkdir()
    (folder / "cut.py").write_text("from . import shape\n")
    (folder / "shape.py").write_text("from expresso_lib import lower\n")
    (folder / "other.py").write_text("from expresso_lib import beside\n")
    monkeypatch.setitem(sys.modules, "study.cut", types.ModuleType("study.cut"))
    sys.modules["study.cut"].__file__ = str(folder / "cut.py")
    before = store.basis("study.cut")
    with (house.parent / file).open("a") as stream:
        stream.write("MORE = 2\n")
    assert (store.basis("study.cut") != before) == redone


def test_a_package_upgrade_makes_work_stale(tmp_path, monkeypatch):
    """Another version of a package that decides numbers redoes the work; going back, too."""
    store.map(square, items(1), out=tmp_path)
    known = store.metadata.version
    with monkeypatch.context() as patch:
        patch.setattr(
            store.metadata, "version", lambda name: "99" if name == "torch" else known(name)
        )
        assert not store.map(square, items(1), out=tmp_path)[0].reused
    assert runs(tmp_path) == ["n0", "n0"]


def test_make_folder_takes_no_file_for_a_folder(tmp_path):
    """A file of that name, or on the way to it: the remedy, and the file stays."""
    (tmp_path / "card").write_text("mine")
    for wanted in ("card", "card/inner"):
        with pytest.raises(NotADirectoryError, match="a file; name a folder"):
            store.make_folder(tmp_path / wanted)
    assert (tmp_path / "card").read_text() == "mine"


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04 cut short", b"no zip at all"])
def test_arrays_that_are_no_whole_file_are_named(tmp_path, content):
    """Empty, cut short, something else: the file and what to do, never advice on pickles."""
    (tmp_path / "a.npz").write_bytes(content)
    with pytest.raises(ValueError, match=r"a\.npz is no whole NPZ"):
        store.read_arrays(tmp_path / "a.npz")


def test_a_damaged_json_is_named(tmp_path):
    """A disk that was full leaves an empty file; no file is nothing known."""
    assert store.read_json(tmp_path / "b.json") == {}
    (tmp_path / "b.json").write_text("")
    with pytest.raises(ValueError, match=r"b\.json is no whole JSON"):
        store.read_json(tmp_path / "b.json")
