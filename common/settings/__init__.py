"""Every setting: its meaning and unit, what None means, and the reason for the default.

Settings come from environment variables only. `AIWORKER_X` takes precedence over the customary name (`DATABASE_URL`),
and any value may be read from a file (`AIWORKER_SECRET_KEY_FILE`). A wrong value raises Misconfigured with one line
that names the variable.
"""

from __future__ import annotations

import hashlib
import os
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

from common.errors import Misconfigured
from common.network.port_ranges import APP_PORTS, PortRange
from common.settings.agents import DRIVER_NAMES
from common.settings.database import absolute_file, checked_server, sqlite_address, sqlite_path
from common.settings.environment import Environment, web_address
from common.settings.kubernetes import MOST_PREVIEWS, FleetSettings, KubernetesSettings, read_kubernetes
from common.settings.models import ModelSettings, ProviderSettings, read_models
from common.settings.private_files import SHORTEST_KEY_BYTES, close_to_others, kept_earlier_key, kept_secret
from common.settings.retention import RetentionSettings
from common.settings.review import PictureSettings, ScanSettings
from common.settings.sandbox import SandboxSettings
from common.settings.security import SecuritySettings, signing_key_of
from common.settings.telemetry import TelemetrySettings, read_log_level
from common.settings.web import WebSettings, read_web

__all__ = [
    "DRIVER_NAMES",
    "MOST_PREVIEWS",
    "FleetSettings",
    "ForgeSettings",
    "KubernetesSettings",
    "ModelSettings",
    "PictureSettings",
    "ProviderSettings",
    "RuntimeSettings",
    "SandboxSettings",
    "ScanSettings",
    "SecuritySettings",
    "Settings",
    "StoreSettings",
    "WebSettings",
    "WorkSettings",
    "from_env",
    "given_key",
    "read_store",
    "read_web",
    "settings",
    "socket_path",
]


@dataclass(frozen=True)
class StoreSettings:
    """Where data is stored."""

    data_dir: Path
    """The data directory (AIWORKER_DATA_DIR), `.aiworker` by default. Holds all files of the embedded services."""
    database_url: str
    """AIWORKER_DATABASE_URL or DATABASE_URL. By default SQLite in the data directory."""
    redis_url: str
    """AIWORKER_REDIS_URL or REDIS_URL. By default the embedded Valkey's Unix socket in the data directory."""
    redis_embedded: bool
    """Whether `aiworker up` starts the embedded Valkey: true if no Redis URL is set."""
    disk_reserve_bytes: int | None = None
    """Bytes that must be free on the data directory's disk for new work to begin (AIWORKER_DISK_RESERVE_BYTES). None:
    the larger of 1 GiB and 2 % of the disk, about what a clone, a test and a preview need. 0: work begins until the
    disk is full."""

    @property
    def is_sqlite(self) -> bool:
        return self.database_url.startswith("sqlite")

    @property
    def database_path(self) -> Path | None:
        """SQLite's file; None with another database."""
        return sqlite_path(self.database_url) if self.is_sqlite else None


@dataclass(frozen=True)
class ForgeSettings:
    """The forge, which stores the code."""

    kind: str
    """AIWORKER_FORGE: `local` (bare repositories in the data directory) or `gitea`."""
    owner: str
    """The owner part of repository addresses (AIWORKER_FORGE_OWNER), `aiworker` by default."""
    repositories_dir: Path
    """Where the local forge stores its repositories: `repositories` in the data directory."""
    import_allow: tuple[str, ...]
    """Private hosts (or host:port) that importUrl may name (AIWORKER_IMPORT_ALLOW, comma-separated). Default: none."""
    gitea_url: str | None
    """URL of Gitea or Forgejo (GITEA_URL). The platform, the agents and the runtime must all reach it."""
    gitea_token: str | None
    """Token of a site administrator of Gitea (GITEA_TOKEN), with all scopes."""
    webhook_url: str
    """URL at which Gitea reaches this instance (AIWORKER_WEBHOOK_URL). By default <public URL>/api/webhooks/gitea."""
    mirrors_dir: Path
    """Where copies of Gitea's repositories are cached: `mirrors` in the data directory."""
    status_minutes: int = 60
    """How long a proof waits for a project's required statuses, from the agent's report on, and a group from when its
    tests have passed (AIWORKER_WAIT_MINUTES), 60 by default: longer than most CI takes, short enough that a CI that
    does not run is noticed the same day."""


