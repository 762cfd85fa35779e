import { equal, match, notEqual, throws } from "node:assert/strict";
import { readFileSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { ensureKeyFile, generateKey, isKey, publicKeyOf, readKeyFile } from "../../../kernel/wireguard/keys.js";
import { newFolder } from "../../lib/folder.js";

describe("WireGuard keys", () => {
  it("have the public key that RFC 7748, 6.1 gives for Alice", () => {
    const publicKey = publicKeyOf("dwdtCnMYpX08FsFyUbJmRd9ML4frwJkqsXf7pR25LCo=");
    equal(Buffer.from(publicKey, "base64").toString("hex"), "8520f0098930a754748b7ddcb43ef75a0dbf3a0d26381af4eba4a98eaa9b4e6a");
  });

  it("are new each time", () => {
    const [one, other] = [generateKey(), generateKey()];
    notEqual(one, other);
    equal(isKey(one) && isKey(other), true);
  });

  it("are made once, for their owner only, and kept", () => {
    using folder = newFolder();
    const file = join(folder.path, "deep", "wireguard.key");
    const publicKey = ensureKeyFile(file);
    equal(ensureKeyFile(file), publicKey);
    equal(statSync(file).mode & 0o777, 0o600);
    equal(publicKeyOf(readKeyFile(file)), publicKey);
    equal(readFileSync(file, "utf8").length, 45);
  });

  it("are never made over a file that cannot be understood, nor shown", () => {
    using folder = newFolder();
    const file = join(folder.path, "key");
    writeFileSync(file, "half a secret");
    throws(() => ensureKeyFile(file), /does not hold a WireGuard key/);
    throws(
      () => readKeyFile(file),
      (error: Error) => !error.message.includes("half a secret"),
    );
    equal(readFileSync(file, "utf8"), "half a secret");
  });

  it("name the file that is missing", () => {
    throws(
      () => readKeyFile("/nowhere/key"),
      (error: Error) => {
        match(error.message, /\/nowhere\/key cannot be read/);
        return true;
      },
    );
  });
});
