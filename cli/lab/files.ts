import { rmdirSync } from "node:fs";
import { join } from "node:path";
import type { OwnProgram, ProgramName } from "./layout.js";

/** Where all labs of this machine are. */
export const runRoot = "/run/isthmus";
const stateRoot = "/var/lib/isthmus";

/** Where a lab keeps its sockets, logs and lab.json. */
export function runFolder(prefix: string): string {
  return join(runRoot, prefix);
}

/** Where a lab's programs keep what they must not forget. */
export function stateFolder(prefix: string): string {
  return join(stateRoot, prefix);
}

/** All of one node's paths. */
export function nodeFiles(prefix: string, node: string) {
  const run = join(runFolder(prefix), node);
  return {
    run,
    /** isthmus.v1 of its nsmgr. */
    nodeSocket: join(run, "node.sock"),
    /** Where a program serves NSM's API. */
    socket: (program: OwnProgram) => join(run, `${program}.sock`),
    /** Where a program serves isthmus.v1, or at least its health. */
    admin: (program: OwnProgram) => join(run, program === "nsmgr" ? "node.sock" : `${program}-admin.sock`),
    /** With which the node's programs join their site. */
    joinToken: join(stateFolder(prefix), node, "join-token"),
    log: (program: ProgramName) => join(run, "log", `${program}.log`),
    logs: join(run, "log"),
    state: (program: ProgramName) => join(stateFolder(prefix), node, program),
  };
}

/** What a site's registries and the members of its etcd share. */
export function siteFiles(prefix: string, site: string) {
  const folder = join(stateFolder(prefix), site);
  return {
    /** The site's authority, where more than one registry signs with it. */
    caKey: join(folder, "ca.key"),
    caCertificate: join(folder, "ca.pem"),
    etcdCa: join(folder, "etcd-ca.pem"),
    /** What members show to registries and to one another, and registries to members. */
    etcdPair: (of: "member" | "registry") => ({ cert: join(folder, `etcd-${of}.pem`), key: join(folder, `etcd-${of}.key`) }),
  };
}

/** The file that says what a lab is made of. */
export function labFile(prefix: string): string {
  return join(runFolder(prefix), "lab.json");
}

/** Removes a folder that nothing is left in, unless something is mounted there. */
export function removeIfEmpty(folder: string): void {
  try {
    rmdirSync(folder);
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code;
    if (!["ENOTEMPTY", "ENOENT", "EEXIST", "EBUSY"].includes(code ?? "")) throw error;
  }
}
