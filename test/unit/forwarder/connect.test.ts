import assert from "node:assert/strict";
import { describe, it } from "mocha";
import { asked, World } from "./world.js";

describe("a forwarder", () => {
  it("two nodes", async () => {
    await using world = await World.start(2);
    const client = world.node(1).pods.add("client");
    const server = world.node(2).pods.add("server");
    await world.serve(2, server);
    const conn = await world.request(1, asked(client));
    world.name(conn, "c");
    console.log(conn.mechanism, conn.context?.MTU, conn.path?.pathSegments.map((s)=>s.metrics));
    console.log(world.node(1).text());
    console.log(world.node(1).tunnelText());
    console.log("2:");
    console.log(world.node(2).text());
    console.log(world.node(2).tunnelText());
    await world.close(1, conn);
    console.log("--", world.node(1).kernel.text());
    console.log("--", world.node(2).kernel.text());
  });
});
