// Has each call of node's test runner write a report (JUnit XML) of its own. It prints nothing.
//
// Not used by the platform itself: the supervisor copies this file into the folder of the reports, and node's runner
// loads it from there as one of its reporters.
import { appendFileSync } from "node:fs";
import * as reporters from "node:test/reporters";

const file = new URL(`node-${Date.now()}-${process.pid}.xml`, import.meta.url);

export default async function* report(events) {
  // Some releases of node have no such reporter, and tests may remove the folder: then they run without a report.
  const texts = reporters.junit ? reporters.junit(events) : events;
  for await (const text of texts) {
    try {
      if (reporters.junit) appendFileSync(file, text);
    } catch {
      // The tests have their result all the same.
    }
  }
}
