// Steering a running agent: writing to it, interrupting it, taking its branch over by hand and handing it back.
import { useState } from "preact/hooks";
import { storedDraft } from "../../browser/drafts.mjs";
import { toastSuccess } from "../../browser/toasts.mjs";
import { CopyText } from "../../components/controls.mjs";
import { Confirm } from "../../components/dialogs.mjs";
import { html } from "../../components/html.mjs";
import { usePastedPictures } from "../../components/pasted-pictures.mjs";
import { FieldForm, TextField } from "../../forms/fields.mjs";
import { FormError, useForm } from "../../forms/form.mjs";
import { sendAsComment, UnsentTextButtons } from "../../forms/unsent-text.mjs";
import { api } from "../../server/api.mjs";
import { hasRole, user } from "../../server/session.mjs";
import { actorName } from "../../state/actors.mjs";
import { t } from "../../words/language.mjs";

// From where a task is taken over: an agent has worked on it, and nothing of it is approved.
const TAKEN_FROM = ["in_progress", "needs_input", "ready_to_test", "failed"];

// An agent that waits for an answer is there, too.
export const isWorking = ({ runs }) =>
  (runs || []).some(({ state, purpose }) => state === "running" && purpose !== "review");
const draftOf = ({ id }) => `message.${id}`;

// What is written for the agent while one works on the task.
export function Steering({ task, reload }) {
  const [, draw] = useState(0);
  const isOver = !isWorking(task);
  // What was being written when the agent stopped can still be said as a comment.
  if (!hasRole("member") || (isOver && !storedDraft(draftOf(task)))) return null;
  return html`<${Message} task=${task} reload=${reload} isOver=${isOver} thrown=${() => draw((times) => times + 1)} />`;
}

// isOver: no agent works on the task any more. thrown: called when what was written is thrown away.
function Message({ task, reload, isOver, thrown }) {
  const form = useForm({ text: "" }, draftOf(task));
  const pictures = usePastedPictures();
  const send = (interrupt) =>
    form.submit(async ({ text }) => {
      try {
        await api.post(`/tasks/${task.id}/messages`, { text: text.trim(), ...(interrupt && { interrupt: true }) });
        form.reset();
        toastSuccess(
          interrupt ? t("The agent is interrupted and reads this.") : t("Sent. The agent reads it at its next turn."),
        );
      } finally {
        await reload();
      }
    });
  const comment = sendAsComment(form, "text", task, reload);
  const discard = () => {
    form.reset();
    thrown();
  };
  const empty = !form.draft.text.trim();
  return html`<${FieldForm}
    of=${form}
    class="steering"
    onSubmit=${isOver ? comment : send(false)}
    data-testid="steering"
  >
    ${isOver && html`<p class="banner ask">${t("Not sent: no agent is at work on this any more")}</p>`}
    <${TextField}
      label=${t("Write to the agent")}
      name="text"
      rows="2"
      testid="message-text"
      ...${pictures}
      required
      readonly=${form.busy}
      maxlength="10000"
      hint=${
        isOver
          ? t("The agent is given it with its next run.")
          : t("The agent reads it at its next turn. Interrupt stops what it is doing and makes it read this at once.")
      }
    />
    <${FormError} form=${form} />
    <footer>
      ${
        isOver
          ? html`<${UnsentTextButtons} form=${form} discard=${discard} disabled=${empty} testid="message" />`
          : html`
            <button
              type="button"
              class="button"
              data-testid="message-interrupt"
              disabled=${form.busy || empty}
              onClick=${send(true)}
            >
              ${t("Interrupt")}
            </button>
            <button class="button primary" data-testid="message-send" disabled=${form.busy || empty}>
              ${t("Send")}
            </button>
          `
      }
    </footer>
  <//>`;
}

