// The fields of a project, shared by making one and changing it: how a draft of text becomes the API's body.
import { html } from "../../components/html.mjs";
import { DriverFields } from "../../forms/driver-fields.mjs";
import { CheckField, TextField } from "../../forms/fields.mjs";
import { limitsDraft, limitsOf } from "../../forms/run-limits.mjs";
import { CapFields, capsDraft, capSetChanges } from "../../forms/spending-caps.mjs";
import { variableLines, variablesOf } from "../../forms/variables.mjs";
import { mark, t } from "../../words/language.mjs";
import { ENVIRONMENTS } from "../../words/states.mjs";
import { labelOf } from "../../words/words.mjs";
import { agentReview, agentReviewDraft, AgentReviewFields } from "./agent-review-fields.mjs";
import { autoQuarantine, autoQuarantineDraft, AutoQuarantineFields } from "./auto-quarantine-fields.mjs";
import { NetworkFields } from "./network-fields.mjs";
import { questionDraft, QuestionFields, questionRules } from "./question-rules.mjs";
import { SCAN_POLICIES, ScanPolicies } from "./scan-policies.mjs";
import { SecretRemoval, secretValues } from "./secret-changes.mjs";
import {
  CoverageField,
  GroupTestRunsField,
  POLICIES,
  QuarantineField,
  StatusesField,
  TestPolicies,
  TestReportField,
  TestSetupField,
} from "./test-policies.mjs";

// Options of pytest, Jest, Vitest, Mocha, Go, unittest and others. 0 and false switch them off.
const ENDS_EARLY =
  /(\bpy\.?test\b[^;&|]*\s(-[lqsv]*x[lqsvx]*|--exitfirst|--maxfail)|\s--?fail-?fast|\s--bail)\b(?![= ](0|false)\b)/;

const TEXTS = [
  "name",
  "description",
  "dockerImage",
  "cpuLimit",
  "memoryLimit",
  "setupCommand",
  "startCommand",
  "testCommand",
  "testReport",
  "healthPath",
  "healthContains",
  "agentInstructions",
  "driver",
  "model",
];
const NUMBERS = ["groupTestRuns", "mostQuarantined", "replicas", "port", "previewTtlHours", "maxParallelTasks"];
const FLAGS = ["restricted", "separateApprover", "allowDirectPush"];
const GIVEN = ["secretsInChecks", "secretsInPreviews"];
const PATTERNS = ["forbiddenPaths", "testSetup"];
// dropsSecrets: only those that are written in the field are left. removedSecrets: names of those that are removed.
export const NO_SECRETS = { secretEnvVars: "", dropsSecrets: false, removedSecrets: "" };
// What a draft never keeps: the address of a repository may hold a password.
export const NEVER_STORED = ["secretEnvVars", "dropsSecrets", "removedSecrets", "importUrl"];
const CAPS = [
  ["task", mark("Caps of each task"), mark("Over all its runs; a task may have its own.")],
  ["day", mark("Caps of the project per day"), mark("From midnight to midnight UTC, over all its tasks.")],
  [
    "total",
    mark("Caps of the project altogether"),
    mark("Once one is reached, its tasks are parked with their work kept."),
  ],
];

const names = (text) => text.split(/[\s,]+/).filter(Boolean);

const lines = (text) =>
  text
    .split("\n")
    .map((line) => line.trim())
    .filter(Boolean);

const servicesOf = (text) =>
  names(text).map((name) => {
    const [kind, version] = name.split(":");
    return { kind, version: version || null };
  });

export function projectDraft(project = {}) {
  const draft = { importUrl: "", defaultBranch: project.defaultBranch || "", ...NO_SECRETS };
  for (const name of TEXTS) draft[name] = project[name] ?? "";
  for (const name of NUMBERS) draft[name] = project[name] ?? "";
  for (const name of FLAGS) draft[name] = !!project[name];
  for (const list of GIVEN) draft[list] = (project[list] || []).join(", ");
  for (const place of ENVIRONMENTS) draft[`healthSeconds.${place}`] = project.healthSeconds?.[place] ?? "";
  Object.assign(draft, limitsDraft("limits", project.limits));
  draft.requiredStatuses = (project.requiredStatuses || []).join("\n");
  draft.cachePaths = (project.cachePaths || []).join("\n");
  draft.services = (project.services || [])
    .map(({ kind, version }) => (version ? `${kind}:${version}` : kind))
    .join(", ");
  draft.envVars = variableLines(project.envVars || {});
  Object.assign(draft, questionDraft(project.questionRules), agentReviewDraft(project.agentReview));
  Object.assign(draft, autoQuarantineDraft(project.autoQuarantine));
  for (const [set] of CAPS) Object.assign(draft, capsDraft(`caps.${set}`, project.caps?.[set]));
  // A project of an older platform has neither; a new one begins with the platform's defaults.
  draft.hasCaps = !project.id || !!project.caps;
  for (const { name, value } of [...POLICIES, ...SCAN_POLICIES]) draft[name] = project[name] ?? value;
  draft.egress = project.id ? project.egress : "registries";
  draft.egressHosts = (project.egressHosts || []).join("\n");
  for (const name of PATTERNS) draft[name] = (project[name] || []).join("\n");
  return draft;
}

