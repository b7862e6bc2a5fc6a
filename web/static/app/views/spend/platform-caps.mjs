// What the whole platform may spend: for admins. A platform without such caps shows nothing here.
import { toastSuccess } from "../../browser/toasts.mjs";
import { LoadError } from "../../components/controls.mjs";
import { html } from "../../components/html.mjs";
import { FieldForm } from "../../forms/fields.mjs";
import { FormEnd } from "../../forms/form.mjs";
import { useSharedForm } from "../../forms/shared-form.mjs";
import { CapBars, CapFields, capsDraft, capSetChanges } from "../../forms/spending-caps.mjs";
import { api } from "../../server/api.mjs";
import { useInterval, useRead } from "../../server/loading.mjs";
import { mark, t } from "../../words/language.mjs";

// No event tells of a call.
const LOOK_MS = 10_000;
const SETS = [
  ["day", mark("Per day"), mark("Of all projects together, from midnight to midnight UTC.")],
  ["total", mark("Altogether"), mark("Since the platform began to count.")],
  ["task", mark("Each task"), mark("Of tasks whose project and whose own caps say nothing else.")],
];

export function PlatformCaps() {
  const { value, error, reload } = useRead("/caps");
  useInterval(LOOK_MS, reload);
  if (error?.status === 404) return null;
  if (error && !value) return html`<${LoadError} error=${error} again=${reload} />`;
  if (!value) return null;
  const { caps } = value;
  return html`<${Form} caps=${caps} uses=${caps.uses} saved=${reload} />`;
}

const draftOf = (caps) => Object.assign({}, ...SETS.map(([name]) => capsDraft(name, caps[name])));

function Form({ caps, uses, saved }) {
  const { form, fields, submit } = useSharedForm({
    now: caps,
    draftOf,
    read: async () => (await api.get("/caps")).caps,
  });
  const send = async (draft, before) => {
    const names = SETS.map(([name]) => name);
    const changes = capSetChanges(names, draft, before, (name) => name);
    if (!changes) return toastSuccess(t("Nothing has changed."));
    await api.patch("/caps", changes);
    return draft;
  };
  const save = submit(send, async () => {
    toastSuccess(t("Saved. It holds from the next call."));
    await saved();
  });
  return html`<section data-testid="platform-caps">
    <h2>${t("Caps of the platform")}</h2>
    <p class="muted">
      ${t(
        "Once a cap is reached, the gateway refuses the next call: " +
          "runs stop with their work kept, and go on when the cap is raised.",
      )}
    </p>
    <${CapBars} uses=${uses} testid="platform-cap-uses" />
    <${FieldForm} of=${fields} class="sheet" onSubmit=${save}>
      ${SETS.map(
        ([name, legend, hint]) =>
          html`<${CapFields}
            key=${name}
            prefix=${name}
            legend=${t(legend)}
            hint=${t(hint)}
            testid=${`cap-${name}`}
          />`,
      )}
      <${FormEnd} form=${form} testid="caps-save">${t("Save caps")}<//>
    <//>
  </section>`;
}
