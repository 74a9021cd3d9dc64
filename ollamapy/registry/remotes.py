"""The registries that this daemon may talk to, and the way to each."""

from __future__ import annotations

import importlib
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Self

from ollamapy.config import DEFAULT_HF_ENDPOINT, Proxies, Registry, Settings
from ollamapy.errors import ForbiddenError, InvalidInputError
from ollamapy.names import DEFAULT_HOST, ModelName
from ollamapy.registry.address import origin
from ollamapy.registry.client import Repository, scope_of
from ollamapy.registry.credentials import Credential, CredentialsFile
from ollamapy.registry.download import Pace
from ollamapy.registry.http import Http, Limits
from ollamapy.registry.huggingface import HubRepository, check_hub
from ollamapy.registry.mirror import MirroredRepository
from ollamapy.registry.retries import Retries
from ollamapy.registry.session import Key, Session
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
        proxies: Proxies | None = None,
        credentials_file: Path | None = None,
        key_files: Sequence[Path] = (),
        pace: Pace | None = None,
        limits: Limits | None = None,
    ) -> None:
        self._registries = {registry.host: with_ollamas_key(registry) for registry in registries}
        self._offline = offline
        self._key_files = tuple(key_files)
        self.credentials = CredentialsFile(credentials_file)
        self._hub = Registry(host=HUB_HOSTS[0], url=hf_endpoint, token=hf_token)
        self._pace = pace or Pace()
        origins = {origin(registry.url) for registry in registries}
        origins |= {origin(registry.upstream) for registry in registries if registry.upstream}
        origins |= {_auth_origin(registry) for registry in registries if registry.auth_host}
        if hf_endpoint != DEFAULT_HF_ENDPOINT:
            origins.add(origin(hf_endpoint))
        ca_files = {origin(r.url)[1:]: r.ca_file for r in registries if r.ca_file}
        self._http = Http(frozenset(origins), ca_files, limits, proxies)
        self.transfers = Transfers(self._pace, max_rate_bytes)

    @classmethod
    def of(cls, settings: Settings) -> Self:
        """Return the registries that the settings allow; connects to nothing."""
        return cls(
            settings.registries,
            offline=settings.offline,
            hf_endpoint=settings.hf_endpoint,
            hf_token=settings.hf_token,
            max_rate_bytes=settings.max_rate_bytes,
            proxies=settings.proxies,
            credentials_file=settings.credentials_file,
            key_files=settings.key_files,
            pace=Pace(streams=settings.max_transfer_streams),
        )

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

    def source(self, name: ModelName, *, plain: bool = False) -> Repository | MirroredRepository:
        """Return the repository to pull a model from; `plain` says that the name began with http://.

        Raises:
            InvalidInputError: its registry is neither built in nor configured, or lacks TLS.
            ForbiddenError: the daemon is set to stay offline.
        """
        registry = self._find(name.host)
        if plain and not registry.url.startswith("http://"):
            raise InvalidInputError("insecure protocol http; name the registry with http:// in OLLAMAPY_REGISTRIES")
        if not registry.upstream:
            return self._repository(self._logged_in(registry), name, self.retries)
        own = with_ollamas_key(Registry(host=registry.host, url=registry.upstream))  # the credentials are the mirror's
        return MirroredRepository(
            self._repository(self._logged_in(registry), name, self.retries.of_mirror),
            self._repository(own, name, self.retries),
        )

    def target(self, name: ModelName) -> Repository:
        """Return the repository to push a model to; raises ForbiddenError unless its registry is configured."""
        self._check_online()
        registry = self._registries.get(name.host.lower())
        if registry is None:
            raise ForbiddenError(
                f'models are pushed only to configured registries, and "{name.host}" is none; copy the model to a name '
                "that begins with a registry's host, and add that to OLLAMAPY_REGISTRIES of the daemon"
            )
        return self._repository(self._logged_in(registry), name, self.retries, push=True)

    def hub(self, name: ModelName) -> HubRepository:
        """Return a repository of Hugging Face; raises ForbiddenError offline."""
        self._check_online()
        return HubRepository(self._http, self._logged_in(self._hub), name, self._pace.retries)

    def key(self) -> Key:
        """Return this user's key, which is made if there is none; blocks. Raises UnauthorizedError."""
        keys = importlib.import_module("ollamapy.registry.keys")  # see there
        found: Key = keys.load_key(self._key_files)
        return found

    def check_host(self, host: str) -> None:
        """Raise what would end every request to a registry before it is sent, as `source` does."""
        if host.lower() in HUB_HOSTS:
            self._check_online()
        else:
            self._find(host)

    async def check_login(self, host: str, credential: Credential) -> bool:
        """Ask a registry whether it takes a credential; False where it asks nobody for one.

        Raises UnauthorizedError where it does not, InvalidInputError for a registry that is not configured.
        """
        if host.lower() in HUB_HOSTS:
            self._check_online()
            hub = _with(self._hub, credential)
            return await self._pace.retries.at_first.run(lambda: check_hub(self._http, hub))
        registry = _with(self._find(host), credential)
        return await self._pace.retries.at_first.run(self._session(registry, "").check)

    async def close(self) -> None:
        """Close all connections."""
        self.transfers.close()
        await self._http.close()

    def _repository(self, registry: Registry, name: ModelName, retries: Retries, *, push: bool = False) -> Repository:
        return Repository(self._session(registry, scope_of(name, push=push)), registry, name, retries)

    def _session(self, registry: Registry, scope: str) -> Session:
        return Session(self._http, registry, scope, self.key)

    def _logged_in(self, registry: Registry) -> Registry:
        """Return a registry with what `login` keeps for it, unless the configuration has credentials of its own."""
        if registry.token or registry.username:
            return registry
        credential = self.credentials.find(registry.host)
        return _with(registry, credential) if credential else registry

    def _find(self, host: str) -> Registry:
        self._check_online()
        if not host:
            raise InvalidInputError("the name of the registry is empty")
        found = self._registries.get(host.lower())
        if found is None and host.lower() == DEFAULT_HOST:
            found = with_ollamas_key(Registry(host=DEFAULT_HOST, url=f"https://{DEFAULT_HOST}"))
        if found is None:
            raise InvalidInputError(
                f'the registry "{host}" is not configured; add it to OLLAMAPY_REGISTRIES of the daemon, such as '
                f"OLLAMAPY_REGISTRIES=https://{host}"
            )
        return found

    def _check_online(self) -> None:
        if self._offline:
            raise ForbiddenError("this daemon stays offline; unset OLLAMAPY_OFFLINE to pull and push models")


def _auth_origin(registry: Registry) -> tuple[str, str, int]:
    """Return the origin of a registry's token server, which is as safe as the registry is."""
    return origin(f"{origin(registry.url)[0]}://{registry.auth_host}")


def with_ollamas_key(registry: Registry) -> Registry:
    """Return a registry as it is, but for Ollama's own, which knows its users by their keys."""
    return replace(registry, ollama_key=True) if registry.url == f"https://{DEFAULT_HOST}" else registry


def _with(registry: Registry, credential: Credential) -> Registry:
    return replace(registry, username=credential.username, password=credential.password, token=credential.token)
