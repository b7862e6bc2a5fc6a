"""The API's resources, one module and one blueprint each. `ALL` is what the app serves."""

from __future__ import annotations

from web.api.accounts import accounts
from web.api.events import events
from web.api.health import health
from web.api.jobs import jobs
from web.api.tokens import tokens
from web.api.users import users
from web.http import Blueprint

ALL: list[Blueprint] = [accounts, users, tokens, jobs, events, health]
