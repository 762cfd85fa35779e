import { type KeyObject, randomBytes, sign, X509Certificate } from "node:crypto";
import { spkiOf } from "../keys.js";

// A certificate that says nothing but "I have this key", for a program that has no identity yet. Written by hand, in some lines of
// DER (RFC 5280): the library with which the authority signs would cost each node's programs 28 MB for one certificate in their life.

const ecdsaWithSha256 = Buffer.from("06082a8648ce3d040302", "hex");
const commonName = Buffer.from("0603550403", "hex");

/** A certificate of this key, signed with it, good from now for `lifetimeMs`. `name` is for people. */
export function selfSigned(privateKey: KeyObject, name: string, now: number, lifetimeMs: number): X509Certificate {
  const algorithm = sequence(ecdsaWithSha256);
  const subject = sequence(set(sequence(commonName, tlv(0x0c, Buffer.from(name, "utf8")))));
  const serial = randomBytes(16);
  serial[0] = ((serial[0] ?? 0) & 0x7f) | 0x40;
  const times = sequence(time(now), time(now + lifetimeMs));
  const body = sequence(tlv(0xa0, tlv(0x02, Buffer.from([2]))), tlv(0x02, serial), algorithm, subject, times, subject, spkiOf(privateKey));
  const signature = sign("sha256", body, privateKey);
  return new X509Certificate(sequence(body, algorithm, tlv(0x03, Buffer.concat([Buffer.from([0]), signature]))));
}

function sequence(...parts: readonly Buffer[]): Buffer {
  return tlv(0x30, Buffer.concat(parts));
}

function set(...parts: readonly Buffer[]): Buffer {
  return tlv(0x31, Buffer.concat(parts));
}

function time(ms: number): Buffer {
  const text = new Date(ms).toISOString().replace(/[-:T]|\.\d+/g, "");
  // Up to 2049 a year has two digits (RFC 5280, 4.1.2.5).
  return text < "2050" ? tlv(0x17, Buffer.from(text.slice(2))) : tlv(0x18, Buffer.from(text));
}

function tlv(tag: number, content: Buffer): Buffer {
  const { length } = content;
  if (length < 0x80) return Buffer.concat([Buffer.from([tag, length]), content]);
  const bytes = length < 0x100 ? [0x81, length] : [0x82, length >> 8, length & 0xff];
  return Buffer.concat([Buffer.from([tag, ...bytes]), content]);
}
