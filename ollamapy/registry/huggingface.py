"""Repositories of Hugging Face: which of their files make up a model, and fetching them.

Source: the Hub's HTTP API, `/api/models/{repository}/tree/{revision}` and `/{repository}/resolve/{revision}/{path}`.
"""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import PurePosixPath
from urllib.parse import quote, urlencode

import msgspec

from ollamapy.config import Registry
from ollamapy.errors import InvalidDigestError, RemoteNotFoundError, TransferError, UnauthorizedError
from ollamapy.names import DEFAULT_TAG, Digest, ModelName
from ollamapy.registry.address import origin
from ollamapy.registry.http import Http, Reply, Request
from ollamapy.registry.retries import Retries
from ollamapy.registry.session import expect

MAX_LISTING_BYTES = 8 << 20
MAX_PAGES = 20
MAX_TEXT_BYTES = 1 << 20
TEMPLATE, SYSTEM, PARAMS, JINJA_TEMPLATE = "template", "system", "params", "chat_template.jinja"
TEXTS = (TEMPLATE, SYSTEM, PARAMS, JINJA_TEMPLATE)
"""Files beside the weights that say how a model is to be run; the first three are those of Ollama's users."""
PREFERRED = ("Q4_K_M", "Q4_K_S", "Q4_0", "Q4_1", "Q5_K_M", "Q5_K_S", "Q3_K_M", "IQ4_XS", "IQ4_NL", "Q6_K", "Q8_0",
             "BF16", "F16")  # fmt: skip
PROJECTORS = ("F16", "BF16", "F32", "Q8_0")
_QUANT = re.compile(
    r"(?:^|[-._/ ])((?:UD-)?I?Q[0-9](?:_[A-Z0-9]+)*|BF16|F16|F32|FP16|FP32|MXFP4(?:_MOE)?|TQ[12]_0)(?=[-._/ ]|$)", re.I
)
_SPLIT = re.compile(r"(.*)-([0-9]{5})-of-([0-9]{5})\.gguf", re.IGNORECASE)
_NEXT = re.compile(r'<([^<>]+)>\s*;\s*rel="next"')


@dataclass(frozen=True, slots=True)
class HubFile:
    """A file of a repository whose content is known by its digest."""

    path: str
    digest: Digest
    size_bytes: int


@dataclass(frozen=True, slots=True)
class Listing:
    """What a repository has: its GGUF files, and which of `TEXTS`."""

    files: tuple[HubFile, ...] = ()
    texts: tuple[str, ...] = ()

    def __add__(self, other: Listing) -> Listing:
        """Return both."""
        return Listing(self.files + other.files, self.texts + other.texts)


@dataclass(frozen=True, slots=True)
class HubModel:
    """The files of one model: its weights, in several pieces if it is split, and its projector if it has one."""

    weights: tuple[HubFile, ...]
    projector: HubFile | None

    @property
    def files(self) -> tuple[HubFile, ...]:
        """All of them."""
        return (*self.weights, self.projector) if self.projector else self.weights


class _Lfs(msgspec.Struct):
    oid: str
    size: int


class _Entry(msgspec.Struct):
    type: str
    path: str
    lfs: _Lfs | None = None


class HubRepository:
    """One repository; the token goes to the Hub and never to where its files really lie."""

    def __init__(self, http: Http, hub: Registry, name: ModelName, retries: Retries) -> None:
        self._http = http
        self._hub = hub
        self._retries = retries
        self.name = name
        self.repository = f"{name.namespace}/{name.model}"

    async def list_files(self) -> Listing:
        """Return what there is; raises RemoteNotFoundError, UnauthorizedError, RegistryUnavailableError."""
        url = f"{self._hub.url}/api/models/{self.repository}/tree/main?" + urlencode({"recursive": "true"})
        found = Listing()
        for _ in range(MAX_PAGES):
            body, link = await self._retries.at_first.run(lambda url=url: self._read_page(url))  # type: ignore[misc]
            found += parse_listing(body)
            following = _NEXT.search(link)
            if following is None:
                return found
            url = following[1]
            if origin(url) != origin(self._hub.url):
                raise TransferError("the list of the repository's files goes on at another host; this is refused")
        raise TransferError("the repository has too many files")

    async def read_text(self, path: str) -> str:
        """Return the content of a small file; raises as `list_files` does."""
        data = await self._retries.run(lambda: self._read_small(path))
        try:
            return data.decode()
        except UnicodeDecodeError as exc:
            raise TransferError(f"the file {path} of the repository is no text in UTF-8") from exc

    async def _read_small(self, path: str) -> bytes:
        url = f"{self._hub.url}/{self.repository}/resolve/main/{quote(path)}"
        async with self._http.open(Request("GET", url, {}, self._authorization())) as reply:
            expect(reply, 200)
            return await reply.read(MAX_TEXT_BYTES)

    @asynccontextmanager
    async def open_file(self, file: HubFile, first: int, end: int | None) -> AsyncIterator[Reply]:
        """Ask for the bytes [first, end) of a file, all of it with `end` None; hands over the answer unread."""
        url = f"{self._hub.url}/{self.repository}/resolve/main/{quote(file.path)}"
        headers = {} if end is None else {"Range": f"bytes={first}-{end - 1}"}
        async with self._http.open(Request("GET", url, headers, self._authorization())) as reply:
            if reply.status in (401, 403) and origin(reply.url) == origin(self._hub.url):
                raise self._refused()
            yield reply

    async def _read_page(self, url: str) -> tuple[bytes, str]:
        async with self._http.open(Request("GET", url, {}, self._authorization())) as reply:
            if reply.status in (401, 403):
                raise self._refused()
            if reply.status == 404:
                raise RemoteNotFoundError("file does not exist")
            expect(reply, 200)
            return await reply.read(MAX_LISTING_BYTES), reply.header("link")

    def _authorization(self) -> str:
        return f"Bearer {self._hub.token}" if self._hub.token else ""

    def _refused(self) -> UnauthorizedError:
        return UnauthorizedError(
            f"unauthorized: {self.repository} does not exist, is private, or asks for its terms to be accepted; accept "
            "them on the website, then give a token of that account to `ollamapy login hf.co`, or to the daemon as "
            "HF_TOKEN"
        )


