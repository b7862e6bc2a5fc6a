// The questions of a task's agent: one click on an option answers, or a text does. The first answer counts.
import { useState } from "preact/hooks";
import { storedDraft } from "../../browser/drafts.mjs";
import { toastError } from "../../browser/toasts.mjs";
import { Button, Time } from "../../components/controls.mjs";
import { html } from "../../components/html.mjs";
import { Markdown } from "../../components/markdown.mjs";
import { usePastedPictures } from "../../components/pasted-pictures.mjs";
import { FieldForm, TextField } from "../../forms/fields.mjs";
import { FormEnd, FormError, useForm } from "../../forms/form.mjs";
import { UnsentTextButtons } from "../../forms/unsent-text.mjs";
import { api } from "../../server/api.mjs";
import { hasRole } from "../../server/session.mjs";
import { actorName } from "../../state/actors.mjs";
import { project } from "../../state/projects.mjs";
import { t } from "../../words/language.mjs";
import { questionText } from "../../words/server-texts.mjs";
import { fullTime, labelOf } from "../../words/words.mjs";

export function Questions({ task, reload, answered }) {
  const questions = [...(task.questions || [])].sort((a, b) => (a.askedAt < b.askedAt ? 1 : -1));
  if (!questions.length) return null;
  const over = questions.filter(({ status }) => status !== "pending");
  return html`
    ${over
      .filter((one) => storedDraft(draftOf(one)))
      .map((one) => html`<${Unsent} key=${one.id} question=${one} task=${task} reload=${reload} />`)}
    ${questions
      .filter(({ status }) => status === "pending")
      .map((one) => html`<${Question} key=${one.id} question=${one} task=${task} reload=${reload} />`)}
    ${
      answered &&
      over.length > 0 &&
      html`<details class="answered">
        <summary>${t("Earlier questions")}</summary>
        ${over.map(
          (one) =>
            html`<div key=${one.id}>
              <${Markdown} text=${wordsOf(one)} />
              <${Answered} question=${one} />
            </div>`,
        )}
      </details>`
    }
  `;
}

// A reason that the platform gives is one word with underscores; all else is what the agent wrote.
const isReason = (context) => /^[a-z]+(_[a-z]+)+$/.test(context);
const contextOf = ({ context }) => (isReason(context) ? labelOf(context) : context);
const wordsOf = ({ question, askedBy }) => questionText(question, askedBy);
const isBlocking = (question) => question.blocking ?? true;
const by = (person) =>
  person === "default" ? t("by default, as nobody answered in time") : t("by {name}", { name: actorName(person) });

const draftOf = ({ id }) => `answer.${id}`;

const Answered = ({ question: { response, status, respondedBy, respondedAt } }) =>
  html`<p>
  ${response ? html`<b>${t("Answer:")}</b> ${response}` : html`<span class="muted">${labelOf(status)}</span>`}
  ${respondedBy && html` <span class="muted">${by(respondedBy)}</span>`}
  ${" "}<${Time} at=${respondedAt} />
</p>`;

// An answer that was being written when the question was answered or withdrawn: it can still be said as a comment.
function Unsent({ question, task, reload }) {
  const form = useForm({ response: "" }, draftOf(question));
  const [isOver, setOver] = useState(false);
  const pictures = usePastedPictures();
  if (isOver) return null;
  const discard = () => {
    form.reset();
    setOver(true);
  };
  const submit = form.submit(async ({ response }) => {
    await api.post(`/tasks/${task.id}/comments`, { body: response.trim() });
    discard();
    await reload();
  });
  return html`<${FieldForm} of=${form} class="callout ask" onSubmit=${submit} data-testid="answer-unsent">
    <p class="callout-head">${t("Not sent: the question is over")}</p>
    <div class="asked"><${Markdown} text=${wordsOf(question)} /></div>
    <${Answered} question=${question} />
    <${TextField} label=${t("Your answer")} name="response" rows="2" ...${pictures} required readonly=${form.busy} />
    <${FormError} form=${form} />
    <footer>
      <${UnsentTextButtons} form=${form} discard=${discard} testid="answer" />
    </footer>
  <//>`;
}

function Question({ question, task, reload }) {
  const form = useForm({ response: "" }, draftOf(question));
  const pictures = usePastedPictures();
  const [answering, setAnswering] = useState(false);
  const answer = async (response) => {
    setAnswering(true);
    try {
      await api.post(`/tasks/${task.id}/respond`, { questionId: question.id, response });
      form.reset();
    } catch (error) {
      if (error.status === 409)
        error.message = `${t("Your answer came too late and does not count.")} ${error.message}`;
      throw error;
    } finally {
      setAnswering(false);
      await reload();
    }
  };
  const submit = form.submit(async ({ response }) => {
    try {
      await answer(response);
    } catch (error) {
      // The question goes with the next reading, and what is said beside it too.
      if (error.status === 409) toastError(error);
      throw error;
    }
  });
  const blocking = isBlocking(question);
  return html`<${FieldForm} of=${form}
    class="callout ask"
    onSubmit=${submit}
    data-testid="question"
    data-question-id=${question.id}
    data-blocking=${blocking}>
    <p class="callout-head">
      ${blocking ? t("Your answer is needed") : t("A question")} <${Time} at=${question.askedAt} />
    </p>
    <div class="asked"><${Markdown} text=${wordsOf(question)} /></div>
    ${question.context && html`<${Markdown} text=${contextOf(question)} />`}
    <${Terms} question=${question} blocking=${blocking} />
    ${
      hasRole("member")
        ? html`
          ${
            question.options?.length > 0 &&
            html`<div class="options" role="group" aria-label=${t("Answers")}>
              ${question.options.map(
                (option) =>
                  html`<${Button}
                    key=${option}
                    testid="question-option"
                    disabled=${answering || form.busy}
                    act=${() => answer(option)}
                  >
                    ${option}
                  <//>`,
              )}
            </div>`
          }
          <${TextField}
            label=${question.options?.length ? t("Or another answer") : t("Your answer")}
            name="response"
            rows="2"
            testid="question-answer"
            ...${pictures}
            required
          />
          <${FormEnd} form=${form} testid="question-submit" disabled=${answering}>${t("Answer")}<//>
        `
        : html`<p class="muted">${t("A member of the project can answer this.")}</p>`
    }
  <//>`;
}

// What happens while nobody answers.
function Terms({ question, blocking }) {
  const { deadlineAt, remindAt, escalatedTo, defaultResponse } = question;
  const said = [
    blocking
      ? t("The agent waits for the answer.")
      : t("The agent goes on meanwhile, and reads the answer when it comes."),
    escalatedTo && t("{name} was asked, too, because nobody had answered.", { name: actorName(escalatedTo) }),
    remindAt && t("A reminder follows {time}.", { time: fullTime(remindAt) }),
    deadlineAt &&
      (defaultResponse && project.value?.questionRules?.onDeadline === "default"
        ? t("Without an answer by {time}, “{answer}” counts.", { time: fullTime(deadlineAt), answer: defaultResponse })
        : t("Without an answer by {time}, the task fails.", { time: fullTime(deadlineAt) })),
  ];
  return html`<p class="muted" data-testid="question-terms">${said.filter(Boolean).join(" ")}</p>`;
}
