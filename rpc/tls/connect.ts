import type { Socket } from "node:net";
import { connect, type TLSSocket } from "node:tls";
import { CallCredentials, ChannelCredentials } from "@grpc/grpc-js";
import { asMeshError, MeshError } from "../../core/error.js";
import type { Link } from "../../core/peer.js";
import type { Expected } from "../../identity/expected.js";
import type { Showing } from "../../identity/identity.js";
import type { Svid } from "../../identity/svid.js";
import { shownBy } from "./chain.js";
import { contextFor } from "./context.js";
import { at, whileOpen } from "./ending.js";

type SecureConnector = ReturnType<ChannelCredentials["_createSecureConnector"]>;

/**
 * mTLS for one channel: each of its connections shows what is current when it is made, and is used only when the other side is whom it
 * is supposed to be. `link` is of the newest connection.
 */
export class LinkCredentials extends ChannelCredentials {
  readonly #identity: Showing;
  readonly #expected: Expected;
  readonly #url: string;
  link: Link | undefined;
  /** Why the other side was refused, or hung up, last. */
  refusal: MeshError | undefined;
  /** When the first certificate of the newest connection ends, milliseconds since 1970: then it ends too, with what it carries. */
  until = Number.POSITIVE_INFINITY;
  #svid: Svid | undefined;
  /** Half of the time (milliseconds since 1970) for which what both sides showed is still good. */
  #oldAt = Number.POSITIVE_INFINITY;

  constructor(parts: { readonly identity: Showing; readonly expected: Expected; readonly url: string }) {
    super();
    this.#identity = parts.identity;
    this.#expected = parts.expected;
    this.#url = parts.url;
  }

  /** A new connection would show something newer, or it is time to see what the other side shows by now. */
  get isOld(): boolean {
    const { source, clock } = this.#identity;
    return this.#svid !== undefined && (this.#svid !== source.current || clock.now() >= this.#oldAt);
  }

  /** Before a dial: what came of earlier ones says nothing of this one. */
  begin(): void {
    this.refusal = undefined;
  }

  override _isSecure(): boolean {
    return true;
  }

  override _equals(other: ChannelCredentials): boolean {
    return other === this;
  }

  override _createSecureConnector(): SecureConnector {
    const none = CallCredentials.createEmpty();
    return {
      connect: async (socket) => ({ socket: await this.#connect(socket), secure: true }),
      waitForReady: async () => {},
      getCallCredentials: () => none,
      destroy: () => {},
    };
  }

  async #connect(raw: Socket): Promise<TLSSocket> {
    const svid = this.#identity.source.current;
    const socket = await secured(raw, svid);
    try {
      this.#enter(socket, svid);
      return socket;
    } catch (error) {
      socket.destroy();
      this.refusal = asMeshError(error);
      throw error;
    }
  }

  #enter(socket: TLSSocket, svid: Svid): void {
    const chain = shownBy(socket);
    const peer = this.#identity.peerOf(chain);
    if (!this.#expected.matches(peer.id)) throw new MeshError("denied", `${this.#url} is ${peer.id}, which is not ${this.#expected.what}`);
    this.link = { peer, self: svid.id.text, tokens: this.#identity.tokensBy(svid) };
    const now = this.#identity.clock.now();
    this.until = Math.min(svid.notAfter, ...chain.slice(0, 1).map(({ validTo }) => Date.parse(validTo)));
    this.#svid = svid;
    this.#oldAt = now + (this.until - now) / 2;
    // The other side may not do so itself.
    whileOpen(
      socket,
      at(this.#identity.clock, this.until, () => socket.destroy()),
    );
    whileOpen(
      socket,
      this.#identity.onDistrust?.(chain, () => socket.destroy()),
    );
    // Whoever does not want us hangs up before the first word; where there was one, nobody looks at this.
    this.refusal = new MeshError(
      "unreachable",
      `${this.#url} (${peer.id}) hung up when it saw who we are (${svid.id.text}); its log says why`,
    );
  }
}

/** A TLS connection that has shown its certificate; who it is, is still to be checked. */
function secured(raw: Socket, svid: Svid): Promise<TLSSocket> {
  return new Promise((resolve, reject) => {
    // No server name: peers are known by their SPIFFE ids.
    const socket = connect({ socket: raw, secureContext: contextFor(svid), ALPNProtocols: ["h2"], rejectUnauthorized: false });
    const closed = () => reject(new MeshError("unreachable", "the connection was closed in the TLS handshake"));
    socket.once("close", closed);
    // Stays: nobody else listens until gRPC has the socket.
    socket.on("error", reject);
    socket.once("secureConnect", () => {
      socket.off("close", closed);
      resolve(socket);
    });
  });
}
