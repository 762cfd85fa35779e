import { readFileSync, watch } from "node:fs";
import { basename, dirname } from "node:path";
import type { Clock } from "../core/clock.js";
import { asMeshError, MeshError } from "../core/error.js";
import type { Log } from "../core/log.js";
import type { Bundles } from "./bundles.js";
import { parsePem } from "./certificate.js";
import { readPrivate } from "./privateFile.js";
import { Held, type Identified, type IdentitySource, sameIdentity } from "./source.js";
import { parseKey, type Svid, svidOf } from "./svid.js";
import { verifyChain } from "./verify.js";

export interface IdentityFiles {
  /** PEM: the own certificate first. */
  readonly certificateFile: string;
  /** PEM, mode 0600. */
  readonly keyFile: string;
  /** PEM: the authorities of the own trust domain. */
  readonly bundleFile: string;
}

export interface FilesParts extends IdentityFiles {
  readonly clock: Clock;
  readonly log: Log;
}

/** Who changes several files does not do so in one moment. */
const settleMs = 100;
/** For a file system that tells nobody of changes. */
const lookMs = 30_000;

/**
 * An identity in files that somebody else renews. They are read again when one changes, and taken over only when all of them fit
 * together; until then what was read last goes on. Throws MeshError when they do not fit at the start.
 */
export class FileSource implements IdentitySource {
  readonly #parts: FilesParts;
  readonly #held: Held;
  readonly #watches: Disposable[];
  #settling: Disposable | undefined;
  #looking: Disposable | undefined;
  #told = "";

  constructor(parts: FilesParts) {
    this.#parts = parts;
    const { svid, bundles } = read(parts);
    this.#held = new Held(svid, bundles);
    this.#watches = watchAll(parts, () => this.#changed());
    this.#look();
  }

  get current(): Svid {
    return this.#held.current;
  }

  get bundles(): Bundles {
    return this.#held.bundles;
  }

  listen(listener: () => void): Disposable {
    return this.#held.listen(listener);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#settling?.[Symbol.dispose]();
    this.#looking?.[Symbol.dispose]();
    for (const one of this.#watches) one[Symbol.dispose]();
  }

  #look(): void {
    this.#looking = this.#parts.clock.after(lookMs, () => {
      this.#reload();
      this.#look();
    });
  }

  #changed(): void {
    this.#settling?.[Symbol.dispose]();
    this.#settling = this.#parts.clock.after(settleMs, () => this.#reload());
  }

  #reload(): void {
    const { log } = this.#parts;
    try {
      const { svid, bundles } = read(this.#parts);
      this.#told = "";
      if (sameIdentity({ svid, bundles }, { svid: this.current, bundles: this.bundles })) return;
      this.#held.set(svid, bundles);
      log.info("identity read again", { id: svid.id.text, until: new Date(svid.notAfter).toISOString() });
    } catch (error) {
      const { message } = asMeshError(error);
      if (message !== this.#told) log.warn("identity files not taken over", { reason: message });
      this.#told = message;
    }
  }
}

function read(parts: FilesParts): Identified {
  const { certificateFile, keyFile, bundleFile, clock } = parts;
  const key = readPrivate(keyFile);
  if (key === undefined) throw new MeshError("not-found", `there is no key in ${keyFile}`);
  const svid = svidOf(parsePem(text(certificateFile), certificateFile), parseKey(key, keyFile));
  const bundles = new Map([[svid.id.trustDomain, parsePem(text(bundleFile), bundleFile)]]);
  verifyChain(svid.chain, bundles, clock.now());
  return { svid, bundles };
}

function text(file: string): string {
  try {
    return readFileSync(file, "utf8");
  } catch (error) {
    throw new MeshError("not-found", `cannot read ${file}: ${(error as Error).message}`, { cause: error });
  }
}

/** Folders, not files: a file that is replaced is another one. */
function watchAll({ certificateFile, keyFile, bundleFile }: IdentityFiles, changed: () => void): Disposable[] {
  const files = [certificateFile, keyFile, bundleFile];
  return [...new Set(files.map((file) => dirname(file)))].map((folder) => {
    const names = new Set(files.filter((file) => dirname(file) === folder).map((file) => basename(file)));
    // Kubernetes replaces a link, `..data`, under which the files are.
    const watcher = watch(folder, { persistent: false }, (_, name) => {
      if (name === null || names.has(name) || name.startsWith("..")) changed();
    });
    watcher.on("error", changed);
    return { [Symbol.dispose]: () => watcher.close() };
  });
}
