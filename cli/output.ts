import { Option } from "commander";
import { stringify } from "yaml";
import type { Context } from "./context.js";

export const formats = ["table", "json", "yaml"] as const;
export type Format = (typeof formats)[number];

/** The `-o` of every reading command. */
export function outputOption(): Option {
  return new Option("-o, --output <format>", "how to print the answer").choices(formats).default("table");
}

/** Prints a value for programs, or what `text` makes of it for people. */
export function print<T>(context: Context, format: Format, value: T, text: (value: T) => string): void {
  if (format === "json") context.out(`${JSON.stringify(value, undefined, 2)}\n`);
  else if (format === "yaml") context.out(stringify(value));
  else context.out(`${text(value)}\n`);
}
