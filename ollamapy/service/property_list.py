"""The property list of launchd: an agent of one user, or a daemon of the whole Mac.

Source: launchd.plist(5).
"""

from __future__ import annotations

import plistlib
from pathlib import Path

from ollamapy.service.records import NAME, Installation, Plan, ServiceFile

LABEL = f"org.{NAME}.daemon"
SYSTEM_DAEMONS = Path("/Library/LaunchDaemons")
SYSTEM_STATE = Path("/usr/local/var") / NAME
SYSTEM_LOG = Path("/Library/Logs") / NAME / "serve.log"
OPEN_FILES = 65536
STOP_SECONDS = 90
UMASK = 0o077


def plan_agent(installation: Installation) -> Plan:
    """Return the property list, which has the settings in it."""
    folder = SYSTEM_DAEMONS if installation.is_system else installation.home / "Library" / "LaunchAgents"
    text = plistlib.dumps(property_list(installation), sort_keys=False).decode()
    return Plan((ServiceFile(folder / f"{LABEL}.plist", text, is_private=True),), (LABEL,))


def log_path(installation: Installation) -> Path:
    """Return the file that the service's log goes to."""
    if installation.is_system:
        return SYSTEM_LOG
    return installation.home / "Library" / "Logs" / NAME / "serve.log"


def property_list(installation: Installation) -> dict[str, object]:
    """Return the keys of the property list."""
    log = str(log_path(installation))
    limits = {"NumberOfFiles": OPEN_FILES}
    system = {"HOME": str(SYSTEM_STATE), "OLLAMA_MODELS": str(SYSTEM_STATE / "models")}
    environment = {**(system if installation.is_system else {}), **installation.environment}
    return {
        "Label": LABEL,
        "ProgramArguments": list(installation.command),
        "RunAtLoad": True,
        "KeepAlive": {"SuccessfulExit": False},
        "ProcessType": "Interactive",
        "ExitTimeOut": STOP_SECONDS,
        "Umask": UMASK,
        "StandardOutPath": log,
        "StandardErrorPath": log,
        "SoftResourceLimits": limits,
        "HardResourceLimits": limits,
        **({"EnvironmentVariables": dict(sorted(environment.items()))} if environment else {}),
        **({"UserName": installation.user} if installation.is_system else {}),
    }
