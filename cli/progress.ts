import type { Context } from "./context.js";
import { plain } from "./plain.js";

const everyMs = 2000;

/** Runs `task`; every two seconds that it lasts, says on standard error which step it has come to, unless it has said so before. */
export async function withProgress<T>(context: Context, first: string, task: (step: (text: string) => void) => Promise<T>): Promise<T> {
  let text = first;
  let said = "";
  let timer = context.clock.after(everyMs, say);
  function say() {
    if (text !== said) context.err(`${plain(text)} …\n`);
    said = text;
    timer = context.clock.after(everyMs, say);
  }
  try {
    return await task((next) => {
      text = next;
    });
  } finally {
    timer[Symbol.dispose]();
  }
}
