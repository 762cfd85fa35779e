import { execFileSync } from "node:child_process";
import { createHash } from "node:crypto";
import { existsSync, readdirSync, readFileSync, realpathSync, renameSync, rmSync, statSync, writeFileSync } from "node:fs";
import { basename, join } from "node:path";
import { Archive } from "./cpio.js";
import { type GuestKernel, withDependencies } from "./kernel.js";

// What the tests call, from this machine; the rest is busybox. Not its shell, which would take its own `ip` before any other.
const tools = ["ip", "nft", "ping", "nsenter", "tcpdump", "wg", "dash"];
const applets = ["cat", "cut", "echo", "grep", "insmod", "mkdir", "mount", "poweroff", "rm", "sleep", "sysctl", "timeout", "true"];
const modules = [
  ...["veth", "wireguard", "vxlan", "tun", "bridge"],
  ...["nf_tables", "nft_objref", "nft_limit", "nft_ct", "nft_fib_inet", "nft_reject_inet"],
  ...["cls_bpf", "cls_u32", "sch_ingress", "act_mirred", "act_gact"],
];

/** The archive of all that changes seldom: Node, tools, libraries and kernel modules. Made once and kept in `cache`. */
export function baseArchive(kernel: GuestKernel, cache: string): string {
  const programs = tools.map(which);
  const parts = [
    kernel.version,
    process.version,
    ...[process.execPath, ...programs].map((file) => `${file} ${statSync(file).mtimeMs}`),
    ...modules,
  ];
  const self = readFileSync(new URL(import.meta.url));
  const digest = createHash("sha256").update(parts.join("\n")).update(self).digest("hex").slice(0, 16);
  const file = join(cache, `base-${digest}.cpio`);
  if (existsSync(file)) return file;
  for (const old of readdirSync(cache).filter((name) => name.startsWith("base-"))) rmSync(join(cache, old));
  writeFileSync(`${file}.new`, build(kernel, programs));
  renameSync(`${file}.new`, file);
  return file;
}

function build(kernel: GuestKernel, programs: readonly string[]): Buffer {
  const archive = new Archive();
  for (const folder of ["dev", "proc", "sys", "tmp", "run", "etc", "root", "var/lib"]) archive.folder(folder);
  archive.link("var/run", "/run").file("etc/passwd", "root:x:0:0:root:/root:/bin/sh\n").file("etc/group", "root:x:0:\n");
  archive.file("etc/nsswitch.conf", "passwd: files\nhosts: files\n").file("etc/hosts", "127.0.0.1 localhost\n");
  archive.file("bin/busybox", readFileSync(which("busybox")), 0o755);
  for (const applet of applets) archive.link(`bin/${applet}`, "busybox");
  archive.link("bin/sh", "dash");
  for (const program of programs) withLibraries(archive, program, join("bin", basename(program)));
  withLibraries(archive, process.execPath, "bin/node");
  withLibraries(archive, library("libnftables.so.1"), "usr/lib/libnftables.so.1");
  const files = withDependencies(kernel, modules);
  for (const file of files) archive.file(join("modules", basename(file)), readFileSync(file));
  archive.file("modules/order", `${files.map((file) => basename(file)).join("\n")}\n`);
  return archive.bytes();
}

/** A program or library, and the libraries that it is linked with, where it will look for them. */
function withLibraries(archive: Archive, from: string, to: string): void {
  archive.file(to, readFileSync(from), 0o755);
  const linked = execFileSync("ldd", [from], { encoding: "utf8" }).matchAll(/(?:=> )?(\/\S+) \(0x/g);
  for (const [, file] of linked) if (file !== undefined) archive.file(file.slice(1), readFileSync(file), 0o755);
}

function library(name: string): string {
  const line = execFileSync("ldconfig", ["-p"], { encoding: "utf8" })
    .split("\n")
    .find((entry) => entry.trim().startsWith(`${name} `));
  const file = line?.split("=> ")[1];
  if (file === undefined) throw new Error(`${name} is not installed (Debian: apt-get install libnftables1)`);
  return file;
}

function which(program: string): string {
  try {
    return realpathSync(execFileSync("sh", ["-c", `command -v ${program}`], { encoding: "utf8" }).trim());
  } catch (cause) {
    throw new Error(`${program} is not installed; run npm run setup`, { cause });
  }
}
