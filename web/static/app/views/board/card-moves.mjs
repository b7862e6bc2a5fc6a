// Which cards a person may move by hand, and where to: what the API lets a person do with a task.
import { signal } from "@preact/signals";
import { api } from "../../server/api.mjs";
import { hasRole } from "../../server/session.mjs";
import { storeTask } from "../../state/board-tasks.mjs";
import { willBeCancelled } from "../../state/delayed-cancel.mjs";
import { CANCELLABLE_TASK_STATES } from "../../words/states.mjs";

// Column → the states that a card may come from, the role that it takes, and the act.
const MOVES = {
  approved: {
    from: ["ready_to_test"],
    role: "maintainer",
    verb: "approve",
    body: ({ headSha: commitSha }) => ({ commitSha }),
  },
  backlog: { from: ["failed"], role: "member", verb: "retry" },
  cancelled: { from: CANCELLABLE_TASK_STATES, role: "member", verb: "cancel" },
};

// The task whose card is dragged, or null.
export const draggedTask = signal(null);

export const mayMove = (task, state) =>
  Boolean(task && MOVES[state]?.from.includes(task.state) && hasRole(MOVES[state].role)) &&
  !(state === "cancelled" && willBeCancelled(task));
export const isMovable = (task) => Object.keys(MOVES).some((state) => mayMove(task, state));

export async function moveCard(task, state) {
  const { verb, body } = MOVES[state];
  const reply = await api.post(`/tasks/${task.id}/${verb}`, body?.(task));
  storeTask(reply.task);
}
