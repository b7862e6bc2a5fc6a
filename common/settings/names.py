"""All settings, in groups: what `aiworker doctor`, docs/settings.md and the tests read.

`python -m tests.settings_page` writes docs/settings.md from it.
"""

from __future__ import annotations

from dataclasses import dataclass

PREFIX = "AIWORKER_"
FILE = "_FILE"
"""A setting with this at its end names a file with the value."""


@dataclass(frozen=True)
class Setting:
    """names: of one variable, or of several that are explained together, with the customary names, separated by blanks.

    meaning, default: in Markdown. default: None if another page of docs explains it; meaning leads there then.
    """

    names: str
    meaning: str
    default: str | None


@dataclass(frozen=True)
class Group:
    """title, text: in Markdown. text: above the table; may be empty."""

    title: str
    text: str
    settings: tuple[Setting, ...]


# fmt: off
GROUPS = (
    Group("Where it is reached",
          "", (
        Setting("AIWORKER_HOST AIWORKER_PORT PORT",
                "where `web` listens, an IPv6 address in brackets (`[::1]`); the `Procfile` reads `AIWORKER_PORT` "
                "alone",
                "`127.0.0.1`, `3000`"),
        Setting("AIWORKER_PUBLIC_URL",
                "what links start with; the addresses of repositories that are there already follow when `aiworker "
                "up`, `aiworker db upgrade` or `release` starts",
                "`http://localhost:<port>`, or `AIWORKER_HOST` in its place if that is one address"),
        Setting("AIWORKER_INTERNAL_URL",
                "where agents reach the API and git; the `agent` of the `Procfile` does not know `AIWORKER_HOST`: set "
                "this where that is one address",
                "`http://127.0.0.1:<port>`, or `AIWORKER_HOST` in its place if that is one address"),
        Setting("AIWORKER_GATEWAY_URL",
                "where agents reach the model gateway: see [models.md](models.md), which also has the variables of "
                "model providers",
                "the internal URL: `web` serves it"),
        Setting("AIWORKER_ALLOWED_HOSTS",
                "more names to be reached by, without ports, comma-separated, `.example.com` for all below it; other "
                "Hosts get 421, against DNS rebinding",
                "`localhost`, IP addresses, the hosts of the public, internal and webhook URL"),
        Setting("AIWORKER_TRUSTED_PROXIES",
                "how many proxies in front set `X-Forwarded-*`",
                "`0`"),
        Setting("AIWORKER_RUNTIME_HOST AIWORKER_RUNTIME_BIND",
                "host in the links of previews and environments; address they listen on. Beyond loopback, previews of "
                "restricted projects answer only browsers that come from AiWorker's page",
                "`localhost`, `127.0.0.1`"),
        Setting("AIWORKER_RUNTIME_PORTS",
                "the ports of previews and environments, for a firewall or beside another platform. A program takes "
                "one, and up to two more while one version replaces another. Best below 32768, where no outgoing "
                "connection takes one whose program is stopped. A program that has another port already keeps it",
                "`20000-29999`"),
        Setting("AIWORKER_OUTGOING_ALLOW",
                "private hosts (or `host:port`) that the [outgoing webhook](operations.md#webhook) may name, "
                "comma-separated",
                "none"),
        Setting("AIWORKER_WEBHOOK_URL",
                "where Gitea reaches this instance",
                "`<public URL>/api/webhooks/gitea`"),
    )),
    Group("Data",
          "", (
        Setting("AIWORKER_DATA_DIR",
                "repositories, checkouts, logs and the embedded parts' data; of the user that runs AiWorker, closed "
                "to all others",
                "`.aiworker`"),
        Setting("AIWORKER_DATABASE_URL DATABASE_URL",
                "`mysql+pymysql://user:password@host/name` (MySQL 8, MariaDB 10.6 or newer)",
                "SQLite in the data directory, for one host"),
        Setting("AIWORKER_REDIS_URL REDIS_URL",
                "`redis://…`, `rediss://…` or `unix://…`",
                "an embedded Valkey"),
        Setting("AIWORKER_INSTANCE",
                "prefix of its keys in a shared Redis",
                "`aiw`"),
        Setting("AIWORKER_DISK_RESERVE_BYTES",
                "what must be free on the disk of the data directory, and of an agent's work directory, for new work "
                "to begin; `/api/health` says how it stands",
                "the larger of 1 GiB and 2 %"),
    )),
    Group("How long things are kept",
          "In days, 1 at least. Jobs that are done, and deliveries of the outgoing webhook that are over, are kept "
          "for 7. Older rows are deleted every ten minutes: see [operations.md](operations.md#what-is-kept).", (
        Setting("AIWORKER_KEEP_DAYS",
                "transcripts of runs and logs of agents; test runs of groups and stored results of the default "
                "branch's tests; ended previews and pictures",
                "`30` for transcripts and logs of agents, `90` for the others"),
        Setting("AIWORKER_KEEP_EVENT_DAYS",
                "events, which are also the audit",
                "always"),
    )),
    Group("Traces and error reports",
          "Both are off by default, and then nothing of their libraries is loaded: see "
          "[operations.md](operations.md#traces-and-errors).", (
        Setting("OTEL_EXPORTER_OTLP_ENDPOINT",
                "where web, workers and agents send traces, over OTLP/HTTP, such as `http://localhost:4318`; "
                "OpenTelemetry's other variables count too",
                "no traces"),
        Setting("SENTRY_DSN",
                "where web, workers, supervisor and agents report their own errors, as Sentry shows it",
                "no reports"),
        Setting("SENTRY_ENVIRONMENT",
                "what Sentry calls this installation",
                "`production`"),
    )),
    Group("Secrets and logins",
          "", (
        Setting("AIWORKER_SECRET_KEY SECRET_KEY",
                "32 bytes or more; signs logins, seals stored secrets; the same for all processes",
                "made once, kept in the data directory"),
        Setting("AIWORKER_EARLIER_SECRET_KEY",
                "the secret key of before, during a [change of it](operations.md#another-secret-key)",
                "kept in the data directory during a change"),
        Setting("AIWORKER_SIGNING_KEY",
                "an Ed25519 private key in PEM that [receipts](receipts.md) and the audit are signed with; the same "
                "for all processes",
                "derived from the secret key"),
        Setting("AIWORKER_ADMIN_PASSWORD",
                "of the user `admin`, at the first start",
                "made, printed once"),
        Setting("AIWORKER_REFRESH_TOKEN_SECONDS",
                "how long a login is good; its access tokens are renewed every 15 minutes",
                "30 days"),
    )),
    Group("Code and places to run",
          "", (
        Setting("AIWORKER_FORGE",
                "`local`, or `gitea` for Gitea and Forgejo: see [gitea.md](gitea.md)",
                "`local`"),
        Setting("GITEA_URL GITEA_TOKEN",
                "with `gitea`: the server's address, a site administrator's token",
                "none"),
        Setting("AIWORKER_FORGE_OWNER",
                "first part of repository addresses: small letters, digits and hyphens, at most 40",
                "`aiworker`"),
        Setting("AIWORKER_WAIT_MINUTES",
                "how long a proof waits until [another agent](review.md#a-review-by-another-agent) can begin to "
                "review it; with `gitea` also for a project's `requiredStatuses`, from the agent's report on, and a "
                "group from when its tests have passed; anew after the platform was off",
                "`60`"),
        Setting("AIWORKER_IMPORT_ALLOW",
                "private hosts that `importUrl` may name, comma-separated",
                "none"),
        Setting("AIWORKER_RUNTIME",
                "`local`, or `kubernetes` for previews, staging, production and tests in a cluster: see "
                "[kubernetes.md](kubernetes.md)",
                "`local`"),
    )),
    Group("Models",
          "The variables of providers (`ANTHROPIC_API_KEY` and so on) are in [models.md](models.md).", (
        Setting("AIWORKER_DRIVER AIWORKER_MODEL",
                "the driver and the model for tasks where neither the task nor its project names one",
                "the first driver that works, its own choice of model"),
        Setting("AIWORKER_PARK_ON_LIMITS",
                "whether a task waits for the end of a model provider's limit and goes on by itself: see "
                "[models.md](models.md). `0`: the refusal is passed on to the agent's CLI",
                "`1`"),
    )),
    Group("The sandbox",
          "", (
        Setting("AIWORKER_SANDBOX",
                "`auto`: agents, checks and previews run in a sandbox where bubblewrap works; `required`: nothing "
                "starts where it does not; `off`: none, for pods, which are sandboxes themselves. See "
                "[security.md](security.md)",
                "`auto`"),
        Setting("AIWORKER_EGRESS_HOSTS",
                "hosts beside the package registries that projects with `egress: registries` may reach, "
                "comma-separated: `host`, `*.suffix` or an address, each with or without `:port` (without: 80 and "
                "443). Only these may have private addresses",
                "none"),
        Setting("AIWORKER_SANDBOX_BLOCKED",
                "networks that no confined program may reach directly, comma-separated, such as `10.0.0.0/8`; the "
                "platform's database and Redis are always added, by the addresses that their hosts have when the "
                "program that confines starts",
                "none"),
        Setting("AIWORKER_SANDBOX_MEMORY_BYTES",
                "memory of one confined command; it has 1024 processes at most",
                "three quarters of the machine's memory"),
    )),
    Group("Scans and pictures",
          "", (
        Setting("AIWORKER_ADVISORIES",
                "file or folder of advisories in the OSV format, `.json` or `.zip`, with which new dependencies are "
                "compared: see [scans.md](scans.md). Read again once it changes",
                "none: dependencies are not compared"),
        Setting("AIWORKER_CHROMIUM",
                "the browser that takes [pictures of previews](review.md#the-preview-as-pictured), a path; `off`: "
                "none are taken. Read by the worker of the queue `slow`, which needs a working sandbox for it",
                "`chromium`, `chromium-browser` or `google-chrome` on `PATH`; without one no pictures are taken"),
    )),
    Group("Limits of requests",
          "", (
        Setting("AIWORKER_GIT_MAX_FILE_BYTES",
                "largest file that a push may bring (unpacked); a push has eight times as much at most, a JSON body 1 "
                "MiB",
                "256 MiB"),
        Setting("AIWORKER_WRITES_PER_MINUTE",
                "how many changes one person may ask for in a minute; then 429. Never more; with several processes of "
                "`web` up to 2 % less for each further one",
                "`600`"),
    )),
    Group("`aiworker up`",
          "All of them are also options of the command: `aiworker up --help`.", (
        Setting("AIWORKER_AGENTS",
                "how many agents `aiworker up` starts",
                "`1`"),
        Setting("AIWORKER_AGENT_SLOTS",
                "how many runs an agent of `aiworker up` or of the `Procfile` does at the same time",
                "`1`"),
        Setting("AIWORKER_FLOWER",
                "`1`: `aiworker up` starts Flower, and prints its address",
                "`0`"),
        Setting("AIWORKER_INSTALL",
                "`0`: `aiworker up` installs nothing: neither the coding CLI of a model whose key is set nor, as root "
                "on Debian, bubblewrap and slirp4netns",
                "`1`"),
    )),
    Group("Processes of the `Procfile`",
          "", (
        Setting("WEB_CONCURRENCY AIWORKER_QUICK_PROCESSES AIWORKER_SLOW_PROCESSES",
                "processes of `web`, `worker`, `worker-slow` in the `Procfile`",
                "`2` each"),
        Setting("AIWORKER_RELAY_PORT",
                "where `relay` listens (`Procfile`)",
                "`3001`"),
        Setting("AIWORKER_GATEWAY_PORT AIWORKER_GATEWAY_PROCESSES",
                "where `gateway` listens, and its processes (`Procfile`)",
                "`3002`, `1`"),
        Setting("FLOWER_ADDRESS FLOWER_PORT",
                "where `flower` listens (`Procfile`)",
                "`127.0.0.1`, `5555`"),
        Setting("FLOWER_BASIC_AUTH",
                "`user:password` for Flower, which listens on loopback",
                "made by `aiworker up`"),
    )),
    Group("Logs, metrics, the page",
          "", (
        Setting("AIWORKER_LOG_LEVEL LOG_LEVEL",
                "of the JSON lines on standard output",
                "`INFO`"),
        Setting("AIWORKER_METRICS_PUBLIC",
                "`1` serves `/metrics` without a token",
                "`0`"),
        Setting("PROMETHEUS_MULTIPROC_DIR",
                "a directory in memory (tmpfs) in which several processes of `web` add up their counters for "
                "`/metrics`",
                "none: each process counts for itself"),
    )),
    Group("An agent",
          "`aiworker agent`, and `agent` in the `Procfile`, take their options as arguments, and these from the "
          "environment. The agents that `aiworker up` starts get only these, those of the sandbox, and the log "
          "level.", (
        Setting("AIWORKER_AGENT_NAME AIWORKER_AGENT_DRIVER",
                "the agent's name and drivers in the `Procfile`, comma-separated, the preferred one first: `claude`, "
                "`codex`, `gemini`, `opencode`, `qwen`, `acp`, `command`, `scripted`; `auto`: all that work",
                "`agent-1`, `auto`"),
        Setting("AIWORKER_DRAIN_SECONDS",
                "how long its runs may go on after the agent was told to stop; the second half of it, 15 s at most, "
                "is for pushing unfinished work. The service of `aiworker service install` is ended after 120 s "
                "(`TimeoutStopSec`)",
                "`30`; `10` for the agents of `aiworker up`"),
        Setting("AIWORKER_AGENT_RUN_DISK_BYTES",
                "how much of the disk one run may fill before it is stopped",
                "20 GiB"),
    )),
    Group("The command",
          "`aiworker` takes these, or `--url` and `--token`:", (
        Setting("AIWORKER_PUBLIC_KEY",
                "the file with the platform's public key, for `aiworker verify`: see [receipts.md](receipts.md)",
                "none; then `--key` is needed"),
        Setting("AIWORKER_URL",
                "the platform's address",
                "this machine's, `AIWORKER_INTERNAL_URL`"),
        Setting("AIWORKER_TOKEN",
                "an API token",
                "on the machine that holds the data: one is made for the length of the command, if the address is the "
                "platform's own"),
    )),
    Group("Described elsewhere",
          "", (
        Setting("ANTHROPIC_API_KEY ANTHROPIC_AUTH_TOKEN ANTHROPIC_BASE_URL CLAUDE_CODE_OAUTH_TOKEN OPENAI_API_KEY "
                "OPENAI_BASE_URL GEMINI_API_KEY GEMINI_BASE_URL GOOGLE_API_KEY GOOGLE_GEMINI_BASE_URL",
                "[models.md](models.md#providers-from-the-environment): providers of models",
                None),
        Setting("AIWORKER_FALLBACKS",
                "[models.md](models.md#limits-of-providers): what takes over while a provider limits calls",
                None),
        Setting("AIWORKER_STUCK_TOKENS",
                "[models.md](models.md#runs-that-are-stuck): when a run counts as stuck",
                None),
        Setting("AIWORKER_AGENT_DRIVERS_DIR AIWORKER_AGENT_PROGRAMS AIWORKER_AGENT_ACP_COMMAND AIWORKER_AGENT_COMMAND",
                "[agents.md](agents.md#install): coding CLIs",
                None),
        Setting("KUBECONFIG AIWORKER_KUBE_DOMAIN AIWORKER_KUBE_IMAGE AIWORKER_KUBE_HEALTH AIWORKER_KUBE_INGRESS_URL "
                "AIWORKER_KUBE_INGRESS_CLASS AIWORKER_KUBE_TLS AIWORKER_KUBE_NODES AIWORKER_KUBE_TOLERATIONS "
                "AIWORKER_KUBE_RUNTIME_CLASS AIWORKER_KUBE_RUN_AS_USER AIWORKER_KUBE_LIMITS AIWORKER_KUBE_QUOTA "
                "AIWORKER_KUBE_PREVIEWS AIWORKER_KUBE_EGRESS AIWORKER_EGRESS_PROXY",
                "[kubernetes.md](kubernetes.md#runtime): apps and tests in a cluster",
                None),
        Setting("AIWORKER_AGENTS_MAX AIWORKER_AGENTS_MIN AIWORKER_AGENTS_NAMESPACE AIWORKER_AGENTS_IMAGE "
                "AIWORKER_AGENTS_DRIVER AIWORKER_AGENTS_CAPABILITIES AIWORKER_AGENTS_LIMITS AIWORKER_AGENTS_EGRESS",
                "[kubernetes.md](kubernetes.md#agents): agents as pods",
                None),
        Setting("AIWORKER_BACKUP_PASSPHRASE",
                "[backup.md](backup.md): the passphrase of backups",
                None),
    )),
)
# fmt: on

NAMES = frozenset(
    name for group in GROUPS for setting in group.settings for name in setting.names.split() if name.startswith(PREFIX)
)
"""What web, workers, agents, the command and the Procfile read."""
