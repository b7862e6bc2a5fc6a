"""The API of agents: register, send heartbeats, claim a run, report on it. An agent reaches only its own live runs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import bindparam, or_, select, update

from common.database.compiled_statements import Statement
from common.errors import Conflict, Invalid, NotFound, Unauthenticated
from common.machine.periodic_yield import PeriodicYield
from common.models.agent import Agent, Drain
from common.models.run import Run
from common.models.task import Question, Task
from common.secrets.masking import Mask, is_same_when_masked
from common.secrets.sealing import digest, new_token, token_for
from common.services.agent_api import stuck
from common.services.agents.claims import claimed
from common.services.agents.driver_reports import (
    AgentNews,
    AgentReport,
    AgentSetup,
    fault_of,
    show_report,
    show_setup,
    with_news,
)
from common.services.agents.waiting_tasks import AGENT_LOST_SECONDS
from common.services.conversation.feedback import mark_feedback_undelivered
from common.services.lifecycle import run_states
from common.services.lifecycle.task_states import (
    begin_proof,
    fail,
    held_task_ids,
    leave_agent,
    queue_again,
    record_update,
    requeue,
)
from common.services.project_settings.variables import mask_of_run
from common.services.runs import run_end, stopped_by_caps
from common.services.runs.log_entries import cut, masked_and_cut, note
from common.services.spend.model_calls import is_counted
from common.services.tasks import questions
from common.transaction import Transaction, read_rows, snapshot, transactional
from common.values.names import new_agent_id
from common.values.runs.claimed_run import ClaimedRun, Directive
from common.values.states import AgentState, By, Outcome, Phase, RunState, TaskState

MISSING_SECONDS = 20
"""A run that heartbeats named before and have not named for this long is lost: its agent was restarted."""

MOST_QUESTIONS = 20
"""Most questions of one run. An answer that comes after the run's end starts a new run."""


@dataclass(frozen=True)
class AgentPrincipal:
    agent_id: str


@dataclass(frozen=True)
class RunPrincipal:
    """An authenticated run. is_live: False if the run is over; every report then gets a 409."""

    run_id: str
    task_id: str
    agent_id: str
    project_id: str
    is_live: bool


def authenticate_agent(token: str) -> AgentPrincipal:
    with snapshot() as read:
        agent = read.find(select(Agent).where(Agent.digest == digest(token)))
    if agent is None:
        raise Unauthenticated
    return AgentPrincipal(agent.id)


def authenticate_run(token: str) -> RunPrincipal:
    """The run with this token, even if it is over: its runner then gets a 409, which means to stop working on the run,
    and not a 401, which means to register again.
    """
    with snapshot() as read:
        run = read.find(select(Run).where(Run.token_digest == digest(token)))
    if run is None:
        raise Unauthenticated
    return RunPrincipal(run.id, run.task_id, run.agent_id, run.project_id, run.live_task_id is not None)


@transactional
def register_agent(
    tx: Transaction,
    *,
    pod_name: str,
    capabilities: list[str],
    driver: str,
    version: str,
    slots: int,
    report: AgentReport | None = None,
    enrolment_id: str | None = None,
) -> tuple[Agent, str]:
    """Create an agent. Returns it and its token, which is not stored. report: what it can work with; None: driver.

    enrolment_id: a secret of the agent's. With the same one, the agent that is there is returned, with its token: the
    first answer may have been lost. None: repeating creates another agent.
    """
    token = new_token("awa") if enrolment_id is None else token_for("awa", enrolment_id)
    earlier = tx.find(select(Agent).where(Agent.digest == digest(token)))
    if earlier is not None:
        agent = tx.lock(Agent, earlier.id)
        show_setup(agent, AgentSetup(slots, capabilities, pod_name, version))
        show_report(agent, report or AgentReport((driver,)))
        return agent, token
    agent = Agent(
        id=new_agent_id(), state_=AgentState.STARTING, pod_name=pod_name, capabilities=capabilities, driver=driver,
        version=version, slots=slots, digest=digest(token), created_at=tx.now(), seen_at=tx.now(),
    )  # fmt: skip
    show_report(agent, report or AgentReport((driver,)))
    return tx.add(agent), token


