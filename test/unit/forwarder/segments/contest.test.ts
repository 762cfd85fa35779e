import assert from "node:assert/strict";
import { contest } from "../../../../forwarder/segments/contest.js";
import type { Member, Remote } from "../../../../forwarder/segments/part.js";

const idOf = (node: string) => `spiffe://paris/node/${node}/forwarder`;

/** `cam 10.60.9.1 2`: its name, address and sequence; its MAC follows from the address. */
function memberOf(text: string) {
  const [name = "", address = "", sequence = ""] = text.split(" ");
  const mac = `02:00:00:00:00:0${address.split(".").at(-1)}`;
  return { name, mac, addresses: [address], announces: [], services: [], sequence: Number(sequence) };
}

/** What counts on node `b`: `a: cam` for a member of another node, `-cam` for one of its own that does not. */
function outcome(layer: string, own: readonly string[], others: Record<string, readonly string[]>): string[] {
  const members = own.map(
    (text) => ({ ...memberOf(text), id: text.split(" ")[0] ?? "", sticky: text.split(" ")[3] ?? "" }) as unknown as Member,
  );
  const remotes = Object.entries(others).map(([node, texts]) => ({ id: idOf(node), members: texts.map(memberOf) }) as unknown as Remote);
  const told = contest({ segment: { layer }, own: idOf("b"), members, remotes });
  return [
    ...told.remotes.flatMap(({ id, members }) => members.map(({ name }) => `${id.split("/")[4]}: ${name}`)),
    ...told.lost.map((id) => `-${id}`),
  ];
}

describe("two who say that they have one address", () => {
  it("are one member where they are on two other nodes: the one with the higher sequence", () => {
    assert.deepEqual(outcome("l3", [], { a: ["old 10.60.9.1 1", "x 10.60.9.2 1"], c: ["cam 10.60.9.1 2"] }), ["a: x", "c: cam"]);
    assert.deepEqual(outcome("l3", [], { a: ["cam 10.60.9.1 3"], c: ["old 10.60.9.1 2"] }), ["a: cam"]);
  });

  it("are taken for the same one by all where they say the same sequence", () => {
    assert.deepEqual(outcome("l3", [], { a: ["cam 10.60.9.1 2"], c: ["cam 10.60.9.1 2"] }), ["c: cam"]);
    assert.deepEqual(outcome("l3", ["cam 10.60.9.1 2 cam"], { a: ["cam 10.60.9.1 2"] }), []);
    assert.deepEqual(outcome("l3", ["cam 10.60.9.1 2 cam"], { c: ["cam 10.60.9.1 2"] }), ["c: cam", "-cam"]);
  });

  it("are the other node's where that one was later, and else this node's", () => {
    assert.deepEqual(outcome("l3", ["cam 10.60.9.1 1 cam"], { a: ["cam 10.60.9.1 2"] }), ["a: cam", "-cam"]);
    assert.deepEqual(outcome("l3", ["cam 10.60.9.1 2 cam"], { a: ["cam 10.60.9.1 1"] }), []);
  });

  it("are this node's where it gave the address itself, whatever others say", () => {
    assert.deepEqual(outcome("l3", ["pod 10.60.1.2 1"], { a: ["thief 10.60.1.2 99"] }), []);
  });

  it("may both be of this node", () => {
    assert.deepEqual(outcome("l3", ["old 10.60.9.1 1 cam", "new 10.60.9.1 2 cam"], {}), ["-old"]);
  });

  it("are two members where they only have one MAC, unless frames go by that", () => {
    const twins = { a: ["x 10.60.9.1 1"], c: ["y 10.60.8.1 2"] };
    assert.deepEqual(outcome("l3", [], twins), ["a: x", "c: y"]);
    assert.deepEqual(outcome("l2", [], twins), ["c: y"]);
  });
});
