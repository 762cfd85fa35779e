import { mkdir, readFile, writeFile } from "node:fs/promises";
import { cpus, release, totalmem } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { check } from "../lib/command.js";
import { firstMinutes } from "./firstMinutes.js";
import { identityCost } from "./identityCost.js";
import { registry } from "./registryBench.js";
import { requests } from "./requests.js";
import type { Bench, Result } from "./result.js";
import { segmentChurn } from "./segmentChurn.js";
import { segments } from "./segments.js";
import { table } from "./table.js";
import { throughput } from "./throughput.js";

const benches: readonly Bench[] = [...throughput, ...requests, ...identityCost, ...registry, ...segments, ...segmentChurn, ...firstMinutes];

/** Runs the benches that were asked for and returns the exit code. A bench that fails is said and the others go on. */
async function main(): Promise<number> {
  const { values } = parseArgs({ options: { only: { type: "string", multiple: true }, seconds: { type: "string" } } });
  const options = values.seconds === undefined ? {} : { seconds: Number(values.seconds) };
  const chosen = benches.filter((bench) => !values.only || values.only.some((name) => bench.name.startsWith(name)));
  if (chosen.length === 0) {
    console.error(`bench: --only takes one of ${benches.map((bench) => bench.name).join(", ")}`);
    return 2;
  }
  const results: Result[] = [];
  let failed = false;
  for (const bench of chosen) {
    console.error(`bench: ${bench.name}`);
    try {
      results.push(...(await bench.run(options)));
      // After each, so that a run that is cut short keeps what it measured.
      await write(results, values.only !== undefined);
    } catch (error) {
      failed = true;
      console.error(`bench: ${bench.name} failed:`, error);
    }
  }
  console.log(table(results));
  return failed || results.some((one) => !one.ok) ? 1 : 0;
}

/** With `keep`, what was not measured this time stays as it was; its note says so. */
async function write(measured: readonly Result[], keep: boolean): Promise<void> {
  const folder = join(import.meta.dirname, "results");
  const file = join(folder, "latest.json");
  await mkdir(folder, { recursive: true });
  const names = new Set(measured.map(({ name }) => name));
  const earlier = keep ? await readEarlier(file) : [];
  const results = [...measured, ...earlier.filter(({ name }) => !names.has(name))];
  const machine = {
    cpu: cpus()[0]?.model ?? "unknown",
    cores: cpus().length,
    memoryGb: Math.round(totalmem() / 2 ** 30),
    kernel: release(),
    node: process.version,
  };
  const commit = (await check("git", ["rev-parse", "--short", "HEAD"])).trim();
  const report = { machine, date: new Date().toISOString(), commit, results };
  await writeFile(file, `${JSON.stringify(report, null, 2)}\n`);
}

async function readEarlier(file: string): Promise<Result[]> {
  const text = await readFile(file, "utf8").catch(() => undefined);
  if (text === undefined) return [];
  const { date, results } = JSON.parse(text) as { readonly date: string; readonly results: readonly Result[] };
  return results.map((result) => ({ ...result, note: result.note?.includes("measured on") ? result.note : said(result.note, date) }));
}

function said(note: string | undefined, date: string): string {
  return [note, `measured on ${date.slice(0, 10)}`].filter(Boolean).join("; ");
}

process.exitCode = await main();
