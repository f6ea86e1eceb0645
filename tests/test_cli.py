"""What a person types: help with an example, one clear message for a mistake, honest exit codes."""

import json
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest

from expresso_lib import cli, manifest

ROOT = Path(__file__).parents[1]
COMMANDS = [
    ["book"],
    ["run"],
    ["export"],
    ["compare"],
    ["explain"],
    ["check"],
    ["pretrain"],
    ["data", "list"],
    ["data", "verify"],
    ["data", "fetch"],
    ["data", "render"],
    ["params", "sync"],
    ["params", "show"],
]


@pytest.fixture
def expresso(monkeypatch, capsys):
    """What a command prints and its exit code, in this process; the wheel's test types it."""
    monkeypatch.setenv("COLUMNS", "120")
    monkeypatch.chdir(ROOT)

    def call(*words: str) -> subprocess.CompletedProcess:
        monkeypatch.setattr(sys, "argv", ["expresso", *words])
        with pytest.raises(SystemExit) as end:
            cli.main()
        said = capsys.readouterr()
        return subprocess.CompletedProcess(words, end.value.code or 0, said.out, said.err)

    return call


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_help_shows_an_example(command, expresso):
    """Each command says what it does and how it is called."""
    done = expresso(*command, "--help")
    assert done.returncode == 0
    assert f"Example: expresso {' '.join(command)}" in " ".join(done.stdout.split()).replace(
        "`", ""
    )


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["book", "--params", "demoo"], "did you mean 'demo'"),
        (["book", "-p", "clips.frams=16"], "did you mean 'frames'"),
        (["book", "-p", "clips.frames=many"], "clips.frames = 'many'"),
        (["book", "-p", "clips.frames=1"], "greater than or equal to 2"),
        (["run", "fine"], "chapter 'fine' is unknown"),
        (["run", "12"], "chapter '12' is unknown"),
        (["explain", "missing.mp4"], "missing.mp4"),
        (["data", "fetch", "s3fdd"], "s3fd"),
        (["data", "render", "x", "--variant", "headsets"], "headset"),
        (["compare", "nothing", "nowhere"], "nothing"),
        (["study", "--seeds", ","], "names none"),
        (["study", "--seeds", "²"], "no whole number"),
        (["pretrain", "mine.json"], "no name of a checkpoint"),
    ],
)
def test_a_mistake_is_one_message_and_exit_code_two(words, message, expresso):
    """What came, what fits, no traceback."""
    done = expresso(*words)
    assert done.returncode == 2, done.stdout + done.stderr
    assert message in " ".join(done.stderr.split())
    assert "Traceback" not in done.stderr


def test_the_last_line_names_cause_and_remedy(monkeypatch):
    """Why the first chapter failed, the first piece of work that did, and what to do."""
    from typer.testing import CliRunner

    from expresso_lib.pipeline import book

    why = "WorkFailed: 1 of 2 pieces of work failed; the others are finished:\nP1: no face\nmore"
    failed = {"02_faces": why, "03_finetune": "waits for 02_faces"}
    monkeypatch.setattr(book, "run_chapters", lambda *_, **__: failed)
    done = CliRunner().invoke(cli.app, ["run", "3"])
    assert done.exit_code == 1
    last = done.stderr.strip().splitlines()[-1]
    assert last.startswith("02_faces failed, WorkFailed: 1 of 2")
    assert "P1: no face. Mend that and repeat the command" in last
    assert "03_finetune: waits for 02_faces" in done.stderr


def test_verify_ends_with_a_summary(monkeypatch, expresso):
    """How many files are as they should be; a wrong one is exit code 1."""
    done = expresso("data", "verify", "facial_actions")
    assert (done.returncode, done.stdout.splitlines()[-1]) == (0, "2 files: 2 verified")
    rows = pd.DataFrame({"file": list("abc"), "status": ["verified", "wrong", "verified"]})
    monkeypatch.setattr(manifest, "verify", lambda *names: rows)
    done = expresso("data", "verify")
    assert (done.returncode, done.stdout.splitlines()[-1]) == (1, "3 files: 2 verified, 1 wrong")
    monkeypatch.setattr(manifest, "verify", lambda *names: rows[:0])
    assert expresso("data", "verify").stdout.splitlines()[-1] == "0 files: none here"


def test_force_is_for_the_chapter_that_was_named(monkeypatch):
    """`run 3 --force` forces chapter 3, and none of those it rests on."""
    from typer.testing import CliRunner

    from expresso_lib.pipeline import book

    forced = []
    monkeypatch.setattr(book, "run_chapters", lambda *_, force, **__: forced.extend(force) or {})
    assert CliRunner().invoke(cli.app, ["run", "3", "--force"]).exit_code == 0
    assert forced == ["03_finetune"]


def test_pretrain_makes_what_ships_by_default(monkeypatch, tmp_path):
    """People, rounds and seed of the command are those of the shipped checkpoint."""
    from typer.testing import CliRunner

    from expresso_lib import models, store
    from expresso_lib.models import pretraining

    asked = []
    monkeypatch.setattr(store, "executor", lambda *_, **__: None)
    monkeypatch.setattr(pretraining, "pretrain", lambda *_, practice, **__: asked.append(practice))
    done = CliRunner().invoke(cli.app, ["pretrain", str(tmp_path / "made.safetensors")])
    assert done.exit_code == 0
    made = json.loads(models.shipped().with_suffix(".json").read_text())
    wanted = {name: value for name, value in vars(asked[0]).items() if name != "bf16"}
    assert {name: made[name] for name in wanted} == wanted  # bf16 is where the CPU has it


def test_explain_says_what_out_is(expresso):
    """A folder, and not the card's file."""
    lines = expresso("explain", "--help").stdout.splitlines()
    assert any("--out" in line and "folder of the card" in line for line in lines)


def test_help_answers_without_loading_torch():
    """Help and nothing-changed runs answer at once."""
    code = (
        "import sys; from expresso_lib import cli; "
        "sys.exit('torch' in sys.modules or 'matplotlib' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_check_says_what_a_folder_lacks(tmp_path, expresso):
    """A folder of one's own is looked at before anything runs; what it lacks is one message."""
    rows = "".join(f"{name},{name},{name}.mp4,{score}\n" for name, score in (("ann", 3), ("bo", 9)))
    (tmp_path / "scores.csv").write_text("participant,recording,path,score\n" + rows)
    done = expresso("check", str(tmp_path))
    assert done.returncode in (1, 2)
    assert "ann" in done.stdout + done.stderr
    assert "Traceback" not in done.stdout + done.stderr
