// Has `node --test` report which lines its tests execute, by node's own option, which NODE_OPTIONS may not hold.
//
// Not used by the platform itself: the supervisor copies this file, and every node of a check's command loads it.
// MEASURED_COVERAGE: the folder to write into.
const { spawnSync } = require("node:child_process");
const { readFileSync, writeFileSync } = require("node:fs");
const { resolve } = require("node:path");

const folder = process.env.MEASURED_COVERAGE;
const given = process.execArgv;
const measures = "--experimental-test-coverage";
if (folder && given.includes("--test") && !given.includes(measures)) {
  const file = `${folder}/node-${process.pid}.info`;
  const options = [measures, "--test-reporter=lcov", `--test-reporter-destination=${file}`];
  const program = [...options, ...given, ...process.argv.slice(1)];
  const ended = spawnSync(process.execPath, program, { stdio: "inherit" });
  try {
    // The names are relative to the folder that node runs in.
    const named = readFileSync(file, "utf8").replace(/^SF:(.*)$/gm, (_, name) => `SF:${resolve(name)}`);
    writeFileSync(file, named);
  } catch {
    // What is not measured is not known, and that is all.
  }
  process.exit(ended.status ?? 1);
}
