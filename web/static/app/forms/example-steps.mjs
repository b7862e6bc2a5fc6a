// What may be written in a task's description, and an example of steps for it.
import { html } from "../components/html.mjs";
import { t, th } from "../words/language.mjs";

// What the built-in agent needs to be told, to begin with.
const STEPS = `\`\`\`steps
- say: "What I am about to do"
- write: {path: notes.txt, content: "A first line\\n"}
- run: "ls"
\`\`\`
`;

// form: with a draft that has `description`.
export function StepsExample({ form, busy }) {
  const insert = () =>
    form.change("description", [form.draft.description.trimEnd(), STEPS].filter(Boolean).join("\n\n"));
  return html`
    ${th("Markdown. The built-in agent follows a fenced block that begins with {fence}; other drivers read the text.", {
      fence: html`<code>${"```steps"}</code>`,
    })}${" "}
    <button type="button" class="button small ghost" data-testid="task-steps" disabled=${busy} onClick=${insert}>
      ${t("Insert example steps")}
    </button>
  `;
}
