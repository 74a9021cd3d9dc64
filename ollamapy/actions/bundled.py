"""The models that come with the package: each is created in the store when it is first asked for."""

from __future__ import annotations

import logging
from pathlib import Path

from ollamapy.actions.build import build_model
from ollamapy.errors import ModelNotFoundError
from ollamapy.modelfile import parse_modelfile
from ollamapy.names import BUNDLED, ModelName
from ollamapy.options import options_from_parameters
from ollamapy.store import Store, StoredManifest
from ollamapy.types import CreateRequest

BUNDLED_NAME, BUNDLED_EMBEDDER = map(ModelName.parse, BUNDLED)
_PACKAGE = Path(__file__).resolve().parent.parent
FOLDERS = (_PACKAGE / "bundled", _PACKAGE.parent / "modelfiles")  # installed; in a checkout

logger = logging.getLogger("ollamapy.actions")


def is_bundled(name: ModelName) -> bool:
    """Return whether a model of that name comes with the package."""
    return name in (BUNDLED_NAME, BUNDLED_EMBEDDER)


def find_manifest(store: Store, name: ModelName) -> StoredManifest:
    """Return the manifest of a model, after making a bundled one if that is what is missing; blocks.

    Raises ModelNotFoundError, ManifestError, StoreError.
    """
    try:
        return store.read_manifest(name)
    except ModelNotFoundError:
        folders = [folder / name.model for folder in FOLDERS if is_bundled(name)]
        folder = next((folder for folder in folders if (folder / "Modelfile").is_file()), None)
        if folder is None:
            raise
    logger.info("creating %s, a model that comes with ollamapy", name)
    create_from_folder(store, name, folder)
    return store.read_manifest(name)


def create_from_folder(store: Store, name: ModelName, folder: Path) -> None:
    """Create a model from the Modelfile of a folder and the file that it names; blocks. Twice at once does no harm."""
    modelfile = parse_modelfile((folder / "Modelfile").read_bytes())
    weights = folder / modelfile.from_[0]
    request = CreateRequest(
        model=str(name),
        files={weights.name: str(store.put_file(weights))},
        template=modelfile.template,
        system=modelfile.system,
        licenses=modelfile.licenses,
        parameters=options_from_parameters(modelfile.parameters),
        messages=modelfile.messages,
    )
    build_model(store, name, request)