@dataclass(frozen=True)
class RuntimeSettings:
    """Where previews, staging and production run."""

    kind: str
    """AIWORKER_RUNTIME: `local` (processes on this machine) or `kubernetes`."""
    supervisor_dir: Path
    """Where the local runtime stores checkouts, logs and its socket: `runtime` in the data directory."""
    public_host: str
    """The host in the local runtime's URLs (AIWORKER_RUNTIME_HOST), `localhost` by default."""
    bind_host: str
    """The address on which apps of the local runtime listen (AIWORKER_RUNTIME_BIND), 127.0.0.1 by default."""
    ports: PortRange = APP_PORTS
    """The ports of the local runtime's apps (AIWORKER_RUNTIME_PORTS). An app that has another one keeps it."""
    kubernetes: KubernetesSettings | None = None
    """None with the local runtime."""


@dataclass(frozen=True)
class WorkSettings:
    """With what agents work on tasks where neither the task nor its project says it."""

    driver: str | None = None
    """Name of the driver (AIWORKER_DRIVER). None: the first one of an agent's that works."""
    model: str | None = None
    """Name of the model (AIWORKER_MODEL), for AIWORKER_DRIVER if that is set. None: the driver's own choice."""
    stuck_tokens: int = 3_000_000
    """How many tokens a run may read, also from a cache, without changing a file (AIWORKER_STUCK_TOKENS), 3 million by
    default: more than a large repository takes to be understood. 0: any number."""
    review_minutes: int = 60
    """How long a proof waits until another agent can begin to review it (AIWORKER_WAIT_MINUTES), an hour by default:
    longer than most runs keep an agent busy."""


@dataclass(frozen=True)
class Settings:
    web: WebSettings
    store: StoreSettings
    security: SecuritySettings
    forge: ForgeSettings
    runtime: RuntimeSettings
    work: WorkSettings
    models: ModelSettings
    instance: str
    """Name of this instance in shared services, such as in Redis keys (AIWORKER_INSTANCE), `aiw` by default."""
    log_level: str
    """LOG_LEVEL or AIWORKER_LOG_LEVEL, INFO by default."""
    sandbox: SandboxSettings = field(default_factory=SandboxSettings)
    telemetry: TelemetrySettings = field(default_factory=TelemetrySettings)
    retention: RetentionSettings = field(default_factory=RetentionSettings)
    scans: ScanSettings = field(default_factory=ScanSettings)
    pictures: PictureSettings = field(default_factory=PictureSettings)


def from_env(environ: Mapping[str, str] | None = None) -> Settings:
    """Read every setting from the environment, and deny other users access to the data directory. Raises Misconfigured.

    Creates the secret key's file for a new database if there is none. Sets the process's umask to 077.
    """
    env = Environment(os.environ if environ is None else environ)
    store = read_store(env)
    close_to_others(store.data_dir, store.database_path)
    web = read_web(env)
    instance = env.string("AIWORKER_INSTANCE", default="aiw")
    return Settings(
        web=web,
        store=store,
        security=_security(env, store),
        forge=_forge(env, store.data_dir, web.public_url),
        runtime=_runtime(env, store.data_dir, instance=instance, internal_url=web.internal_url),
        work=_work(env),
        models=read_models(env, internal_url=web.internal_url),
        instance=instance,
        log_level=read_log_level(env),
        sandbox=SandboxSettings.from_env(environ),
        telemetry=TelemetrySettings.from_env(environ),
        retention=RetentionSettings.from_env(env),
        scans=ScanSettings.from_env(env),
        pictures=PictureSettings.from_env(env),
    )


