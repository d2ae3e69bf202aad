"""The files for `ray up`: Ray's schema, the clouds' API models, and the shells they lead to.

No cloud is reached. What Ray's own schema passes over, misspellings inside ``node_config``, is held
against the models that the clouds' own Python clients ship with.
"""

from __future__ import annotations

import copy
import os
import shutil
import subprocess
import tomllib
from importlib import metadata
from pathlib import Path
from typing import Any

import pytest
from cluster_files import FILES, ROOT, faults, read
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

COMMANDS = (
    "initialization_commands",
    "setup_commands",
    "head_setup_commands",
    "worker_setup_commands",
    "head_start_ray_commands",
    "worker_start_ray_commands",
)
every_file = pytest.mark.parametrize("kind", FILES)
every_cloud = pytest.mark.parametrize("kind", ["aws", "gcp"])


def prepared(config: dict[str, Any]) -> dict[str, Any]:
    """What `ray up` makes of a file, by Ray's own functions."""
    from ray.autoscaler._private.util import prepare_config, validate_config

    made: dict[str, Any] = prepare_config(copy.deepcopy(config))
    validate_config(made)
    return made


@every_file
def test_ray_accepts_the_file(kind: str) -> None:
    made = prepared(read(kind))
    assert made["provider"]["type"] == kind


@every_file
def test_a_misspelt_key_of_the_file_is_refused(kind: str) -> None:
    import jsonschema

    with pytest.raises(jsonschema.ValidationError, match="setup_comands"):
        prepared({**read(kind), "setup_comands": []})


@every_file
def test_none_of_rays_default_commands_is_left(kind: str) -> None:
    from ray.autoscaler._private.providers import _get_default_config

    config = read(kind)
    assert set(COMMANDS) <= set(config)
    made = prepared(config)
    ours = {
        **config,
        "head_setup_commands": config["setup_commands"] + config["head_setup_commands"],
        "worker_setup_commands": config["setup_commands"] + config["worker_setup_commands"],
    }
    defaults = _get_default_config(config["provider"])
    for name in COMMANDS:
        assert made[name] == ours[name]
        installing = {c for c in defaults[name] if "install" in c or "anaconda" in c}
        assert not installing & set(made[name])
    assert "ray-wheels" not in str(made)


@every_file
def test_every_field_that_has_a_default_is_given_here(kind: str) -> None:
    from ray.autoscaler._private.providers import _get_default_config

    config = read(kind)
    optional = {"max_workers"} if kind == "local" else set()
    assert set(_get_default_config(config["provider"])) - set(config) <= optional


@every_cloud
def test_workers_are_on_the_spot_market_and_no_trial_lands_on_the_head(kind: str) -> None:
    types = prepared(read(kind))["available_node_types"]
    assert types["head"]["resources"] == {"CPU": 0}
    assert types["head"]["max_workers"] == 0
    spot = {
        "aws": {"InstanceMarketOptions": {"MarketType": "spot"}},
        "gcp": {"provisioningModel": "SPOT"},
    }[kind]
    name, wanted = next(iter(spot.items()))
    where = types["gpu_worker"]["node_config"]
    where = where if kind == "aws" else where["scheduling"]
    assert where[name] == wanted
    assert name not in str(types["head"])
    assert types["gpu_worker"]["min_workers"] == 0


@every_cloud
def test_the_clouds_own_api_model_knows_every_field(kind: str) -> None:
    for node_type in read(kind)["available_node_types"].values():
        assert faults(kind, node_type["node_config"]) == []


