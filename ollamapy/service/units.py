"""The units of systemd: a service that tells when it is ready, and a socket where that is wanted.

Source: systemd.unit(5), systemd.service(5), systemd.exec(5), systemd.socket(5).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path

from ollamapy.service.records import NAME, Installation, Plan, ServiceFile

SYSTEM_UNITS = Path("/etc/systemd/system")
SYSTEM_CONFIG = Path("/etc")
STATE = Path("/var/lib") / NAME
STOP_SECONDS = 90

# Holds for services of users too: these need no privilege.
_CONFINED = """\
NoNewPrivileges=yes
LockPersonality=yes
RestrictRealtime=yes
RestrictSUIDSGID=yes
RestrictNamespaces=yes
RestrictAddressFamilies=AF_UNIX AF_INET AF_INET6 AF_NETLINK
SystemCallArchitectures=native
SystemCallFilter=@system-service
SystemCallFilter=~@privileged @mount @debug @cpu-emulation @obsolete
SystemCallErrorNumber=EPERM
UMask=0077"""

# GPUs stay reachable; memory that is written and then executed too, which their drivers compile kernels into.
_ISOLATED = """\
ProtectSystem=strict
ProtectHome=yes
PrivateTmp=yes
PrivateMounts=yes
ProtectProc=invisible
ProtectClock=yes
ProtectHostname=yes
ProtectControlGroups=yes
ProtectKernelLogs=yes
ProtectKernelModules=yes
ProtectKernelTunables=yes
CapabilityBoundingSet=
AmbientCapabilities=
RemoveIPC=yes
KeyringMode=private
DevicePolicy=closed
DeviceAllow=char-nvidia* rw
DeviceAllow=char-drm rw
DeviceAllow=char-kfd rw"""


def plan_units(installation: Installation) -> Plan:
    """Return the units, and the file of settings beside them."""
    units = SYSTEM_UNITS if installation.is_system else installation.config_home / "systemd" / "user"
    settings = settings_path(installation)
    files = [
        ServiceFile(settings, environment_text(installation.environment), is_private=True),
        ServiceFile(units / f"{NAME}.service", service_unit(installation, settings)),
    ]
    if not installation.listen:
        return Plan(tuple(files), (f"{NAME}.service",))
    files.append(ServiceFile(units / f"{NAME}.socket", socket_unit(installation)))
    return Plan(tuple(files), (f"{NAME}.socket",))


def settings_path(installation: Installation) -> Path:
    """Return where the settings are that the service runs with."""
    return (SYSTEM_CONFIG if installation.is_system else installation.config_home) / NAME / "service.env"


def service_unit(installation: Installation, settings: Path) -> str:
    """Return the text of the service."""
    system = installation.is_system
    unit = ["Description=ollamapy, a local model manager", "StartLimitIntervalSec=60", "StartLimitBurst=5"]
    if system:
        unit += ["After=network-online.target", "Wants=network-online.target"]
    if installation.listen:
        unit += [f"Requires={NAME}.socket", f"After={NAME}.socket"]
    service = [
        "Type=notify",
        "NotifyAccess=main",
        f"ExecStart={command_line(installation.command)}",
        *(_owner(installation) if system else ()),
        f"EnvironmentFile=-{escape_path(settings)}",
        "Restart=on-failure",
        "RestartSec=2",
        f"TimeoutStopSec={STOP_SECONDS}",
        "KillMode=mixed",
        "OOMPolicy=continue",
        "LimitNOFILE=65536",
        *_CONFINED.splitlines(),
        *(_isolated(installation) if system else ()),
    ]
    install = [] if installation.listen else [f"WantedBy={'multi-user' if system else 'default'}.target"]
    return _text({"Unit": unit, "Service": service, "Install": install})


def socket_unit(installation: Installation) -> str:
    """Return the text of the socket that starts the service with the first request."""
    listen = [f"ListenStream={address}" for address in installation.listen]
    return _text(
        {
            "Unit": ["Description=ollamapy's address"],
            "Socket": [*listen, "Backlog=2048", "NoDelay=yes"],
            "Install": ["WantedBy=sockets.target"],
        }
    )


def _owner(installation: Installation) -> list[str]:
    """Return who a service of the system is, with a folder of its own for models and its configuration in /etc."""
    return [
        f"User={installation.user}",
        f"StateDirectory={NAME}",
        "StateDirectoryMode=0700",
        f"WorkingDirectory={STATE}",
        f"Environment=HOME={STATE} XDG_CONFIG_HOME={SYSTEM_CONFIG}",
        f"Environment={quote(f'OLLAMA_MODELS={STATE}/models')}",
    ]


def _isolated(installation: Installation) -> list[str]:
    chosen = installation.environment.get("OLLAMA_MODELS")
    return [*_ISOLATED.splitlines(), *([f"ReadWritePaths={escape_path(Path(chosen))}"] if chosen else [])]


def _text(sections: Mapping[str, Iterable[str]]) -> str:
    parts = ["\n".join([f"[{name}]", *lines]) for name, lines in sections.items() if lines]
    return "\n\n".join(parts) + "\n"


def environment_text(environment: Mapping[str, str]) -> str:
    """Return settings as EnvironmentFile= reads them."""
    lines = [f"{name}={quote(value)}" for name, value in sorted(environment.items())]
    return "\n".join(["# What the ollamapy service runs with; restart it after a change.", *lines, ""])


def command_line(words: Iterable[str]) -> str:
    """Return a command as ExecStart= reads it."""
    return " ".join(quote(word.replace("%", "%%").replace("$", "$$")) for word in words)


def escape_path(path: Path) -> str:
    """Return a path as the options that take several of them read it."""
    return str(path).replace("%", "%%").replace(" ", "\\x20")


def quote(text: str) -> str:
    """Return a text between double quotes."""
    escaped = text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
    return f'"{escaped}"'
