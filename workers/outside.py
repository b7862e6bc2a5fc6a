"""Plans of services in the words of providers: where a project's repository and space are, what a version is."""

from __future__ import annotations

from common.errors import ProviderRefused, ProviderUnavailable
from common.names import is_preview_app
from common.providers.forge import Forge, Repository
from common.providers.runtime import App, Check, CheckPhase, CheckState, Runtime, Space, Version
from common.services.deployments import Spec
from common.services.places import Place
from common.services.rollouts import RolloutPlan

TEST_SECONDS = 900
"""How long a project's tests may take."""


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
    """How the check is doing, begun if it was not. ProviderUnavailable where it could not be made at all."""
    state = runtime.ensure_check(wanted)
    if state.phase is CheckPhase.BROKEN:
        runtime.delete_check(wanted.space, wanted.check_id)
        raise ProviderUnavailable(f"the check of {wanted.commit} could not be made: {state.reason}")
    return state


def check(forge: Forge, place: Place, check_id: str, commit: str, command: str, env: dict[str, str]) -> Check:
    return Check(
        space=space(place),
        check_id=check_id,
        commit=commit,
        source=forge.read_source(repository(place)),
        command=command,
        env=env,
        timeout_seconds=TEST_SECONDS,
        memory_limit=place.memory_limit,
        docker_image=place.docker_image,
    )
