"""What `deploy/` holds says what the program understands."""

from __future__ import annotations

import configparser
import re
import shlex
import subprocess
from collections.abc import Iterator

import pytest
import yaml  # type: ignore[import-untyped]  # Dask brings it along

from tests.house.tree import ROOT
from wedsync_tui import machines
from wedsync_tui.binding import bind_values
from wedsync_tui.options import read_options

DEPLOY = ROOT / "deploy"


def _lines_of_units() -> Iterator[tuple[str, list[str]]]:
    for path in sorted((DEPLOY / "systemd").glob("wedsync*.service")):
        unit = configparser.RawConfigParser(strict=False)
        unit.optionxform = str  # type: ignore[assignment,method-assign]
        unit.read_string(re.sub(r"\\\n\s*", " ", path.read_text()))
        assert {"Unit", "Service", "Install"} == set(unit.sections())
        line = shlex.split(unit["Service"]["ExecStart"])
        if line[0].endswith("wedsync-tui"):
            yield path.name, line[1:]


def _lines_of_containers() -> Iterator[tuple[str, list[str]]]:
    services = yaml.safe_load((DEPLOY / "compose" / "compose.yaml").read_text())["services"]
    yield from ((f"compose {name}", service["command"]) for name, service in services.items())
    cluster = yaml.safe_load((DEPLOY / "kubernetes" / "cluster.yaml").read_text())["spec"]
    spot = yaml.safe_load((DEPLOY / "kubernetes" / "spot-nodes.yaml").read_text())["spec"]
    for name, pod in (("scheduler", cluster["scheduler"]), ("worker", cluster["worker"]), ("spot", spot["worker"])):
        yield f"kubernetes {name}", pod["spec"]["containers"][0]["args"]


LINES = dict([*_lines_of_units(), *_lines_of_containers()])


@pytest.mark.parametrize("name", LINES)
def test_every_command_line_is_understood(name: str) -> None:
    options = read_options(LINES[name])
    assert options.machine or options.no_ui
    if options.machine:
        bind_values(machines.FORMS[options.machine[0]], options.machine[1:])


@pytest.mark.parametrize("script", ["local-nodes", "kubernetes/scale-nodes"])
def test_scripts_are_sound(script: str) -> None:
    subprocess.run(["sh", "-n", DEPLOY / script], check=True)


def test_what_containers_write_into_belongs_to_their_user() -> None:
    compose = yaml.safe_load((DEPLOY / "compose" / "compose.yaml").read_text())
    volumes = {volume for service in compose["services"].values() for volume in service.get("volumes", ())}
    written = {volume.split(":")[1] for volume in volumes if volume.split(":")[0] in compose["volumes"]}
    made = re.search(
        r"^RUN install -d -o wedsync -g wedsync (.*)$", (DEPLOY / "compose" / "Dockerfile").read_text(), re.MULTILINE
    )
    assert written
    assert made is not None
    assert written <= set(made[1].split())
