import { silent } from "../../core/log.js";
import { systemClock } from "../../program/clock.js";
import { Peers } from "../../rpc/client.js";
import type { NodeClient } from "../../rpc/node.js";
import type { Lab } from "./lab.js";

/** isthmus.v1 of a lab's node, for tests that ask too often to start an nsmctl each time. */
export function nodeClient(lab: Lab, node: string): { readonly node: NodeClient } & AsyncDisposable {
  const peers = new Peers({ log: silent, clock: systemClock, dialTimeoutMs: 2_000 });
  // A channel that still connects does not keep the process alive by itself.
  const alive = setInterval(() => {}, 60_000);
  return {
    node: peers.node(`unix:///run/isthmus/${lab.prefix}/${node}/node.sock`),
    [Symbol.asyncDispose]: async () => {
      clearInterval(alive);
      await peers[Symbol.asyncDispose]();
    },
  };
}
