// A person's review of a task until it is submitted: comments that are being written are kept in this tab, pending ones
// on the server, where nobody else sees them.
import { useEffect, useMemo } from "preact/hooks";
import { batch, computed, signal } from "@preact/signals";
import { lineCommentDraft, lineCommentDrafts } from "../browser/drafts.mjs";
import { toastError } from "../browser/toasts.mjs";
import { api } from "../server/api.mjs";
import { listen } from "../server/live-events.mjs";
import { hasRole, user } from "../server/session.mjs";

const open = new Map();

const PLACE = ["id", "path", "line", "startLine", "side", "commitSha"];
const isAt = (one, place) => PLACE.every((name) => (one[name] ?? null) === (place[name] ?? null));

// Marks a comment as settled, or opens it again.
export const resolveComment = (taskId, { id, resolvedAt }) =>
  api.patch(`/tasks/${taskId}/comments/${id}`, { resolved: !resolvedAt });

// {editors, pending, finishing, count, …}: signals. editors: line drafts; pending: comments as the API has them;
// finishing: the verdict that is about to be given, or null.
export function beginReview(taskId) {
  const { drafts: editors, end } = lineCommentDrafts(taskId);
  const pending = signal([]);
  const finishing = signal(null);
  const path = `/tasks/${taskId}/review`;
  // It may have been read already.
  const withOne = (comment) => [...pending.value.filter(({ id }) => id !== comment.id), comment];
  const without = (draft) => editors.value.filter((one) => one !== draft);
  // How many comments would be submitted.
  const count = computed(
    () => pending.value.length + editors.value.filter(({ id, body }) => !id && body.value.trim()).length,
  );
  const review = { editors, pending, finishing, count, end, users: 0, begun: null, fields: new WeakMap() };
  // What was read before this person changed the draft here is older than what is shown.
  let changes = 0;
  let reads = 0;
  review.load = async () => {
    if (!hasRole("member")) return;
    const [before, mine] = [changes, ++reads];
    const { comments } = (await api.get(path)).review;
    if (mine !== reads) return;
    if (before !== changes) return void (await review.load());
    const known = pending.value;
    batch(() => {
      pending.value = comments;
      editors.value = editors.value.flatMap((draft) => whatIsLeft(draft, comments, known));
    });
  };
  // What is being written of a pending comment that another window has submitted or removed is a new comment, if it
  // differs from that one.
  const whatIsLeft = (draft, comments, known) => {
    const isOf = ({ id }) => id === draft.id;
    if (!draft.id || comments.some(isOf)) return [draft];
    if (known.find(isOf)?.body === draft.body.value) return [];
    const fresh = { ...draft, id: undefined };
    if (document.activeElement === review.fields.get(draft)) review.begun = fresh;
    return [fresh];
  };
  const keep = (comments) => {
    changes += 1;
    pending.value = comments;
  };
  // Begins a comment, or goes on with the one that is being written at this place. Returns it.
  review.write = (place, body = "") => {
    const known = editors.value.find((one) => isAt(one, place));
    if (known) {
      review.fields.get(known)?.focus();
      return known;
    }
    review.begun = lineCommentDraft(place, body);
    editors.value = [...editors.value, review.begun];
    return review.begun;
  };
  // Makes a comment that is being written one on other lines. Returns what it is then; null if it is not written any
  // more, or another one stands there.
  review.extend = (draft, { line, startLine, side }) => {
    if (!editors.value.includes(draft)) return null;
    const moved = { ...draft, line, startLine, side };
    if (editors.value.some((one) => one !== draft && isAt(one, moved))) return null;
    review.begun = moved;
    editors.value = editors.value.map((one) => (one === draft ? moved : one));
    return moved;
  };
  review.change = ({ id, path: file, line, startLine, side, commitSha, body }) =>
    review.write({ id, path: file, line, startLine, side, commitSha }, body);
  review.drop = (draft) => {
    editors.value = without(draft);
  };
  // Makes what is written a pending comment.
  review.save = async (draft) => {
    const { body: text, id, ...place } = draft;
    const body = text.value.trim();
    let comment = null;
    if (body && id) {
      ({ comment } = await api.patch(`${path}/comments/${id}`, { body }));
      keep(pending.value.map((one) => (one.id === id ? comment : one)));
    } else if (body) {
      ({ comment } = await api.post(`${path}/comments`, { ...place, body }));
      keep(withOne(comment));
    }
    if (!comment || text.value.trim() === body) return void (editors.value = without(draft));
    // What was written while it was being sent is a change of it, not sent yet.
    review.begun = { ...draft, id: comment.id };
    editors.value = editors.value.map((one) => (one === draft ? review.begun : one));
  };
  review.remove = async ({ id }) => {
    await api.remove(`${path}/comments/${id}`);
    keep(pending.value.filter((one) => one.id !== id));
  };
  // What was said is settled, or open again. reload: reads the task again.
  review.reload = null;
  review.resolve = async (comment) => {
    await resolveComment(taskId, comment);
    await review.reload?.();
  };
  // Throws away everything that is written. Returns what brings it back.
  review.discard = async () => {
    const [thrown, written] = [pending.value, editors.value];
    await api.remove(path);
    batch(() => {
      keep([]);
      editors.value = [];
      finishing.value = null;
    });
    return async () => {
      editors.value = [...written.filter(({ id }) => !id), ...editors.value];
      for (const comment of thrown) {
        const given = [...PLACE, "body"].filter((name) => name !== "id" && comment[name] !== null);
        const body = Object.fromEntries(given.map((name) => [name, comment[name]]));
        const reply = await api.post(`${path}/comments`, body);
        keep(withOne(reply.comment));
        // It was being changed: the comment has another id now.
        const change = written.find(({ id }) => id === comment.id);
        if (change) review.change({ ...reply.comment, body: change.body.value });
      }
    };
  };
  // Everything that is written goes along, pending or not.
  review.submit = async (verdict, body, commitSha) => {
    for (const draft of editors.value) await review.save(draft);
    await api.post(`${path}/submit`, { verdict, body, ...(commitSha && { commitSha }) });
    keep([]);
    // What was written while all this was being sent changes nothing that is pending any more: it is a new comment.
    editors.value = editors.value.map((draft) => ({ ...draft, id: undefined }));
    finishing.value = null;
  };
  return review;
}

// The review of this task, shared by all views that show it at the same time.
export function useReview(taskId) {
  const key = `${user.value?.id} ${taskId}`;
  const review = useMemo(() => {
    if (!open.has(key)) open.set(key, beginReview(taskId));
    return open.get(key);
  }, [key]);
  useEffect(() => {
    open.set(key, review);
    if (++review.users === 1) {
      review.load().catch((error) => error.status !== 403 && toastError(error));
      // Another window of the same person changes the draft, too.
      review.deaf = listen(({ event, data }) => {
        const isOurs = event === "review:draft_changed" && data.taskId === taskId;
        if (isOurs || event === "connected") review.load().catch(() => {});
      });
    }
    return () => {
      if (--review.users) return;
      review.deaf();
      review.end();
      open.delete(key);
    };
  }, [review]);
  return review;
}
