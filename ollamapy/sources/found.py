"""All models of other programs, each under a name of its own."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from ollamapy.config import SourceFolders
from ollamapy.errors import OllamapyError
from ollamapy.names import ModelName
from ollamapy.sources.files import FoundFile, find_ggufs, group_files, tag_of
from ollamapy.store import Store, load_model, read_config

HUB = "hf.co"
_HUB_PREFIX = "models--"


@dataclass(frozen=True, slots=True)
class Found:
    """A model of another program, its files in order (parts, then its projector) and their size in bytes.

    `store` is the store of Ollama's layout that it lies in, under the same name; None for plain files.
    """

    name: ModelName
    program: str
    files: tuple[Path, ...]
    size_bytes: int
    store: Path | None = None


def find_models(folders: SourceFolders, own_store: Path) -> list[Found]:
    """Return what is in these folders, by name; what can't be read is left out. Nothing of `own_store`. Blocks."""
    found = [*_of_hub(folders.hub), *_of_llama_cpp(folders.llama_cpp)]
    for folder in folders.lm_studio:
        found += _of_lm_studio(folder)
    for folder in folders.ollama:
        if not _is_same(folder, own_store):
            found += _of_ollama(folder)
    return sorted(_told_apart(found), key=lambda model: str(model.name).lower())


def _of_hub(hub: Path) -> Iterator[Found]:
    """Hugging Face's cache: `models--<user>--<repository>/snapshots/<revision>/<files>`, links to its blobs."""
    for repository in _folders(hub):
        if repository.name.startswith(_HUB_PREFIX):
            user, _, name = repository.name.removeprefix(_HUB_PREFIX).rpartition("--")
            yield from _named(find_ggufs(_snapshot(repository)), "Hugging Face", HUB, user or "library", name)


def _snapshot(repository: Path) -> Path:
    """Return the folder of the revision that `main` is, or else of the newest."""
    snapshots = _folders(repository / "snapshots")
    try:
        current = (repository / "refs" / "main").read_text().strip()
    except (OSError, UnicodeDecodeError):
        current = ""
    chosen = [folder for folder in snapshots if folder.name == current]
    return max(chosen or snapshots, key=lambda folder: folder.stat().st_mtime, default=repository / "snapshots")


def _of_lm_studio(folder: Path) -> Iterator[Found]:
    """LM Studio's folder: `<publisher>/<repository>/<files>`."""
    for publisher in _folders(folder):
        for repository in _folders(publisher):
            yield from _named(find_ggufs(repository), "LM Studio", "", publisher.name, repository.name)


def _of_llama_cpp(folder: Path) -> Iterator[Found]:
    """llama.cpp's cache: `<user>_<repository>_<file>`, and files that were fetched by their address under own names."""
    repositories: dict[tuple[str, str], list[FoundFile]] = {}
    for file in find_ggufs(folder, depth=0):
        user, _, rest = file.path.name.partition("_")
        name, _, own = rest.partition("_")
        key = (user, name) if own else ("", file.path.stem)
        repositories.setdefault(key, []).append(file)
    for (user, name), files in repositories.items():
        yield from _named(files, "llama.cpp", HUB if user else "", user, name)


def _of_ollama(folder: Path) -> Iterator[Found]:
    """A store of Ollama's: its models under their own names."""
    if not (folder / "manifests").is_dir():
        return
    store = Store(folder)
    try:
        stored = store.list_manifests()
    except OllamapyError:
        return  # another user's
    for manifest in stored:
        try:
            if read_config(store, manifest).remote_host:
                continue
            model = load_model(store, manifest.name)
        except OllamapyError:
            continue
        files = (*model.shards, *model.projectors)
        yield Found(manifest.name, "Ollama", files, manifest.manifest.size, folder)


def _named(files: Iterable[FoundFile], program: str, host: str, namespace: str, model: str) -> Iterator[Found]:
    """Yield the models among the files of one repository."""
    for group in group_files(files):
        name = ModelName.parse("x")
        name = replace(
            name,
            host=host or name.host,
            namespace=_part(namespace, "").replace(".", "-") or name.namespace,
            model=_part(model, "model"),
            tag=_part(tag_of(group), name.tag),
        )
        yield Found(name, program, tuple(file.path for file in group), sum(file.size_bytes for file in group))


def _part(text: str, otherwise: str) -> str:
    """Return a text as a part of a model's name."""
    kept = "".join(char if char.isascii() and (char.isalnum() or char in "_-.") else "-" for char in text)
    return kept.lstrip("-.")[:80].rstrip(".") or otherwise


def _told_apart(found: Iterable[Found]) -> Iterator[Found]:
    """Give models that would have the same name the names of their files as tags; one and the same file counts once."""
    taken: dict[ModelName, Found] = {}
    for model in found:
        other = taken.get(model.name)
        if other is not None and other.files == model.files:
            continue
        own = replace(model.name, tag=_part(model.files[0].stem, "other")) if other is not None else model.name
        if own not in taken:
            taken[own] = replace(model, name=own)
            yield taken[own]


def _folders(folder: Path) -> list[Path]:
    """Return the folders in a folder, sorted; none where it can't be read."""
    try:
        return sorted(path for path in folder.iterdir() if path.is_dir())
    except OSError:
        return []


def _is_same(folder: Path, other: Path) -> bool:
    try:
        return folder.samefile(other)
    except OSError:
        return False
