"""Celery only wakes workers: the database row is the queue. Every setting here says why it is not the default.

Measured reasons are in docs/decisions/0002-celery-only-wakes-workers.md.
"""

from __future__ import annotations

from common.jobs.catalogue import HARD_LIMIT_SECONDS, SOFT_LIMIT_SECONDS
from common.network.redis_tls import tls_options, without_tls_options
from common.settings import settings

_settings = settings()
_url = _settings.store.redis_url

# kombu spells a Redis behind a Unix socket its own way.
broker_url = "redis+socket://" + _url.removeprefix("unix://") if _url.startswith("unix://") else _url
# By itself, kombu would take any certificate for Redis'.
broker_use_ssl = tls_options(_url) or None
if broker_use_ssl:
    broker_url = without_tls_options(_url)
broker_transport_options = {
    # kombu would write each message that a worker takes into Redis and remove it when the job has ended: two
    # transactions for each job, one before it begins. What a killed worker had taken would come back after the
    # visibility timeout; the sweep sends those jobs again within 5 s. An orderly stop gives back what is in memory.
    "ack_emulation": False,
    "socket_timeout": 5,  # a frozen Redis must not hang a worker; must exceed the polling interval of 1 s
    "socket_connect_timeout": 2,
    "health_check_interval": 10,  # half-open connections are noticed
    "global_keyprefix": f"{_settings.instance}:",
}
if not _url.startswith("unix://"):
    broker_transport_options["socket_keepalive"] = True
broker_channel_error_retry = True  # survive READONLY (a failover) and OOM instead of exiting
broker_connection_retry_on_startup = True
broker_connection_max_retries = None  # the default gives up after 100 tries
broker_connection_timeout = 2
broker_pool_limit = 10
broker_pool_acquire_timeout = 2

task_publish_retry = False  # the sweep is the retry; a publish that failed may have worked
task_acks_late = True  # quick redelivery on an orderly stop; duplicates are harmless
task_reject_on_worker_lost = False  # True makes a crash loop of a poison job; the lease recovers it
task_acks_on_failure = True  # retries live in the database
task_acks_on_timeout = True
task_ignore_result = True
result_backend = None
accept_content = ["json"]
task_serializer = "json"
task_soft_time_limit = SOFT_LIMIT_SECONDS
task_time_limit = HARD_LIMIT_SECONDS
task_default_queue = "quick"
task_create_missing_queues = True

worker_prefetch_multiplier = 1
worker_soft_shutdown_timeout = 20  # re-queue before a pod's 30 s of grace end
worker_cancel_long_running_tasks_on_connection_loss = False  # steps are short and fenced
worker_max_tasks_per_child = 500
worker_max_memory_per_child = 400_000
worker_send_task_events = False  # Flower switches them on in every worker, every 5 s, while it runs
worker_hijack_root_logger = False
worker_redirect_stdouts = False
worker_enable_remote_control = True

timezone = "UTC"
enable_utc = True
beat_scheduler = "workers.execution.beat:SteadyScheduler"
# Without an end, sweeps would pile up while no worker is there. A worker judges it by its own clock, which may be up to
# a minute ahead of that of beat's machine.
_of_a_sweep = {"queue": "sweep", "expires": 60}
beat_schedule = {
    "sweep": {"task": "sweep", "schedule": 5.0, "options": _of_a_sweep},
    "sweep-agents": {"task": "sweep_agents", "schedule": 5.0, "options": _of_a_sweep},
    "sweep-slowly": {"task": "sweep_slowly", "schedule": 30.0, "options": _of_a_sweep},
}
