import type { KeyObject } from "node:crypto";
import type { Socket } from "node:net";
import { type PeerCertificate, TLSSocket } from "node:tls";
import { asMeshError, MeshError } from "../../core/error.js";
import type { Log } from "../../core/log.js";
import type { Link } from "../../core/peer.js";
import { validity } from "../../identity/certificate.js";
import type { Identity } from "../../identity/identity.js";
import type { Svid } from "../../identity/svid.js";
import { shownBy } from "./chain.js";
import { contextFor } from "./context.js";
import { at, expired, whileOpen } from "./ending.js";

/** Who came, by a connection that is let in. */
export interface Guest {
  /** Absent for one that is only let in to join: its certificate is signed by nobody but itself. */
  readonly link?: Link | undefined;
  /** The key of what it showed: it has the private half. */
  readonly key: KeyObject;
  /** Whether a certificate that either side showed has expired since: who calls now must connect again. */
  isOver(): boolean;
  /** Ends then too, as "expired", and with it the streams that began before. */
  readonly life: AbortSignal;
  /** Ends the connection when what is being answered is on its way. */
  hangUp(): void;
}

export interface AcceptParts {
  readonly identity: Identity;
  /** Whether who has no identity yet may come in, to join. */
  readonly joiners: boolean;
  readonly log: Log;
}

const handshakeMs = 10_000;
/** Who is only let in to join asks one thing; nobody knows who it is, so it is not kept for longer. */
const joinerMs = 30_000;

/** gRPC hands a call the certificate object of its connection, and nothing else of it. */
const guests = new WeakMap<PeerCertificate, Guest>();

/** Who made a call, by the certificate that gRPC says it came with. */
export function guestOf(certificate: PeerCertificate | undefined): Guest | undefined {
  return certificate && guests.get(certificate);
}

/**
 * Speaks TLS with who has connected, and gives the connection to `letIn` when the certificate that it shows is good. Nothing that it sends
 * is read before. Who shows none gets TLS's own alert, who shows a wrong one is hung up on; the log says why.
 */
export function accept(raw: Socket, parts: AcceptParts, letIn: (socket: TLSSocket) => void): void {
  const svid = parts.identity.source.current;
  const socket = new TLSSocket(raw, {
    isServer: true,
    secureContext: contextFor(svid),
    ALPNProtocols: ["h2"],
    requestCert: true,
    // For a socket made by hand this only makes the alert: what it shows is checked below, and by nobody else.
    rejectUnauthorized: true,
  });
  const late = parts.identity.clock.after(handshakeMs, () => void socket.destroy(new Error(`no TLS handshake within ${handshakeMs} ms`)));
  const refused = (error: Error) => {
    late[Symbol.dispose]();
    parts.log.info("connection refused", { from: raw.remoteAddress ?? "unix socket", reason: reasonOf(error) });
  };
  socket.once("error", refused);
  socket.once("close", () => late[Symbol.dispose]());
  socket.once("secure", () => {
    late[Symbol.dispose]();
    socket.off("error", refused);
    // Stays: an error of a socket that nobody listens to would end the program.
    socket.on("error", () => {});
    try {
      if (socket.alpnProtocol !== "h2") throw new MeshError("denied", "it does not speak HTTP/2");
      const guest = receive(socket, parts, svid);
      remember(socket, guest);
      letIn(socket);
    } catch (error) {
      refused(asMeshError(error));
      socket.destroy();
    }
  });
}

/** OpenSSL says the most usual one in words of its own. */
function reasonOf(error: Error): string {
  const { message } = asMeshError(error);
  return message.includes("peer did not return a certificate") ? "it showed no certificate" : message.trim();
}

function receive(socket: TLSSocket, { identity, joiners, log }: AcceptParts, svid: Svid): Guest {
  const chain = shownBy(socket);
  const [leaf] = chain;
  if (leaf === undefined) throw new MeshError("denied", "it showed no certificate");
  const alone = chain.length === 1 && leaf.checkIssued(leaf) && leaf.verify(leaf.publicKey);
  const { clock } = identity;
  const until = Math.min(svid.notAfter, validity(leaf).notAfter);
  const life = new AbortController();
  const guest = {
    key: leaf.publicKey,
    isOver: () => clock.now() >= until,
    life: life.signal,
    hangUp: () => void setImmediate(() => socket.destroy()),
  };
  if (joiners && alone) {
    whileOpen(
      socket,
      at(clock, clock.now() + joinerMs, () => socket.destroy()),
    );
    return guest;
  }
  const link = { peer: identity.peerOf(chain), self: svid.id.text, tokens: identity.tokensBy(svid) };
  whileOpen(
    socket,
    at(clock, until, () => life.abort(expired())),
  );
  const distrusted = () => {
    log.info("connection ended", { peer: link.peer.id, reason: "who signed for it is not trusted any more" });
    socket.destroy();
  };
  whileOpen(socket, identity.onDistrust(chain, distrusted));
  return { ...guest, link };
}

/** gRPC asks for the certificate at every call: it gets the same object each time, and takes what is let in to be authorized. */
function remember(socket: TLSSocket, guest: Guest): void {
  const certificate = socket.getPeerCertificate();
  guests.set(certificate, guest);
  // As tls.Server does with sockets of its own; HTTP/2 waits for it.
  Object.assign(socket, { authorized: true, secureConnecting: false });
  socket.getPeerCertificate = (() => certificate) as TLSSocket["getPeerCertificate"];
}
