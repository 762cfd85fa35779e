#!/usr/bin/env node
import { systemClock } from "../program/clock.js";
import { run } from "./program.js";

const interrupted = new AbortController();
for (const signal of ["SIGINT", "SIGTERM"] as const) process.once(signal, () => interrupted.abort(new Error(`stopped by ${signal}`)));
// Nobody reads on, as in `nsmctl get nodes | head -1`: nothing is left to say.
process.stdout.on("error", (error: NodeJS.ErrnoException) => {
  if (error.code !== "EPIPE") throw error;
});

// gRPC's channels do not keep a process alive while they connect; an open port does.
const { port1: alive, port2: other } = new MessageChannel();
alive.ref();

process.exitCode = await run(
  {
    out: (text) => void process.stdout.write(text),
    err: (text) => void process.stderr.write(text),
    env: process.env,
    clock: systemClock,
    signal: interrupted.signal,
  },
  process.argv.slice(2),
);

alive.close();
other.close();
