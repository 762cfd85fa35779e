import { asMeshError } from "../../core/error.js";
import type { Log } from "../../core/log.js";
import type { SocketPlace } from "../../kernel/boundSocket.js";
import type { Netns } from "../../kernel/model.js";
import { type Datagram, UdpSocket } from "../../kernel/udpSocket.js";
import type { Answering } from "./answering.js";

export interface ListenerParts {
  readonly netns: string | Netns;
  readonly place: SocketPlace;
  readonly answering: Pick<Answering, "answer">;
  readonly log: Log;
}

/** Answers what comes to a UDP socket in a network namespace. */
export function listenUdp({ netns, place, answering, log }: ListenerParts): AsyncDisposable {
  const ended = new AbortController();
  const socket = new UdpSocket(netns, place, (datagram) => void answer(datagram));
  async function answer({ bytes, from: client, reply }: Datagram): Promise<void> {
    try {
      const told = await answering.answer(bytes, { client, transport: "udp" }, ended.signal);
      if (told !== undefined) reply(told);
    } catch (error) {
      if (!ended.signal.aborted) log.warn("question not answered", { client, error: asMeshError(error).message });
    }
  }
  return {
    [Symbol.asyncDispose]: async () => {
      ended.abort(new Error("the resolver is closed"));
      socket[Symbol.dispose]();
    },
  };
}