export function TakeOver({ task, reload }) {
  const [taking, setTaking] = useState(false);
  const started = task.runs?.some(({ startedAt }) => startedAt) && task.phase !== "verifying";
  const allowed = hasRole(task.state === "ready_to_test" ? "maintainer" : "member");
  // A platform without steering says nothing of a holder.
  const isOffered = task.heldBy === null && started && allowed && TAKEN_FROM.includes(task.state);
  // The dialog stays whatever happens to the task: one that went would come back by itself with the next state.
  return html`
    ${
      isOffered &&
      html`<button type="button" class="button" data-testid="task-take-over" onClick=${() => setTaking(true)}>
        ${t("Take over…")}
      </button>`
    }
    ${
      taking &&
      html`<${Confirm}
        title=${t("Take this task over?")}
        verb=${t("Take over")}
        kind="primary"
        testid="task-take-over-confirm"
        act=${async () => {
          try {
            await api.post(`/tasks/${task.id}/take-over`);
          } finally {
            await reload();
          }
        }}
        close=${() => setTaking(false)}
      >
        ${
          isWorking(task)
            ? `${t("The agent puts what it has done on the branch and stops.")} `
            : task.state === "ready_to_test"
              ? `${t("What was proven counts no more.")} `
              : ""
        }
        ${t("You work on its branch by hand until you hand the task back.")}
      <//>`
    }
  `;
}

const noteOf = ({ id }) => `hand-back.${id}`;

// Who holds the task, and the way to hand it back. A note that was being written when somebody else handed it back can
// still be said as a comment.
export function TakenOver({ task, reload }) {
  const [, draw] = useState(0);
  const isOver = !task.heldBy;
  if (isOver && !(hasRole("member") && storedDraft(noteOf(task)))) return null;
  const thrown = () => draw((times) => times + 1);
  return html`<${HandBack} task=${task} reload=${reload} isOver=${isOver} thrown=${thrown} />`;
}

function HandBack({ task, reload, isOver, thrown }) {
  const form = useForm({ note: "" }, noteOf(task));
  const handBack = form.submit(async ({ note }) => {
    try {
      await api.post(`/tasks/${task.id}/hand-back`, { note: note.trim() });
      form.reset();
      toastSuccess(t("Handed back. An agent goes on from what is on the branch."));
    } finally {
      await reload();
    }
  });
  const comment = sendAsComment(form, "note", task, reload);
  const discard = () => {
    form.reset();
    thrown();
  };
  return html`<${FieldForm}
    of=${form}
    class="callout busy"
    onSubmit=${isOver ? comment : handBack}
    data-testid="task-held"
  >
    ${
      isOver
        ? html`<p class="callout-head">${t("Not sent: the task was handed back meanwhile")}</p>`
        : html`<${Hold} task=${task} />`
    }
    ${
      hasRole("member") &&
      html`
        <${TextField}
          label=${t("Note for the agent")}
          name="note"
          rows="2"
          testid="hand-back-note"
          maxlength="10000"
          readonly=${form.busy}
          required=${isOver}
          hint=${
            isOver ? t("The agent is given it with its next run.") : t("What you did, and what it should do next.")
          }
        />
        <${FormError} form=${form} />
        <footer>
          ${
            isOver
              ? html`<${UnsentTextButtons} form=${form} discard=${discard} testid="note" />`
              : html`<button class="button primary" data-testid="task-hand-back" disabled=${form.busy}>
                ${t("Hand back")}
              </button>`
          }
        </footer>
      `
    }
  <//>`;
}

function Hold({ task }) {
  const holder = actorName(task.heldBy);
  const address = task.project?.giteaRepoUrl;
  const line = task.cloneLine || `git clone --branch ${task.branchName} ${address}`;
  return html`
    <p class="callout-head">
      ${holder === user.value.username ? t("Held by you") : t("Held by {name}", { name: holder })}
    </p>
    <p>
      ${
        isWorking(task)
          ? t("The agent still puts what it has done on the branch, for 90 seconds at most.")
          : t("No agent works on this task: work on its branch, push, and hand it back.")
      }
    </p>
    ${
      address &&
      html`<p class="secret">
        <${CopyText} text=${line} testid="task-clone" said=${t("Copied. The password is an API token of yours.")} />
      </p>`
    }
  `;
}
