// A text for an agent that was being written when its task went on: it can still be said as a comment on the task.
import { html } from "../components/html.mjs";
import { api } from "../server/api.mjs";
import { t } from "../words/language.mjs";

// For the form's onSubmit. name: of its text.
export const sendAsComment = (form, name, task, reload) =>
  form.submit(async (draft) => {
    await api.post(`/tasks/${task.id}/comments`, { body: draft[name].trim() });
    form.reset();
    await reload();
  });

export const UnsentTextButtons = ({ form, discard, disabled, testid }) => html`
  <button type="button" class="button" data-testid=${`${testid}-discard`} disabled=${form.busy} onClick=${discard}>
    ${t("Discard")}
  </button>
  <button class="button primary" data-testid=${`${testid}-comment`} disabled=${form.busy || disabled}>
    ${t("Add a comment")}
  </button>
`;
