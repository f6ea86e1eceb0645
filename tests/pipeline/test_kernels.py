"""Claims about `expresso_lib.pipeline.kernels`."""

import os
import time

import pytest

from expresso_lib.pipeline import kernels


def _alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


@pytest.mark.slow
@pytest.mark.skipif(os.name == "nt", reason="kernels do not start ahead on Windows")
def test_the_next_kernel_is_the_process_that_waited(tmp_path) -> None:
    """It answers, knows what it is told, and nothing is left waiting afterwards."""
    from jupyter_client.utils import run_sync

    async def run(code: str) -> tuple[int, str]:
        manager = kernels.LocalKernel(kernel_name="python3")
        await manager.start_kernel(cwd=str(tmp_path), env=os.environ | {"EXPRESSO_TOLD": "yes"})
        pid, client = manager.provisioner.pid, manager.client()
        client.start_channels()
        await client.wait_for_ready(timeout=60)
        said: list[str] = []
        await client.execute_interactive(
            code, timeout=60, output_hook=lambda m: said.append(m["content"].get("text", ""))
        )
        client.stop_channels()
        await manager.shutdown_kernel(now=True)
        return pid, "".join(said).strip()

    with kernels.ahead():
        run_sync(run)("1")
        waiting = kernels._waiting.pid
        pid, said = run_sync(run)(
            "import os, sys; print(os.environ['EXPRESSO_TOLD'], os.getcwd(),"
            " 'expresso_lib.models.experiments' in sys.modules)"
        )
        assert pid == waiting
        assert said == f"yes {tmp_path} True"
        last = kernels._waiting.pid
    assert kernels._waiting is None
    for _ in range(50):
        if not _alive(last):
            break
        time.sleep(0.1)
    assert not _alive(last)
    assert not _alive(waiting)
