"""``doctor`` on real machines: healthy ones, and ones with a known problem."""

from __future__ import annotations

import os
import shutil
import site
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from harness import run_process
from paths import PYTHONPATH, ROOT

SECRET = "hf_not_to_be_told"


def doctor(
    *args: str, cwd: Path, status: int, env: Mapping[str, str] | None = None
) -> tuple[dict[str, str], str]:
    """Verdict and text by subject, and everything that is printed."""
    command = ["doctor", *args]
    if "RAY_AUTH_TOKEN" in (env or {}):  # Ray reads it when it is imported
        done: Any = subprocess.run(
            [sys.executable, "-m", "orchestrator", *command],
            cwd=cwd,
            env={**os.environ, "PYTHONPATH": PYTHONPATH, "COLUMNS": "400", **(env or {})},
            capture_output=True,
            text=True,
        )
    else:
        done = run_process(*command, cwd=cwd, COLUMNS="400", **(env or {}))
    assert done.returncode == status, done.stdout + done.stderr
    assert "Traceback" not in done.stderr
    return parse(done.stdout), done.stdout + done.stderr


def parse(output: str) -> dict[str, str]:
    found: dict[str, str] = {}
    subject = ""
    for line in output.splitlines():
        words = line.split("  ")
        if words[0] in ("ok", "warning", "error"):
            subject = next(word.strip() for word in words[1:] if word.strip())
            found[subject] = f"{found.get(subject, '')}\n{' '.join(line.split())}"
        elif "→" in line:
            found[subject] += f"\n{' '.join(line.split())}"
    return found


# --- this machine ---------------------------------------------------------------------------------


def test_healthy_machine_and_placement_of_a_task(tmp_path: Path) -> None:
    env = {"RAY_AUTH_MODE": "disabled"}
    found, output = doctor("toy", "--cpus-per-trial", "1", cwd=tmp_path, status=0, env=env)
    for subject in ("python", "packages", "--out", "sources", "gpus", "ray", "placement"):
        assert found[subject].startswith("\nok"), output
    assert "same versions as the driver" in output
    assert "for at most 4 packs, each with 1 CPU and no GPU" in found["placement"]
    assert not list(tmp_path.iterdir())  # nothing is left behind


def test_wrong_address_is_reported_quickly(tmp_path: Path) -> None:
    began = time.monotonic()
    found, _ = doctor("--address", "127.0.0.1:9", cwd=tmp_path, status=1)
    assert "error ray cannot reach the Ray cluster at 127.0.0.1:9" in found["ray"]
    assert "→ see `ray status`" in found["ray"]
    assert time.monotonic() - began < 60
    found, _ = doctor("--address", "nonsense", cwd=tmp_path, status=1)
    assert "error ray --address (or RAY_ADDRESS) takes HOST:PORT" in found["ray"]


