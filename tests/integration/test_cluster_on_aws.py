"""cluster.yaml started by Ray's own code in an AWS that moto simulates.

This cannot test ssh, quotas, prices, and whether the chosen image boots.
"""

from __future__ import annotations

import copy
import json
import os
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import boto3
import pytest
from cluster_files import read
from moto import mock_aws
from paths import ROOT

REGION = "us-west-2"
MINE = "203.0.113.7/32"
_instance_types: list[dict[str, Any]] = []


@pytest.fixture(autouse=True)
def aws(monkeypatch: Any, tmp_path: Any) -> Iterator[None]:
    """An empty account, and a home without keys."""
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"):
        monkeypatch.setenv(name, "testing")
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("AWS_PROFILE", raising=False)
    with mock_aws(config={"iam": {"load_aws_managed_policies": True}}):
        from ray.autoscaler._private.aws import config, node_provider, utils

        # Ray caches clients, and waits half a minute until a real role is available.
        utils.resource_cache.cache_clear()
        utils.client_cache.cache_clear()
        config._get_subnets_or_die.cache_clear()
        monkeypatch.setattr(config, "time", SimpleNamespace(sleep=lambda seconds: None))
        # Reading the list of all instance types takes seconds.
        if not _instance_types:
            _instance_types.extend(node_provider.list_ec2_instances(REGION))
        monkeypatch.setattr(node_provider, "list_ec2_instances", lambda *_: _instance_types)
        yield


def brought_up(config: dict[str, Any]) -> dict[str, Any]:
    """The configuration that `ray up` makes from the file before it starts the head."""
    from ray.autoscaler._private.commands import _bootstrap_config

    made: dict[str, Any] = _bootstrap_config(config, no_config_cache=True)
    return made


class Launched:
    """The head and one worker, launched through Ray's provider as by `ray up` and the head."""

    def __init__(self, config: dict[str, Any]) -> None:
        from ray.autoscaler._private.aws.node_provider import AWSNodeProvider
        from ray.autoscaler.tags import (
            TAG_RAY_LAUNCH_CONFIG,
            TAG_RAY_NODE_KIND,
            TAG_RAY_USER_NODE_TYPE,
        )

        self.requests: dict[str, dict[str, Any]] = {}
        self.ids: dict[str, str] = {}
        self.provider = AWSNodeProvider(config["provider"], config["cluster_name"])
        events = self.provider.ec2_fail_fast.meta.client.meta.events
        for kind, name in (("head", "head"), ("worker", "gpu_worker")):
            node_config = copy.deepcopy(config["head_node"]) if kind == "head" else {}
            node_config.update(config["available_node_types"][name]["node_config"])
            tags = {
                TAG_RAY_NODE_KIND: kind,
                TAG_RAY_USER_NODE_TYPE: name,
                TAG_RAY_LAUNCH_CONFIG: "hash",
            }

            def keep(params: dict[str, Any], of: str = kind, **_: Any) -> None:
                self.requests[of] = copy.deepcopy(params)

            events.register("provide-client-params.ec2.RunInstances", keep, unique_id="keep")
            self.ids[kind] = next(iter(self.provider.create_node(node_config, tags, 1)))
            events.unregister("provide-client-params.ec2.RunInstances", unique_id="keep")

    def instance(self, kind: str) -> dict[str, Any]:
        """The current description of an instance."""
        client = boto3.client("ec2", region_name=REGION)
        found = client.describe_instances(InstanceIds=[self.ids[kind]])["Reservations"]
        instance: dict[str, Any] = found[0]["Instances"][0]
        return instance


def test_head_and_spot_worker_match_the_file() -> None:
    config = read("aws")
    made = Launched(brought_up(config))
    for kind, name in (("head", "head"), ("worker", "gpu_worker")):
        wanted = config["available_node_types"][name]["node_config"]
        asked = made.requests[kind]
        assert {key: asked[key] for key in wanted} == wanted
        assert made.instance(kind)["InstanceType"] == wanted["InstanceType"]
    assert made.instance("worker")["InstanceLifecycle"] == "spot"
    assert "InstanceMarketOptions" not in made.requests["head"]
    # Only the head has the role that may start machines.
    assert "ray-autoscaler-v1" in made.requests["head"]["IamInstanceProfile"]["Arn"]
    assert "IamInstanceProfile" not in made.requests["worker"]


def test_ec2_is_asked_to_look_up_the_image() -> None:
    made = Launched(brought_up(read("aws")))
    for kind in made.ids:
        assert made.requests[kind]["ImageId"].startswith("resolve:ssm:/aws/service/deeplearning/")


def test_the_head_starts_workers_with_its_own_image(tmp_path: Path) -> None:
    home, programs = tmp_path / "home", tmp_path / "bin"
    home.mkdir()
    programs.mkdir()
    # A stand-in for the metadata service, which only EC2 has at its address.
    (programs / "curl").write_text(
        '#!/bin/sh\ncase "$*" in\n'
        "*'-X PUT'*169.254.169.254/latest/api/token) echo secret ;;\n"
        "*'aws-ec2-metadata-token: secret'*/latest/meta-data/ami-id) echo ami-0123 ;;\n"
        "*) exit 22 ;;\nesac\n"
    )
    (programs / "curl").chmod(0o755)
    config = brought_up(read("aws"))
    file = home / "ray_bootstrap_config.yaml"
    file.write_text(json.dumps(config))  # as `ray up` writes it
    _, replace, start = config["head_start_ray_commands"]
    assert "ray start" in start
    for node_type in config["available_node_types"].values():
        node_type["node_config"]["ImageId"] = "ami-0123"
    environment = {"HOME": str(home), "PATH": f"{programs}:{os.environ['PATH']}"}
    for _ in range(2):  # `ray up` may run it again
        subprocess.run(["bash", "-c", replace], env=environment, check=True)
        assert json.loads(file.read_text()) == config


