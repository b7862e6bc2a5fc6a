// What is known of a project's tests beyond single tasks: a red default branch, flaky tests, and those in quarantine.
import { useState } from "preact/hooks";
import { go, to } from "../../browser/routes.mjs";
import { toastSuccess } from "../../browser/toasts.mjs";
import { Button, Empty, LoadError, Loading, Page, Time } from "../../components/controls.mjs";
import { Dialog } from "../../components/dialogs.mjs";
import { html } from "../../components/html.mjs";
import { FieldForm, TextField } from "../../forms/fields.mjs";
import { FormEnd, useForm } from "../../forms/form.mjs";
import { api } from "../../server/api.mjs";
import { useLiveEvents, useRead } from "../../server/loading.mjs";
import { hasRole } from "../../server/session.mjs";
import { actorName } from "../../state/actors.mjs";
import { project } from "../../state/projects.mjs";
import { mark, t, th, tn } from "../../words/language.mjs";
import { serverText } from "../../words/server-texts.mjs";
import { FINAL_TASK_STATES } from "../../words/states.mjs";

const EVENTS = [
  "project:base_tested",
  "project:status_changed",
  "test:quarantined",
  "test:released",
  "task:status_changed",
];
const MENDING_EVENTS = ["task:created", "task:updated", "task:status_changed"];
const MOST_LOG = 8000;
const USUAL_DAYS = "14";
const STOPPED = {
  owner: mark(
    "The rule has stopped: {owner} may not maintain this project any more. Name another person in the settings.",
  ),
  full: mark("The rule has stopped: as many tests are in quarantine as the project allows. No other one is added."),
};

export function ProjectTests() {
  const { id, name } = project.value;
  const { value, error, reload } = useRead(`/projects/${id}/tests`);
  useLiveEvents(({ event, projectId }) => projectId === id && EVENTS.includes(event), reload);
  const lead = t("Whether the default branch itself is red, and which tests can't be relied on.");
  return html`<${Page} title=${t("Tests of {name}", { name })} lead=${lead}>
    ${
      error && !value
        ? html`<${LoadError} error=${error} again=${reload} />`
        : value
          ? html`<${RedBase} of=${value.redBase} /><${FlakyTests} of=${value} reload=${reload} />`
          : html`<${Loading} />`
    }
  <//>`;
}

const describe = ({ commitSha, reason, tests, log }) =>
  [
    t("The tests of the default branch fail by themselves at {commit}: {reason}", { commit: commitSha, reason }),
    tests.map((test) => `- \`${test}\``).join("\n"),
    `\`\`\`\n${log.slice(-MOST_LOG)}\n\`\`\``,
  ]
    .filter(Boolean)
    .join("\n\n");

const testAgain = async () => {
  await api.post(`/projects/${project.value.id}/tests/test-base-again`);
  toastSuccess(t("The next proof or group tests it again."));
};

const taskLink = ({ projectId, id, title }) => html`<a href=${to.task(projectId, id)}>${title}</a>`;

// A task that somebody has already had written for this red branch; null: none. Undefined while that is not known, and
// for a person who may write none.
function useMending(of, title) {
  const { id } = project.value;
  const { value, reload } = useRead(of && hasRole("member") ? "/tasks" : null, {
    projectId: id,
    label: "fix",
    limit: 50,
  });
  useLiveEvents(({ event, projectId }) => projectId === id && MENDING_EVENTS.includes(event), reload);
  const isOfThis = (task) => task.title === title || task.description?.includes(of.commitSha);
  const isMending = (task) => !FINAL_TASK_STATES.includes(task.state) && task.createdAt >= of.since && isOfThis(task);
  return value ? (value.tasks.find(isMending) ?? null) : undefined;
}

function RedBase({ of }) {
  const title = t("Mend the tests of {branch}", { branch: project.value.defaultBranch });
  const mending = useMending(of, title);
  if (!of)
    return html`<section data-testid="base-green">
      <h2>${project.value.defaultBranch}</h2>
      <p class="muted">${t("Its tests are not known to fail.")}</p>
    </section>`;
  const mend = async () => {
    const { id } = project.value;
    const { task } = await api.post("/tasks", {
      projectId: id,
      title,
      description: describe(of),
      priority: "high",
      labels: ["fix"],
    });
    toastSuccess(t("Task created."));
    go(to.task(id, task.id));
  };
  return html`<section data-testid="base-red">
    <h2>${project.value.defaultBranch}</h2>
    <p class="banner bad">
      ${t("Its tests fail by themselves at {commit}: {reason}.", {
        commit: of.commitSha.slice(0, 12),
        reason: serverText(of.reason),
      })}
      ${" "}${t("No task is blamed for them, and no group goes on until they are mended.")}
    </p>
    <p class="muted">${t("Since")} <${Time} at=${of.since} /></p>
    ${of.tests.length > 0 && html`<ul>${of.tests.map((test) => html`<li key=${test}><code>${test}</code></li>`)}</ul>`}
    ${mending && html`<p data-testid="base-mending">${th("{task} is to mend them.", { task: taskLink(mending) })}</p>`}
    ${
      hasRole("member") &&
      html`<p class="actions">
        ${mending === null && html`<${Button} kind="primary" act=${mend} testid="mend-base">${t("Have it mended")}<//>`}
        <${Button} act=${testAgain} testid="test-base-again">${t("Test it again")}<//>
      </p>`
    }
    ${
      of.log &&
      html`<details>
        <summary>${t("Log")}</summary>
        <pre tabindex="0" role="group" aria-label=${t("Log")}>${of.log}</pre>
      </details>`
    }
  </section>`;
}