const number = (text) => (text === "" || text === null ? undefined : Number(text));

const USUAL_HEALTH_SECONDS = { preview: 0, staging: 10, production: 30 };
const healthSeconds = (draft) =>
  Object.fromEntries(
    ENVIRONMENTS.map((place) => [place, number(draft[`healthSeconds.${place}`]) ?? USUAL_HEALTH_SECONDS[place]]),
  );

// Emptied, a field says null: nothing of its own. What can't be nothing has its default.
const CLEARED = {
  description: "",
  agentInstructions: "",
  name: "",
  healthPath: "/",
  groupTestRuns: 0,
  mostQuarantined: 5,
  replicas: 1,
  previewTtlHours: 72,
};
const text = (name, written) =>
  written.trim() ? (name === "agentInstructions" ? written : written.trim()) : name in CLEARED ? CLEARED[name] : null;

// Only what differs from `before`.
export function projectBody(draft, before) {
  const body = {};
  const set = (name, value, old) => {
    if (value !== undefined && JSON.stringify(value) !== JSON.stringify(old)) body[name] = value;
  };
  for (const name of TEXTS) set(name, text(name, draft[name]), text(name, before[name]));
  const count = (from, name) => number(from[name]) ?? CLEARED[name] ?? null;
  for (const name of NUMBERS) set(name, count(draft, name), count(before, name));
  for (const name of FLAGS) set(name, draft[name], before[name]);
  set("healthSeconds", healthSeconds(draft), healthSeconds(before));
  set("limits", limitsOf(draft, "limits"), limitsOf(before, "limits"));
  set("questionRules", questionRules(draft), questionRules(before));
  set("agentReview", agentReview(draft), agentReview(before));
  set("autoQuarantine", autoQuarantine(draft), autoQuarantine(before));
  set("envVars", variablesOf(draft.envVars), variablesOf(before.envVars));
  for (const name of PATTERNS) set(name, lines(draft[name]), lines(before[name]));
  const caps = CAPS.map(([name]) => name);
  set(
    "caps",
    capSetChanges(caps, draft, before, (name) => `caps.${name}`),
  );
  for (const { name } of [...POLICIES, ...SCAN_POLICIES]) set(name, draft[name], before[name]);
  set("egress", draft.egress, before.egress);
  set("egressHosts", lines(draft.egressHosts), lines(before.egressHosts));
  set("requiredStatuses", lines(draft.requiredStatuses), lines(before.requiredStatuses));
  set("cachePaths", lines(draft.cachePaths), lines(before.cachePaths));
  set("services", servicesOf(draft.services), servicesOf(before.services));
  for (const list of GIVEN) set(list, names(draft[list]), names(before[list]));
  for (const name of ["importUrl", "defaultBranch"]) set(name, draft[name].trim(), before[name]);
  return { ...body, ...secretValues(draft) };
}

const Count = (props) => html`<${TextField} type="number" min="0" ...${props} />`;
const Amount = (props) => html`<${Count} step="any" ...${props} />`;

export const RunFields = ({ form }) => html`
  <${TextField}
    label=${t("Setup command")}
    name="setupCommand"
    testid="project-setup-command"
    placeholder="npm ci"
    hint=${t("Makes a clone ready: run before agents, tests and versions start.")}
  />
  <div class="pair">
    <${TextField}
      label=${t("Start command")}
      name="startCommand"
      testid="project-start-command"
      placeholder="python3 -m http.server $PORT"
      hint=${t("Runs a version; PORT says where to listen.")}
    />
    <${TextField}
      label=${t("Test command")}
      name="testCommand"
      testid="project-test-command"
      placeholder="python3 -m unittest"
      hint=${
        ENDS_EARLY.test(form.draft.testCommand)
          ? t("It ends at the first test that fails: of those after it nothing is known then. Leave that option out.")
          : t("Run by the platform on every commit an agent finishes.")
      }
    />
    <${TestReportField} />
  </div>
  <div class="triple">
    ${ENVIRONMENTS.map(
      (place) =>
        html`<${Amount}
          key=${place}
          label=${t("Healthy for, {place}", { place: labelOf(place).toLowerCase() })}
          name=${`healthSeconds.${place}`}
          testid=${`project-health-${place}`}
          placeholder=${`${USUAL_HEALTH_SECONDS[place]}`}
          hint=${t("Seconds")}
        />`,
    )}
  </div>
`;

