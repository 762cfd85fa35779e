import { hash } from "node:crypto";
import { MeshError } from "../core/error.js";

/** Linux takes no longer name for a device. */
export const maxDeviceName = 15;

const alphabet = "0123456789abcdefghijklmnopqrstuv";

/** `PREFIX-HASH`, always 15 characters and always the same for the same id. 45 bits or more of hash keep names apart. */
export function deviceName(prefix: string, id: string): string {
  if (!/^[a-z][a-z0-9]{0,4}$/.test(prefix)) {
    throw new MeshError("internal", `the prefix of a device's name is 1 to 5 small letters and digits, got ${JSON.stringify(prefix)}`);
  }
  const bytes = hash("sha256", id, "buffer").subarray(0, maxDeviceName - prefix.length - 1);
  // One piece: a slice of a longer text, or two texts joined, would keep those too.
  return [prefix, "-", ...Array.from(bytes, (byte) => alphabet[byte & 31])].join("");
}

/** Throws "invalid" for a name that Linux would refuse, with the reason. */
export function checkDeviceName(name: string): void {
  const reason = refusal(name);
  if (reason !== undefined) throw new MeshError("invalid", `the interface name ${JSON.stringify(name)} ${reason}`);
}

function refusal(name: string): string | undefined {
  if (name === "") return "is empty";
  if (Buffer.byteLength(name) > maxDeviceName) return `is longer than ${maxDeviceName} bytes`;
  if (name === "." || name === "..") return "is no name for a device; use letters and digits";
  if (/[/:\s]/.test(name)) return "has a slash, a colon or white space in it; use letters and digits";
  if (name.includes("%")) return "has a % in it, which the kernel takes for a template; use letters and digits";
  return undefined;
}
