"""Lists the models in memory."""

from __future__ import annotations

from ollamapy.actions.list import details_record
from ollamapy.actions.models import ResolvedModel
from ollamapy.actions.services import Services
from ollamapy.dialects.native import DetailsRecord, LoadedRecord, WaitingRecord, local_time
from ollamapy.errors import OllamapyError
from ollamapy.scheduler.spec import LoadedModel

DELETED = DetailsRecord(
    parent_model="", format="gguf", family="", families=None, parameter_size="", quantization_level=""
)


async def list_loaded(services: Services) -> list[LoadedRecord]:
    """Return the models that are loaded or being loaded, the one that stays longest first."""
    return [loaded_record(loaded, await _find(services, loaded.name)) for loaded in services.scheduler.loaded()]


def list_waiting(services: Services) -> list[WaitingRecord]:
    """Return the requests that wait for a model, in their order."""
    return [
        WaitingRecord(model=request.name, seconds=round(request.seconds, 1), reason=request.reason)
        for request in services.scheduler.waiting()
    ]


def loaded_record(loaded: LoadedModel, found: ResolvedModel | None) -> LoadedRecord:
    """Return a loaded model as the list shows it; `found` is None once it was deleted from the store."""
    ready = loaded.ready
    return LoadedRecord(
        name=loaded.name,
        model=loaded.name,
        size=ready.size if ready else found.model.size if found else 0,
        digest=found.model.digest.hex if found else "",
        details=details_record(found) if found else DELETED,
        expires_at=local_time(loaded.expires_at),
        size_vram=ready.size_vram if ready else 0,
        context_length=loaded.spec.num_ctx,
        kv_cells=ready.n_ctx if ready else 0,
        active_requests=loaded.busy,
        queued_requests=max(loaded.busy - ready.n_parallel, 0) if ready else 0,
        draft_tokens=loaded.draft_tokens,
        accepted_tokens=loaded.accepted_tokens,
        state=loaded.state,
        progress=round(loaded.progress, 2) if loaded.state == "loading" else 0.0,
        reason=loaded.reason,
    )


async def _find(services: Services, name: str) -> ResolvedModel | None:
    try:
        return await services.models.resolve(services.store, name)
    except OllamapyError:
        return None
