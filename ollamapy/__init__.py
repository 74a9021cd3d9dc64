"""ollamapy: a local model manager in Python that speaks Ollama's API and runs models through llama.cpp.

What other programs may import stands here: a client of the daemon, the records that it takes, and the errors that it
raises. Each name is loaded when it is first used, so that a command pays only for what it needs.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ollamapy.client import AsyncClient, Client
    from ollamapy.errors import (
        CapacityError,
        ForbiddenError,
        InvalidInputError,
        ModelNotFoundError,
        NotFoundError,
        OllamapyError,
        RunnerError,
        ServiceError,
    )
    from ollamapy.types import (
        ChatRequest,
        CreateRequest,
        EmbedRequest,
        GenerateRequest,
        Message,
        Options,
        RerankRequest,
        ToolCall,
    )
    from ollamapy.version import __version__

_HOMES = {
    "ollamapy.client": ("AsyncClient", "Client"),
    "ollamapy.errors": (
        "CapacityError", "ForbiddenError", "InvalidInputError", "ModelNotFoundError", "NotFoundError", "OllamapyError",
        "RunnerError", "ServiceError",
    ),
    "ollamapy.types": (
        "ChatRequest", "CreateRequest", "EmbedRequest", "GenerateRequest", "Message", "Options", "RerankRequest",
        "ToolCall",
    ),
    "ollamapy.version": ("__version__",),
}  # fmt: skip

__all__ = [
    "AsyncClient", "CapacityError", "ChatRequest", "Client", "CreateRequest", "EmbedRequest", "ForbiddenError",
    "GenerateRequest", "InvalidInputError", "Message", "ModelNotFoundError", "NotFoundError", "OllamapyError",
    "Options", "RerankRequest", "RunnerError", "ServiceError", "ToolCall", "__version__",
]  # fmt: skip


def __getattr__(name: str) -> Any:
    for home, names in _HOMES.items():
        if name in names:
            return getattr(importlib.import_module(home), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
