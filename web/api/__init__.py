"""The API's resources, one module and one blueprint each. The app serves the blueprints in `ALL`."""

from __future__ import annotations

from web.api.accounts import accounts
from web.api.agents import agents
from web.api.attachments import attachments
from web.api.board import board
from web.api.caps import caps
from web.api.deployments import deployments
from web.api.events import events
from web.api.forge_repositories import forge_repositories
from web.api.inbox import inbox
from web.api.jobs import jobs
from web.api.model_providers import model_providers
from web.api.preview_pictures import preview_pictures
from web.api.probes import health
from web.api.project_tests import project_tests
from web.api.projects import projects
from web.api.proofs import proofs
from web.api.proposals import proposals
from web.api.receipts import receipts
from web.api.releases import release_views
from web.api.reviews import reviews
from web.api.run_claims import run_claims
from web.api.run_inputs import run_inputs
from web.api.run_tools import run_tools
from web.api.runner import runner
from web.api.runs import runs
from web.api.samples import samples
from web.api.sessions import sessions
from web.api.spend import spend
from web.api.steering import steering
from web.api.task_groups import task_groups
from web.api.tasks import tasks
from web.api.tokens import tokens
from web.api.users import users
from web.api.webhook import webhook
from web.api.webhooks import webhooks
from web.http.blueprint import Blueprint

ALL: list[Blueprint] = [accounts, users, tokens, sessions, jobs, events, health]
ALL += [runner, agents, task_groups, release_views, deployments]
ALL += [projects, samples, tasks, runs, webhooks]
ALL += [model_providers, spend, caps, webhook]
ALL += [run_tools, proposals, inbox, board]
ALL += [steering, attachments, run_claims, run_inputs, reviews]
ALL += [forge_repositories, proofs, project_tests, receipts, preview_pictures]
