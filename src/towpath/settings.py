"""The settings: read once, typed, frozen. The only reader of the environment.

Order: what code or a flag gives, then `TOWPATH_…` variables, then `.env`, then the default.
docs/reference/settings.md explains each; a test keeps the two together.
"""

import difflib
import ipaddress
import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal, Self

import platformdirs
from pydantic import Field, ValidationError, field_validator
from pydantic_settings import BaseSettings, DotEnvSettingsSource, SettingsConfigDict

from towpath.errors import SettingsError
from towpath.errors.redaction import shown
from towpath.setting_types import (
    AllowedHosts,
    DatabaseUrl,
    HostNames,
    Life,
    Listed,
    Networks,
    Origins,
    Size,
    WebAddress,
    bytes_of,
    unread_names,
)
from towpath.store_address import StoreAddress, read_store_address

__all__ = [
    "Settings",
    "active",
    "bytes_of",
    "environment_of_decoder",
    "environment_of_git",
    "hub_endpoint",
    "hub_token",
    "load",
    "load_given",
    "reserve_of",
    "s3_endpoint",
    "using",
]

_PREFIX = "TOWPATH_"
_DOTENV = ".env"  # may hold the variables of other programs too
_LOOPBACK_NAMES = frozenset({"localhost", "127.0.0.1", "::1"})
_WILDCARDS = frozenset({"", "0.0.0.0", "::"})  # noqa: S104 - compared, not bound


def default_data_dir() -> Path:
    """Return /data if it can be used, else the platform's folder for a user's data."""
    shared = Path("/data")
    if shared.is_dir() and os.access(shared, os.W_OK | os.X_OK):
        return shared
    return platformdirs.user_data_path("towpath")


