"""Registries of models: every outgoing request of the daemon. Home of the HTTP client for them."""

from __future__ import annotations

from ollamapy.registry.client import Repository
from ollamapy.registry.credentials import Credential, CredentialsFile
from ollamapy.registry.download import Pace
from ollamapy.registry.http import Limits
from ollamapy.registry.huggingface import JINJA_TEMPLATE, PARAMS, SYSTEM, TEMPLATE, choose_files
from ollamapy.registry.remotes import HUB_HOSTS, Remotes
from ollamapy.registry.retries import Retries
from ollamapy.registry.transfers import Wanted
from ollamapy.registry.upload import Blob, Upload, write_manifest

__all__ = [
    "HUB_HOSTS",
    "JINJA_TEMPLATE",
    "PARAMS",
    "SYSTEM",
    "TEMPLATE",
    "Blob",
    "Credential",
    "CredentialsFile",
    "Limits",
    "Pace",
    "Remotes",
    "Repository",
    "Retries",
    "Upload",
    "Wanted",
    "choose_files",
    "write_manifest",
]
