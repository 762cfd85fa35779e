import type { Runner, Test } from "mocha";

/** One line of JSON per test, for whoever reads the guest's console. */
export default class GuestReporter {
  constructor(runner: Runner) {
    runner.on("pass", (test: Test) => tell(test, "passed"));
    runner.on("pending", (test: Test) => tell(test, "pending"));
    runner.on("fail", (test: Test, error: Error) => tell(test, "failed", error.stack ?? String(error)));
  }
}

function tell(test: Test, state: string, error?: string): void {
  const line = { title: test.fullTitle(), state, ms: test.duration ?? 0, ...(error === undefined ? {} : { error }) };
  process.stdout.write(`@@isthmus ${JSON.stringify(line)}\n`);
}