@transactional
def record_heartbeat(
    tx: Transaction, agent_id: str, run_ids: Sequence[str], news: AgentNews | None = None,
    setup: AgentSetup | None = None, is_draining: bool | None = None,
) -> tuple[datetime, list[Directive]]:  # fmt: skip
    """Process a heartbeat of an agent that works on these runs.

    news: what changed in what the agent can work with; None: nothing. setup: how it was started; None: as before.
    is_draining: whether its process knows that it is to drain; None: it is of an older version, which does not say.
    Returns until when the agent counts as alive without another heartbeat, and instructions for it.
    """
    named = [run for run in (tx.session.get(Run, run_id) for run_id in run_ids) if run and run.agent_id == agent_id]
    missing = tx.all(
        select(Run).where(
            Run.agent_id == agent_id,
            Run.live_task_id.is_not(None),
            Run.is_acknowledged.is_(True),
            Run.id.not_in([run.id for run in named]),
            Run.seen_at < tx.now() - timedelta(seconds=MISSING_SECONDS),
        )
    )
    # An agent names all of its runs until they end, so this is a new process of an agent that was killed.
    lost = [run.id for run in missing]
    report = None if news is None else with_news(tx.get(Agent, agent_id), news)
    fault = None if report is None else fault_of(report)
    unclaimed = [] if fault is None else _unclaimed(tx, agent_id)
    if lost or unclaimed:
        run_end.lock_runs(tx, [*lost, *unclaimed])
        run_end.lose_runs(tx, lost, "its agent was restarted", restarted=lost)
        # Another pod would say the same, so a pod's run counts as an attempt of its task.
        is_pod = tx.get(Agent, agent_id).is_pod
        run_end.lose_runs(tx, unclaimed, f"its agent can't work: {fault}", is_fault=is_pod)
    live = [run.id for run in named if run.state is not RunState.ENDED]
    tx.session.execute(
        update(Run)
        .where(Run.id.in_(live), Run.live_task_id.is_not(None))
        .values(seen_at=tx.now(), is_acknowledged=True)
        .execution_options(synchronize_session=False)
    )
    agent = tx.lock(Agent, agent_id)
    agent.seen_at = tx.now()
    if report is not None:
        show_report(agent, report)
    if setup is not None:
        show_setup(agent, setup)
    _show_state(tx, agent, is_same=bool(run_ids) if is_draining is None else is_draining)
    held = held_task_ids(tx, [run.task_id for run in named])
    unwanted = [run for run in named if run.state is RunState.ENDED or run.stop_reason or run.task_id in held]
    directives = [Directive("cancel", run.id) for run in unwanted]
    directives += [Directive("cancel", run_id) for run_id in run_ids if run_id not in {run.id for run in named}]
    if agent.state is AgentState.DRAINING:
        agent.drain = agent.drain if is_draining is False else Drain.TOLD
        directives.append(Directive("drain"))
    return tx.now() + timedelta(seconds=AGENT_LOST_SECONDS), directives


def _unclaimed(tx: Transaction, agent_id: str) -> Sequence[str]:
    """The runs that were assigned to the agent and that it has not claimed."""
    is_assigned = Run.state_.in_([RunState.PREPARING, RunState.READY])
    query = select(Run.id).where(Run.agent_id == agent_id, Run.live_task_id.is_not(None), is_assigned)
    return tx.session.scalars(query).all()


def _show_state(tx: Transaction, agent: Agent, *, is_same: bool) -> None:
    """is_same: see `still_drains`."""
    if agent.state is AgentState.OFFLINE and run_states.still_drains(agent, is_same=is_same):
        run_states.drain_agent(tx, agent, by=By.PLATFORM)
    elif agent.error is not None:
        run_states.stop_agent(tx, agent)
    elif agent.state in {AgentState.STARTING, AgentState.OFFLINE, AgentState.ERROR}:
        # It may have been assigned a run before its first heartbeat, which it can claim only now.
        waiting = update(Run).where(Run.agent_id == agent.id, Run.state_ == RunState.READY)
        tx.session.execute(waiting.values(seen_at=tx.now()).execution_options(synchronize_session=False))
        run_states.welcome_agent(tx, agent)