MISSPELT = [
    ("aws", ["InstanceMarketOption"], {"MarketType": "spot"}),
    ("aws", ["InstanceMarketOptions", "MarketTyp"], "spot"),
    ("aws", ["InstanceMarketOptions", "MarketType"], "spott"),
    ("aws", ["InstanceMarketOptions", "SpotOptions"], {"MaxPrise": "0.60"}),
    ("aws", ["InstanceMarketOptions", "SpotOptions"], {"MaxPrice": 0.6}),
    ("aws", ["BlockDeviceMappings", 0, "Ebs", "VolumSize"], 150),
    ("aws", ["BlockDeviceMappings", 0, "Ebs", "VolumeType"], "gp33"),
    ("aws", ["MetadataOptions", "HttpToken"], "required"),
    ("aws", ["IamInstanceProfile"], "multimodal-sweep-worker"),
    ("gcp", ["machinetype"], "g2-standard-8"),
    ("gcp", ["scheduling", "provisioningModle"], "SPOT"),
    ("gcp", ["scheduling", "provisioningModel"], "SPOTTY"),
    ("gcp", ["disks", 0, "initializeParams", "diskSizeGB"], 150),
    ("gcp", ["disks", 0, "autodelete"], True),
    ("gcp", ["serviceAccounts"], [{"mail": "a@b"}]),
]


@pytest.mark.parametrize(("kind", "path", "value"), MISSPELT, ids=lambda v: str(v)[:40])
def test_a_misspelling_at_any_depth_is_caught(kind: str, path: list[Any], value: Any) -> None:
    config = read(kind)
    node_config = config["available_node_types"]["gpu_worker"]["node_config"]
    where = node_config
    for step in path[:-1]:
        where = where[step]
    where[path[-1]] = value
    prepared(config)  # Ray itself sees nothing wrong
    assert faults(kind, node_config) != []


@every_cloud
def test_the_lines_offered_as_comments_are_right_too(kind: str) -> None:
    extra: dict[str, Any] = {
        "aws": {
            "InstanceMarketOptions": {"MarketType": "spot", "SpotOptions": {"MaxPrice": "0.60"}},
            "IamInstanceProfile": {"Name": "multimodal-sweep-worker"},
        },
        "gcp": {
            "serviceAccounts": [
                {
                    "email": "ray-autoscaler-sa-v1@FILL-IN.iam.gserviceaccount.com",
                    "scopes": ["https://www.googleapis.com/auth/cloud-platform"],
                }
            ]
        },
    }[kind]
    node_config = read(kind)["available_node_types"]["gpu_worker"]["node_config"]
    assert faults(kind, {**node_config, **extra}) == []


# --- what is installed ----------------------------------------------------------------------------


def locked() -> dict[str, Version]:
    lines = (ROOT / "requirements.lock").read_text().split()
    assert all(line.count("==") == 1 for line in lines)
    pins = [line.split("==") for line in lines]
    return {canonicalize_name(name): Version(version) for name, version in pins}


@every_file
def test_nodes_install_this_project_and_what_the_lock_says(kind: str) -> None:
    config = read(kind)
    assert config["file_mounts"]["~/sweep/checkout"] == "."
    installs = [c for c in config["setup_commands"] if "pip install" in c]
    assert installs == [
        "cd ~/sweep/checkout && ~/sweep/venv/bin/pip install --quiet -r requirements.lock -e ."
    ]


def test_the_lock_has_what_pyproject_asks_for_and_agrees_with_itself() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    pins = locked()
    asked = [*project["dependencies"], *project["optional-dependencies"]["dev"]]
    for text in asked:
        need = Requirement(text)
        assert pins[canonicalize_name(need.name)] in need.specifier
    for name, version in pins.items():  # as installed here, if it is that version
        try:
            found = metadata.distribution(name)
        except metadata.PackageNotFoundError:
            continue
        if Version(found.version) != version:
            continue
        for need in map(Requirement, found.requires or []):
            pinned = pins.get(canonicalize_name(need.name))
            if pinned is not None and (need.marker is None or need.marker.evaluate({"extra": ""})):
                assert need.specifier.contains(pinned, prereleases=True), f"{name} needs {need}"


# --- what travels ---------------------------------------------------------------------------------


@every_file
def test_all_that_git_ignores_stays_here(kind: str) -> None:
    excluded = {pattern.lstrip("/") for pattern in read(kind)["rsync_exclude"]}
    assert set((ROOT / ".gitignore").read_text().split()) <= excluded
    assert {".git/config", ".git/hooks/", ".git/logs/"} <= excluded


