import { MeshError } from "../core/error.js";
import { limits } from "./limits.js";

/** Small checks of what came from outside. Each throws MeshError "invalid" with one sentence: where, what it is, what is allowed. */

export function checkCount(where: string, count: number, most: number): void {
  if (count > most) throw new MeshError("invalid", `${where} has ${count} entries; at most ${most} are allowed`);
}

export function checkText(where: string, value: string, most: number): void {
  if (value.length > most) throw new MeshError("invalid", `${where} is ${value.length} characters long; at most ${most} are allowed`);
}

/** A name or an id: it is logged and becomes part of keys, so it has no control characters. */
export function checkName(where: string, value: string): void {
  checkText(where, value, limits.name);
  // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is looked for.
  if (/[\u0000-\u001f\u007f]/.test(value)) throw new MeshError("invalid", `${where} ${JSON.stringify(value)} has a control character`);
}

export function checkTexts(where: string, values: readonly string[], mostEntries: number, mostCharacters: number): void {
  checkCount(where, values.length, mostEntries);
  for (const value of values) checkText(`an entry of ${where}`, value, mostCharacters);
}

/** A decoded map: few entries, plain keys. */
export function checkMap(where: string, map: Readonly<Record<string, unknown>>): void {
  // A value decoded under the key __proto__ becomes the map's prototype when it is an object.
  if (Object.getPrototypeOf(map) !== Object.prototype)
    throw new MeshError("invalid", `${where} has the key __proto__, which is not allowed`);
  const keys = Object.keys(map);
  checkCount(where, keys.length, limits.mapEntries);
  for (const key of keys) checkText(`a key of ${where}`, key, limits.mapKey);
}

export function checkTextMap(where: string, map: Readonly<Record<string, string>>): void {
  checkMap(where, map);
  for (const [key, value] of Object.entries(map)) checkText(`${where}[${JSON.stringify(key)}]`, value, limits.mapValue);
}

/** The range of google.protobuf.Timestamp: years 1 to 9999. */
export function checkTime(where: string, time: { readonly seconds: number; readonly nanos: number } | undefined): void {
  if (time === undefined) return;
  const inRange = time.seconds >= -62_135_596_800 && time.seconds <= 253_402_300_799 && time.nanos >= 0 && time.nanos <= 999_999_999;
  if (!inRange) throw new MeshError("invalid", `${where} is no time: ${time.seconds} s and ${time.nanos} ns since 1970`);
}
