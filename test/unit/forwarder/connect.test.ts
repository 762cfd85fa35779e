import assert from "node:assert/strict";
import { describe, it } from "mocha";
import { asked, World } from "./world.js";

describe("a forwarder", () => {
  it("two nodes", async () => {
    await using world = await World.pretend(2);
    const client = world.node(1).machine.pods.add("client");
    const server = world.node(2).machine.pods.add("server");
    await world.serve(2, server);
    const conn = await world.request(1, asked(client));
    world.name(conn, "c");
    console.log(
      conn.mechanism,
      conn.context?.MTU,
      conn.path?.pathSegments.map((s) => s.metrics),
    );
    console.log(world.node(1).machine.text());
    console.log(world.node(1).machine.tunnelText());
    console.log("2:");
    console.log(world.node(2).machine.text());
    console.log(world.node(2).machine.tunnelText());
    await world.close(1, conn);
    console.log("--", world.node(1).machine.kernel.text());
    console.log("--", world.node(2).machine.kernel.text());
  });
});
