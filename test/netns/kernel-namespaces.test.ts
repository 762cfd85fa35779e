import assert from "node:assert/strict";
import fs from "node:fs";
import { openMesh } from "../../kernel/mesh.js";
import {
  createNetns,
  netnsExists,
  netnsPath,
  openNetns,
  ownNetns,
  removeNetns,
  resolveNetns,
  sameNetns,
  within,
} from "../../kernel/netns.js";

const name = "ka-n-one";

describe("network namespaces", () => {
  beforeEach(() => removeNetns(name));
  afterEach(() => removeNetns(name));

  it("are made, found by path, by URL and by inode, and taken away, twice", () => {
    const made = createNetns(name);
    assert.deepEqual(openNetns(netnsPath(name)), made);
    assert.deepEqual(resolveNetns(`file://${made.path}`), made);
    const { dev, ino } = fs.statSync(made.path);
    assert.equal(resolveNetns(`inode://${dev}/${ino}`).cookie, made.cookie);
    assert.equal(netnsExists(made), true);
    removeNetns(name);
    removeNetns(name);
    assert.equal(netnsExists(made), false);
    assert.throws(() => openNetns(made.path), { code: "not-found", message: /no network namespace at \/run\/netns\/ka-n-one/ });
  });

  it("are told apart where one took the other's name", () => {
    const first = createNetns(name);
    removeNetns(name);
    const second = createNetns(name);
    assert.equal(sameNetns(first, second), false);
    assert.equal(netnsExists(first), false);
    assert.throws(() => within(first, () => 1), { code: "netns-gone" });
    assert.equal(
      within(second, () => 1),
      1,
    );
  });

  it("are refused under a name that is taken or is none", () => {
    createNetns(name);
    assert.throws(() => createNetns(name), { code: "exists" });
    for (const bad of ["", "..", "a/b", "a b"]) assert.throws(() => createNetns(bad), { code: "invalid" });
  });

  it("are left again, also after an error", () => {
    const [home, made] = [openNetns(ownNetns), createNetns(name)];
    const seen = within(made, () => fs.readFileSync("/proc/thread-self/net/dev", "utf8").trim().split("\n").length);
    assert.equal(seen, 3, "two lines of heading and lo");
    assert.throws(
      () =>
        within(made, () => {
          throw new Error("inside");
        }),
      /inside/,
    );
    assert.equal(openNetns(ownNetns).cookie, home.cookie);
  });

  it("are entered one inside another", () => {
    const made = createNetns(name);
    const other = createNetns(`${name}-more`);
    try {
      const cookies = within(made, () => [within(other, () => openNetns(ownNetns).cookie), openNetns(ownNetns).cookie]);
      assert.deepEqual(cookies, [other.cookie, made.cookie]);
    } finally {
      removeNetns(`${name}-more`);
    }
  });

  it("do not take code that would wait inside, or paths that are something else", () => {
    const made = createNetns(name);
    assert.throws(() => within(made, async () => {}), { code: "internal" });
    assert.throws(() => within("/etc/hostname", () => {}), { code: "invalid", message: /is not a network namespace/ });
  });

  it("become a mesh that is quiet, keeps what it has when it is opened again, and takes over a name without a namespace", () => {
    fs.writeFileSync(netnsPath(name), ""); // as a reboot leaves it
    const mesh = openMesh(name);
    assert.deepEqual(openMesh(name), mesh);
    const setting = (file: string): string => within(mesh, () => fs.readFileSync(`/proc/sys/net/${file}`, "utf8").trim());
    assert.equal(setting("ipv4/ip_forward"), "0");
    assert.equal(setting("ipv6/conf/default/disable_ipv6"), "1");
    assert.match(
      within(mesh, () => fs.readFileSync("/proc/thread-self/net/if_inet6", "utf8")),
      /lo/,
    );
  });
});
