"""The gateway's counters for Prometheus. web/app.py adds them to the process's registry."""

from __future__ import annotations

from prometheus_client import Counter

from common.services.spend.model_calls import MadeCall

CALLS = Counter("aiworker_model_calls", "Calls of models", ["provider", "status"], registry=None)
TOKENS = Counter("aiworker_model_tokens", "Tokens that calls of models used", ["provider", "kind"], registry=None)
COST = Counter("aiworker_model_cost_usd", "Cost of calls of models with a known price", ["provider"], registry=None)

ALL = (CALLS, TOKENS, COST)


def count(call: MadeCall) -> None:
    """Add a call."""
    CALLS.labels(call.provider, str(call.status)).inc()
    kinds = (
        ("input", call.count.input),
        ("cached", call.count.cached),
        ("cache_write", call.count.cache_write),
        ("output", call.count.output),
    )
    for kind, tokens in kinds:
        if tokens:
            TOKENS.labels(call.provider, kind).inc(tokens)
    if call.cost_usd:
        COST.labels(call.provider).inc(call.cost_usd)
