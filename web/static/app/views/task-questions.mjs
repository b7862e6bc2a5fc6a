// The questions of a task's agent: one click on an option answers, or a text does. The first answer counts.
import { useState } from "preact/hooks";
import { api } from "../api.mjs";
import { html } from "../html.mjs";
import { t } from "../language.mjs";
import { Button, Fault, TextField, Time, useForm } from "../parts/controls.mjs";
import { Markdown } from "../parts/markdown.mjs";
import { useTakePictures } from "../parts/pictures.mjs";
import { project } from "../projects.mjs";
import { questionText } from "../server-texts.mjs";
import { may } from "../session.mjs";
import { failed } from "../toasts.mjs";
import { actorName, exact, say } from "../words.mjs";

export function Questions({ task, reload, answered }) {
  const questions = [...(task.questions || [])].sort((a, b) => (a.askedAt < b.askedAt ? 1 : -1));
  if (!questions.length) return null;
  const over = questions.filter(({ status }) => status !== "pending");
  return html`
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
              <p>
                ${
                  one.response
                    ? html`<b>${t("Answer:")}</b> ${one.response}`
                    : html`<span class="muted">${say(one.status)}</span>`
                }
                ${one.respondedBy && html` <span class="muted">${by(one.respondedBy)}</span>`}
                ${" "}<${Time} at=${one.respondedAt} />
              </p>
            </div>`,
        )}
      </details>`
    }
  `;
}

// A reason that the platform gives is one word with underscores; all else is what the agent wrote.
const isReason = (context) => /^[a-z]+(_[a-z]+)+$/.test(context);
const contextOf = ({ context }) => (isReason(context) ? say(context) : context);
const wordsOf = ({ question, askedBy }) => questionText(question, askedBy);
const isBlocking = (question) => question.blocking ?? true;
const by = (person) =>
  person === "default" ? t("by default, as nobody answered in time") : t("by {name}", { name: actorName(person) });

function Question({ question, task, reload }) {
  const form = useForm({ response: "" }, `answer.${question.id}`);
  const pictures = useTakePictures();
  const [answering, setAnswering] = useState(false);
  const answer = async (response) => {
    setAnswering(true);
    try {
      await api.post(`/tasks/${task.id}/respond`, { questionId: question.id, response });
    } catch (error) {
      if (error.status !== 409) throw error;
      // The question goes with the next reading, and what is said beside it too.
      failed({ status: 409, message: `${t("Your answer came too late and does not count.")} ${error.message}` });
    } finally {
      setAnswering(false);
      await reload();
    }
  };
  const submit = form.submit(({ response }) => answer(response));
  const blocking = isBlocking(question);
  return html`<form
    class="callout ask"
    onSubmit=${submit}
    data-testid="question"
    data-question-id=${question.id}
    data-blocking=${blocking}
  >
    <p class="callout-head">
      ${blocking ? t("Your answer is needed") : t("A question")} <${Time} at=${question.askedAt} />
    </p>
    <div class="asked"><${Markdown} text=${wordsOf(question)} /></div>
    ${question.context && html`<${Markdown} text=${contextOf(question)} />`}
    <${Terms} question=${question} blocking=${blocking} />
    ${
      may("member")
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
            form=${form}
            rows="2"
            testid="question-answer"
            ...${pictures}
            required
          />
          <${Fault} form=${form} />
          <footer>
            <button class="button primary" data-testid="question-submit" disabled=${form.busy || answering}>
              ${t("Answer")}
            </button>
          </footer>
        `
        : html`<p class="muted">${t("A member of the project can answer this.")}</p>`
    }
  </form>`;
}

// What happens while nobody answers.
function Terms({ question, blocking }) {
  const { deadlineAt, remindAt, escalatedTo, defaultResponse } = question;
  const said = [
    blocking
      ? t("The agent waits for the answer.")
      : t("The agent goes on meanwhile, and reads the answer when it comes."),
    escalatedTo && t("{name} was asked, too, because nobody had answered.", { name: actorName(escalatedTo) }),
    remindAt && t("A reminder follows {time}.", { time: exact(remindAt) }),
    deadlineAt &&
      (defaultResponse && project.value?.questionRules?.onDeadline === "default"
        ? t("Without an answer by {time}, “{answer}” counts.", { time: exact(deadlineAt), answer: defaultResponse })
        : t("Without an answer by {time}, the task fails.", { time: exact(deadlineAt) })),
  ];
  return html`<p class="muted" data-testid="question-terms">${said.filter(Boolean).join(" ")}</p>`;
}
