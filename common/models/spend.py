"""Providers of models, the calls that runs made to them, and what was spent."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import BigInteger, Double, Index, String, UnicodeText
from sqlalchemy.orm import Mapped, mapped_column

from common.models.base import TABLE_OPTIONS, Base, HasId, LongText


class ModelProvider(HasId, Base):
    """A provider of models that a person added. Those of the environment have no row.

    api: the API that it speaks: `anthropic`, `openai` or `gemini`. login: what key_sealed holds: `key` (an API key),
    `subscription` (a token of a Claude subscription) or `none`. models: those to offer; empty: all. prices: model →
    `input`, `cached`, `output` in US dollars per million tokens; they take precedence over the price list.
    fallback: the name of the provider, of the same API, that takes the calls while this one is limited; None: none
    does. fallback_model: the model that is asked for then; None: the same.
    """

    __tablename__ = "model_providers"

    name: Mapped[str] = mapped_column(String(40), unique=True)
    api: Mapped[str] = mapped_column(String(16))
    base_url: Mapped[str] = mapped_column(String(500))
    login: Mapped[str] = mapped_column(String(16))
    key_sealed: Mapped[str | None] = mapped_column(UnicodeText)
    models: Mapped[list[str]]
    prices: Mapped[dict[str, object]]
    fallback: Mapped[str | None] = mapped_column(String(40))
    fallback_model: Mapped[str | None] = mapped_column(String(100))
    is_enabled: Mapped[bool] = mapped_column(default=True)
    created_by: Mapped[str] = mapped_column(String(140))
    created_at: Mapped[datetime]
    updated_at: Mapped[datetime]


class ModelCall(Base):
    """One call of a run to a model. person: who created the task. status: the provider's; 0: it did not answer.

    input_tokens: without those in the next two. cached_tokens: read from the provider's cache; cache_write_tokens:
    written to it. cost_usd: None if the model has no known price. first_byte_ms: None if no byte came.
    """

    __tablename__ = "model_calls"
    __table_args__ = (
        Index("ix_model_calls_run", "run_id", "id"),
        Index("ix_model_calls_task", "task_id", "id"),
        Index("ix_model_calls_project_at", "project_id", "at"),
        Index("ix_model_calls_at", "at"),
        TABLE_OPTIONS,
    )

    id: Mapped[str] = mapped_column(String(40), primary_key=True)
    run_id: Mapped[str] = mapped_column(String(40))
    task_id: Mapped[str] = mapped_column(String(40))
    project_id: Mapped[str] = mapped_column(String(40))
    person: Mapped[str] = mapped_column(String(140))
    driver: Mapped[str | None] = mapped_column(String(40))
    provider: Mapped[str] = mapped_column(String(40))
    model: Mapped[str] = mapped_column(String(100))
    input_tokens: Mapped[int] = mapped_column(BigInteger)
    cached_tokens: Mapped[int] = mapped_column(BigInteger)
    cache_write_tokens: Mapped[int] = mapped_column(BigInteger)
    output_tokens: Mapped[int] = mapped_column(BigInteger)
    cost_usd: Mapped[float | None] = mapped_column(Double)
    status: Mapped[int]
    error: Mapped[str | None] = mapped_column(LongText)
    first_byte_ms: Mapped[int | None]
    took_ms: Mapped[int] = mapped_column(BigInteger)
    at: Mapped[datetime]


class SpendCounter(Base):
    """What was spent so far. scope: `task`, `project` or `platform` (subject_id: empty). period: `all`, or a day (UTC).

    tokens: input, cache writes and output. seconds, runs: of runs that were claimed; seconds of those that have ended.
    warned: the caps of which people were told that most of them is used.
    """

    __tablename__ = "spend_counters"

    scope: Mapped[str] = mapped_column(String(16), primary_key=True)
    subject_id: Mapped[str] = mapped_column(String(40), primary_key=True)
    period: Mapped[str] = mapped_column(String(10), primary_key=True)
    tokens: Mapped[int] = mapped_column(BigInteger, default=0)
    cost_usd: Mapped[float] = mapped_column(Double, default=0.0)
    seconds: Mapped[float] = mapped_column(Double, default=0.0)
    runs: Mapped[int] = mapped_column(BigInteger, default=0)
    warned: Mapped[list[str]] = mapped_column(default=list)


class PlatformSetting(Base):
    """A setting of the whole platform that people change while it runs. name: `caps`."""

    __tablename__ = "platform_settings"

    name: Mapped[str] = mapped_column(String(40), primary_key=True)
    value: Mapped[dict[str, object]]
    changed_by: Mapped[str] = mapped_column(String(140))
    changed_at: Mapped[datetime]