def test_head_has_no_cpus_and_workers_have_a_gpu() -> None:
    types = brought_up(read("aws"))["available_node_types"]
    assert types["head"]["resources"] == {"CPU": 0}
    assert types["gpu_worker"]["resources"]["CPU"] == 8
    assert types["gpu_worker"]["resources"]["GPU"] == 1


def test_ray_down_terminates_every_instance() -> None:
    made = Launched(brought_up(read("aws")))
    made.provider.terminate_node(made.ids["worker"])
    made.provider.terminate_nodes([made.ids["head"]])
    assert {made.instance(kind)["State"]["Name"] for kind in made.ids} == {"terminated"}


# --- firewall and roles, made by the code in docs/tutorials/your-cluster.md -----------------------


def from_the_docs(number: int, **replaced: str) -> dict[str, Any]:
    """Run a Python block of docs/tutorials/your-cluster.md; returns what it defined."""
    text = (ROOT / "docs" / "tutorials" / "your-cluster.md").read_text()
    code = re.findall(r"```python\n(.*?)```", text, re.S)[number]
    for name, value in replaced.items():
        code, count = re.subn(rf'^{name} = ".*?"', f'{name} = "{value}"', code, flags=re.M)
        assert count == 1
    defined: dict[str, Any] = {}
    exec(code, defined)
    return defined


def open_to_all(permission: dict[str, Any]) -> bool:
    return any(r["CidrIp"] == "0.0.0.0/0" for r in permission["IpRanges"]) or any(
        r["CidrIpv6"] == "::/0" for r in permission["Ipv6Ranges"]
    )


def ingress(made: Launched) -> list[dict[str, Any]]:
    """The rules of all security groups of both machines."""
    client = boto3.client("ec2", region_name=REGION)
    ids = {g["GroupId"] for kind in made.ids for g in made.instance(kind)["SecurityGroups"]}
    groups = client.describe_security_groups(GroupIds=sorted(ids))["SecurityGroups"]
    return [rule for group in groups for rule in group["IpPermissions"]]


def test_documented_security_group_opens_no_port_to_the_world() -> None:
    group = from_the_docs(0, mine=MINE)["group"]
    config = brought_up(read("aws"))
    for node_type in config["available_node_types"].values():
        assert node_type["node_config"]["SecurityGroupIds"] == [group]
    rules = ingress(Launched(config))
    assert not any(open_to_all(rule) for rule in rules)
    outside = [rule for rule in rules if rule["IpRanges"] or rule["Ipv6Ranges"]]
    assert [(r["FromPort"], r["ToPort"], r["IpRanges"][0]["CidrIp"]) for r in outside] == [
        (22, 22, MINE)
    ]
    within = [rule for rule in rules if rule["UserIdGroupPairs"]]
    assert {pair["GroupId"] for rule in within for pair in rule["UserIdGroupPairs"]} == {group}


def test_default_security_group_opens_only_ssh() -> None:
    rules = ingress(Launched(brought_up(read("aws"))))
    assert [(r["FromPort"], r["ToPort"]) for r in rules if open_to_all(r)] == [(22, 22)]
    others = [r for r in rules if not open_to_all(r)]
    assert all(r["UserIdGroupPairs"] and not r["IpRanges"] for r in others)


def test_workers_get_the_bucket_role() -> None:
    brought_up(read("aws"))  # Ray makes the head's role
    iam = boto3.client("iam")
    attached = iam.list_attached_role_policies(RoleName="ray-autoscaler-v1")["AttachedPolicies"]
    for policy in attached:  # none of them allows it
        version = iam.get_policy(PolicyArn=policy["PolicyArn"])["Policy"]["DefaultVersionId"]
        document = iam.get_policy_version(PolicyArn=policy["PolicyArn"], VersionId=version)
        assert "iam:PassRole" not in str(document["PolicyVersion"]["Document"])
    role = from_the_docs(1, bucket="some-bucket")["role"]
    granted = iam.get_role_policy(RoleName="ray-autoscaler-v1", PolicyName="pass-worker-role")
    assert granted["PolicyDocument"]["Statement"][0] == {
        "Effect": "Allow",
        "Action": "iam:PassRole",
        "Resource": role,
    }
    config = read("aws")
    profile = {"Name": "multimodal-sweep-worker"}  # the commented line of the file
    line = f"# IamInstanceProfile: {{Name: {profile['Name']}}}"
    assert line in (ROOT / "cluster.yaml").read_text()
    config["available_node_types"]["gpu_worker"]["node_config"]["IamInstanceProfile"] = profile
    made = Launched(brought_up(config))
    assert made.instance("worker")["IamInstanceProfile"]["Arn"].endswith(profile["Name"])
    assert "ray-autoscaler-v1" in made.instance("head")["IamInstanceProfile"]["Arn"]
