import { MeshError } from "../../core/error.js";
import { close } from "../ffi/file.js";
import {
  AF_NETLINK,
  bind,
  recv,
  SO_RCVTIMEO,
  SOCK_RAW,
  SOL_SOCKET,
  send,
  sendInBackground,
  setOption,
  socket,
  timeval,
} from "../ffi/socket.js";
import { systemFailure } from "../ffi/system.js";
import { socketCookie } from "../netns.js";
import {
  bodyAt,
  decodeError,
  decodeMessages,
  encodeMessage,
  errnoAt,
  type Message,
  NLM_F_ACK,
  NLM_F_DUMP,
  NLM_F_DUMP_INTR,
  NLM_F_REQUEST,
  NLMSG_DONE,
  NLMSG_ERROR,
  nextMessage,
  type Request,
  sequenceAt,
  setSequence,
} from "./message.js";

export const NETLINK_ROUTE = 0;
export const NETLINK_GENERIC = 16;

const SOL_NETLINK = 270;
const NETLINK_CAP_ACK = 10;
const NETLINK_EXT_ACK = 11;
const NETLINK_GET_STRICT_CHK = 12;
const answerTimeoutMs = 10_000;
// A dump's datagrams are at most 32 KiB.
const buffer = Buffer.alloc(64 * 1024);
/** An ack takes about 800 bytes of a receive buffer of 200 KiB. */
export const batchSize = 64;
const dumpAttempts = 5;

/**
 * A blocking netlink socket. It belongs to the network namespace in which it was made and keeps it alive: in a pod's
 * namespace open it, use it and close it without waiting for anything in between.
 */
export class NetlinkSocket implements Disposable {
  /** The namespace it belongs to, as `Netns.cookie`. */
  readonly cookie: string;
  readonly #fd: number;
  #sequence = 0;