function Rule({ of }) {
  const { commits, days, owner, stopped } = of;
  const said = t(
    "By the project's rule, a test that was red and green on {commits} commits goes into quarantine for {days} days. " +
      "{owner} answers for it.",
    { commits, days, owner },
  );
  return html`<div data-testid="quarantine-rule">
    <p class="muted">${said}</p>
    ${stopped && html`<p class="banner ask">${t(STOPPED[stopped], { owner })}</p>`}
  </div>`;
}

function FlakyTests({ of: { flaky, mostQuarantined, autoQuarantine }, reload }) {
  const [chosen, choose] = useState(null);
  const inside = flaky.filter(({ quarantinedUntil }) => quarantinedUntil).length;
  return html`<section>
    <h2>${t("Flaky tests")}</h2>
    ${autoQuarantine && html`<${Rule} of=${autoQuarantine} />`}
    ${
      flaky.length
        ? html`<p class="muted">
              ${t("Red and green on one commit. In quarantine: {inside} of at most {most}.", {
                inside,
                most: mostQuarantined,
              })}
            </p>
            <ul class="rows" data-testid="flaky-tests">
              ${flaky.map(
                (test) =>
                  html`<${FlakyTest}
                    key=${test.name}
                    test=${test}
                    rule=${autoQuarantine}
                    choose=${choose}
                    reload=${reload}
                  />`,
              )}
            </ul>`
        : html`<${Empty} title=${t("No flaky test is known")}>
            ${t("A test that fails is run again. One that is green then is listed here.")}
          <//>`
    }
    ${chosen && html`<${Quarantine} test=${chosen} close=${() => choose(null)} reload=${reload} />`}
  </section>`;
}

function quarantineOf({ quarantinedByRule, quarantinedBy, quarantineReason }) {
  const values = { who: actorName(quarantinedBy), reason: quarantineReason };
  return quarantinedByRule
    ? t("In quarantine by the project's rule, for which {who} answers: {reason}. Until", values)
    : t("In quarantine by {who}: {reason}. Until", values);
}

function FlakyTest({ test, rule, choose, reload }) {
  const { id } = project.value;
  const release = async () => {
    await api.post(`/projects/${id}/tests/release`, { name: test.name });
    toastSuccess(t("Its failures count again."));
    await reload();
  };
  const rate = tn(test.ranOn, "on {flaked} of {count} commit", "on {flaked} of {count} commits", {
    flaked: test.flakedOn,
  });
  return html`<li class="row" data-testid="flaky-test">
    <span class="row-main">
      <code>${test.name}</code>
      <small>
        ${rate}${test.lastAt && html`, ${t("last")} <${Time} at=${test.lastAt} />`}
        ${
          test.failedInQuarantine > 0 &&
          html`; ${tn(
            test.failedInQuarantine,
            "failed in quarantine on {count} commit",
            "failed in quarantine on {count} commits",
          )}`
        }
        ${
          rule &&
          !test.quarantinedUntil &&
          html`<br />${t("The rule counts {counted} of {commits}.", {
            counted: test.countedOn,
            commits: rule.commits,
          })}`
        }
        ${test.quarantinedUntil && html`<br />${quarantineOf(test)} <${Time} at=${test.quarantinedUntil} />`}
      </small>
    </span>
    ${
      hasRole("maintainer") &&
      (test.quarantinedUntil
        ? html`<${Button} small act=${release} testid="release-test">${t("End the quarantine")}<//>`
        : html`<${Button} small act=${() => choose(test)} testid="quarantine-test">${t("Quarantine")}<//>`)
    }
  </li>`;
}

function Quarantine({ test, close, reload }) {
  const form = useForm({ days: USUAL_DAYS, reason: "" });
  const save = form.submit(async ({ days, reason }) => {
    const body = { name: test.name, days: Number(days), reason: reason.trim() };
    await api.post(`/projects/${project.value.id}/tests/quarantine`, body);
    close();
    await reload();
  });
  return html`<${Dialog} title=${t("Quarantine a test")} close=${close}>
    <${FieldForm} of=${form} onSubmit=${save}>
      <p>
        ${t(
          "Until the quarantine ends, failures of this test count for nothing, in proofs and in groups. Each says so.",
        )}
      </p>
      <p><code>${test.name}</code></p>
      <${TextField} label=${t("Days")} name="days" type="number" min="1" max="90" testid="quarantine-days" />
      <${TextField} label=${t("Reason")} name="reason" required maxlength="500" testid="quarantine-reason" />
      <${FormEnd} form=${form} cancel=${close} testid="quarantine-save">${t("Quarantine")}<//>
    <//>
  <//>`;
}
