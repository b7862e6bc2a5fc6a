// A task's rounds as chapters: which runs worked in each, and what was asked of them. No reading and no drawing here.

// Milliseconds of a time as the API writes it; these times come from one clock.
const time = (at) => Date.parse(at);

// [{round, runs, asked}], the oldest first; at least one. runs: oldest first. asked: what its agents were given besides
// the task's text, in order: {kind, at, comment} or {kind: "question", at, question}. kind: a comment's.
export function roundsOf(task) {
  const runs = [...(task.runs || [])].sort((a, b) => (a.id < b.id ? -1 : 1));
  const last = Math.max(1, task.round, ...runs.map(({ round }) => round));
  const chapters = Array.from({ length: last }, (_, at) => ({ round: at + 1, runs: [], asked: [] }));
  for (const run of runs) chapters[run.round - 1].runs.push(run);
  // The chapter that was under way then: the last one of which a run was there.
  const at = (when) =>
    chapters.findLast(({ runs: some }) => some.length && time(some[0].createdAt) <= time(when)) || chapters[0];
  for (const comment of task.comments || []) {
    // What no run was given yet is for the next one.
    const chapter = comment.deliveredAt ? at(comment.deliveredAt) : chapters.at(-1);
    chapter.asked.push({ kind: comment.kind, at: comment.createdAt, comment });
  }
  for (const question of task.questions || [])
    at(question.askedAt).asked.push({ kind: "question", at: question.askedAt, question });
  for (const { asked } of chapters) asked.sort((a, b) => time(a.at) - time(b.at));
  return chapters.filter(({ runs: some, asked, round }) => some.length || asked.length || round === last);
}
