import { mkdir, writeFile } from "node:fs/promises";
import { cpus, release, totalmem } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { check } from "../lib/command.js";
import { firstMinutes } from "./firstMinutes.js";
import { registry } from "./registryBench.js";
import { requests } from "./requests.js";
import type { Bench, Result } from "./result.js";
import { table } from "./table.js";
import { throughput } from "./throughput.js";

const benches: readonly Bench[] = [...throughput, ...requests, ...registry, ...firstMinutes];

/** Runs the benches that were asked for and returns the exit code. A bench that fails is said and the others go on. */
async function main(): Promise<number> {
  const { values } = parseArgs({ options: { only: { type: "string", multiple: true } } });
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
      results.push(...(await bench.run()));
      // After each, so that a run that is cut short keeps what it measured.
      if (!values.only) await write(results);
    } catch (error) {
      failed = true;
      console.error(`bench: ${bench.name} failed:`, error);
    }
  }
  console.log(table(results));
  return failed || results.some((one) => !one.ok) ? 1 : 0;
}

async function write(results: readonly Result[]): Promise<void> {
  const folder = join(import.meta.dirname, "results");
  await mkdir(folder, { recursive: true });
  const machine = {
    cpu: cpus()[0]?.model ?? "unknown",
    cores: cpus().length,
    memoryGb: Math.round(totalmem() / 2 ** 30),
    kernel: release(),
    node: process.version,
  };
  const commit = (await check("git", ["rev-parse", "--short", "HEAD"])).trim();
  const report = { machine, date: new Date().toISOString(), commit, results };
  await writeFile(join(folder, "latest.json"), `${JSON.stringify(report, null, 2)}\n`);
}

process.exitCode = await main();