def has_claimable_run(agent_id: str) -> bool:
    """Whether `claim_run` would return a run now. Only reads, so waiting agents may call it often."""
    return bool(read_rows(_CLAIMABLE, agent_id=agent_id))


_CLAIMABLE = Statement(
    lambda: (
        select(Run.id, Run.task_id)
        .where(
            Run.agent_id == bindparam("agent_id"),
            Run.live_task_id.is_not(None),
            or_(Run.state_ == RunState.READY, Run.state_ == RunState.RUNNING),
            Run.is_acknowledged.is_(False),
        )
        .order_by(Run.created_at, Run.id)
        .limit(1)
    )
)
"""The run that the agent would claim now, and its task."""


@transactional
def claim_run(tx: Transaction, agent_id: str, process: str | None = None) -> ClaimedRun | None:
    """Claim the next run that is assigned to this agent; None if there is none. process: see claims.py.

    A run that no heartbeat has named yet is returned again, as the first answer may have been lost.
    """
    found = tx.rows(_CLAIMABLE, agent_id=agent_id)
    if not found:
        return None
    run_id, task_id = found[0]
    task = tx.lock(Task, task_id)
    run = tx.lock(Run, run_id)
    if run.state is RunState.ENDED or run.secrets_sealed is None:
        return None
    run_states.start(tx, run)
    return claimed(tx, task, run, process)


def lock_live_run(tx: Transaction, run_id: str) -> tuple[Task, Run]:
    """The run and its task, locked. Conflict if the run is over, so that its runner stops working on it."""
    task_id = tx.session.execute(select(Run.task_id).where(Run.id == run_id)).scalar_one_or_none()
    if task_id is None:
        raise NotFound(f"run {run_id}")
    task = tx.lock(Task, task_id)
    run = tx.lock(Run, run_id)
    if run.state is RunState.ENDED:
        raise Conflict(f"run {run.id} is over ({run.outcome}): {run.reason or 'stop working on it'}")
    return task, run


@transactional
def save_usage(tx: Transaction, run_id: str, usage: Mapping[str, float]) -> None:
    """Store the run's totals so far. Values below the stored ones come from an older report and are ignored.

    Does nothing once the gateway has counted a call of the run: what was spent is counted there.
    """
    _task, run = lock_live_run(tx, run_id)
    if is_counted(run.usage):
        return
    run.usage = {name: max(value, run.usage.get(name, 0)) for name, value in usage.items()}


def mask_for(run_id: str) -> Mask:
    """The mask of texts from this run, for masking before a transaction: text that is made for it takes seconds.

    Once the run is over, its credentials stay readable: nothing of it may be stored any more.
    """
    with snapshot() as read:
        run = read.get(Run, run_id)
        if run is None:
            raise NotFound(f"run {run_id}")
        return mask_of_run(read, run)


def ask_question(
    run_id: str,
    text: str,
    *,
    context: str | None,
    options: list[str],
    is_blocking: bool = True,
    default_response: str | None = None,
) -> tuple[Question, bool]:
    """Store a question, masked. Returns it, and whether it is new: repeating a question returns the stored one.

    Invalid once the run has asked MOST_QUESTIONS others; a transcript entry announces that.
    """
    mask, pause = mask_for(run_id), PeriodicYield()
    given = [text, context or "", default_response or "", *options]
    text, about, default, *options = [masked_and_cut(one, mask, pause=pause) for one in given]
    return _ask(run_id, text, about or context, options, is_blocking, default or None)


@transactional
def _ask(
    tx: Transaction, run_id: str, text: str, context: str | None, options: list[str], is_blocking: bool,
    default_response: str | None,
) -> tuple[Question, bool]:  # fmt: skip
    """The texts are masked."""
    task, run = lock_live_run(tx, run_id)
    if run.is_review:
        raise Invalid("question", "Nobody answers a review: give your verdict by what you can read")
    number = questions.count_asked_by(tx, run.id) + 1
    if number > MOST_QUESTIONS and questions.find_same(tx, task, text, context, options) is None:
        raise Invalid("question", f"This run has asked {MOST_QUESTIONS} questions: use the answers, or end the run")
    question, is_new = questions.ask(
        tx, task, text, context=context, options=options, run_id=run.id, is_blocking=is_blocking,
        default_response=default_response,
    )  # fmt: skip
    if is_new and number == MOST_QUESTIONS:
        note(tx, run, f"This was question {number} of this run. Further questions are refused.")
    return question, is_new


