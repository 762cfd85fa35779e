import { Option } from "commander";
import type { Context } from "./context.js";

export const formats = ["table", "json", "yaml"] as const;
export type Format = (typeof formats)[number];

/** The `-o` of every reading command. */
export function outputOption(): Option {
  return new Option("-o, --output <format>", "how to print the answer").choices(formats).default("table");
}

/** Prints a value for programs, or what `text` makes of it for people. */
export async function print<T>(context: Context, format: Format, value: T, text: (value: T) => string | Promise<string>): Promise<void> {
  if (format === "json") context.out(`${JSON.stringify(value, undefined, 2)}\n`);
  else context.out(`${format === "yaml" ? await yaml(value) : await text(value)}\n`);
}

/** As YAML, without a newline at the end. Loaded when it is needed: nsmctl is to start quickly. */
export async function yaml(value: unknown): Promise<string> {
  const { stringify } = await import("./yaml.js");
  return stringify(value).trimEnd();
}
