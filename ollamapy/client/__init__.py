"""The HTTP client of the daemon's API, blocking and asynchronous: every command but `serve` works through it."""

from ollamapy.client.asynchronous import AsyncClient
from ollamapy.client.blocking import Client
from ollamapy.client.failures import Presence

__all__ = ["AsyncClient", "Client", "Presence"]