class _Once:
    """Reads the settings at the first call, in one thread, and returns the same ones from then on.

    `cache_clear` waits for a read that is under way, so every later call returns settings that were read after it.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._read: Settings | None = None

    def __call__(self) -> Settings:
        read = self._read
        if read is None:
            with self._lock:
                if self._read is None:
                    self._read = from_env()
                read = self._read
        return read

    def cache_clear(self) -> None:
        """Read the settings again at the next call."""
        with self._lock:
            self._read = None


settings = _Once()
"""`settings()`: the settings of this process. Raises Misconfigured."""


def read_store(env: Environment) -> StoreSettings:
    """Creates nothing. Raises Misconfigured."""
    data_dir = env.folder("AIWORKER_DATA_DIR", default=".aiworker")
    database_url = env.string("AIWORKER_DATABASE_URL", "DATABASE_URL", default=sqlite_address(data_dir / "aiworker.db"))
    for plain in ("mysql://", "mariadb://", "mariadb+pymysql://"):
        if database_url.startswith(plain):
            database_url = "mysql+pymysql://" + database_url.removeprefix(plain)
    if not database_url.startswith(("sqlite:///", "mysql+pymysql://")):
        raise Misconfigured("AIWORKER_DATABASE_URL must start with mysql+pymysql:// or sqlite:///")
    if database_url.startswith("sqlite"):
        database_url = absolute_file(database_url)
    else:
        database_url = checked_server(database_url)
        if "charset=" not in database_url:
            database_url += ("&" if "?" in database_url else "?") + "charset=utf8mb4"
    redis_url = env.text("AIWORKER_REDIS_URL", "REDIS_URL")
    if redis_url and not redis_url.startswith(("redis://", "rediss://", "unix://")):
        raise Misconfigured("AIWORKER_REDIS_URL must start with redis://, rediss:// or unix://")
    if redis_url and not _is_readable(redis_url):
        raise Misconfigured("AIWORKER_REDIS_URL must be an address such as redis://redis.example:6379/0")
    return StoreSettings(
        data_dir=data_dir,
        database_url=database_url,
        redis_url=redis_url or f"unix://{socket_path(data_dir, 'redis')}",
        redis_embedded=redis_url is None,
        disk_reserve_bytes=env.optional_number("AIWORKER_DISK_RESERVE_BYTES", most=2**50),
    )


def _is_readable(redis_url: str) -> bool:
    try:  # as Redis's library reads it
        return redis_url.startswith("unix://") or urlsplit(redis_url).port != 0
    except ValueError:
        return False


def socket_path(data_dir: Path, name: str) -> Path:
    """The path of a Unix socket that belongs to this data directory.

    It is in the directory itself, unless that path would exceed the kernel's limit of 107 bytes. Then it is in a
    private directory under /tmp whose name contains a hash of the data directory, so that no two of them share it.
    """
    inside = data_dir / f"{name}.sock"
    if len(os.fsencode(inside)) <= 100:
        return inside
    digest = hashlib.sha256(os.fsencode(data_dir)).hexdigest()[:16]
    return Path(f"/tmp/aiworker-{os.getuid()}-{digest}") / f"{name}.sock"  # noqa: S108 (made 0700, owner checked)


def given_key(env: Environment) -> str | None:
    """The secret key that the environment gives; None if it gives none. Raises Misconfigured for a short one."""
    key = env.secret("AIWORKER_SECRET_KEY", "SECRET_KEY")
    if key is not None and len(key.encode()) < SHORTEST_KEY_BYTES:
        raise Misconfigured("AIWORKER_SECRET_KEY is shorter than 32 bytes; generate one with: openssl rand -hex 32")
    return key


def _earlier_key(env: Environment, store: StoreSettings, *, is_kept: bool) -> bytes | None:
    """is_kept: whether the data directory keeps the secret key."""
    key = env.secret("AIWORKER_EARLIER_SECRET_KEY")
    if key is None:
        return kept_earlier_key(store.data_dir) if is_kept else None
    if len(key.encode()) < SHORTEST_KEY_BYTES:
        raise Misconfigured("AIWORKER_EARLIER_SECRET_KEY is shorter than 32 bytes; set the secret key of before")
    return key.encode()


def _security(env: Environment, store: StoreSettings) -> SecuritySettings:
    key = given_key(env)
    return SecuritySettings(
        secret_key=key.encode() if key else kept_secret(store.data_dir, store.database_url),
        admin_password=env.secret("AIWORKER_ADMIN_PASSWORD"),
        refresh_token_seconds=env.number("AIWORKER_REFRESH_TOKEN_SECONDS", default=30 * 86400, least=10),
        signing_key=signing_key_of(env),
        earlier_key=_earlier_key(env, store, is_kept=not key),
    )


def _wait_minutes(env: Environment) -> int:
    """How long a proof waits for what others do: a CI, an agent that reviews."""
    return env.number("AIWORKER_WAIT_MINUTES", default=60, least=1, most=10_080)


def _forge(env: Environment, data_dir: Path, public_url: str) -> ForgeSettings:
    kind = env.choice("AIWORKER_FORGE", default="local", of=("local", "gitea"))
    gitea_url = env.text("GITEA_URL")
    gitea_token = env.text("GITEA_TOKEN")
    if kind == "gitea" and not (gitea_url and gitea_token):
        raise Misconfigured("AIWORKER_FORGE=gitea needs GITEA_URL and GITEA_TOKEN")
    if gitea_url and (web_address(gitea_url) is None or "@" in gitea_url):
        raise Misconfigured("GITEA_URL must be an http or https address without a user name and password")
    webhook_url = env.address("AIWORKER_WEBHOOK_URL", such_as="https://aiworker.example/api/webhooks/gitea")
    return ForgeSettings(
        kind=kind,
        owner=(env.slug if kind == "local" else env.string)("AIWORKER_FORGE_OWNER", default="aiworker"),
        repositories_dir=data_dir / "repositories",
        import_allow=env.hosts("AIWORKER_IMPORT_ALLOW", such_as="git.internal or git.internal:3000"),
        gitea_url=gitea_url.rstrip("/") if gitea_url else None,
        gitea_token=gitea_token,
        webhook_url=webhook_url or f"{public_url}/api/webhooks/gitea",
        mirrors_dir=data_dir / "mirrors",
        status_minutes=_wait_minutes(env),
    )


def _work(env: Environment) -> WorkSettings:
    driver = env.text("AIWORKER_DRIVER")
    if driver is not None and driver not in DRIVER_NAMES:
        raise Misconfigured(f"AIWORKER_DRIVER={driver} is not one of {', '.join(DRIVER_NAMES)}")
    return WorkSettings(
        driver=driver,
        model=env.text("AIWORKER_MODEL"),
        stuck_tokens=env.number("AIWORKER_STUCK_TOKENS", default=3_000_000),
        review_minutes=_wait_minutes(env),
    )


def _runtime(env: Environment, data_dir: Path, *, instance: str, internal_url: str) -> RuntimeSettings:
    kind = env.choice("AIWORKER_RUNTIME", default="local", of=("local", "kubernetes"))
    return RuntimeSettings(
        kind=kind,
        supervisor_dir=data_dir / "runtime",
        public_host=env.host("AIWORKER_RUNTIME_HOST", default="localhost", such_as="apps.example.com"),
        bind_host=env.host("AIWORKER_RUNTIME_BIND", default="127.0.0.1", such_as="192.168.0.5"),
        ports=env.ports("AIWORKER_RUNTIME_PORTS", default=APP_PORTS),
        kubernetes=read_kubernetes(env, instance=instance, internal_url=internal_url) if kind == "kubernetes" else None,
    )