def read_question(run: RunPrincipal, question_id: str) -> Question:
    with snapshot() as read:
        question = read.get(Question, question_id)
    if question is None or question.task_id != run.task_id:
        raise NotFound(f"question {question_id}")
    return question


@transactional
def finish_run(
    tx: Transaction,
    run_id: str,
    *,
    outcome: Outcome,
    commit_sha: str | None,
    summary: str,
    reason: str | None,
    cut_short: bool = False,
) -> Run:
    """Store the agent's final report. `completed` is only a claim and starts the verification. Safe to repeat.

    A run that ends as `cancelled`, or as `waiting` without a question, gives its task back; that counts as a loss.
    cut_short: with `cancelled`: the agent's machine ended the run (a signal, a full disk, a forge that did not answer).
    The task goes to another agent, or to this one after a minute, and no attempt is counted. If a cap of spending or
    the platform itself ended the run, the task waits, whatever the agent made of that. A run that was cut short at one
    of its `limits` is stored as failed, and its task fails.
    """
    ended = tx.session.get(Run, run_id)
    outcomes = {outcome, Outcome.FAILED} if cut_short else {outcome}
    is_repeated = ended is not None and ended.outcome in outcomes and ended.claimed_sha == commit_sha
    if ended is not None and ended.is_review:
        return _finish_review(tx, run_id, outcome, summary, reason, cut_short=cut_short)
    # The run's credentials are deleted, so the repeated report can't be masked in the same way and compared.
    if ended is not None and is_repeated and is_same_when_masked(ended.summary or "", cut(summary)):
        return ended
    task, run = lock_live_run(tx, run_id)
    mask = mask_of_run(tx, run)
    summary = masked_and_cut(summary, mask)
    reason = run.stop_reason or (masked_and_cut(reason, mask) if reason else reason)
    run.claimed_sha, run.summary, run.seen_at = commit_sha, summary, tx.now()
    run_end.end_run(tx, run, outcome, reason)
    task.updated_at = tx.now()
    if task.phase is Phase.HELD:  # its holder goes on from what the agent has pushed
        return run
    has_nothing = outcome in {Outcome.FAILED, Outcome.CANCELLED}
    if has_nothing and (stuck.keep_stopped(tx, task, run) or stopped_by_caps.park_at_cap(tx, task, run)):
        return run
    if outcome is Outcome.COMPLETED:
        begin_proof(tx, task, run.id)
    elif outcome is Outcome.WAITING:
        if task.state is not TaskState.IN_PROGRESS:
            leave_agent(tx, task)
            return run
        if questions.count_asked_by(tx, run.id):  # the question was answered while the runner was ending
            queue_again(tx, task, by=By.PLATFORM)
            record_update(tx, task, "phase", "assigned_agent_id")
        else:
            requeue(tx, task, reason=reason or "its agent waits for nothing", counts=False, is_loss=True)
    elif (cut_short and run_end.fail_at_limit(tx, task, run)) or run_end.park_if_limited(tx, task, run):
        return run
    elif outcome is Outcome.FAILED:
        fail(tx, task, reason or summary or "the agent gave no reason")
    else:
        if cut_short:
            run.is_cut_short, task.error = True, (reason or "")[:2000]
            mark_feedback_undelivered(tx, run)
        requeue(tx, task, reason=reason or "its agent gave it back", counts=False, is_loss=True)
    return run


def _finish_review(
    tx: Transaction, run_id: str, outcome: Outcome, summary: str, reason: str | None, *, cut_short: bool
) -> Run:  # fmt: skip
    """End a review: its verdict, if it gave one, was stored before. Its task stays where it is."""
    ended = tx.get(Run, run_id)
    if ended.state is RunState.ENDED and ended.outcome == outcome:
        return ended
    _task, run = lock_live_run(tx, run_id)
    mask = mask_of_run(tx, run)
    if run.verdict is None:
        run.summary = masked_and_cut(summary, mask)
    run.is_cut_short, run.seen_at = cut_short, tx.now()
    run_end.end_run(tx, run, outcome, masked_and_cut(reason, mask) if reason else None)
    return run