@every_file
def test_rsync_takes_the_checkout_but_no_results_environments_or_passwords(
    kind: str, tmp_path: Path
) -> None:
    if shutil.which("rsync") is None:
        pytest.skip("rsync is not on this machine; `ray up` needs it too")
    from ray.autoscaler._private.command_runner import SSHCommandRunner

    here, there = tmp_path / "here", tmp_path / "there"
    stays = [
        ".venv/bin/python",
        "runs/retrieval/report/sweep.json",
        "tasks/__pycache__/contract.cpython-311.pyc",
        "x.egg-info/PKG-INFO",
        ".git/config",
        ".git/hooks/post-checkout",
        "build/lib/a.py",
    ]
    goes = [".git/HEAD", "tasks/contract.py", "results/store.py", "requirements.lock"]
    for name in (*stays, *goes):
        (here / name).parent.mkdir(parents=True, exist_ok=True)
        (here / name).write_text(name)
    arguments = SSHCommandRunner._create_rsync_filter_args(None, read(kind))
    subprocess.run(["rsync", "-az", *arguments, f"{here}/", f"{there}/"], check=True)
    arrived = {str(p.relative_to(there)) for p in there.rglob("*") if p.is_file()}
    assert arrived == set(goes)


# --- the shells on the nodes ----------------------------------------------------------------------


def run_as_ray_does(home: Path, command: str) -> subprocess.CompletedProcess[str]:
    """As on a node: a login shell that reads ~/.bashrc, ahead of each command."""
    from ray.autoscaler._private.command_runner import _with_interactive

    clean = {k: v for k, v in os.environ.items() if not k.startswith("RAY_")}
    return subprocess.run(
        " ".join(_with_interactive(command)),
        shell=True,
        executable="/bin/bash",
        env={**clean, "HOME": str(home)},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        start_new_session=True,
        timeout=60,
    )


def node(kind: str, home: Path, of: str) -> None:
    """Run a node's set-up, but for what asks for the network or for root."""
    home.mkdir(exist_ok=True)
    (home / "sweep").mkdir(exist_ok=True)
    (home / ".ray").mkdir(exist_ok=True)
    (home / ".ray" / "auth_token").write_text("0" * 32)
    (home / ".bashrc").touch()
    for command in prepared(read(kind))[f"{of}_setup_commands"]:
        if not any(word in command for word in ("pip install", "apt-get", "-m venv")):
            assert run_as_ray_does(home, command).returncode == 0, command


@every_file
def test_a_sweep_on_the_head_finds_its_cluster_and_every_node_asks_for_the_token(
    kind: str, tmp_path: Path
) -> None:
    names = "RAY_ADDRESS RAY_AUTH_MODE PATH"
    for of, address in (("head", "auto"), ("worker", "")):
        home = tmp_path / of
        for _ in range(2):  # `ray up` again
            node(kind, home, of)
        echo = f'for name in {names}; do echo "$name=${{!name}}"; done'
        lines = run_as_ray_does(home, echo).stdout.splitlines()
        shown = dict(line.split("=", 1) for line in lines if line.split("=")[0] in names)
        assert shown["RAY_ADDRESS"] == address
        assert shown["RAY_AUTH_MODE"] == "token"
        assert shown["PATH"].startswith(f"{home}/sweep/venv/bin:")
        assert (home / ".bashrc").read_text().count("settings.sh") == 1
        assert (home / ".ray" / "auth_token").stat().st_mode & 0o077 == 0


@every_file
def test_no_node_is_set_up_without_the_token(kind: str, tmp_path: Path) -> None:
    config = read(kind)
    assert config["file_mounts"]["~/.ray/auth_token"] == "~/.ray/auth_token"
    check = next(c for c in config["setup_commands"] if "auth_token" in c)
    assert run_as_ray_does(tmp_path, check).returncode != 0


@every_file
def test_the_dashboard_listens_on_the_head_alone(kind: str) -> None:
    start = next(c for c in read(kind)["head_start_ray_commands"] if "ray start" in c)
    assert "--dashboard-host=127.0.0.1" in start
    assert "--autoscaling-config=~/ray_bootstrap_config.yaml" in start
