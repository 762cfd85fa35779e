import { execFileSync } from "node:child_process";
import { existsSync, mkdirSync, readdirSync, readFileSync, renameSync, rmSync } from "node:fs";
import { basename, join } from "node:path";

/** A kernel that can be booted, unpacked and not installed. */
export interface GuestKernel {
  readonly version: string;
  readonly image: string;
  /** Module files by name, with dashes as underscores. */
  readonly modules: ReadonlyMap<string, string>;
}

/** What stays from one run to the next, outside the checkout. */
export function cacheFolder(): string {
  const folder = join(process.env.XDG_CACHE_HOME || "/var/cache", "isthmus", "qemu");
  mkdirSync(folder, { recursive: true });
  return folder;
}

/** Debian's newest cloud kernel, which has WireGuard; downloaded once. */
export function fetchKernel(cache: string): GuestKernel {
  const name = packageName();
  const folder = join(cache, name);
  if (!existsSync(folder)) unpack(name, folder);
  const version = name.replace(/^linux-image-/, "");
  const files = readdirSync(join(folder, "lib/modules", version), { recursive: true, encoding: "utf8" }).filter((file) =>
    file.endsWith(".ko"),
  );
  const modules = new Map(files.map((file) => [moduleName(file), join(folder, "lib/modules", version, file)]));
  return { version, image: join(folder, "boot", `vmlinuz-${version}`), modules };
}

/** The files of the named modules and of all that they need, in the order in which they can be loaded. Built-in ones have no file. */
export function withDependencies(kernel: GuestKernel, names: readonly string[]): string[] {
  const ordered: string[] = [];
  const visit = (name: string): void => {
    const file = kernel.modules.get(name.replaceAll("-", "_"));
    if (file === undefined || ordered.includes(file)) return;
    dependsOn(file).forEach(visit);
    ordered.push(file);
  };
  names.forEach(visit);
  return ordered;
}

/** What the module itself says in its .modinfo. */
function dependsOn(file: string): string[] {
  const bytes = readFileSync(file);
  const at = bytes.indexOf("\0depends=");
  const list = at < 0 ? "" : bytes.toString("latin1", at + 9, bytes.indexOf(0, at + 9));
  return list.split(",").filter((name) => name !== "");
}

function moduleName(file: string): string {
  return basename(file, ".ko").replaceAll("-", "_");
}

function packageName(): string {
  const ask = () =>
    /Depends: (linux-image-6\S*)/.exec(execFileSync("apt-cache", ["depends", "linux-image-cloud-amd64"], { encoding: "utf8" }))?.[1];
  const known = ask();
  if (known !== undefined) return known;
  execFileSync("apt-get", ["-qq", "-o", "DPkg::Lock::Timeout=300", "update"]);
  const name = ask();
  if (name === undefined) throw new Error("apt knows no linux-image-cloud-amd64; is this Debian on amd64?");
  return name;
}

function unpack(name: string, folder: string): void {
  const fresh = `${folder}.new`;
  rmSync(fresh, { recursive: true, force: true });
  mkdirSync(fresh, { recursive: true });
  execFileSync("apt-get", ["-qq", "download", name], { cwd: fresh, stdio: "inherit" });
  const archive = readdirSync(fresh).find((file) => file.endsWith(".deb"));
  if (archive === undefined) throw new Error(`apt-get download ${name} left no package in ${fresh}`);
  execFileSync("dpkg", ["-x", join(fresh, archive), fresh]);
  rmSync(join(fresh, archive));
  renameSync(fresh, folder);
}
