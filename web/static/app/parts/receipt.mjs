// The receipt of a version in production: its digest, and the signed text as a file for `aiworker verify`.
import { api } from "../api.mjs";
import { html } from "../html.mjs";
import { t } from "../language.mjs";
import { Button } from "./controls.mjs";
import { saveAs } from "./files.mjs";

// One receipt a line, as in the git note.
async function save({ commitSha }) {
  const { receipts } = await api.get(`/receipts/${commitSha}`);
  const lines = receipts.map(({ envelope }) => `${envelope}\n`);
  saveAs(new Blob(lines, { type: "application/json" }), `receipt-${commitSha.slice(0, 12)}.jsonl`);
}

// receipt: as environments and tasks name it.
export const Receipt = ({ receipt }) => html`
  <code data-testid="receipt-digest" title=${receipt.digest}>${receipt.digest.slice(0, 12)}</code>
  <${Button} small kind="ghost" testid="receipt-download" act=${() => save(receipt)}>${t("Download")}<//>
`;
