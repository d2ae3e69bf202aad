"""Notebooks: the example runs from data to an exported model; progress, and interrupting."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from paths import ROOT

NOTEBOOK = ROOT / "examples" / "retrieval.ipynb"

pytest.importorskip("nbclient", reason="the dev extra has nbclient and ipykernel")
pytest.importorskip("ipykernel", reason="the dev extra has nbclient and ipykernel")


def test_the_example_runs_from_data_to_an_exported_model(tmp_path: Path) -> None:
    import nbclient
    import nbformat

    notebook = nbformat.read(NOTEBOOK, 4)
    assert not any(cell.get("outputs") for cell in notebook.cells), "it is stored without outputs"
    client = nbclient.NotebookClient(
        notebook, timeout=300, resources={"metadata": {"path": str(tmp_path)}}
    )
    client.execute()  # raises if a cell does
    outputs = [output for cell in notebook.cells for output in cell.get("outputs", [])]
    html = [output.data.get("text/html", "") for output in outputs if "data" in output]
    assert any("retrieval: demo, 4 configurations, best first" in each for each in html)
    assert {"README.md", "model.safetensors"} <= {p.name for p in (tmp_path / "model").iterdir()}
    assert (tmp_path / "runs/retrieval/demo/sweep.json").is_file()
    assert "image/png" in outputs[-1].data  # the image that the exported model found


class Kernel:
    """A kernel in a folder, and what it sent for the cell that runs."""

    def __init__(self, folder: Path) -> None:
        from jupyter_client.manager import start_new_kernel

        self.manager, self.client = start_new_kernel(cwd=str(folder))
        self.messages: list[tuple[str, dict[str, Any]]] = []
        self._cell = ""

    def start(self, code: str) -> None:
        self.messages.clear()
        self._cell = self.client.execute(code)

    def read_until(self, *texts: str, seconds: float = 120) -> str:
        """Read what the cell sends until one of the texts comes, or its end; all of it."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            message = self.client.get_iopub_msg(timeout=seconds)
            kind, content = message["msg_type"], message["content"]
            if message["parent_header"].get("msg_id") != self._cell:
                continue
            if kind == "status" and content["execution_state"] == "idle":
                return self.text()
            self.messages.append((kind, content))
            if any(text in str(content) for text in texts):
                return self.text()
        raise TimeoutError(self.text())

    def text(self) -> str:
        return "\n".join(f"{kind}: {content}" for kind, content in self.messages)

    def run(self, code: str) -> str:
        self.start(code)
        return self.read_until()


@pytest.fixture
def kernel(tmp_path: Path) -> Iterator[Kernel]:
    made = Kernel(tmp_path)
    yield made
    made.client.stop_channels()
    made.manager.shutdown_kernel(now=True)


CELL = """
import signal, time
import orchestrator as orc

SCALE = 2.0

@orc.task(metric="error", maximize=False, steps="epochs")
def fit(lr: float = 0.1, epochs: int = 8, *, seed: int):
    state = orc.checkpoint({"epoch": 0})
    while state["epoch"] < epochs:
        time.sleep(0.25)
        state["epoch"] += 1
        yield {"error": SCALE * lr / state["epoch"]}

def run():
    return orc.sweep(fit, {"lr": [0.1, 0.2]}, engine="local")
"""


def test_progress_an_interrupt_and_the_same_cell_again(kernel: Kernel) -> None:
    assert "ename" not in kernel.run(CELL)
    kernel.start("before = signal.getsignal(signal.SIGINT)\nrun()")
    # The display does not show every epoch.
    shown = kernel.read_until("epoch 2/8", "epoch 3/8", "epoch 4/8")
    assert "epoch 5/8" not in shown
    assert "display_data" in shown
    assert "update_display_data" in shown
    kernel.manager.interrupt_kernel()
    output = kernel.read_until()
    assert "Stopping after the current step of 1 trial" in output
    assert "'ename': 'KeyboardInterrupt'" in output
    assert "the sweep was interrupted; call it again to resume" in output
    assert "True" in kernel.run("print(signal.getsignal(signal.SIGINT) is before)")
    output = kernel.run("run()")
    assert "Resuming 1 trial from checkpoints" in output
    assert "fit: grid-lr, 2 configurations, best first" in output  # the cell's value as HTML
    steps = kernel.run("print(orc.load('runs/fit/grid-lr').steps.num_rows)")
    assert "16" in steps
    # A value that the function refers to has changed, so its trials are others.
    assert "0.12" in kernel.run("SCALE = 10.0\nrun().best.metrics")
