"""What `deploy/` has was run by hand, under systemd and in containers; here is held what makes it right."""

import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from bot.http import make_site
from bot.settings.reading import KNOWN
from tests.support.documents import commands, read

GUIDE = "docs/install.md"
UNITS = {"keyturn": "", "keyturn-web@": " web", "keyturn-worker@": " worker"}
OWN = ("Description=", "Environment=", "ExecStart=", "StateDirectory", "# Keyturn")
"""How lines begin that the units do not share."""


def unit(name: str) -> list[str]:
    return read(f"deploy/{name}.service").splitlines()


def value(name: str, setting: str) -> str:
    (found,) = [line.partition("=")[2] for line in unit(name) if line.startswith(f"{setting}=")]
    return found


def environ(name: str) -> dict[str, str]:
    return dict(word.split("=") for word in value(name, "Environment").split())


# --- systemd ---


@pytest.mark.parametrize("name", UNITS)
def test_a_unit_starts_the_bot_with_a_copy_of_the_settings_that_its_user_can_read(name: str) -> None:
    assert value(name, "ExecStart") == f"/opt/keyturn/.venv/bin/python -m bot{UNITS[name]}"
    assert value(name, "LoadCredential") == ".env:/opt/keyturn/.env"
    assert value(name, "WorkingDirectory") == "%d", "where .env is looked for"
    assert value(name, "LimitCORE") == "0", "a core dump could show the secret"


def test_the_units_differ_in_what_they_run_alone() -> None:
    one, web, worker = ([line for line in unit(name) if not line.startswith(OWN)] for name in UNITS)

    assert one == web == worker
    assert environ("keyturn")["KEYTURN_DATA"] == f"/var/lib/{value('keyturn', 'StateDirectory')}"
    assert environ("keyturn-web@")["PORT"] == "300%i"
    assert environ("keyturn-worker@")["WORKER_PORT"] == "301%i"


def test_the_guide_copies_every_unit() -> None:
    copied = {word for line in commands(GUIDE) if line.startswith("sudo cp ") for word in line.split()[2:-1]}

    assert {f"deploy/{name}.service" for name in UNITS} <= copied


@pytest.mark.skipif(not shutil.which("systemd-analyze"), reason="systemd is not installed")
@pytest.mark.parametrize("name", UNITS)
def test_systemd_understands_a_unit_and_calls_it_as_exposed_as_the_guide_says(name: str, tmp_path: Path) -> None:
    file = tmp_path / f"{name}.service"
    file.write_text(read(f"deploy/{file.name}").replace("/opt/keyturn/.venv/bin/python", sys.executable))
    analyze = ["systemd-analyze", "--no-pager"]
    verified = subprocess.run([*analyze, "verify", file], capture_output=True, text=True, check=False)
    rated = subprocess.run([*analyze, "security", "--offline=true", file], capture_output=True, text=True, check=False)
    exposure = re.search(r"exposure level for .*: ([\d.]+)", rated.stdout)

    assert file.name not in verified.stderr, verified.stderr
    assert exposure is not None, rated.stderr
    assert f"says how exposed the unit is: {exposure[1]}, of 10" in read(GUIDE)


# --- containers ---

COMPOSE = yaml.safe_load(read("deploy/compose.yaml"))["services"]
MANIFESTS = list(yaml.safe_load_all(read("deploy/kubernetes.yaml")))
HALVES = {"web": (2, "PORT"), "worker": (3, "WORKER_PORT")}


def manifests(kind: str) -> dict[str, Any]:
    return {one["metadata"]["name"]: one["spec"] for one in MANIFESTS if one["kind"] == kind}


@pytest.mark.parametrize("half", HALVES)
def test_each_half_has_its_number_of_processes_on_one_set_of_settings(half: str) -> None:
    number, _ = HALVES[half]
    service, deployment = COMPOSE[half], manifests("Deployment")[f"keyturn-{half}"]
    (container,) = deployment["template"]["spec"]["containers"]

    assert service["deploy"]["replicas"] == deployment["replicas"] == number
    assert service["command"] == container["args"] == [half]
    assert service["env_file"] == "../.env"
    (source,) = container["envFrom"]
    made = "kubectl create secret generic {} --from-env-file=.env".format(source["secretRef"]["name"])
    assert made in list(commands(GUIDE))


@pytest.mark.parametrize("half", HALVES)
def test_the_probes_of_a_pod_ask_pages_that_are_served_at_the_port_that_is_set(half: str) -> None:
    (container,) = manifests("Deployment")[f"keyturn-{half}"]["template"]["spec"]["containers"]
    served = {route.canonical for route in make_site(NotImplemented, NotImplemented, 1).router.resources()}
    asked = {name: container[f"{name}Probe"]["httpGet"] for name in ("startup", "liveness", "readiness")}
    (port,) = container["ports"]

    assert {each["path"] for each in asked.values()} <= served
    assert asked["readiness"]["path"] == "/readyz"
    assert asked["liveness"]["path"] == "/healthz", "a restart brings neither Redis nor Slack back"
    assert {each["port"] for each in asked.values()} == {port["name"]}
    assert container["env"] == [{"name": HALVES[half][1], "value": str(port["containerPort"])}]
    assert {each["name"] for each in container["env"]} <= {*KNOWN}


@pytest.mark.parametrize("half", HALVES)
def test_at_most_one_pod_of_a_half_is_taken_away_at_a_time(half: str) -> None:
    deployment, budget = (manifests(kind)[f"keyturn-{half}"] for kind in ("Deployment", "PodDisruptionBudget"))
    labels = deployment["template"]["metadata"]["labels"]
    (spread,) = deployment["template"]["spec"]["topologySpreadConstraints"]

    assert budget["maxUnavailable"] == 1
    assert budget["selector"]["matchLabels"] == labels == deployment["selector"]["matchLabels"]
    assert spread["labelSelector"]["matchLabels"] == labels


def test_the_load_balancer_reaches_only_the_web_half() -> None:
    (service,) = manifests("Service").values()
    (port,) = service["ports"]
    template = manifests("Deployment")["keyturn-web"]["template"]

    assert service["selector"] == template["metadata"]["labels"]
    assert port["targetPort"] == template["spec"]["containers"][0]["ports"][0]["name"]


def test_no_container_runs_as_root_or_may_write_its_own_files() -> None:
    for service in COMPOSE.values():
        assert service["read_only"]
        assert service["cap_drop"] == ["ALL"]
        assert "ports" not in service
    for deployment in manifests("Deployment").values():
        pod = deployment["template"]["spec"]
        (container,) = pod["containers"]
        assert pod["securityContext"]["runAsNonRoot"]
        assert f"USER {pod['securityContext']['runAsUser']}:" in read("Dockerfile")
        assert container["securityContext"] == {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        }
        assert container["resources"]["limits"]["memory"]


def test_the_valkey_keeps_what_it_is_told_and_reads_its_password_from_a_file_that_git_ignores() -> None:
    valkey = COMPOSE["valkey"]
    server, given, *_ = valkey["command"][-1].splitlines()
    file = "deploy/" + yaml.safe_load(read("deploy/compose.yaml"))["secrets"]["redis-password"]["file"]

    for words in ("--appendonly yes", "--appendfsync always", "--maxmemory-policy noeviction"):
        assert words in server
    assert "requirepass" not in server, "the command line is everyone's to read"
    assert given == "requirepass $$(cat /run/secrets/redis-password)"
    assert f"openssl rand -hex 24 > {file}" in list(commands(GUIDE))
    assert f"{Path(file).parent}/" in read(".gitignore").splitlines()