class Settings(BaseSettings):
    """Everything that an operator can set."""

    model_config = SettingsConfigDict(
        env_prefix=_PREFIX,
        env_file=_DOTENV,
        frozen=True,
        extra="ignore",
        env_ignore_empty=True,
        defer_build=True,  # when settings are first asked for: imports stay quick
    )

    data_dir: Path = Field(default_factory=default_data_dir)
    state_dir: Path | None = None
    store: str | None = None
    host: str = "127.0.0.1"
    port: int = Field(default=8000, ge=0, le=65535)
    public_url: WebAddress = None
    cdn_url: WebAddress = None
    cdn_port: int | None = Field(default=None, ge=0, le=65535)
    keys: Listed = Field(default=(), repr=False)
    admin_token: str | None = Field(default=None, min_length=16, repr=False)
    no_auth: bool = False
    owner: str = Field(default="local", pattern=r"^[a-z0-9][a-z0-9-]{0,62}$")
    cors_origins: Origins = ()
    host_names: HostNames = ()
    trusted_proxies: Networks = ()
    front_prefix: str | None = Field(default=None, pattern=r"^/[A-Za-z0-9_-]{16,64}$", repr=False)
    media_expires_in: Life = "never"
    durability: Literal["power", "process"] = "power"
    store_reserve: Size | None = None
    store_reads: Literal["redirect", "proxy"] = "redirect"
    max_file_connections: int = Field(default=1000, ge=1)
    max_connections: int = Field(default=2000, ge=1)
    max_client_connections: int = Field(default=500, ge=1)
    max_client_silent: int = Field(default=100, ge=1)
    max_upload_bytes: Size = 5 * 2**30
    max_body_bytes: Size = 64 * 2**20
    max_json_depth: int = Field(default=64, ge=1, le=190)
    allow_hosts: AllowedHosts = ()
    sources: Listed = ()
    download_connections: int = Field(default=16, ge=1, le=64)
    download_undeclared_max_bytes: Size = 2 * 2**30
    cache_max_bytes: Size | None = None
    progress: Literal["auto", "bar", "log", "off"] = "auto"
    user_agent: str | None = None
    image_max_pixels: int = Field(default=100_000_000, ge=1)
    media_max_seconds: float = Field(default=3600, gt=0)
    media_max_frames: int = Field(default=200_000, ge=1)
    video_encoder: str = "auto"
    archive_max_bytes: Size = 2 * 2**30
    archive_max_entries: int = Field(default=10_000, ge=1)
    archive_max_ratio: float = Field(default=100, ge=1)
    archive_max_depth: int = Field(default=32, ge=1)
    database: DatabaseUrl = Field(default=None, repr=False)
    engine: Literal["local"] = "local"
    strict_machine: bool = False
    scale_to_zero: bool = False
    private_tmp: Literal["auto", "mount", "env"] = "auto"
    runner_memory_bytes: Size | None = None
    runner_open_files: int = Field(default=65536, ge=64)
    queue_retention: float = Field(default=86_400, gt=0)
    queue_max_length: int = Field(default=100_000, ge=1)
    request_log_bytes: Size = 2**20
    ready: Literal["any", "all"] = "any"
    log_format: Literal["auto", "text", "json"] = "auto"
    log_level: Literal["debug", "info", "warning", "error"] = "info"

    @field_validator("data_dir", "state_dir")
    @classmethod
    def _absolute(cls, path: Path | None) -> Path | None:
        return path.expanduser().absolute() if path is not None else None

    @field_validator("keys")
    @classmethod
    def _pairs(cls, keys: tuple[str, ...]) -> tuple[str, ...]:
        if not all(":" in key for key in keys):
            message = "each key is an id and a secret with a colon between them, id:secret"
            raise ValueError(message)
        return keys

    @field_validator("store")
    @classmethod
    def _address(cls, url: str | None) -> str | None:
        if url is not None:
            read_store_address(url)
        return url

    # --- what follows from them ---

    @property
    def state(self) -> Path:
        """Return the folder that one server owns."""
        return self.state_dir or self.data_dir / ".towpath" / "state"

    @property
    def store_address(self) -> StoreAddress:
        """Return where files are kept."""
        return read_store_address(self.store or (self.state / "store").as_uri())

    @property
    def database_url(self) -> str:
        """Return where the queue is kept."""
        return self.database or f"sqlite:///{self.state / 'queue.db'}"

    @property
    def store_dir(self) -> Path:
        """Return the folder of the store; of its index and its drafts, if files are elsewhere."""
        address = self.store_address
        return address.folder if address.scheme == "file" else self.state / "store"

    @property
    def origin(self) -> str:
        """Return the prefix of every URL we hand out."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return self.public_url or f"http://{host}:{self.port}"

    @property
    def local_origin(self) -> str:
        """Return where the server answers on this machine, whatever is in front of it."""
        host = {"": "127.0.0.1", "0.0.0.0": "127.0.0.1", "::": "::1"}.get(self.host, self.host)  # noqa: S104 - compared, not bound
        return f"http://[{host}]:{self.port}" if ":" in host else f"http://{host}:{self.port}"

    @property
    def files_origin(self) -> str:
        """Return the prefix of file URLs."""
        if self.cdn_url:
            return self.cdn_url
        if self.cdn_port is not None and not self.public_url:
            return f"{self.origin.rpartition(':')[0]}:{self.cdn_port}"
        return self.origin

    @property
    def is_loopback(self) -> bool:
        """Return whether only this machine can reach the server."""
        if self.host in _LOOPBACK_NAMES:
            return True
        try:
            return ipaddress.ip_address(self.host).is_loopback
        except ValueError:
            return False

    @property
    def is_wildcard(self) -> bool:
        """Return whether the server listens on every address of the machine."""
        return self.host in _WILDCARDS

    def checked_for_serving(self) -> Self:
        """Return these settings, or raise SettingsError when serving with them is unsafe."""
        if not self.is_loopback and not self.keys and not self.no_auth:
            reason = (
                f"host {self.host!r} can be reached by others, and no keys are set. Set "
                "TOWPATH_KEYS=id:secret, or pass --no-auth to let everybody run the apps."
            )
            raise SettingsError(reason)
        if self.is_wildcard and not self.public_url:
            reason = (
                f"host {self.host!r} listens on every address, so the URLs to hand out cannot be "
                "guessed. Set TOWPATH_PUBLIC_URL or pass --public-url http://<name>:<port>."
            )
            raise SettingsError(reason)
        return self

    def to_environment(self) -> dict[str, str]:
        """Return the variables that give a runner these settings, without the secrets.

        A setting that is kept out of `repr` is one.
        """
        secret = {name for name, field in type(self).model_fields.items() if not field.repr}
        kept = self.model_dump(exclude=secret, exclude_none=True, mode="json")
        return {
            f"{_PREFIX}{name.upper()}": ",".join(value) if isinstance(value, list) else str(value)
            for name, value in kept.items()
            if value != []
        }

    def environment_of_runner(self) -> dict[str, str]:
        """Return the whole environment of a runner.

        It is ours, and what `.env` says besides where ours does not, with these settings, less
        the operator's secrets, and less variables without a name: they cannot be passed on.
        """
        given = _dotenv_values() | dict(os.environ)
        others = {n: v for n, v in given.items() if n and not n.upper().startswith(_PREFIX)}
        return others | self.to_environment()


def _dotenv_names() -> list[str]:
    """Return the names of our variables in `.env`.

    Raises:
        SettingsError: a line of it names one, and cannot be read.
    """
    try:
        text = Path(_DOTENV).read_text(errors="replace")
    except OSError:
        return []
    read = _dotenv_values()
    for number, name in unread_names(text, _PREFIX, read).items():
        message = f"{_DOTENV}, line {number} cannot be read: write {shown(name)}=value."
        raise SettingsError(message)
    return [name for name in read if name.upper().startswith(_PREFIX)]


def _dotenv_values() -> dict[str, str]:
    """Return the variables that `.env` sets."""
    source = DotEnvSettingsSource(Settings, env_file=_DOTENV, case_sensitive=True)
    return {name: value for name, value in source.env_vars.items() if value is not None}


def _refuse_unknown(names: Iterable[str]) -> None:
    """Raise SettingsError for a `TOWPATH_` variable that means nothing."""
    known = {f"{_PREFIX}{name.upper()}" for name in Settings.model_fields}
    for name in names:
        if name.upper().startswith(_PREFIX) and name.upper() not in known:
            ends = [each.removeprefix(_PREFIX) for each in known]
            near = difflib.get_close_matches(name.upper().removeprefix(_PREFIX), ends, n=1)
            hint = f" Did you mean {_PREFIX}{near[0]}?" if near else ""
            message = f"{shown(name)} is not a setting.{hint}"
            raise SettingsError(message)


def reserve_of(total: int, reserve: int | None) -> int:
    """Return the bytes that stay free on a disk of *total*: as set, else max(1 GiB, 5 %)."""
    return reserve if reserve is not None else max(2**30, total // 20)


def load(**given: object) -> Settings:
    """Read the settings; *given* values win over the environment.

    Raises:
        SettingsError: a value cannot be used, or a `TOWPATH_` variable is unknown.
    """
    _refuse_unknown(
        [*os.environ, *_dotenv_names(), *(f"{_PREFIX}{name.upper()}" for name in given)]
    )
    return _read({name: v for name, v in given.items() if v is not None})


def load_given() -> Settings:
    """Read the settings that a server gave its runner, and no `.env`: the keys may be in there.

    Raises:
        SettingsError: a value cannot be used.
    """
    return _read({"_env_file": None})


def _read(given: dict[str, Any]) -> Settings:  # Any: what Settings checks
    """Read the environment, and say what cannot be used.

    Raises:
        SettingsError: a value cannot be used.
    """
    try:
        return Settings(**given)
    except ValidationError as failure:
        first = failure.errors(include_url=False, include_input=False)[0]
        name = str(first["loc"][0]) if first["loc"] else "?"
        reason = first["msg"].removeprefix("Value error, ")
        message = f"{_PREFIX}{name.upper()} cannot be used: {reason}."
        raise SettingsError(message) from None


def s3_endpoint() -> str | None:
    """Return the service that S3's own clients take where the store's URL names none."""
    return os.environ.get("AWS_ENDPOINT_URL") or None


def hub_endpoint() -> str:
    """Return where the model hub answers: HF_ENDPOINT, or its public address."""
    return (os.environ.get("HF_ENDPOINT") or "https://huggingface.co").rstrip("/")


def hub_token() -> str | None:
    """Return the token for the model hub: HF_TOKEN, or what its command wrote to its file."""
    token = os.environ.get("HF_TOKEN") or os.environ.get("HUGGING_FACE_HUB_TOKEN")
    if token:
        return token.strip()
    cache = os.environ.get("XDG_CACHE_HOME") or "~/.cache"
    home = os.environ.get("HF_HOME") or f"{cache}/huggingface"
    path = os.environ.get("HF_TOKEN_PATH") or f"{home}/token"
    try:
        return Path(path).expanduser().read_text().strip() or None
    except (OSError, RuntimeError, UnicodeError):
        return None


def environment_of_decoder() -> dict[str, str]:
    """Return the environment that strangers' media are decoded in: what Python needs."""
    names = ("PATH", "PYTHONPATH", "PYTHONHOME", "LD_LIBRARY_PATH", "COVERAGE_PROCESS_START")
    kept = {name: os.environ[name] for name in names if name in os.environ}
    return kept | {"PYTHONDONTWRITEBYTECODE": "1", "PYTHONSAFEPATH": "1", "LC_ALL": "C.UTF-8"}


def environment_of_git() -> dict[str, str]:
    """Return the environment that git runs in: no prompts, no proxies, no one's own settings."""
    kept = {name: os.environ[name] for name in ("PATH", "HOME", "TMPDIR") if name in os.environ}
    bundle = os.environ.get("SSL_CERT_FILE")
    authority = {"GIT_SSL_CAINFO": bundle} if bundle else {}
    return (
        kept
        | authority
        | {
            "GIT_TERMINAL_PROMPT": "0",
            "GIT_ASKPASS": "true",
            "GIT_CONFIG_NOSYSTEM": "1",
            "GIT_CONFIG_GLOBAL": os.devnull,
            "GIT_LFS_SKIP_SMUDGE": "1",
            "LC_ALL": "C",
        }
    )


class _Active:
    """The settings of this process; read at the first question."""

    settings: Settings | None = None


def active() -> Settings:
    """Return the settings of this process."""
    if _Active.settings is None:
        _Active.settings = load()
    return _Active.settings


@contextmanager
def using(settings: Settings) -> Iterator[Settings]:
    """Make *settings* the active ones; for servers, runners and tests."""
    before = _Active.settings
    _Active.settings = settings
    try:
        yield settings
    finally:
        _Active.settings = before
