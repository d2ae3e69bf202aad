"""The files for Kubernetes, SkyPilot and Docker, as far as they can be checked without them.

The schemas of KubeRay and SkyPilot are not on PyPI, or bring too much along; docs/how-to says which
versions the files were validated against by hand.
"""

from __future__ import annotations

import re
import shlex
import shutil
import subprocess
import sys
import tomllib
from importlib import metadata
from pathlib import Path

import pytest
import yaml
from harness import run_command
from paths import ROOT

CLUSTERS = ROOT / "docs" / "clusters"
KUBERNETES = list(yaml.safe_load_all((CLUSTERS / "kubernetes.yaml").read_text()))
CLAIM, JOB = KUBERNETES
CLUSTER = JOB["spec"]["rayClusterSpec"]
GROUPS = [CLUSTER["headGroupSpec"], *CLUSTER["workerGroupSpecs"]]
SKY = yaml.safe_load((CLUSTERS / "sky.yaml").read_text())


def plan(tmp_path: Path, words: list[str]) -> str:
    """What a sweep with these arguments would run, without an address of a cluster."""
    done = run_command("sweep", *words, "--dry-run", cwd=tmp_path, HOME=str(tmp_path))
    assert done.returncode == 0, done.stderr
    return done.stdout


# --- Kubernetes -----------------------------------------------------------------------------------


def test_kubernetes_runs_a_sweep_that_writes_to_the_claim(tmp_path: Path) -> None:
    words = shlex.split(JOB["spec"]["entrypoint"])
    assert words[:4] == ["python", "-m", "orchestrator", "sweep"]
    out = Path(words[words.index("--out") + 1])
    assert "trials" in plan(tmp_path, words[4:])
    for group in GROUPS:
        pod = group["template"]["spec"]
        (container,) = pod["containers"]
        (mount,), (volume,) = container["volumeMounts"], pod["volumes"]
        assert mount["mountPath"] == str(out)
        assert mount["name"] == volume["name"]
        assert volume["persistentVolumeClaim"]["claimName"] == CLAIM["metadata"]["name"]
    assert CLAIM["spec"]["accessModes"] == ["ReadWriteMany"]


def test_kubernetes_has_the_pinned_ray_and_one_image() -> None:
    lock = (ROOT / "requirements.lock").read_text()
    assert f"ray=={CLUSTER['rayVersion']}\n" in lock
    assert {group["template"]["spec"]["containers"][0]["image"] for group in GROUPS} == {"IMAGE"}
    dockerfile = (ROOT / "Dockerfile").read_text()
    user = re.findall(r"^USER (\d+)$", dockerfile, re.M)
    assert [str(g["template"]["spec"]["securityContext"]["runAsUser"]) for g in GROUPS] == user * 2


def test_kubernetes_requires_a_token_and_keeps_the_head_free_of_trials() -> None:
    assert CLUSTER["authOptions"] == {"mode": "token"}
    head, *workers = GROUPS
    assert head["rayStartParams"] == {"num-cpus": "0"}
    for group in workers:  # no autoscaler: see the file
        assert group["replicas"] == group["minReplicas"] == group["maxReplicas"]
        (container,) = group["template"]["spec"]["containers"]
        limits, requests = container["resources"]["limits"], container["resources"]["requests"]
        assert {name: limits[name] for name in requests} == requests


# --- SkyPilot -------------------------------------------------------------------------------------


@pytest.mark.parametrize("part", ["setup", "run"])
def test_skypilot_runs_valid_shell_with_files_of_the_checkout(part: str) -> None:
    script = SKY[part]
    subprocess.run(["bash", "-n"], input=script, text=True, check=True)
    for file in re.findall(r"(?:-r|python) ([\w/.]+\.\w+)", script):
        assert (ROOT / file).is_file(), file


def test_skypilot_mounts_the_folder_of_the_results() -> None:
    (folder,) = SKY["file_mounts"]
    assert f"--out {folder} " in SKY["run"]
    assert set(SKY["secrets"]) == {"RAY_AUTH_TOKEN"}


def test_ray_knows_the_options_that_the_recipes_use() -> None:
    from ray.scripts.scripts import start

    known = {name for option in start.params for name in option.opts}
    for text in (SKY["run"], (CLUSTERS / "slurm.sbatch").read_text()):
        lines = text.replace("\\\n", " ").splitlines()
        used = {
            option
            for line in lines
            if re.search(r"ray start|^\s*(ports|role)=", line)
            for option in re.findall(r"--[a-z][a-z-]+", line)
        }
        assert used <= known, used - known
        assert len(used) > 4


# --- Docker ---------------------------------------------------------------------------------------


def test_the_image_gets_the_files_that_the_wheel_is_built_from(tmp_path: Path) -> None:
    patterns = [line for line in (ROOT / ".dockerignore").read_text().splitlines() if line]
    kept = [line[1:] for line in patterns if line.startswith("!")]
    assert "*" in patterns
    context = tmp_path / "context"
    context.mkdir()
    for name in kept:
        source = ROOT / name
        if source.is_dir():
            shutil.copytree(source, context / name, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(source, context / name)
    command = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(tmp_path)]
    subprocess.run(command, cwd=context, check=True, capture_output=True)
    assert list(tmp_path.glob("*.whl"))


def test_the_image_uses_extras_and_pins_that_exist() -> None:
    text = (ROOT / "Dockerfile").read_text()
    for file in re.findall(r"^COPY (\S+) \./", text, re.M):
        assert (ROOT / file).is_file()
    lock = (ROOT / "requirements.lock").read_text()
    assert len(re.findall(r"^torch==", lock, re.M)) == 1  # what `grep` in the file finds
    (extra,) = re.findall(r'"\.\[(\w+)\]"', text)
    (rays,) = re.findall(r'"ray\[([\w,]+)\]"', text)
    provided = metadata.metadata("ray").get_all("Provides-Extra") or []
    assert set(rays.split(",")) <= set(provided)
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert extra in project["optional-dependencies"]
