import { lstatSync, readdirSync, readFileSync, readlinkSync } from "node:fs";
import { dirname, join } from "node:path";

const directory = 0o040000;
const file = 0o100000;
const link = 0o120000;

/** An archive in the "newc" format (Documentation/driver-api/early-userspace/buffer-format.rst), as the kernel unpacks it at boot. */
export class Archive {
  readonly #parts: Buffer[] = [];
  readonly #known = new Set<string>();

  /** A folder, with those above it. */
  folder(path: string): this {
    if (path === "." || path === "" || path === "/" || this.#known.has(path)) return this;
    this.folder(dirname(path));
    return this.#entry(path, directory | 0o755, Buffer.alloc(0));
  }

  file(path: string, bytes: Uint8Array | string, mode = 0o644): this {
    if (this.#known.has(path)) return this;
    this.folder(dirname(path));
    return this.#entry(path, file | mode, Buffer.from(bytes));
  }

  link(path: string, target: string): this {
    this.folder(dirname(path));
    return this.#entry(path, link | 0o777, Buffer.from(target));
  }

  /** A file or folder of this machine with all that is in it, links followed by their text. */
  copy(path: string, from: string): this {
    const found = lstatSync(from);
    if (found.isSymbolicLink()) return this.link(path, readlinkSync(from));
    if (!found.isDirectory()) return this.file(path, readFileSync(from), found.mode & 0o777);
    for (const name of readdirSync(from).sort()) this.copy(join(path, name), join(from, name));
    return this;
  }

  /** The archive with its end mark. Several of them one after another are unpacked in order. */
  bytes(): Buffer {
    const end = encode("TRAILER!!!", 0, Buffer.alloc(0), 0);
    const all = Buffer.concat([...this.#parts, end]);
    return Buffer.concat([all, Buffer.alloc(-all.length & 511)]);
  }

  #entry(path: string, mode: number, bytes: Buffer): this {
    this.#known.add(path);
    this.#parts.push(encode(path.replace(/^\//, ""), mode, bytes, this.#known.size));
    return this;
  }
}

function encode(name: string, mode: number, bytes: Buffer, inode: number): Buffer {
  const fields = [inode, mode, 0, 0, 1, 0, bytes.length, 0, 0, 0, 0, name.length + 1, 0];
  const header = `070701${fields.map((field) => field.toString(16).padStart(8, "0")).join("")}${name}\0`;
  return Buffer.concat([padded(Buffer.from(header)), padded(bytes)]);
}

function padded(bytes: Buffer): Buffer {
  return Buffer.concat([bytes, Buffer.alloc(-bytes.length & 3)]);
}
