import { type Answer, type DecodedPacket, decode, encode, type OptAnswer, type RecordType } from "dns-packet";
import { silent } from "../../core/log.js";
import type { SegmentMember } from "../../core/segment/membership.js";
import { Answering, type AnsweringLimits, type Asker } from "../../forwarder/dns/answering.js";
import { Forwarding } from "../../forwarder/dns/forwarding.js";
import type { ask } from "../../forwarder/dns/upstream.js";
import { Zone } from "../../forwarder/dns/zone.js";
import { FakeClock } from "./fakeClock.js";

/** What the codec tells besides what its types say. */
export type Decoded = DecodedPacket & { readonly rcode: string; readonly answers: Answer[]; readonly authorities: Answer[] };

export interface Wish {
  readonly id?: number;
  /** EDNS, with this size. */
  readonly size?: number;
  readonly version?: number;
  readonly class?: string;
}

/** A question as a client sends it. */
export function question(name: string, type = "A", { id = 7, size, version = 0, class: kind = "IN" }: Wish = {}): Buffer {
  const opt = { type: "OPT", name: ".", udpPayloadSize: size, ednsVersion: version, flags: 0, options: [] } as unknown as OptAnswer;
  return encode({
    ...{ type: "query", id, flags: 0x0100 },
    questions: [{ name, type: type as RecordType, class: kind as "IN" }],
    additionals: size === undefined ? [] : [opt],
  });
}

/** The answer to a question as another resolver gives it. */
export function answerTo(bytes: Buffer, answers: readonly Answer[], flags = 0): Buffer {
  const { id = 0, questions = [] } = decode(bytes);
  return encode({ type: "response", id, flags: 0x0180 | flags, questions, answers: [...answers] });
}

export function decoded(bytes: Buffer | undefined): Decoded {
  if (bytes === undefined) throw new Error("there is no answer");
  return decode(bytes) as Decoded;
}

/** Records as `name TYPE data`. */
export function lines(records: readonly Answer[] | undefined): string[] {
  return (records ?? [])
    .filter(({ type }) => type !== "OPT")
    .map((one) => `${one.name} ${one.type} ${text("data" in one ? one.data : "")}`);
}

function text(data: unknown): string {
  if (typeof data !== "object" || data === null) return String(data);
  const { target, port, minimum } = data as { target?: string; port?: number; minimum?: number };
  return minimum === undefined ? `${target}:${port}` : `minimum ${minimum}`;
}

export function member(name: string, part: Partial<SegmentMember> = {}): SegmentMember {
  return { name, mac: "02:00:00:00:00:01", addresses: [], announces: [], services: [], sequence: 1, ...part };
}

/** The part of a resolver that has no sockets, about the members given, with others who answer as told. */
export function answering(
  options: { readonly members?: readonly SegmentMember[]; readonly ask?: typeof ask; readonly limits?: Partial<AnsweringLimits> } = {},
) {
  const clock = new FakeClock();
  const zone = new Zone({ domain: "plant.mesh", segment: "factory", members: options.members ?? [], prefixes: ["10.60.0.0/16"] });
  const upstreams = [
    { address: "192.0.2.1", port: 53 },
    { address: "192.0.2.2", port: 53 },
  ];
  const forwarding = new Forwarding({ upstreams, clock, ask: options.ask ?? nobody });
  const limits = { clientRate: 1_000, rate: 10_000, outstanding: 8, ...options.limits };
  const made = new Answering({ zone: () => zone, forwarding, limits, clock, log: silent });
  const signal = new AbortController().signal;
  const from =
    (client: string, transport: Asker["transport"] = "udp") =>
    (bytes: Buffer) =>
      made.answer(bytes, { client, transport }, signal);
  return { clock, answering: made, from, udp: from("10.60.0.9"), tcp: from("10.60.0.9", "tcp") };
}

const nobody: typeof ask = async () => {
  throw new Error("nobody was to be asked");
};
