import os from "node:os";
import koffi from "koffi";
import { MeshError } from "../../core/error.js";
import { libc, systemFailure } from "./system.js";

const BPF_PROG_LOAD = 5;
const BPF_PROG_TYPE_SCHED_CLS = 3;

// The number of bpf(2) differs between architectures, by Node's names for them.
const numbers: Readonly<Record<string, number>> = { x64: 321, arm64: 280, riscv64: 280, loong64: 280, ppc64: 361 };

const loadAttributes = koffi.struct({
  type: "uint32",
  count: "uint32",
  instructions: "void*",
  license: "const char*",
  logLevel: "uint32",
  logSize: "uint32",
  log: "void*",
  kernelVersion: "uint32",
  flags: "uint32",
  name: koffi.array("char", 16),
});

const attempts = 10;

const bpf = libc.func("syscall", "long", ["long", "int", koffi.pointer(loadAttributes), "uint"]);

/** Loads a classifier (SCHED_CLS) and returns its descriptor, which the caller closes. `program`: 8 bytes an instruction. */
export function loadClassifier(name: string, program: Uint8Array): number {
  const number = numbers[process.arch];
  if (number === undefined) throw new MeshError("unsupported", `the number of bpf(2) on ${process.arch} is not known here`);
  const attributes = {
    type: BPF_PROG_TYPE_SCHED_CLS,
    count: program.length / 8,
    instructions: program,
    license: "Apache-2.0",
    logLevel: 0,
    logSize: 0,
    log: null,
    kernelVersion: 0,
    flags: 0,
    name,
  };
  for (let attempt = 1; ; attempt++) {
    const fd = bpf(number, BPF_PROG_LOAD, attributes, koffi.sizeof(loadAttributes));
    if (fd >= 0) return fd;
    const errno = koffi.errno();
    // The verifier gives up when a signal comes, and signals are how we hear of events.
    if (errno !== os.constants.errno.EAGAIN || attempt === attempts) throw systemFailure(`load the eBPF program ${name}`, errno);
  }
}