  constructor(protocol: number) {
    this.#fd = socket(AF_NETLINK, SOCK_RAW, protocol);
    try {
      bind(this.#fd, netlinkAddress(0));
      for (const option of [NETLINK_CAP_ACK, NETLINK_EXT_ACK, NETLINK_GET_STRICT_CHK]) setOption(this.#fd, SOL_NETLINK, option, 1);
      setOption(this.#fd, SOL_SOCKET, SO_RCVTIMEO, timeval(answerTimeoutMs));
      this.cookie = socketCookie(this.#fd);
    } catch (error) {
      close(this.#fd);
      throw error;
    }
  }

  /** The bodies that the kernel answers before it acknowledges; none for a plain change. Throws what it refuses. */
  request(request: Request): Buffer[] {
    const [result] = this.#exchange([request]);
    if (result instanceof MeshError) throw result;
    return result ?? [];
  }

  /**
   * The same for a change that takes the kernel long (deleting a device: 20 ms), from a thread of the pool. Nothing else may be asked
   * on this socket meanwhile. The pool must have been started outside of any namespace section.
   */
  async requestInBackground(request: Request): Promise<void> {
    const sequence = ++this.#sequence;
    const bytes = encodeMessage(request.type, (request.flags ?? 0) | NLM_F_REQUEST | NLM_F_ACK, sequence, request.body);
    await sendInBackground(this.#fd, bytes);
    for (;;) {
      for (const message of decodeMessages(this.#receive(request.what))) {
        if (message.sequence !== sequence || message.type !== NLMSG_ERROR) continue;
        const { errno, detail } = decodeError(message);
        if (errno !== 0) throw systemFailure(request.what, errno, detail);
        return;
      }
    }
  }

  /** Sends all in one go and goes on after a failure: the answers or the error of each, in order. */
  batch(requests: readonly Request[]): (Buffer[] | MeshError)[] {
    const results: (Buffer[] | MeshError)[] = [];
    for (let at = 0; at < requests.length; at += batchSize) results.push(...this.#exchange(requests.slice(at, at + batchSize)));
    return results;
  }

  /**
   * For what is asked so often that a copy of each question and answer would count: `requests` are encoded messages of `size` bytes, not
   * more of them than a batch has, without NLM_F_ACK, and each is answered by one message. `see` gets the place of the request and of the
   * answer's body in `bytes`, where it stays until `see` returns; errno 0 is an answer.
   */
  glance(what: string, requests: Buffer, size: number, see: (request: number, errno: number, bytes: Buffer, at: number) => void): void {
    const first = this.#sequence + 1;
    const count = requests.length / size;
    for (let at = 0; at < requests.length; at += size) setSequence(requests, at, ++this.#sequence);
    send(this.#fd, requests);
    for (let open = count; open > 0; ) {
      const bytes = this.#receive(what);
      for (let at = 0; at < bytes.length; at = nextMessage(bytes, at)) {
        const request = sequenceAt(bytes, at) - first;
        if (request < 0 || request >= count) continue; // left over from an exchange that timed out
        see(request, errnoAt(bytes, at), bytes, bodyAt(at));
        open--;
      }
    }
  }

  /** All bodies of a dump; taken anew when something changed while it was read. */
  dump(request: Request): Buffer[] {
    for (let attempt = 1; ; attempt++) {
      const { bodies, interrupted } = this.#dumpOnce(request);
      if (!interrupted || attempt === dumpAttempts) return bodies;
    }
  }

  [Symbol.dispose](): void {
    close(this.#fd);
  }

  #exchange(requests: readonly Request[]): (Buffer[] | MeshError)[] {
    const first = this.#sequence + 1;
    const bytes = requests.map((r) => encodeMessage(r.type, (r.flags ?? 0) | NLM_F_REQUEST | NLM_F_ACK, ++this.#sequence, r.body));
    send(this.#fd, Buffer.concat(bytes));
    const results: (Buffer[] | MeshError)[] = requests.map(() => []);
    for (let open = requests.length; open > 0; ) {
      for (const message of decodeMessages(this.#receive(requests[0]?.what ?? "netlink"))) {
        const index = message.sequence - first;
        const request = requests[index];
        if (request === undefined) continue; // left over from an exchange that timed out
        const done = answered(message, request, results, index);
        if (done) open--;
      }
    }
    return results;
  }

  #dumpOnce(request: Request): { bodies: Buffer[]; interrupted: boolean } {
    const sequence = ++this.#sequence;
    send(this.#fd, encodeMessage(request.type, (request.flags ?? 0) | NLM_F_REQUEST | NLM_F_DUMP, sequence, request.body));
    const bodies: Buffer[] = [];
    let interrupted = false;
    for (;;) {
      for (const message of decodeMessages(this.#receive(request.what))) {
        if (message.sequence !== sequence) continue;
        interrupted ||= (message.flags & NLM_F_DUMP_INTR) !== 0;
        if (message.type === NLMSG_DONE || message.type === NLMSG_ERROR) {
          const { errno, detail } = decodeError(message);
          if (errno !== 0) throw systemFailure(request.what, errno, detail);
          return { bodies, interrupted };
        }
        bodies.push(Buffer.from(message.body));
      }
    }
  }

  /** One datagram, which stays until the next. */
  #receive(what: string): Buffer {
    const length = recv(this.#fd, buffer);
    if (length < 0) throw new MeshError("kernel", `${what}: the kernel did not answer within ${answerTimeoutMs / 1000} s`);
    return buffer.subarray(0, length);
  }
}

/** A `sockaddr_nl` that takes part in the multicast groups 1 to 32 of the mask. */
export function netlinkAddress(groups: number): Buffer {
  const address = Buffer.alloc(12);
  address.writeUInt16LE(AF_NETLINK, 0);
  address.writeUInt32LE(groups, 8);
  return address;
}

/** Puts a message where it belongs; true when it was the last of its request. */
function answered(message: Message, request: Request, results: (Buffer[] | MeshError)[], index: number): boolean {
  if (message.type !== NLMSG_ERROR) {
    const bodies = results[index];
    if (Array.isArray(bodies)) bodies.push(Buffer.from(message.body));
    return false;
  }
  const { errno, detail } = decodeError(message);
  if (errno !== 0 && errno !== request.absent) results[index] = systemFailure(request.what, errno, detail);
  return true;
}
