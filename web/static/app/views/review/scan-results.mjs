// What the scans of a proof found, in sentences, and what a person lets go of it.
import { t, tn } from "../../words/language.mjs";

const some = (count, text) => (count ? [text()] : []);

const letGo = (accepted) =>
  some(accepted, () => tn(accepted, "one was let go by a person", "{count} were let go by a person"));

const secrets = ({ found, accepted, binary }) => [
  found ? tn(found, "One secret was found", "{count} secrets were found") : t("No secret was found"),
  ...letGo(accepted),
  ...some(binary, () =>
    tn(binary, "one file is no text and was not searched", "{count} files are no text and were not searched"),
  ),
];

const dependencies = ({ packages, found, accepted, unread }) => [
  tn(packages, "One new version was looked up", "{count} new versions were looked up"),
  found ? tn(found, "one known fault was found", "{count} known faults were found") : t("no known fault was found"),
  ...letGo(accepted),
  ...some(unread, () =>
    tn(unread, "one lock file of another format was not read", "{count} lock files of other formats were not read"),
  ),
];

export const SCAN_PARTS = { secrets, dependencies };

// The names of findings: each before what else its lines in the log say.
const namesIn = (check) => [
  ...new Set(
    (check.log || "")
      .split("\n")
      .filter(Boolean)
      .map((line) => line.split(": ", 1)[0]),
  ),
];

const FINDINGS = {
  path: "accept-findings",
  namesIn,
  label: (count) => tn(count, "Let this finding go", "Let these {count} findings go"),
};

// By the code of the check.
export const SCAN_ACCEPTS = { secrets_found: FINDINGS, known_faults: FINDINGS };