async def check_hub(http: Http, hub: Registry) -> bool:
    """Ask whether the Hub knows the token; raises UnauthorizedError."""
    async with http.open(Request("GET", f"{hub.url}/api/whoami-v2", {}, f"Bearer {hub.token}")) as reply:
        expect(reply, 200)
        return True


def parse_listing(body: bytes) -> Listing:
    """Read a page of a repository's files; raises TransferError."""
    try:
        entries = [entry for entry in msgspec.json.decode(body, type=list[_Entry]) if entry.type == "file"]
        files = tuple(
            HubFile(entry.path, Digest(entry.lfs.oid), entry.lfs.size)
            for entry in entries
            if entry.lfs and entry.path.lower().endswith(".gguf") and entry.lfs.size >= 0
        )
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError, InvalidDigestError) as exc:
        raise TransferError("the list of the repository's files is malformed") from exc
    return Listing(files, tuple(entry.path for entry in entries if entry.path in TEXTS))


def quant_of(path: str) -> str:
    """Return the quantization that a file's name tells, in upper case; "" where it tells none."""
    found = [match[1] for match in _QUANT.finditer(path.removesuffix(".gguf").removesuffix(".GGUF"))]
    return re.sub(r"^FP", "F", found[-1].upper()) if found else ""


def choose_files(files: Sequence[HubFile], tag: str) -> HubModel:
    """Choose the files of a model by quantization or file name, without a tag the usual quantization first.

    Raises:
        RemoteNotFoundError: there is none; the message names those that there are.
    """
    weights = [file for file in files if not _is_projector(file.path) and not _is_other(file.path)]
    firsts = [file for file in weights if _shard(file.path)[1] == 1]
    if not firsts:
        raise RemoteNotFoundError("the repository has no GGUF file; look for one whose name ends in -GGUF")
    chosen = _by_tag(firsts, tag) if tag != DEFAULT_TAG else _usual(firsts)
    if chosen is None:
        known = sorted({quant_of(file.path) for file in firsts} - {""})
        raise RemoteNotFoundError(f"the repository has no {tag[:80]}; it has {', '.join(known)[:400] or 'other names'}")
    return HubModel(_shards(weights, chosen), _projector([file for file in files if _is_projector(file.path)], chosen))


def _by_tag(firsts: Sequence[HubFile], tag: str) -> HubFile | None:
    wanted = tag.upper()
    for file in firsts:
        if wanted in (quant_of(file.path), quant_of(file.path).removeprefix("UD-")):
            return file
    named = [file for file in firsts if PurePosixPath(file.path).name.upper() in (wanted, f"{wanted}.GGUF")]
    return named[0] if named else None


def _usual(firsts: Sequence[HubFile]) -> HubFile:
    by_quant: dict[str, HubFile] = {}
    for file in firsts:
        by_quant.setdefault(quant_of(file.path).removeprefix("UD-"), file)
    return next((by_quant[quant] for quant in PREFERRED if quant in by_quant), firsts[0])


def _shard(path: str) -> tuple[str, int, int]:
    """Return the common name, number from 1 and count of a split file; 1 of 1 for a whole one."""
    match = _SPLIT.fullmatch(path)
    return (match[1], int(match[2]), int(match[3])) if match else (path, 1, 1)


def _shards(weights: Sequence[HubFile], first: HubFile) -> tuple[HubFile, ...]:
    base, _, count = _shard(first.path)
    found = {_shard(file.path)[1]: file for file in weights if _shard(file.path)[::2] == (base, count)}
    if count < 1 or sorted(found) != list(range(1, count + 1)):
        raise TransferError(f"the repository lacks some of the {count} parts of {PurePosixPath(first.path).name[:80]}")
    return tuple(found[number] for number in range(1, count + 1))


def _is_projector(path: str) -> bool:
    return "mmproj" in PurePosixPath(path).name.lower()


def _is_other(path: str) -> bool:
    """Tell statistics for quantizing, which are GGUF files too."""
    return "imatrix" in PurePosixPath(path).name.lower()


def _projector(files: Sequence[HubFile], weights: HubFile) -> HubFile | None:
    """Return the projector of a model: one of its name before others, then one in its folder, then by precision."""

    def rank(file: HubFile) -> tuple[bool, bool, bool, int]:
        quant, model, own = quant_of(file.path), _base_name(weights.path), _base_name(file.path)
        is_beside = PurePosixPath(file.path).parent == PurePosixPath(weights.path).parent
        precision = PROJECTORS.index(quant) if quant in PROJECTORS else len(PROJECTORS)
        return model != own, not model.endswith(own), not is_beside, precision

    return min(files, key=rank, default=None)


def _base_name(path: str) -> str:
    """Return what a file's name says of the model alone: no quantization, no number of a shard, no `mmproj`."""
    name = re.sub(r"\.gguf$", "", PurePosixPath(_shard(path)[0]).name, flags=re.IGNORECASE)
    bare = re.sub(r"mmproj(-model)?", "", _QUANT.sub("", name), flags=re.IGNORECASE)
    return bare.strip("-._ ").lower()
