import { generateKey, type KeyPair } from "../identity/token.js";

let made: KeyPair | undefined;

/** This process's own P-256 key, made at the first call and gone with the process. */
export function processKey(): KeyPair {
  made ??= generateKey();
  return made;
}
