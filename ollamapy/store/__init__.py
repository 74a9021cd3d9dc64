"""The model store on disk: blobs, manifests, and the models that they make."""

from __future__ import annotations

from ollamapy.store.blobs import BlobWriter
from ollamapy.store.capabilities import capabilities
from ollamapy.store.gojson import encode_go_json, sort_keys
from ollamapy.store.layout import blob_name
from ollamapy.store.manifests import (
    CONFIG_TYPE,
    MANIFEST_TYPE,
    DamagedManifest,
    Layer,
    Manifest,
    StoredManifest,
    parse_manifest,
)
from ollamapy.store.models import (
    ADAPTER_TYPE,
    DRAFT_TYPE,
    LICENSE_TYPE,
    MESSAGES_TYPE,
    PARAMS_TYPE,
    PROJECTOR_TYPE,
    SYSTEM_TYPE,
    TEMPLATE_TYPE,
    WEIGHTS_TYPE,
    Model,
    ModelConfig,
    encode_config,
    load_model,
    read_config,
)
from ollamapy.store.partial import PartialBlob
from ollamapy.store.place import Placed
from ollamapy.store.store import Store

__all__ = [
    "ADAPTER_TYPE",
    "CONFIG_TYPE",
    "DRAFT_TYPE",
    "LICENSE_TYPE",
    "MANIFEST_TYPE",
    "MESSAGES_TYPE",
    "PARAMS_TYPE",
    "PROJECTOR_TYPE",
    "SYSTEM_TYPE",
    "TEMPLATE_TYPE",
    "WEIGHTS_TYPE",
    "BlobWriter",
    "DamagedManifest",
    "Layer",
    "Manifest",
    "Model",
    "ModelConfig",
    "PartialBlob",
    "Placed",
    "Store",
    "StoredManifest",
    "blob_name",
    "capabilities",
    "encode_config",
    "encode_go_json",
    "load_model",
    "parse_manifest",
    "read_config",
    "sort_keys",
]
