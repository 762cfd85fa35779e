import { spawn } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { baseArchive } from "./base.js";
import { cacheFolder, fetchKernel } from "./kernel.js";
import { projectArchive } from "./project.js";

/** One test that ran in the guest. */
export interface GuestTest {
  readonly title: string;
  readonly state: "passed" | "failed" | "pending";
  readonly ms: number;
  readonly error?: string;
}

/** What a guest did. */
export interface GuestRun {
  readonly kernel: string;
  readonly tests: readonly GuestTest[];
  /** Everything it printed. */
  readonly console: string;
}

const root = fileURLToPath(new URL("../../", import.meta.url));
const mark = "@@isthmus ";

/** Boots Debian's kernel without KVM, runs the given test files in it as root, and powers off. Files are relative to the checkout. */
export async function runGuest(files: readonly string[], timeoutMs: number): Promise<GuestRun> {
  const cache = cacheFolder();
  const kernel = fetchKernel(cache);
  const base = baseArchive(kernel, cache);
  const folder = mkdtempSync(join(tmpdir(), "isthmus-qemu-"));
  try {
    const initrd = join(folder, "initrd");
    writeFileSync(initrd, Buffer.concat([readFileSync(base), projectArchive(root, initScript(files))]));
    const lines = await boot(kernel.image, initrd, timeoutMs);
    const tests = lines.flatMap(parse);
    return { kernel: kernel.version, tests, console: lines.join("\n") };
  } finally {
    rmSync(folder, { recursive: true });
  }
}

/** The firmware leaves its own signs before the first line. */
function parse(line: string): GuestTest[] {
  const at = line.indexOf(mark);
  return at < 0 ? [] : [JSON.parse(line.slice(at + mark.length)) as GuestTest];
}

function initScript(files: readonly string[]): string {
  const tests = files.map((file) => `/isthmus/${file.replace(/\.ts$/, ".js")}`).join(" ");
  return `#!/bin/sh
export PATH=/bin HOME=/root TMPDIR=/tmp
mount -t proc proc /proc; mount -t sysfs sys /sys; mount -t devtmpfs dev /dev; mount -t tmpfs run /run; mount -t tmpfs tmp /tmp
while read module; do insmod /modules/$module || echo "module $module was not loaded"; done < /modules/order
ip link set lo up
cd /isthmus
node node_modules/mocha/bin/mocha.js --no-config --no-package --timeout 60000 --reporter test/qemu/guest/reporter.js ${tests}
echo "guest ends"
poweroff -f
`;
}

/** The lines that it printed until it was off. */
function boot(image: string, initrd: string, timeoutMs: number): Promise<string[]> {
  const machine = ["-nodefaults", "-no-user-config", "-nographic", "-serial", "stdio", "-no-reboot", "-m", "1536", "-smp", "2"];
  const processor = ["-accel", "tcg,thread=multi", "-cpu", "max"];
  const start = ["-kernel", image, "-initrd", initrd, "-append", "console=ttyS0 quiet panic=-1 mitigations=off"];
  return new Promise((resolve, reject) => {
    const child = spawn("qemu-system-x86_64", [...machine, ...processor, ...start], {
      stdio: ["ignore", "pipe", "inherit"],
      timeout: timeoutMs,
    });
    const lines: string[] = [];
    createInterface({ input: child.stdout }).on("line", (line) => lines.push(line.replaceAll("\r", "")));
    child.once("error", (cause) => reject(new Error("qemu-system-x86_64 did not start; run npm run setup", { cause })));
    child.once("close", () => resolve(lines));
  });
}
