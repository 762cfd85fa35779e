import { join } from "node:path";
import { check } from "./command.js";

export interface Pair {
  readonly cert: string;
  readonly key: string;
}

/** A CA of a test's own in `folder`, which makes certificates for 127.0.0.1 (as a server and as a client). */
export class TestCa {
  /** The file with its certificate. */
  readonly cert: string;
  readonly #folder: string;
  readonly #key: string;

  private constructor(folder: string, name: string) {
    this.#folder = folder;
    this.cert = join(folder, `${name}.crt`);
    this.#key = join(folder, `${name}.key`);
  }

  static async make(folder: string, name: string): Promise<TestCa> {
    const ca = new TestCa(folder, name);
    await check("openssl", [...newKey(ca.#key), "-x509", "-days", "1", "-subj", `/CN=${name}`, "-out", ca.cert]);
    return ca;
  }

  async pair(name: string): Promise<Pair> {
    const [cert, key, request] = ["crt", "key", "csr"].map((kind) => join(this.#folder, `${name}.${kind}`)) as [string, string, string];
    await check("openssl", [...newKey(key), "-subj", `/CN=${name}`, "-addext", "subjectAltName=IP:127.0.0.1", "-out", request]);
    const signed = ["-CA", this.cert, "-CAkey", this.#key, "-CAcreateserial", "-copy_extensions", "copy", "-days", "1"];
    await check("openssl", ["x509", "-req", "-in", request, ...signed, "-out", cert]);
    return { cert, key };
  }
}

function newKey(file: string): string[] {
  return ["req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout", file];
}
