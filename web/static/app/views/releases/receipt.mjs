// The receipt of a version in production: its digest, and the signed text as a file for `aiworker verify`.
import { Button } from "../../components/controls.mjs";
import { html } from "../../components/html.mjs";
import { saveFile } from "../../forms/choose-files.mjs";
import { api } from "../../server/api.mjs";
import { t } from "../../words/language.mjs";

// One receipt a line, as in the git note.
async function save({ commitSha }) {
  const { receipts } = await api.get(`/receipts/${commitSha}`);
  const lines = receipts.map(({ envelope }) => `${envelope}\n`);
  saveFile(new Blob(lines, { type: "application/json" }), `receipt-${commitSha.slice(0, 12)}.jsonl`);
}

// receipt: as environments and tasks name it.
export const Receipt = ({ receipt }) => html`
  <code data-testid="receipt-digest" title=${receipt.digest}>${receipt.digest.slice(0, 12)}</code>
  <${Button} small kind="ghost" testid="receipt-download" act=${() => save(receipt)}>${t("Download")}<//>
`;
