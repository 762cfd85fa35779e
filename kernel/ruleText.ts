import type { NftTable } from "./nftElements.js";

/** A table's sets, and its chains in an order in which each leads only to earlier ones. A chain with a hook names it first. */
export interface RuleText extends NftTable {
  readonly family: NonNullable<NftTable["family"]>;
  readonly sets: string;
  readonly chains: Readonly<Record<string, readonly string[]>>;
}

/** Makes the table. Its sets are kept as they are; its chains are written anew, in the same transaction, so no packet meets a gap. */
export function nftText({ family, table, sets, chains }: RuleText): string {
  const place = `table ${family} ${table}`;
  const all = Object.entries(chains);
  return [
    `${place} {`,
    sets,
    ...all.map(([name, [first = ""]]) => `chain ${name} { ${isHook(first) ? first : ""} }`),
    "}",
    ...all.map(([name]) => `flush chain ${family} ${table} ${name}`),
    `${place} {`,
    ...all.map(([name, lines]) => [`chain ${name} {`, ...lines.filter((line) => !isHook(line)), "}"].join("\n")),
    "}",
  ].join("\n");
}

/** Whether a line says where its chain hangs. */
export function isHook(line: string): boolean {
  return line.startsWith("type ");
}
