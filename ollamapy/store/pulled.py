"""Which models came from a registry, and as which manifest: so that an update replaces nothing that was made here.

The file is JSON: `{"registry.ollama.ai/library/wren:latest": "sha256:…"}`.
"""

from __future__ import annotations

import os
from contextlib import ExitStack
from pathlib import Path

import msgspec

from ollamapy.names import Digest, ModelName
from ollamapy.store.layout import UPLOADS, open_file, open_folder, read_file, store_errors, write_all
from ollamapy.store.uploads import create_upload, remove_upload

FILE = "pulled.json"
MAX_FILE_BYTES = 16 << 20


def read_pulled(root: Path) -> dict[str, str]:
    """Return the manifests' digests by the models' full names in lower case; nothing where the file is damaged."""
    with store_errors("read the model store"):
        try:
            with open_folder(root) as folder:
                file = open_file(folder, FILE)
        except FileNotFoundError:
            return {}
        try:
            return msgspec.json.decode(read_file(file, MAX_FILE_BYTES), type=dict[str, str])
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            return {}
        finally:
            os.close(file)


def note_pulled(root: Path, name: ModelName, digest: Digest) -> None:
    """Remember a model; call it with the store locked."""
    known = {**read_pulled(root), name.full.lower(): str(digest)}
    with store_errors("write to the model store"), ExitStack() as stack:
        folder = stack.enter_context(open_folder(root))
        uploads = stack.enter_context(open_folder(root, UPLOADS, create=True))
        upload, file = create_upload(uploads)
        stack.callback(os.close, file)
        stack.callback(remove_upload, uploads, upload)
        write_all(file, msgspec.json.encode(known))
        os.fsync(file)
        os.rename(upload, FILE, src_dir_fd=uploads, dst_dir_fd=folder)
