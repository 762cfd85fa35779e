import type { Connection } from "../../api/gen/connection/connection.js";
import type { Segment } from "../../api/gen/isthmus/v1/segment.js";
import { askingBy } from "../../core/asking.js";
import type { Call, Element } from "../../core/chain.js";
import type { Prover } from "../../core/checkTokens.js";
import { ipContextOf } from "../../core/context.js";
import { isAway } from "../../core/error.js";
import { parseRange, type Range } from "../../core/ipam/address.js";
import { firstSegment, withOwnMetrics } from "../../core/path.js";
import { membershipName } from "../../core/segment/membership.js";
import { type JoinWishes, joinWishes } from "../../core/segment/wishes.js";
import { inPart } from "../../core/trace.js";
import { deviceName } from "../../kernel/names.js";
import { hostPrefix } from "../addresses.js";
import type { Announce } from "../connect.js";
import type { KernelSide } from "../crossConnect.js";
import { accept, type Ways } from "../mechanisms/choice.js";
import { anyMeet, memberMac } from "./addressing.js";
import { macOf, mustAnnounceAlone, mustBeAllowed, mustBeFree, mustBeOutside } from "./admission.js";
import { answer, counted } from "./answer.js";
import { isL2 } from "./devices.js";
import type { KeptMember } from "./kept.js";
import type { LocalSegment } from "./local.js";
import type { Member } from "./part.js";
import type { Segments } from "./segments.js";
import type { StickyClaims } from "./stickyClaims.js";

export interface JoinParts {
  readonly segments: Segments;
  readonly sticky: StickyClaims;
  /** How a pod of this node is entered: no other node's pod joins here. */
  readonly ways: Ways;
  readonly forwarder: string;
  readonly prover?: Prover | undefined;
  readonly announce: Announce;
}

/**
 * Makes the client a member where the network service that it asks for is a segment: a join never leaves the node, so this is its last
 * hop. Any other request goes on.
 */
export function join(parts: JoinParts): Element {
  const { segments } = parts;
  return {
    name: "join",
    async request(call, next) {
      const segment = await segments.find(call.connection.networkService, call.signal);
      if (segment === undefined) return next.request(call);
      try {
        return await inPart(call.trace, "segment", () => joined(parts, segment, call));
      } catch (error) {
        // To nobody who is a member yet does anything belong that was claimed for it.
        if (segments.member(call.connection.id) === undefined) await segments.leave(call.connection.id);
        throw error;
      }
    },
    async close(call, next) {
      const { id } = call.connection;
      if (segments.member(id) === undefined) return next.close(call);
      await segments.leave(id);
    },
  };
}

async function joined(parts: JoinParts, segment: Segment, call: Call): Promise<Connection> {
  const { id } = call.connection;
  const wishes = joinWishes(call.connection);
  const labels = labelsOf(parts, call.connection);
  mustBeAllowed(segment, wishes, labels);
  mustBeOutside(segment, wishes.announces);
  const wished = macOf(call.connection);
  const before = parts.segments.member(id)?.member;
  const side = (await accept(parts.ways, call, before?.side)) as KernelSide;
  const admit = async (local: LocalSegment): Promise<KeptMember> => {
    // Who has a sticky name takes its MAC address along, too.
    if (before === undefined && wishes.sticky === "") mustBeFree(wished, id, local);
    mustAnnounceAlone(wishes, id, local);
    const mac = before?.mac ?? wished;
    const others = parts.segments.of(side.pod, id);
    const out = [...excluded(call.connection, segment), ...others.addresses.map(hostPrefix)];
    const place = before ?? (await placeFor(parts, { wishes, call, local, out }));
    const beside = before?.beside ?? anyMeet(segment.prefixes, others.prefixes);
    const member = memberOf(call.connection, wishes, { ...placeOf(place), id, side, beside, mac, labels }, local);
    return { member, connection: answer(parts.forwarder, local, call.connection, member) };
  };
  const { member, connection } = await parts.segments.join(segment, id, admit, call.signal);
  if (before === undefined && isL2(segment)) parts.announce(side, member.addresses, member.mac);
  return before === undefined ? connection : withOwnMetrics(connection, await counted(parts.segments, id));
}

