import assert from "node:assert/strict";
import { chain, type Element } from "../../../core/chain.js";
import { MeshError } from "../../../core/error.js";
import { undoOnFailure } from "../../../core/rollback.js";
import { callOf, connection, failOnce, failsWith, holder, recorder, tailOf } from "../../lib/chainKit.js";

const refused = () => Promise.reject(new MeshError("unreachable", "no route"));

describe("undoOnFailure", () => {
  it("undoes the element, and nothing behind it, when what is behind it failed", async () => {
    const lines: string[] = [];
    const tail = tailOf(refused);
    const handler = chain(
      ["a", "b"].map((name) => undoOnFailure(recorder(name, lines))),
      tail,
    );
    await failsWith("unreachable", "no route", handler.request(callOf(connection())));
    assert.deepEqual(lines, ["request a", "request b", "failure b", "close b", "failure a", "close a"]);
    assert.equal(tail.closes.length, 0);
  });

  it("closes what is behind it when it fails after that had succeeded", async () => {
    const lines: string[] = [];
    const fail = failOnce("back");
    fail.arm();
    const tail = tailOf(({ connection: conn }) => ({ ...conn, networkServiceEndpointName: "nse-1" }));
    const handler = chain([undoOnFailure(fail), undoOnFailure(recorder("b", lines))], tail);
    await failsWith("kernel", "refused", handler.request(callOf(connection())));
    assert.deepEqual(lines, ["request b", "answer b", "close b"]);
    assert.equal(tail.closes[0]?.connection.networkServiceEndpointName, "nse-1", "with what the answer said");
  });

  it("leaves a working connection alone when its refresh failed", async () => {
    const lines: string[] = [];
    const handler = chain([undoOnFailure(recorder("a", lines))], tailOf(refused));
    await failsWith("unreachable", "no route", handler.request(callOf(connection(), { established: true })));
    assert.deepEqual(lines, ["request a", "failure a"]);
  });

  it("undoes with a deadline of its own, and not with the dead signal", async () => {
    const patience = new AbortController();
    const signals: AbortSignal[] = [];
    const element: Element = {
      name: "cancelled",
      async request(call) {
        patience.abort();
        throw call.signal.reason;
      },
      async close(call) {
        signals.push(call.signal);
      },
    };
    const request = chain([undoOnFailure(element)]).request(callOf(connection(), { signal: patience.signal }));
    await assert.rejects(request, { name: "AbortError" });
    assert.equal(signals[0]?.aborted, false);
  });

  it("does not close twice what the element has closed itself", async () => {
    const tail = tailOf();
    const element: Element = {
      name: "strict",
      async request(call, next) {
        const conn = await next.request(call);
        await next.close({ ...call, connection: conn });
        throw new MeshError("denied", "not protected");
      },
    };
    await failsWith("denied", "not protected", chain([undoOnFailure(element)], tail).request(callOf(connection())));
    assert.equal(tail.closes.length, 1);
  });

  it("says so when the undo fails as well, and keeps the first error's code", async () => {
    const element: Element = {
      name: "stuck",
      request: () => refused(),
      close: () => Promise.reject(new MeshError("kernel", "device busy")),
    };
    const request = chain([undoOnFailure(element)]).request(callOf(connection()));
    await failsWith("unreachable", "no route; and undoing it at stuck failed: device busy", request);
  });

  it("wraps once, however often it is told to, and not what asks nothing", () => {
    const once = undoOnFailure(holder("a"));
    assert.equal(undoOnFailure(once), once);
    const idle: Element = { name: "idle" };
    assert.equal(undoOnFailure(idle), idle);
  });

  it("keeps methods that come from a class", async () => {
    class Counting implements Element {
      readonly name = "counting";
      #count = 0;
      async request(): Promise<never> {
        this.#count++;
        throw new MeshError("kernel", `failure ${this.#count}`);
      }
      async close(): Promise<void> {
        this.#count = 10;
      }
    }
    const handler = chain([undoOnFailure(new Counting())]);
    await failsWith("kernel", "failure 1", handler.request(callOf(connection())));
    await failsWith("kernel", "failure 11", handler.request(callOf(connection())));
  });
});
