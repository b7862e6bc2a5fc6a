// What is on record again and again, with each check of a proof: told once.

const isOfChecks = ({ event, data }) => event === "task:updated" && String(data?.changed) === "checks";
const isSame = (one, other) =>
  isOfChecks(one) && isOfChecks(other) && one.data.taskId === other.data.taskId && one.actor === other.actor;

// The events with `times`: where only the checks of one task change again and again, the last of them is there.
// events: the newest first.
export function withRepeatsCounted(events) {
  const told = [];
  for (const one of events) {
    const last = told.at(-1);
    if (last && isSame(one, last)) last.times += 1;
    else told.push({ ...one, times: 1 });
  }
  return told;
}
