"""Kernels that chapters run in: reached through sockets of this machine, and started ahead.

A chapter's kernel spends longer on imports than a short chapter on its work. While one chapter
runs, the next one's process already imports the library and waits; it becomes a kernel when it is
told its connection file.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from jupyter_client.manager import AsyncKernelManager

# What nearly every chapter imports; nothing here computes anything on import.
WAIT = """
import json, os, sys
import expresso_lib.pipeline, expresso_lib.models.experiments, expresso_lib.figures.attribution
from ipykernel import kernelapp
line = sys.stdin.readline()
if not line:
    sys.exit()
told = json.loads(line)
os.environ.update(told["env"])
os.chdir(told["cwd"])
os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
sys.argv = ["ipykernel_launcher", *told["arguments"]]
kernelapp.launch_new_instance()
"""

OURS = [sys.executable, "-m", "ipykernel_launcher"]

_ahead = False
_waiting: subprocess.Popen[str] | None = None


@contextmanager
def ahead(*, at_once: bool = False) -> Iterator[None]:
    """Within, every kernel that starts has the next one start importing; `at_once` the first."""
    global _ahead
    _ahead = os.name != "nt"
    try:
        if _ahead and at_once:
            _warm()
        yield
    finally:
        _ahead = False
        waiting = _take()
        if waiting is not None:
            waiting.kill()
            waiting.communicate()


def _warm() -> None:
    global _waiting
    if _waiting is None or _waiting.poll() is not None:
        # Named at once: ipykernel reads on import whose death should be its own.
        environment = os.environ | {"JPY_PARENT_PID": str(os.getpid())}
        _waiting = subprocess.Popen(
            [sys.executable, "-c", WAIT],
            stdin=subprocess.PIPE,
            text=True,
            start_new_session=True,
            env=environment,
        )


def _take() -> subprocess.Popen[str] | None:
    global _waiting
    waiting, _waiting = _waiting, None
    return waiting if waiting is not None and waiting.poll() is None else None


class LocalKernel(AsyncKernelManager):
    """A kernel that talks through sockets of this machine, where it has them.

    Over TCP other users of a shared machine could read a chapter's outputs on their way.
    """

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        if os.name != "nt":
            self.transport = "ipc"
            self.ip = str(Path(tempfile.gettempdir()) / f"expresso-{uuid.uuid4().hex[:12]}")

    async def _async_launch_kernel(self, kernel_cmd: list[str], **options: Any) -> None:
        waiting = _take() if kernel_cmd[:3] == OURS else None
        if waiting is None:
            await super()._async_launch_kernel(kernel_cmd, **options)
        else:
            self._adopt(waiting, kernel_cmd, options)
        if _ahead:
            _warm()

    def _adopt(
        self, waiting: subprocess.Popen[str], kernel_cmd: list[str], options: dict[str, Any]
    ) -> None:
        told = {
            "arguments": kernel_cmd[3:],
            "env": options["env"],
            "cwd": str(options.get("cwd") or Path.cwd()),
        }
        assert waiting.stdin is not None
        waiting.stdin.write(json.dumps(told) + "\n")
        waiting.stdin.flush()
        home: Any = self.provisioner
        home.process, home.pid, home.pgid = waiting, waiting.pid, os.getpgid(waiting.pid)
        home.cwd = told["cwd"]
        self._reconcile_connection_info(home.connection_info)