// isUnreadable: the plain variables were sealed with another secret key.
export const MoreFields = ({ form, secrets = [], isUnreadable = false }) => html`
  <div class="pair">
    <${TextField}
      label=${t("Environment variables")}
      name="envVars"
      rows="4"
      placeholder="NAME=value"
      hint=${
        isUnreadable
          ? t("The stored ones can't be read with the present secret key: write all of them again.")
          : t('One a line. Several lines in one value: "A\\nB".')
      }
      spellcheck=${false}
    />
    <${TextField}
      label=${t("Secret variables")}
      name="secretEnvVars"
      rows="4"
      placeholder="NAME=value"
      spellcheck=${false}
      hint=${
        secrets.length
          ? t("Set: {names}. Those that are not written here stay.", { names: secrets.join(", ") })
          : t("One a line. Never shown again.")
      }
    />
  </div>
  ${secrets.length > 0 && html`<${SecretRemoval} form=${form} secrets=${secrets} />`}
  <div class="pair">
    <${TextField}
      label=${t("Services")}
      name="services"
      placeholder="postgresql:16, redis"
      hint=${t("Each run, test and preview gets its own: postgresql, mariadb, redis.")}
      spellcheck=${false}
    />
    <${TextField}
      label=${t("Cached folders")}
      name="cachePaths"
      rows="2"
      placeholder="node_modules"
      hint=${t("One a line: what the setup command fills. Kept until a lock file changes.")}
      spellcheck=${false}
    />
  </div>
  <div class="pair">
    <${TextField}
      label=${t("Secrets in checks")}
      name="secretsInChecks"
      placeholder="NAME, NAME"
      hint=${t("Secret variables that the tests of unreviewed work get. Staging and production get all.")}
      spellcheck=${false}
    />
    <${TextField}
      label=${t("Secrets in previews")}
      name="secretsInPreviews"
      placeholder="NAME, NAME"
      hint=${t("Secret variables that previews of unreviewed work get.")}
      spellcheck=${false}
    />
  </div>
  <div class="pair">
    <${TextField}
      label=${t("Health path")}
      name="healthPath"
      placeholder="/"
      hint=${t("A healthy version answers below 400.")}
    />
    <${TextField}
      label=${t("Health text")}
      name="healthContains"
      hint=${t("What its answer has to contain. Empty: anything.")}
    />
  </div>
  <div class="pair">
    <${Count} label=${t("Port")} name="port" />
    <${Count} label=${t("Replicas")} name="replicas" placeholder="1" />
  </div>
  <div class="triple">
    <${TextField} label=${t("Image")} name="dockerImage" placeholder="node:20-alpine" />
    <${TextField} label=${t("CPU limit")} name="cpuLimit" placeholder="1000m" />
    <${TextField} label=${t("Memory limit")} name="memoryLimit" placeholder="1Gi" />
  </div>
  <div class="pair">
    <${Count} label=${t("Tasks at once")} name="maxParallelTasks" hint=${t("Empty: as many as there are agents.")} />
    <${Count} label=${t("Previews live for")} name="previewTtlHours" placeholder="72" hint=${t("Hours")} />
  </div>
  <div class="triple">
    <${Amount} label=${t("Most cost a task")} name="limits.maxCostUsd" hint=${t("US dollars")} />
    <${Count} label=${t("Most tokens a task")} name="limits.maxTokens" />
    <${Amount} label=${t("Most minutes a task")} name="limits.maxMinutes" />
  </div>
  ${
    form.draft.hasCaps &&
    CAPS.map(
      ([set, legend, hint]) =>
        html`<${CapFields}
          key=${set}
          prefix=${`caps.${set}`}
          legend=${t(legend)}
          hint=${t(hint)}
          testid=${`project-cap-${set}`}
        />`,
    )
  }
  <${NetworkFields} form=${form} />
  <${DriverFields} usual=${t("the platform's")} />
  <${TextField}
    label=${t("Instructions for the agents")}
    name="agentInstructions"
    rows="4"
    hint=${t("Given with every task of this project.")}
  />
  <${QuestionFields} />
  <${TextField}
    label=${t("Forbidden paths")}
    name="forbiddenPaths"
    rows="3"
    hint=${t("One a line, as in .gitignore. Work that touches them is refused.")}
    spellcheck=${false}
  />
  <${CheckField} label=${t("Restricted")} hint=${t("Only its members and admins see it.")} name="restricted" />
  <${CheckField}
    label=${t("Separate approver")}
    hint=${t(
      "Whoever wrote a task or pushed to its branch may not approve it. " +
        "Only an admin switches this off, for later proofs.",
    )}
    name="separateApprover"
  />
  <${CheckField}
    label=${t("Direct pushes")}
    hint=${t("Maintainers may push to the default branch, past proof and approval; never by force.")}
    name="allowDirectPush"
  />
  <${TestPolicies} />
  <${CoverageField} />
  <div class="pair">
    <${TestSetupField} />
    <${GroupTestRunsField} />
    <${QuarantineField} />
  </div>
  <${AutoQuarantineFields} />
  <${StatusesField} />
  <${ScanPolicies} />
  <${AgentReviewFields} form=${form} />
`;
