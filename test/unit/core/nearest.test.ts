import assert from "node:assert/strict";
import { nearest } from "../../../core/nearest.js";

describe("the nearest names", () => {
  const names = ["forwarder", "camera-feed@tokyo", "camera-food", "db", "db@lima"];

  it("are those that differ least, best first, and none that have nothing in common", () => {
    assert.deepEqual(nearest("camera-fod", names), ["camera-food", "camera-feed@tokyo"]);
    assert.deepEqual(nearest("zzz", names), []);
  });

  it("are found in other sites too, where no site was asked for", () => {
    assert.deepEqual(nearest("camera-fed", ["camera-feed@tokyo"]), ["camera-feed@tokyo"]);
    assert.deepEqual(nearest("dc@lima", ["db", "db@lima"]), ["db@lima"]);
  });

  it("are those that hold what was asked for", () => assert.deepEqual(nearest("ward", names), ["forwarder"]));
});
