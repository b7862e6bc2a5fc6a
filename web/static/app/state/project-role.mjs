// Keeps the caller's role in the project that is looked at: a restricted one may give a lower role than the platform.
import { effect, signal } from "@preact/signals";
import { api } from "../server/api.mjs";
import { listen } from "../server/live-events.mjs";
import { projectRole, refusedCalls, user } from "../server/session.mjs";

let isFollowing = false;

// Begins it, with the signal of the project that is looked at. Once is enough.
export function followRole(project) {
  if (isFollowing) return;
  isFollowing = true;
  let asked = 0;
  // Of which project and person `projectRole` is.
  let known = "";
  // How often a role of the caller was changed here, or may have been while nothing was heard.
  const changes = signal(0);
  listen(({ event, projectId, data }) => {
    const isMine =
      event === "project:member_changed" && projectId === project.value?.id && data?.userId === user.value?.id;
    if (isMine || event === "connected" || event === "resync") changes.value += 1;
  });
  effect(() => {
    const one = project.value;
    const me = user.value;
    void changes.value;
    // A refusal, too, may come of a role that was changed.
    void refusedCalls.value;
    const mine = ++asked;
    if (!one?.restricted || !me || me.role === "admin") {
      known = "";
      projectRole.value = null;
      return;
    }
    // Until it is known, nothing is offered that might be refused.
    if (known !== `${one.id} ${me.id}`) projectRole.value = "viewer";
    known = `${one.id} ${me.id}`;
    const take = (role) => mine === asked && (projectRole.value = role);
    api.get(`/projects/${one.id}/members`).then(
      ({ members }) => take(members.find(({ userId }) => userId === me.id)?.role ?? null),
      () => take(null),
    );
  });
}
