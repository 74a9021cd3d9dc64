"""Loads the models that shall be in memory from the start."""

from __future__ import annotations

import logging
import math

from ollamapy.actions.load import load_only
from ollamapy.actions.sampling import merge_options
from ollamapy.actions.services import Services
from ollamapy.errors import OllamapyError
from ollamapy.types import Options

logger = logging.getLogger("ollamapy.actions")


async def preload(services: Services) -> None:
    """Load what the settings name, one after another; pinned models stay for ever. What fails is logged."""
    settings = services.settings
    wanted = [*((name, math.inf) for name in settings.pin), *((name, None) for name in settings.preload)]
    for name, keep_alive_seconds in wanted:
        try:
            found = await services.models.resolve(services.store, name)
            options = merge_options(Options(), found.model.options, Options())
            await load_only(services, found, keep_alive_seconds, options)
        except OllamapyError as exc:
            logger.warning("%s was not loaded at the start: %s", name, exc.message)
