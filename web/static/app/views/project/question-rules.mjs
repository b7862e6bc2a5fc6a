// What happens to an agent's question that nobody answers: reminder, another person, deadline. For a project's form.
import { html } from "../../components/html.mjs";
import { SelectField, TextField } from "../../forms/fields.mjs";
import { mark, t, tPairs } from "../../words/language.mjs";

const NUMBERS = ["remindMinutes", "deadlineMinutes"];
const AT_DEADLINE = [
  ["", mark("The task fails")],
  ["default", mark("The agent's default answer counts")],
];

export function questionDraft(rules) {
  const draft = { "questionRules.escalateTo": rules?.escalateTo ?? "" };
  for (const name of NUMBERS) draft[`questionRules.${name}`] = rules?.[name] ?? "";
  draft["questionRules.onDeadline"] = rules?.onDeadline === "default" ? "default" : "";
  return draft;
}

// The API's body: only what was given; without a deadline nothing happens at one.
export function questionRules(draft) {
  const rules = {};
  for (const name of NUMBERS) {
    const text = draft[`questionRules.${name}`];
    if (text !== "" && text !== null && text !== undefined) rules[name] = Number(text);
  }
  const escalateTo = draft["questionRules.escalateTo"]?.trim();
  if (escalateTo) rules.escalateTo = escalateTo;
  if (draft["questionRules.onDeadline"]) rules.onDeadline = draft["questionRules.onDeadline"];
  return rules;
}

export const QuestionFields = () => html`
  <div class="pair">
    <${TextField}
      label=${t("Remind after")}
      name="questionRules.remindMinutes"
      type="number"
      min="1"
      step="any"
      hint=${t("Minutes without an answer to a question. Empty: never.")}
    />
    <${TextField}
      label=${t("Then ask")}
      name="questionRules.escalateTo"
      hint=${t("User name of the person who is asked, too. Empty: nobody.")}
    />
  </div>
  <div class="pair">
    <${TextField}
      label=${t("Deadline for answers")}
      name="questionRules.deadlineMinutes"
      type="number"
      min="1"
      step="any"
      hint=${t("Minutes. Empty: questions wait as long as it takes.")}
    />
    <${SelectField} label=${t("At the deadline")} name="questionRules.onDeadline" options=${tPairs(AT_DEADLINE)} />
  </div>
`;
