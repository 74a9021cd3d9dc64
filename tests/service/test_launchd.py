"""The property list for launchd, checked against what launchd.plist(5) says of each key."""

from __future__ import annotations

import plistlib
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from ollamapy.errors import ServiceError
from ollamapy.service.launchd import Launchd
from ollamapy.service.property_list import LABEL, plan_agent
from ollamapy.service.records import Installation, check_reachable

INSTALLATION = Installation(
    command=("/Users/me/.local/bin/ollamapy", "serve"),
    folders=(Path("/Users/me/.local/lib"),),
    environment={"OLLAMA_HOST": "127.0.0.1:11500"},
    home=Path("/Users/me"),
    config_home=Path("/Users/me/.config"),
)
SYSTEM = replace(INSTALLATION, is_system=True, command=("/usr/local/bin/ollamapy", "serve"), folders=())
SCHEMA: dict[str, type] = {
    "Label": str, "ProgramArguments": list, "RunAtLoad": bool, "KeepAlive": dict, "ProcessType": str,
    "ExitTimeOut": int, "Umask": int, "StandardOutPath": str, "StandardErrorPath": str, "SoftResourceLimits": dict,
    "HardResourceLimits": dict, "EnvironmentVariables": dict, "UserName": str,
}  # fmt: skip


def properties(installation: Installation) -> dict[str, Any]:
    (file,) = plan_agent(installation).files
    assert file.is_private  # settings, and so perhaps secrets, are in it
    assert file.path.name == f"{LABEL}.plist"
    found: dict[str, Any] = plistlib.loads(file.text.encode())
    return found


@pytest.mark.parametrize("installation", [INSTALLATION, SYSTEM], ids=["agent", "daemon"])
def test_the_property_list_has_known_keys_of_the_right_types(installation: Installation) -> None:
    found = properties(installation)
    assert {key: type(value) for key, value in found.items()} == {key: SCHEMA[key] for key in found}
    assert all(type(word) is str for word in found["ProgramArguments"])
    assert all(type(text) is str for text in found["EnvironmentVariables"].values())
    assert Path(found["ProgramArguments"][0]).is_absolute()


def test_an_agent_is_the_users_and_logs_where_macos_shows_logs() -> None:
    found = properties(INSTALLATION)
    assert plan_agent(INSTALLATION).files[0].path.parent == Path("/Users/me/Library/LaunchAgents")
    assert found["StandardErrorPath"] == "/Users/me/Library/Logs/ollamapy/serve.log"
    assert found["EnvironmentVariables"] == INSTALLATION.environment
    assert "UserName" not in found


def test_a_daemon_of_the_mac_runs_as_its_user_with_its_own_folder() -> None:
    found = properties(SYSTEM)
    assert plan_agent(SYSTEM).files[0].path.parent == Path("/Library/LaunchDaemons")
    assert found["UserName"] == "ollamapy"
    assert found["EnvironmentVariables"]["OLLAMA_MODELS"].startswith("/usr/local/var/ollamapy")
    assert found["EnvironmentVariables"]["OLLAMA_HOST"] == "127.0.0.1:11500"


def test_launchd_is_not_given_a_socket() -> None:
    with pytest.raises(ServiceError, match="--socket is for systemd"):
        list(Launchd(replace(INSTALLATION, listen=("127.0.0.1:1",))).install())


@pytest.mark.parametrize("place", ["command", "folders"])
def test_a_system_service_can_not_run_from_a_home_folder(place: str) -> None:
    inside = Path("/home/me/.local/bin/ollamapy")
    change: dict[str, Any] = {"command": (str(inside),)} if place == "command" else {"folders": (inside.parent,)}
    check_reachable(replace(INSTALLATION, is_system=False, **change))
    with pytest.raises(ServiceError, match=r"sudo \./install\.sh"):
        check_reachable(replace(SYSTEM, **change))
