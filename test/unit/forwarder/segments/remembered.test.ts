import assert from "node:assert/strict";
import type { Membership } from "../../../../core/segment/membership.js";
import { Remembered } from "../../../../forwarder/segments/remembered.js";
import { Disk } from "../../../lib/mesh/disk.js";

/** A disk that counts what is written. */
class CountingDisk extends Disk {
  writes = 0;

  override async put(key: string, value: unknown): Promise<void> {
    this.writes++;
    await super.put(key, value);
  }
}

function words(id: string): Membership {
  return { kind: "members", segment: "plant", id, members: [] };
}

describe("what is remembered of a segment's other nodes", () => {
  it("is there after a restart, of this segment only, under names of any length", async () => {
    const disk = new Disk();
    const [b, long] = [words("b"), words("long")];
    await new Remembered(disk, "plant").keep(new Map([["plant.b.0", b]]).set("ж".repeat(500), long));
    await new Remembered(disk, "office").keep(new Map([["office.c.0", words("c")]]));
    assert.deepEqual([...new Remembered(disk, "plant").words].sort(), [
      ["plant.b.0", b],
      ["ж".repeat(500), long],
    ]);
    assert.ok(disk.keys("").every((key) => Buffer.byteLength(key) < 200));
  });

  it("is written where it changes, and goes when nobody says it any more", async () => {
    const disk = new CountingDisk();
    const remembered = new Remembered(disk, "plant");
    const many = new Map(Array.from({ length: 16 }, (_, shard) => [`plant.b.${shard}`, words(`b ${shard}`)] as const));
    await remembered.keep(many);
    assert.equal(disk.writes, 16);
    await remembered.keep(new Map(many).set("plant.b.3", words("other")));
    assert.equal(disk.writes, 17);
    await remembered.keep(new Map([["plant.b.3", words("last")]]));
    assert.equal(disk.writes, 18);
    assert.equal(disk.keys("segment-nodes/").length, 1);
    await remembered.keep(new Map());
    assert.deepEqual(disk.keys(""), []);
  });
});
