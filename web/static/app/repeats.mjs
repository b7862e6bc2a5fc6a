// What is on record again and again, such as each check of a proof: told once.

const sameOf = ({ event, actor, data }) =>
  event === "task:updated" && `${actor} ${data?.taskId} ${(data?.changed || []).join(" ")}`;

// The events with `times`: one and the same change of a task that follows itself is there once, as it happened last.
// events: the newest first.
export function withoutRepeats(events) {
  const told = [];
  for (const one of events) {
    const last = told.at(-1);
    if (last && sameOf(one) && sameOf(one) === sameOf(last)) last.times += 1;
    else told.push({ ...one, times: 1 });
  }
  return told;
}
