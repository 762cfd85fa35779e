import type { Context } from "./context.js";

const patienceMs = 2000;

/** Runs `task`; says on standard error what it is doing once it has lasted two seconds, and again at every change of step. */
export async function withProgress<T>(context: Context, first: string, task: (step: (text: string) => void) => Promise<T>): Promise<T> {
  let text = first;
  let late = false;
  const say = () => context.err(`${text} …\n`);
  const timer = context.clock.after(patienceMs, () => {
    late = true;
    say();
  });
  try {
    return await task((next) => {
      text = next;
      if (late) say();
    });
  } finally {
    timer[Symbol.dispose]();
  }
}
