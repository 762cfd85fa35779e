import { appendFileSync } from "node:fs";
import Mocha from "mocha";

/** Mocha's spec output, and one line of counts in the file that ISTHMUS_TEST_TOTALS names. */
export default class TotalsReporter extends Mocha.reporters.Spec {
  constructor(runner: Mocha.Runner, options?: Mocha.MochaOptions) {
    super(runner, options);
    runner.once("end", () => {
      const file = process.env.ISTHMUS_TEST_TOTALS;
      const { passes, failures, pending } = this.stats;
      if (file) appendFileSync(file, `${JSON.stringify({ passed: passes, failed: failures, skipped: pending })}\n`);
    });
  }
}
