"""The files for `ray up`, checked with Ray's schema and the API models of the clouds.

No cloud is contacted. Ray's schema ignores ``node_config``, so the models in the Python clients of
the clouds find misspellings there.
"""

from __future__ import annotations

import json
import tomllib
from importlib import metadata
from typing import Any

import pytest
from cluster_files import FILES, faults, prepared, read
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version
from paths import ROOT

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


@every_file
def test_ray_accepts_the_file(kind: str) -> None:
    made = prepared(read(kind))
    assert made["provider"]["type"] == kind


@every_file
def test_misspelled_key_is_refused(kind: str) -> None:
    import jsonschema

    with pytest.raises(jsonschema.ValidationError, match="setup_comands"):
        prepared({**read(kind), "setup_comands": []})


@every_file
def test_default_commands_of_ray_are_replaced(kind: str) -> None:
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
def test_every_field_with_a_default_is_set(kind: str) -> None:
    from ray.autoscaler._private.providers import _get_default_config

    config = read(kind)
    optional = {"max_workers"} if kind == "local" else set()
    assert set(_get_default_config(config["provider"])) - set(config) <= optional


@every_cloud
def test_workers_are_spot_instances_and_the_head_has_no_cpus(kind: str) -> None:
    types = prepared(read(kind))["available_node_types"]
    assert types["head"]["resources"] == {"CPU": 0}
    assert types["head"]["max_workers"] == 0
    spots: dict[str, dict[str, Any]] = {
        "aws": {"InstanceMarketOptions": {"MarketType": "spot"}},
        "gcp": {"provisioningModel": "SPOT"},
    }
    spot = spots[kind]
    name, wanted = next(iter(spot.items()))
    where = types["gpu_worker"]["node_config"]
    where = where if kind == "aws" else where["scheduling"]
    assert where[name] == wanted
    assert name not in str(types["head"])
    assert types["gpu_worker"]["min_workers"] == 0


@every_cloud
def test_every_field_is_in_the_api_of_the_cloud(kind: str) -> None:
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
def test_misspelling_at_any_depth_is_found(kind: str, path: list[Any], value: Any) -> None:
    config = read(kind)
    node_config = config["available_node_types"]["gpu_worker"]["node_config"]
    where = node_config
    for step in path[:-1]:
        where = where[step]
    where[path[-1]] = value
    prepared(config)  # Ray itself finds no error
    assert faults(kind, node_config) != []


@every_cloud
def test_commented_lines_are_valid(kind: str) -> None:
    extras: dict[str, dict[str, Any]] = {
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
    }
    extra = extras[kind]
    node_config = read(kind)["available_node_types"]["gpu_worker"]["node_config"]
    assert faults(kind, {**node_config, **extra}) == []


# --- what is installed ----------------------------------------------------------------------------


def locked() -> dict[str, Version]:
    lines = (ROOT / "requirements.lock").read_text().split()
    assert all(line.count("==") == 1 for line in lines)
    pins = [line.split("==") for line in lines]
    return {canonicalize_name(name): Version(version) for name, version in pins}


@every_file
def test_nodes_install_the_project_and_the_lock(kind: str) -> None:
    config = read(kind)
    assert config["file_mounts"]["~/sweep/checkout"] == "."
    installs = [c for c in config["setup_commands"] if "pip install" in c]
    assert installs == [
        "cd ~/sweep/checkout && ~/sweep/venv/bin/pip install --quiet -r requirements.lock -e ."
    ]


def test_lock_satisfies_pyproject_and_itself() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    pins = locked()
    asked = [*project["dependencies"], *project["optional-dependencies"]["dev"]]
    for text in asked:
        need = Requirement(text)
        assert pins[canonicalize_name(need.name)] in need.specifier
    for name, version in pins.items():  # requirements of the installed version, if it is the same
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


def test_request_to_google_cloud_is_valid(monkeypatch: Any) -> None:
    from google.auth.credentials import AnonymousCredentials
    from googleapiclient import discovery
    from googleapiclient.http import HttpMockSequence
    from ray.autoscaler._private.gcp.node import GCPCompute

    config = read("gcp")
    compute = discovery.build("compute", "v1", credentials=AnonymousCredentials())
    wire = HttpMockSequence([({"status": "200"}, '{"name": "operation"}')])
    monkeypatch.setattr(GCPCompute, "get_new_authorized_http", lambda self, http: wire)
    zone = config["provider"]["availability_zone"]
    provider = GCPCompute(compute, "a-project", zone, config["cluster_name"])
    worker = config["available_node_types"]["gpu_worker"]["node_config"]
    provider.create_instance(
        worker, {"ray-node-name": "ray-worker", "ray-node-type": "worker"}, wait_for_operation=False
    )
    uri, method, body, _ = wire.request_sequence[0]
    assert method == "POST"
    assert f"/projects/a-project/zones/{zone}/instances" in uri
    sent = json.loads(body)
    assert faults("gcp", sent) == []
    assert sent["scheduling"]["provisioningModel"] == "SPOT"
    assert sent["machineType"].endswith("/g2-standard-8")
