"""Plans of services in the words of providers: where a project's repository and space are, what a version is."""

from __future__ import annotations

from dataclasses import replace

from common.errors import ProviderRefused, ProviderUnavailable
from common.names import is_preview_app
from common.providers.forge import Forge, Repository
from common.providers.runtime import App, Check, CheckPhase, CheckState, Runtime, Space, Version
from common.services.delivery import rollouts
from common.services.delivery.deployments import Spec
from common.services.delivery.rollouts import RolloutPlan
from common.services.projects.places import Place
from common.services.projects.variables import Variables

_KILLED_BY, _TOOK_TOO_LONG = "was killed by", "took longer than"
_SIGNALS_END = 128 + 65
TEST_SECONDS = 900
"""How long a project's tests may take."""
PLACE_SECONDS = 5.0
"""How often a check is looked at that waits for a place to run."""


def repository(place: Place) -> Repository:
    return Repository(place.owner, place.slug, place.project_id)


def space(place: Place) -> Space:
    return Space(place.namespace, place.project_id, place.cpu_limit, place.memory_limit)


def app(place: Place, name: str) -> App:
    """The app of this name. A preview of a restricted project is for those alone who may see the project."""
    return App(space(place), name, is_guarded=place.is_restricted and is_preview_app(name))


def version(forge: Forge, place: Place, version_id: str, commit: str, spec: Spec) -> Version:
    return Version(
        version_id=version_id,
        commit=commit,
        source=forge.read_source(repository(place)),
        start_command=spec.start_command,
        env=spec.env,
        secret_names=spec.secret_names,
        health_path=spec.health_path,
        health_contains=spec.health_contains,
        health_below=spec.health_below,
        health_seconds=spec.health_seconds,
        memory_limit=spec.memory_limit,
        docker_image=spec.docker_image,
        replicas=spec.replicas,
        port=spec.port,
    )


def take_credential_away(forge: Forge, place: Place, run_id: str) -> bool:
    """The run can do nothing at the forge any more; also where the repository is gone already. Safe to repeat.

    Returns whether nothing is left of its credential there: if not, to be done again some seconds later.
    """
    try:
        return forge.delete_credential(repository(place), run_id=run_id)
    except ProviderRefused as error:
        if error.code != "no_repository":
            raise
        return True


def version_of(forge: Forge, plan: RolloutPlan) -> Version:
    return version(forge, plan.place, plan.deployment_id, plan.commit_sha, plan.spec)


def run_check(runtime: Runtime, wanted: Check) -> CheckState:
    """How the check is doing, begun if it was not: running, or with a verdict on the commit.

    ProviderUnavailable, with the reason, where its command has not begun or could not: that is nobody's fault who wrote
    the commit, and may be over later.

    A command that died by a signal is run once more, as a check of its own: the machine may have killed it. The second
    verdict counts, whatever it is.
    """
    state = _run_once(runtime, wanted)
    if not died_by_signal(state):
        return state
    return _run_once(runtime, replace(wanted, check_id=_second(wanted.check_id)))


def forget_check(runtime: Runtime, space: Space, check_id: str) -> None:
    """Nothing of the check is left, nor of its second run. Safe to repeat."""
    for known in (check_id, _second(check_id)):
        runtime.delete_check(space, known)


def died_by_signal(state: CheckState) -> bool:
    """Whether its command was killed, itself or what its shell ran last (which exits with 128 + the signal then)."""
    if state.phase is not CheckPhase.FAILED or _TOOK_TOO_LONG in (state.reason or ""):
        return False
    if state.exit_code is None:
        return _KILLED_BY in (state.reason or "")
    return 128 < state.exit_code < _SIGNALS_END


def _second(check_id: str) -> str:
    return f"{check_id}-2nd"


def _run_once(runtime: Runtime, wanted: Check) -> CheckState:
    state = runtime.ensure_check(wanted)
    if state.phase is CheckPhase.WAITING:
        give_way(wanted.space, state.code)
        raise ProviderUnavailable(
            f"the check of {wanted.commit} waits: {state.reason}", retry_after_seconds=PLACE_SECONDS
        )
    if state.phase is CheckPhase.BROKEN:
        runtime.delete_check(wanted.space, wanted.check_id)
        raise ProviderUnavailable(f"the check of {wanted.commit} could not be run: {state.reason}")
    return state


def give_way(space: Space, code: str | None) -> None:
    """Previews go, oldest first, where that makes the room that something else of the project's waits for.

    code: `quota`: its own; `no_room`: everybody's, on nodes that are full. Any other room is not theirs to give.
    """
    if code in {"quota", "no_room"}:
        rollouts.make_way(space.project_id if code == "quota" else None)


def check(forge: Forge, place: Place, check_id: str, commit: str, command: str, env: Variables) -> Check:
    return Check(
        space=space(place),
        check_id=check_id,
        commit=commit,
        source=forge.read_source(repository(place)),
        command=command,
        env=env.values,
        secret_names=env.secret_names,
        timeout_seconds=TEST_SECONDS,
        memory_limit=place.memory_limit,
        docker_image=place.docker_image,
    )
