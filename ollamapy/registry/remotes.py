"""The registries that this daemon may talk to, and the way to each."""

from __future__ import annotations

from collections.abc import Sequence

from ollamapy.config import DEFAULT_HF_ENDPOINT, Registry
from ollamapy.errors import ForbiddenError, InvalidInputError
from ollamapy.names import DEFAULT_HOST, ModelName
from ollamapy.registry.address import origin
from ollamapy.registry.client import Repository
from ollamapy.registry.download import Pace
from ollamapy.registry.http import Http, Limits
from ollamapy.registry.huggingface import HubRepository
from ollamapy.registry.retries import Retries
from ollamapy.registry.transfers import Transfers

HUB_HOSTS = ("hf.co", "huggingface.co")


class Remotes:
    """Built once by the daemon; opens no connection before one is asked for."""

    def __init__(
        self,
        registries: Sequence[Registry] = (),
        *,
        offline: bool = False,
        hf_endpoint: str = DEFAULT_HF_ENDPOINT,
        hf_token: str = "",
        max_rate_bytes: int = 0,
        pace: Pace | None = None,
        limits: Limits | None = None,
    ) -> None:
        self._registries = {registry.host: registry for registry in registries}
        self._offline = offline
        self._hub = Registry(host=HUB_HOSTS[0], url=hf_endpoint, token=hf_token)
        self._pace = pace or Pace()
        origins = {origin(registry.url) for registry in registries}
        origins |= {_auth_origin(registry) for registry in registries if registry.auth_host}
        if hf_endpoint != DEFAULT_HF_ENDPOINT:
            origins.add(origin(hf_endpoint))
        ca_files = {origin(r.url)[1:]: r.ca_file for r in registries if r.ca_file}
        self._http = Http(frozenset(origins), ca_files, limits)
        self.transfers = Transfers(self._pace, max_rate_bytes)

    def __repr__(self) -> str:
        return f"<Remotes {', '.join(self._registries) or 'as built in'}>"

    @property
    def is_offline(self) -> bool:
        """Whether nothing may be connected to."""
        return self._offline

    @property
    def retries(self) -> Retries:
        """How often a request is tried."""
        return self._pace.retries

    def is_hub(self, name: ModelName) -> bool:
        """Whether a model comes from Hugging Face."""
        return name.host.lower() in HUB_HOSTS and name.host.lower() not in self._registries

    def source(self, name: ModelName, *, plain: bool = False) -> Repository:
        """Return the repository to pull a model from; `plain` says that the name began with http://.

        Raises:
            InvalidInputError: its registry is neither built in nor configured, or lacks TLS.
            ForbiddenError: the daemon is set to stay offline.
        """
        registry = self._find(name)
        if registry is None:
            raise InvalidInputError(
                f'the registry "{name.host}" is not configured; add it to OLLAMAPY_REGISTRIES of the daemon, such as '
                f"OLLAMAPY_REGISTRIES=https://{name.host}"
            )
        if plain and not registry.url.startswith("http://"):
            raise InvalidInputError("insecure protocol http; name the registry with http:// in OLLAMAPY_REGISTRIES")
        return Repository(self._http, registry, name, self._pace.retries, push=False)

    def target(self, name: ModelName) -> Repository:
        """Return the repository to push a model to; raises ForbiddenError unless its registry is configured."""
        self._check_online()
        registry = self._registries.get(name.host.lower())
        if registry is None:
            raise ForbiddenError(
                f'models are pushed only to configured registries, and "{name.host}" is none; copy the model to a name '
                "that begins with a registry's host, and add that to OLLAMAPY_REGISTRIES of the daemon"
            )
        return Repository(self._http, registry, name, self._pace.retries, push=True)

    def hub(self, name: ModelName) -> HubRepository:
        """Return a repository of Hugging Face; raises ForbiddenError offline."""
        self._check_online()
        return HubRepository(self._http, self._hub, name, self._pace.retries)

    async def close(self) -> None:
        """Close all connections."""
        self.transfers.close()
        await self._http.close()

    def _find(self, name: ModelName) -> Registry | None:
        self._check_online()
        host = name.host.lower()
        if host == DEFAULT_HOST:
            return self._registries.get(host) or Registry(host=host, url=f"https://{host}")
        return self._registries.get(host)

    def _check_online(self) -> None:
        if self._offline:
            raise ForbiddenError("this daemon stays offline; unset OLLAMAPY_OFFLINE to pull and push models")


def _auth_origin(registry: Registry) -> tuple[str, str, int]:
    """Return the origin of a registry's token server, which is as safe as the registry is."""
    return origin(f"{origin(registry.url)[0]}://{registry.auth_host}")
