import assert from "node:assert/strict";
import { type PrefixRequest, Type } from "../../../api/gen/ipam/ipam.js";
import { silent } from "../../../core/log.js";
import { systemClock } from "../../../program/clock.js";
import type { BlocksApi } from "../../../rpc/blocks.js";
import { Caller } from "../../../rpc/caller.js";
import { GrpcTransport } from "../../../rpc/grpc.js";
import { segmentHeaders } from "../../../rpc/headers.js";
import { blockMethods } from "../../../rpc/methods.js";
import { serve } from "../../../rpc/server.js";

const unending = new AbortController().signal;
const headers = segmentHeaders({ segment: "plant" });

const request = (type: PrefixRequest["type"], prefix: string): PrefixRequest => ({ type, prefix, excludePrefixes: [] });

/** A server of blocks that says what it was asked, and a client of it. */
async function world(blocks: Partial<BlocksApi> = {}) {
  const asked: string[] = [];
  const services = {
    blocks: {
      allocate: async ({ prefix }: { readonly prefix: string }) => {
        asked.push(`allocate ${prefix}`);
        return prefix;
      },
      release: async ({ prefix }: { readonly prefix: string }) => void asked.push(`release ${prefix}`),
      ...blocks,
    },
  };
  const server = await serve({ urls: ["tcp://127.0.0.1:0"], services, log: silent, hop: "registry", limits: { graceMs: 100 } });
  const transport = new GrpcTransport({ clock: systemClock, dialTimeoutMs: 500 });
  const caller = new Caller(transport);
  return {
    asked,
    manage: (requests: AsyncIterable<PrefixRequest>, signal = unending) =>
      caller.duplex(server.urls[0] ?? "", blockMethods.manage, requests, { signal, headers }),
    async [Symbol.asyncDispose]() {
      await transport[Symbol.asyncDispose]();
      await server[Symbol.asyncDispose]();
    },
  };
}

describe("a call with many requests", () => {
  it("is answered request by request, while more are to come", async () => {
    await using at = await world();
    let go = () => {};
    const answered = new Promise<void>((resolve) => {
      go = resolve;
    });
    async function* requests() {
      yield request(Type.ALLOCATE, "10.60.0.0/24");
      await answered;
      yield request(Type.DELETE, "10.60.0.0/24");
      for (let n = 1; n <= 100; n++) yield request(Type.ALLOCATE, `10.60.${n}.0/24`);
    }
    const prefixes: string[] = [];
    for await (const { prefix } of at.manage(requests())) {
      prefixes.push(prefix);
      go();
    }
    assert.deepEqual(
      [prefixes.length, at.asked.slice(0, 3)],
      [102, ["allocate 10.60.0.0/24", "release 10.60.0.0/24", "allocate 10.60.1.0/24"]],
    );
  });

  it("ends with the error of the request that cannot be answered, and what comes after it is not read", async () => {
    await using at = await world();
    async function* requests() {
      yield request(Type.ALLOCATE, "10.60.0.0/24");
      yield request(Type.UNDEFINED, "10.60.1.0/24");
      yield request(Type.ALLOCATE, "10.60.2.0/24");
    }
    const prefixes: string[] = [];
    const all = async () => {
      for await (const { prefix } of at.manage(requests())) prefixes.push(prefix);
    };
    await assert.rejects(all(), {
      code: "invalid",
      hop: "registry",
      message: "the type of a prefix request must be ALLOCATE (1) or DELETE (2), got 0",
    });
    assert.deepEqual(at.asked, ["allocate 10.60.0.0/24"]);
  });

  it("breaks with the caller's own error when it cannot go on asking", async () => {
    await using at = await world();
    async function* requests() {
      yield request(Type.ALLOCATE, "10.60.0.0/24");
      throw new Error("the caller has no more to say");
    }
    const all = async () => {
      for await (const _ of at.manage(requests()));
    };
    await assert.rejects(all(), { message: "the caller has no more to say" });
  });

  it("lets the requests go when its reader stops, and when its signal ends", async () => {
    await using at = await world();
    const stop = new AbortController();
    for (const end of [() => {}, () => stop.abort()]) {
      let over = () => {};
      const ended = new Promise<void>((resolve) => {
        over = resolve;
      });
      async function* requests() {
        try {
          for (let n = 1; ; n++) yield request(Type.ALLOCATE, `10.${n % 200}.0.0/16`);
        } finally {
          over();
        }
      }
      let count = 0;
      for await (const _ of at.manage(requests(), stop.signal)) {
        if (++count < 3) continue;
        if (end() === undefined && !stop.signal.aborted) break;
      }
      await ended;
      assert.ok(count >= 3);
    }
  });
});