def test_invalid_out_model_and_data_are_reported(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    args = ["--out", "file/below", "--model", "./nowhere", "--data", f"voc:{tmp_path}/no"]
    found, _ = doctor(*args, "--address", "127.0.0.1:9", cwd=tmp_path, status=1)
    assert "error --out file/below: " in found["--out"]
    assert "Not a directory" in found["--out"]
    assert f"no such folder: {tmp_path}/nowhere" in found["sources"]
    assert f"no such folder: {tmp_path}/no" in found["sources"]

    args = ["--model", "some/model", "--address", "127.0.0.1:9"]
    env = {"HF_HUB_OFFLINE": "1", "HF_HOME": str(tmp_path)}
    found, _ = doctor(*args, cwd=tmp_path, status=1, env=env)
    assert "error sources some/model is not in the Hugging Face cache" in found["sources"]
    found, _ = doctor("retrieval", *args, cwd=tmp_path, status=1, env=env | {"HF_HUB_OFFLINE": "0"})
    assert "warning sources some/model is not in the Hugging Face cache" in found["sources"]
    (tmp_path / "model").mkdir()
    args[1] = "./model"
    found, _ = doctor("retrieval", *args, cwd=tmp_path, status=1, env=env)
    assert "it has no config.json" in found["sources"]


def test_gpus_invisible_to_torch_are_reported(tmp_path: Path) -> None:
    # Simulates a GPU machine with the CPU build of torch.
    listing = tmp_path / "nvidia-smi"
    listing.write_text("#!/bin/sh\necho NVIDIA H200\necho NVIDIA H200\n")
    listing.chmod(0o755)
    env = {"PATH": f"{tmp_path}{os.pathsep}{os.environ['PATH']}", "CUDA_VISIBLE_DEVICES": ""}
    found, _ = doctor("--address", "127.0.0.1:9", cwd=tmp_path, status=1, env=env)
    assert "error gpus nvidia-smi lists 2, torch sees 0" in found["gpus"]


def test_unknown_task_is_refused(tmp_path: Path) -> None:
    _, output = doctor("retrival", cwd=tmp_path, status=2)
    assert output.startswith("error: no task named 'retrival'; did you mean 'retrieval'?")
    assert len(output.splitlines()) == 1


def test_without_ray_only_the_local_engine_works(tmp_path: Path) -> None:
    packages = tmp_path / "packages"
    packages.mkdir()
    for folder in site.getsitepackages():
        for entry in Path(folder).iterdir():
            if entry.name != "ray" and not entry.name.startswith("ray-"):
                (packages / entry.name).symlink_to(entry)
    command = [sys.executable, "-S", "-m", "orchestrator"]
    path = f"{ROOT}{os.pathsep}{packages}"
    environment = {**os.environ, "PYTHONPATH": path, "COLUMNS": "400"}

    def run(*args: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [*command, *args],
            cwd=tmp_path,
            env=environment,
            capture_output=True,
            text=True,
            timeout=120,
        )

    done = run("doctor")
    assert done.returncode == 0, done.stderr
    found = parse(done.stdout)
    assert "warning packages --engine ray needs ray, which is not installed" in found["packages"]
    assert "→ pip install 'multimodal-sweep-orchestrator[ray]'" in found["packages"]
    assert "--engine local" in found["placement"]
    done = run("doctor", "--address", "127.0.0.1:9")
    assert done.returncode == 1
    assert "error ray --address 127.0.0.1:9 needs ray" in parse(done.stdout)["ray"]
    done = run("sweep", "retrieval")
    assert done.returncode == 2
    needed = "error: --engine ray needs ray, which is not installed: pip install "
    assert done.stderr.startswith(needed)
    assert not (tmp_path / "runs").exists()


# --- a cluster of two different nodes -------------------------------------------------------------


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, Path]]:
    """The second node has another HF_TOKEN, an old transformers and an empty Hugging Face cache.

    Where this user may mount, it does not see the content of the folder ``hidden`` either.
    """
    import orchestrator.engines.ray.settings  # noqa: F401

    folder = tmp_path_factory.mktemp("cluster")
    hidden = folder / "hidden"
    (hidden / "model").mkdir(parents=True)
    fake = folder / "fake" / "transformers-4.1.dist-info"
    fake.mkdir(parents=True)
    (fake / "METADATA").write_text("Metadata-Version: 2.1\nName: transformers\nVersion: 4.1\n")
    before = dict(os.environ)
    os.environ.update(PYTHONPATH=str(ROOT), HF_TOKEN=SECRET, RAY_AUTH_MODE="disabled")
    from ray.cluster_utils import Cluster

    made = Cluster(initialize_head=True, head_node_args={"num_cpus": 2})
    other = {
        **os.environ,
        "HF_TOKEN": "another",
        "HF_HOME": str(folder / "empty"),
        "PYTHONPATH": f"{fake.parent}{os.pathsep}{ROOT}",
    }
    ray = shutil.which("ray", path=f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}")
    start = f"{ray} start --address={made.address} --num-cpus=1 --block --disable-usage-stats"
    mount = f"mount -t tmpfs tmpfs {hidden} && exec {start}"
    node = subprocess.Popen(
        ["unshare", "--mount", "sh", "-c", mount] if may_mount() else start.split(),
        env=other,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    try:
        wait_for_two(made.address, node)
        yield made.address, hidden
    finally:
        node.terminate()
        node.wait(timeout=30)
        made.shutdown()
        os.environ.clear()
        os.environ.update(before)


def may_mount() -> bool:
    """Whether a process can have its own mounts, which containers often do not allow."""
    command = ["unshare", "--mount", "sh", "-c", "mount -t tmpfs tmpfs /mnt"]
    try:
        return subprocess.run(command, capture_output=True, timeout=10).returncode == 0
    except OSError:
        return False


def wait_for_two(address: str, node: subprocess.Popen[bytes]) -> None:
    code = (
        f"import ray, time; ray.init(address={address!r}, log_to_driver=False)\n"
        "while sum(n['Alive'] for n in ray.nodes()) < 2: time.sleep(0.3)"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=90, capture_output=True)
    assert node.poll() is None


def test_node_that_differs_is_listed_with_its_differences(cluster: tuple[str, Path]) -> None:
    address, hidden = cluster
    args = ["--address", address, "--out", str(hidden / "runs"), "--model", str(hidden / "model")]
    env = {"HF_TOKEN": SECRET, "RAY_AUTH_MODE": "disabled"}
    found, output = doctor(*args, cwd=hidden, status=int(may_mount()), env=env)
    assert "2 nodes, 3 CPUs, 0 GPUs" in found["ray"]
    told_of = sorted(text.strip() for name, text in found.items() if name.startswith("node"))
    alike, differing = told_of
    assert alike.startswith("ok node")
    assert alike.endswith("same versions as the driver")
    assert " transformers 4.1, the driver has" in differing
    assert "HF_TOKEN differs from the driver's" in differing
    assert SECRET not in output
    assert "3 workers, each with 1 CPU" in found["placement"]
    assert [path.name for path in hidden.iterdir()] == ["model"]


def test_node_without_shared_storage_is_reported(cluster: tuple[str, Path]) -> None:
    if not may_mount():
        pytest.skip("this user may not mount, so both nodes see the same folders")
    address, hidden = cluster
    args = ["--address", address, "--out", str(hidden / "runs"), "--model", str(hidden / "model")]
    _, output = doctor(*args, cwd=hidden, status=1, env={"RAY_AUTH_MODE": "disabled"})
    assert f"{hidden}/model is missing" in output
    assert "checkpoints stay on each node" in output
    _, output = doctor(*args[:4], cwd=hidden, status=0, env={"RAY_AUTH_MODE": "disabled"})
    assert "checkpoints stay on each node" in output  # only a warning


def test_model_missing_from_the_cache_of_a_node_is_reported(cluster: tuple[str, Path]) -> None:
    address, hidden = cluster
    home = hidden.parent / "home"
    snapshot = home / "hub" / "models--some--model" / "snapshots" / ("a" * 40)
    snapshot.mkdir(parents=True)
    (snapshot / "config.json").write_text("{}")
    refs = home / "hub" / "models--some--model" / "refs"
    refs.mkdir()
    (refs / "main").write_text("a" * 40)
    args = ["--address", address, "--model", "some/model", "--cpus-per-trial", "3"]
    env = {"HF_HOME": str(home), "HF_HUB_OFFLINE": "1", "RAY_AUTH_MODE": "disabled"}
    found, output = doctor(*args, cwd=hidden, status=1, env=env)
    assert "ok sources --model some/model" in found["sources"]
    assert "some/model is not in the Hugging Face cache, and HF_HUB_OFFLINE is set" in output
    assert "needs 3 CPUs and 0 GPUs" in found["placement"]


# --- a cluster that asks for a token --------------------------------------------------------------


def test_wrong_token_is_one_line(tmp_path: Path) -> None:
    code = (
        "from ray.cluster_utils import Cluster\n"
        "made = Cluster(initialize_head=True, head_node_args={'num_cpus': 1})\n"
        "print(made.address, flush=True)\n"
        "input()\n"
        "made.shutdown()\n"
    )
    env = {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": "a" * 64}
    with subprocess.Popen(
        [sys.executable, "-c", code],
        env={**os.environ, **env},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    ) as head:
        assert head.stdout is not None
        try:
            address = next(line for line in head.stdout if ":" in line).strip()
            found, output = doctor("--address", address, cwd=tmp_path, status=0, env=env)
            assert "1 node, 1 CPUs" in found["ray"], output
            wrong = {**env, "RAY_AUTH_TOKEN": "b" * 64}
            found, output = doctor("--address", address, cwd=tmp_path, status=1, env=wrong)
            assert f"error ray cannot reach the Ray cluster at {address}" in found["ray"]
            assert "check that the token equals the head node's" in found["ray"]
            assert "b" * 64 not in output
        finally:
            head.communicate("\n", timeout=60)
