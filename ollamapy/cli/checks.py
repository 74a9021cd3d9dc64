"""What `ollamapy doctor` looks at: each check tells what it found and, where something is wrong, what to do."""

from __future__ import annotations

import asyncio
import os
import platform
import re
import resource
import shutil
import stat
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Literal

from ollamapy.cli.deliver import hash_file
from ollamapy.cli.human import size_words
from ollamapy.cli.progress import Progress
from ollamapy.client import Client
from ollamapy.config import Reading, Settings, SourceFolders
from ollamapy.errors import ForbiddenError, OllamapyError
from ollamapy.names import Digest
from ollamapy.runner.launch import WorkerPool
from ollamapy.store import Store
from ollamapy.version import OLLAMA_VERSION, __version__
from ollamapy.wire import Device

ROOM_BYTES = 5 * 10**9
OPEN_FILES = 1024
CARDS = {"0x10de": ("NVIDIA", "cuda"), "0x1002": ("AMD", "rocm")}
DISPLAY_CLASS = "0x03"
OTHER_PROGRAM = "end it (Ollama: systemctl stop ollama), or choose another address with OLLAMA_HOST"
_LISTENS = "0A"  # TCP_LISTEN in /proc/net/tcp

State = Literal["ok", "warning", "problem"]


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was looked at. `remedy` is empty where all is well."""

    subject: str
    state: State
    text: str
    remedy: str = ""


def check_versions() -> Iterator[Finding]:
    """Tell what runs here."""
    try:
        llama = version("llama-cpp-python")
    except PackageNotFoundError:
        yield Finding("llama.cpp", "problem", "llama-cpp-python is not installed", "run ./install.sh again")
        llama = "none"
    yield Finding(
        "versions",
        "ok",
        f"ollamapy {__version__} (API of Ollama {OLLAMA_VERSION}), llama-cpp-python {llama}, "
        f"Python {platform.python_version()}, {platform.system()} {platform.machine()}",
    )


def check_settings(reading: Reading) -> Iterator[Finding]:
    """Tell what is wrong in the environment and the configuration file."""
    for problem in reading.problems:
        yield Finding("settings", "problem", problem.message, "mend it; `ollamapy config show --origin` tells all")
    for warning in reading.warnings:
        yield Finding("settings", "warning", warning, "unset it, or correct the name")
    settings = reading.settings
    if not settings.host.is_loopback and not settings.api_keys:
        text = f"{settings.host.bind_host} can be reached from other machines and no key is set"
        yield Finding("settings", "warning", text, "set OLLAMAPY_API_KEYS, or OLLAMA_HOST=127.0.0.1")
    if not reading.problems and not reading.warnings:
        is_there = reading.path is not None and reading.path.exists()
        yield Finding("settings", "ok", f"from {reading.path}" if is_there else "from the environment and defaults")


def check_hardware(cards: Callable[[], list[str]] | None = None) -> Iterator[Finding]:
    """Ask a worker which devices llama.cpp can use, and compare with the cards in the machine."""
    yield Finding("processor", "ok", f"{os.cpu_count()} threads, {memory_words()}")
    try:
        devices = asyncio.run(_devices())
    except OllamapyError as exc:
        yield Finding("llama.cpp", "problem", exc.message, "run ./install.sh again; `ollamapy serve` logs more")
        return
    for device in devices:
        told = f"{device.description} by {device.library}, {size_words(device.free)} of {size_words(device.total)} free"
        yield Finding("device", "ok", told)
    if not devices:
        yield from _unused_cards(cards or display_cards)


def _unused_cards(cards: Callable[[], list[str]]) -> Iterator[Finding]:
    vendors = [CARDS[vendor] for vendor in cards() if vendor in CARDS]
    for name, backend in dict.fromkeys(vendors):
        text = f"there is an {name} card, and this llama.cpp can't use it"
        yield Finding("device", "warning", text, f"./install.sh --backend {backend} (its driver has to be installed)")
    if not vendors:
        yield Finding("device", "ok", "no accelerator was found: models run on the processor")


async def _devices() -> list[Device]:
    pool = WorkerPool(keep_spare=False)
    try:
        return await pool.measure()
    finally:
        await pool.close()


def display_cards() -> list[str]:
    """Return the vendors of the display cards in a Linux machine, as PCI ids."""
    folders = Path("/sys/bus/pci/devices")
    devices = list(folders.iterdir()) if folders.is_dir() else []
    cards = [device for device in devices if (device / "class").read_text().startswith(DISPLAY_CLASS)]
    return [(card / "vendor").read_text().strip() for card in cards]


def memory_words() -> str:
    """Return how much memory the machine has and how much of it is free."""
    rows = Path("/proc/meminfo")
    if not rows.exists():
        total = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
        return f"{size_words(total)} of memory"
    kib = dict(re.findall(r"^(\w+):\s+(\d+) kB$", rows.read_text(), re.MULTILINE))
    return f"{size_words(int(kib['MemAvailable']) << 10)} of {size_words(int(kib['MemTotal']) << 10)} of memory free"


def check_daemon(settings: Settings) -> Iterator[Finding]:
    """Tell who serves the address."""
    url, port = settings.host.base_url, settings.host.port
    with Client(url, settings.api_key) as client:
        presence = client.probe()
        if presence == "absent":
            yield Finding("daemon", "ok", f"nobody serves {url}; a command starts the daemon when it needs one")
        elif presence == "foreign":
            yield Finding("daemon", "problem", f"another program serves {url}{holder_words(port)}", OTHER_PROGRAM)
        else:
            yield _age(client, url, port)


def _age(client: Client, url: str, port: int) -> Finding:
    try:
        told = client.version()
    except ForbiddenError:
        text = f"{url} wants a key, and this environment has none that it takes"
        return Finding("daemon", "problem", text, "set OLLAMA_API_KEY to one of the daemon's OLLAMAPY_API_KEYS")
    if not told.ollamapy_version:
        text = f"Ollama {told.version} serves {url}{holder_words(port)}, and commands ask it"
        return Finding("daemon", "warning", text, OTHER_PROGRAM)
    if told.ollamapy_version != __version__:
        text = f"version {told.ollamapy_version} serves {url}{holder_words(port)}"
        remedy = f"end it, or `ollamapy service restart`, to have {__version__}"
        return Finding("daemon", "warning", text, remedy)
    return Finding("daemon", "ok", f"serves {url}{holder_words(port)}")


def holder_words(port: int) -> str:
    """Return which process listens on a port, where this can be seen."""
    inodes = {inode for name in ("tcp", "tcp6") for inode in _listening_inodes(Path("/proc/net") / name, port)}
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            links = {str(link.readlink()) for link in (folder / "fd").iterdir()} if inodes else set()
            if any(f"socket:[{inode}]" in links for inode in inodes):
                words = (folder / "cmdline").read_bytes().replace(b"\0", b" ").decode("utf-8", "replace").strip()
                return f" (process {folder.name}: {words[:100]})"
        except OSError:
            continue  # gone, or another user's
    return ""


def _listening_inodes(table: Path, port: int) -> Iterator[str]:
    rows = table.read_text().splitlines()[1:] if table.exists() else []
    for fields in map(str.split, rows):
        if fields[3] == _LISTENS and int(fields[1].rpartition(":")[2], 16) == port:
            yield fields[9]


def check_limits() -> Iterator[Finding]:
    """Tell of limits that many clients would meet."""
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft < OPEN_FILES:
        yield Finding("limits", "warning", f"a process may open {soft} files only", f"ulimit -n {OPEN_FILES * 16}")


def check_store(settings: Settings, folders: SourceFolders) -> Iterator[Finding]:
    """Tell how the model store is: whether it can be written, who else may read it, what is damaged, how much room."""
    store = Store(settings.models_dir)
    try:
        store.check_writable()
    except OllamapyError as exc:
        yield Finding("store", "problem", exc.message, "choose another folder with OLLAMA_MODELS, or change its owner")
        return
    mode = stat.S_IMODE(store.root.stat().st_mode)
    if mode & (stat.S_IWGRP | stat.S_IWOTH):
        text = f"others may write to {store.root} (mode {mode:04o})"
        yield Finding("store", "warning", text, f"chmod 700 {store.root}")
    models, damaged = store.list_manifests(), store.list_damaged()
    for entry in damaged:
        remedy = f"ollamapy rm {entry.name}, then pull it again"
        yield Finding("store", "problem", f"model {entry.name} is damaged", remedy)
    free = shutil.disk_usage(store.root).free
    text = f"{len(models)} models in {store.root}, {size_words(free)} free"
    yield Finding("store", "warning", text, "free some space") if free < ROOM_BYTES else Finding("store", "ok", text)
    others = [folder for folder in folders.ollama if folder != store.root and (folder / "manifests").is_dir()]
    if others:
        yield Finding("store", "ok", f"Ollama's models are in {others[0]}", "`ollamapy import` takes them over")


def verify_store(settings: Settings, status: Progress) -> Iterator[Finding]:
    """Read every blob that a model uses and compare it with its digest; `status` shows how far it is."""
    store = Store(settings.models_dir)
    users: dict[Digest, str] = {}
    for stored in store.list_manifests():
        for layer in (stored.manifest.config, *stored.manifest.layers):
            users.setdefault(layer.digest, str(stored.name))
    bad = 0
    for digest, name in users.items():
        if not _is_whole(store, digest, status):
            bad += 1
            remedy = f"ollamapy pull {name} (or create it again)"
            yield Finding("store", "problem", f"a file of {name} is missing or damaged: {digest}", remedy)
    if not bad:
        yield Finding("store", "ok", f"all {len(users)} files have their digests")


def _is_whole(store: Store, digest: Digest, status: Progress) -> bool:
    try:
        return hash_file(store.open_blob(digest), status) == str(digest)
    except OllamapyError:
        return False
