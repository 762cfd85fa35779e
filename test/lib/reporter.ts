import { appendFileSync } from "node:fs";
import { relative, resolve } from "node:path";
import Mocha from "mocha";

const tests = resolve(import.meta.dirname, "..");

/** Mocha's spec output, and one line in the file that ISTHMUS_TEST_TOTALS names: the counts, and each test file's seconds. */
export default class TotalsReporter extends Mocha.reporters.Spec {
  constructor(runner: Mocha.Runner, options?: Mocha.MochaOptions) {
    super(runner, options);
    const seconds: Record<string, number> = {};
    let since = performance.now();
    // Suites of different files follow one another, so what passes until one ends is its file's.
    runner.on("suite end", ({ file }) => {
      const now = performance.now();
      if (file !== undefined) {
        const name = relative(tests, file);
        seconds[name] = (seconds[name] ?? 0) + (now - since) / 1000;
      }
      since = now;
    });
    runner.once("end", () => {
      const file = process.env.ISTHMUS_TEST_TOTALS;
      const { passes, failures, pending } = this.stats;
      if (file) appendFileSync(file, `${JSON.stringify({ passed: passes, failed: failures, skipped: pending, seconds })}\n`);
    });
  }
}
