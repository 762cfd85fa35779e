import { MeshError } from "../../core/error.js";
import { errnoOf } from "../ffi/system.js";
import { type Attributes, parseAttributes, readU16, text } from "./attributes.js";
import type { Request } from "./message.js";
import { NETLINK_GENERIC, NetlinkSocket } from "./socket.js";

const GENL_ID_CTRL = 16;
const CTRL_CMD_GETFAMILY = 3;
const CTRL_ATTR_FAMILY_ID = 1;
const CTRL_ATTR_FAMILY_NAME = 2;
const HEADER = 4;

/** A generic netlink socket in the namespace of the moment. */
export function openGeneric(): NetlinkSocket {
  return new NetlinkSocket(NETLINK_GENERIC);
}

/** A request of a generic family: its header and then attributes. */
export function genericRequest(
  what: string,
  family: number,
  command: { readonly id: number; readonly version: number; readonly flags?: number },
  attributes: readonly Uint8Array[],
): Request {
  const body = Buffer.concat([Uint8Array.of(command.id, command.version, 0, 0), ...attributes]);
  return { what, type: family, body, flags: command.flags ?? 0 };
}

/** The attributes of an answer of a generic family. */
export function genericAttributes(body: Buffer): Attributes {
  return parseAttributes(body.subarray(HEADER));
}

/** The number of a generic family; undefined where this kernel has none of that name. */
export function findFamily(socket: NetlinkSocket, name: string): number | undefined {
  const command = { id: CTRL_CMD_GETFAMILY, version: 1 };
  try {
    const [answer] = socket.request(
      genericRequest(`look for netlink family ${name}`, GENL_ID_CTRL, command, [text(CTRL_ATTR_FAMILY_NAME, name)]),
    );
    const id = answer === undefined ? undefined : readU16(genericAttributes(answer), CTRL_ATTR_FAMILY_ID);
    if (id === undefined) throw new MeshError("kernel", `the kernel gave no number for netlink family ${name}`);
    return id;
  } catch (error) {
    if (errnoOf(error) === "ENOENT") return undefined;
    throw error;
  }
}
