// Adds up what each mocha run wrote and prints which files took longest and, last, the one line that sums it up.
// Exit 1 when anything failed.
import { readFileSync } from "node:fs";

const slowest = 12;
const [file, failedSteps] = process.argv.slice(2);
const runs = readFileSync(file, "utf8")
  .trim()
  .split("\n")
  .filter(Boolean)
  .map((line) => JSON.parse(line));
const sum = (key) => runs.reduce((total, run) => total + run[key], 0);
const failed = sum("failed");
const skipped = sum("skipped");
// A step such as lint or build that failed counts as one failure, so that the line never looks better than the run was.
const failures = failed === 0 && failedSteps !== "0" ? 1 : failed;
const seconds = runs.flatMap((run) => Object.entries(run.seconds)).sort(([, one], [, other]) => other - one);
for (const [name, took] of seconds.slice(0, slowest)) console.log(`${took.toFixed(1).padStart(7)} s  ${name}`);
console.log(`${sum("passed")} passed, ${failures} failed, ${skipped} skipped`);
process.exitCode = failures > 0 || (process.env.CI && skipped > 0) ? 1 : 0;
