// Drivers and models that the platform knows, offered where one is typed. Any other text may be typed, too.
import { useMemo } from "preact/hooks";
import { html } from "../components/html.mjs";
import { useInterval, useRead } from "../server/loading.mjs";
import { hasRole } from "../server/session.mjs";
import { project } from "../state/projects.mjs";
import { t } from "../words/language.mjs";
import { serverText } from "../words/server-texts.mjs";
import { TextField } from "./fields.mjs";

// A platform of before there were drivers to choose from says nothing of a project's driver.
export const hasDrivers = () => project.value?.driver !== undefined;

// No event tells that an agent has found a driver, or that a driver has got a model provider.
const LOOK_MS = 30_000;

// What useRead returns of GET /drivers, kept fresh. asks: whether it is read at all.
export function useAllDrivers(asks = true) {
  const read = useRead(asks ? "/drivers" : null);
  useInterval(LOOK_MS, read.reload, asks);
  return read;
}

export const useDrivers = () => useAllDrivers(hasDrivers()).value?.drivers || null;

const modelsOf = (providers) =>
  [...new Set(providers.flatMap(({ models, prices }) => [...(models || []), ...Object.keys(prices || {})]))].sort();

export const providersOf = (reply) => reply?.modelProviders || [];

const Options = ({ id, of }) =>
  html`<datalist id=${id}>
    ${of.map(([value, text]) => html`<option key=${value} value=${value}>${text}</option>`)}
  </datalist>`;

// The two fields of a form whose draft has `driver` and `model`. usual: what an empty field means.
export function DriverFields({ usual }) {
  const drivers = useDrivers();
  const { value } = useRead(drivers && hasRole("member") ? "/model-providers" : null);
  const models = useMemo(() => modelsOf(providersOf(value)), [value]);
  return html`<div class="pair">
    <${TextField}
      label=${t("Driver")}
      name="driver"
      testid="driver"
      list="known-drivers"
      placeholder="claude"
      hint=${t("Which program does the work. Empty: {usual}.", { usual })}
      spellcheck=${false}
    />
    <${TextField}
      label=${t("Model")}
      name="model"
      testid="model"
      list="known-models"
      hint=${t("Empty: {usual}, else the driver's own choice.", { usual })}
      spellcheck=${false}
    />
    <${Options} id="known-drivers" of=${(drivers || []).map(({ name, title }) => [name, serverText(title)])} />
    <${Options} id="known-models" of=${models.map((one) => [one, one])} />
  </div>`;
}
