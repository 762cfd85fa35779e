import type { KeyObject } from "node:crypto";
import type { Link } from "../core/peer.js";

/** Metadata of a call: lower-case ASCII keys, one ASCII value each. */
export type Headers = Readonly<Record<string, string>>;

/** What a call carries besides its request. */
export interface Outgoing {
  readonly signal: AbortSignal;
  /** By the connection that the call goes by: absent where the peer is not authenticated. */
  headers(link: Link | undefined): Promise<Headers>;
  /** Called once, with what the peer sent before its answer. */
  readonly onHeaders?: ((headers: Headers) => void) | undefined;
  /** How long the call may take where the signal's deadline is not known; without it, as long as the signal lets it. */
  readonly patienceMs?: number | undefined;
}

/** Carries bytes to a URL and back. Rejects with MeshError; a stream ends quietly when its signal ends. */
export interface Transport extends AsyncDisposable {
  unary(url: string, path: string, request: Uint8Array, outgoing: Outgoing): Promise<Uint8Array>;
  stream(url: string, path: string, request: Uint8Array, outgoing: Outgoing): AsyncIterable<Uint8Array>;
  /** Requests go as fast as the peer takes them; when one cannot be had, the call is broken off with that error. */
  duplex(url: string, path: string, requests: AsyncIterable<Uint8Array>, outgoing: Outgoing): AsyncIterable<Uint8Array>;
}

/** A call as it came to a server. */
export interface Incoming {
  /** Ends when the caller goes away, its deadline passes, or the server stops. */
  readonly signal: AbortSignal;
  readonly headers: Headers;
  /** The authenticated connection that it came by; absent on a socket without TLS, and for who has no identity yet. */
  readonly link?: Link | undefined;
  /** The key of the certificate that the caller showed: it has the private half. */
  readonly key?: KeyObject | undefined;
  /** Sends metadata ahead of the answer; at most once. */
  sendHeaders(headers: Headers): void;
}

/** One method that a server answers, in bytes. */
export type Answering = {
  readonly path: string;
  /** Also answered to who has no identity yet and shows a self-signed certificate. */
  readonly open?: boolean | undefined;
} & (
  | { readonly kind: "unary"; answer(request: Uint8Array, incoming: Incoming): Promise<Uint8Array> }
  | { readonly kind: "stream"; answer(request: Uint8Array, incoming: Incoming): AsyncIterable<Uint8Array> }
  | { readonly kind: "duplex"; answer(requests: AsyncIterable<Uint8Array>, incoming: Incoming): AsyncIterable<Uint8Array> }
);