/** What a member has that is nobody else's. */
type Place = Pick<Member, "addresses" | "sequence" | "sticky">;

function placeOf({ addresses, sequence, sticky }: Place): Place {
  return { addresses, sequence, sticky };
}

interface Placing {
  readonly wishes: JoinWishes;
  readonly call: Call;
  readonly local: LocalSegment;
  /** Addresses that the client cannot have. */
  readonly out: readonly string[];
}

/** Out of this node's blocks; a sticky name has its own addresses, as the segment's home says. */
async function placeFor(parts: JoinParts, { wishes, call, local, out }: Placing): Promise<Place> {
  const { sticky, addresses } = wishes;
  const had = call.connection.networkServiceEndpointName === membershipName(local.part.segment.name, parts.forwarder);
  if (sticky === "") return { addresses: await local.leases.take(addresses, out, call.signal, had), sequence: 1, sticky };
  const name = { segment: local.part.segment.name, name: sticky, connection: firstSegment(call.connection).id };
  try {
    return { ...(await parts.sticky.claim({ ...name, wishes: addresses }, call.signal)), sticky };
  } catch (error) {
    // The answer may have been lost on its way.
    if (call.signal.aborted || isAway(error)) parts.sticky.release(name);
    throw error;
  }
}

function memberOf(
  conn: Connection,
  { announces, services, spoofing }: JoinWishes,
  fixed: Place & Pick<Member, "id" | "side" | "beside" | "mac" | "labels">,
  local: LocalSegment,
): Member {
  const { name: segment } = local.part.segment;
  const usual = memberMac(segment, fixed.addresses[0] ?? (fixed.sticky || fixed.id));
  // Somebody may have asked for that one before; a sticky name takes its own over.
  const isTaken = fixed.sticky === "" && local.hasMac(usual, fixed.id);
  const mac = fixed.mac || (isTaken ? memberMac(segment, fixed.id) : usual);
  const excludes = excluded(conn, local.part.segment);
  return { ...fixed, segment, name: nameOf(conn, fixed, local), mac, announces, excludes, services, spoofing };
}

/** Those of the request are its own words; what its nsmgr says and has signed of the pod comes before them. */
function labelsOf({ prover }: JoinParts, { labels, path }: Connection): Record<string, string> {
  return { ...labels, ...askingBy([path?.pathSegments[0]?.token ?? ""], prover).podLabels };
}

/**
 * The sticky one, or the pod's as far as it is a DNS label. Of several with one name on this node the others have their interface's behind it,
 * or a number.
 */
function nameOf(conn: Connection, { id, side, sticky }: Pick<Member, "id" | "side" | "sticky">, local: LocalSegment): string {
  const name = sticky || firstSegment(conn).name;
  // Who has the same sticky name is about to lose it.
  const others = local.members.filter(({ member }) => member.id !== id && (sticky === "" || member.sticky !== sticky));
  const [last, ...labels] = [labelOf(name, deviceName("m", id)), labelOf(name), labelOf(name, side.name)];
  return labels.find((label) => !others.some(({ member }) => member.name === label)) ?? last;
}

function labelOf(name: string, more = ""): string {
  const legal = (text: string) => text.toLowerCase().replace(/[^a-z0-9-]+/g, "-");
  const trimmed = (text: string) => text.replace(/^-+|-+$/g, "");
  const behind = more === "" ? "" : `-${legal(more)}`;
  return trimmed(trimmed(legal(name)).slice(0, 63 - behind.length) + behind) || "member";
}

/** Addresses that mean something else to the client. Where all of the segment does, it is asked for by name all the same. */
function excluded(conn: Connection, { prefixes }: Segment): string[] {
  const isAll = (excludes: string) => prefixes.some((prefix) => covers(parseRange(excludes), parseRange(prefix)));
  return ipContextOf(conn).excludedPrefixes.filter((prefix) => !isAll(prefix));
}

function covers(a: Range, b: Range): boolean {
  return a.family === b.family && a.first <= b.first && b.last <= a.last;
}
