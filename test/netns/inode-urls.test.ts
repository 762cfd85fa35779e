import assert from "node:assert/strict";
import { once } from "node:events";
import { mkdtempSync, rmSync, statSync, writeFileSync } from "node:fs";
import { connect, createServer } from "node:net";
import { tmpdir } from "node:os";
import path from "node:path";
import { netnsExists, resolveNetns } from "../../kernel/netns.js";
import { SocketFinder } from "../../nsmgr/sockets.js";
import { Running } from "../lib/command.js";

/** Listens on a socket of its own and says its name to everybody; prints its pid when it is ready. */
const server = `
const net = require("node:net");
net.createServer((socket) => socket.end(process.argv[1])).listen(process.argv[2], () => console.log("pid", process.pid));
`;

/** A process that hides a folder behind a mount of its own and listens there. */
async function hidden(folder: string, name: string): Promise<{ readonly running: Running; readonly pid: number }> {
  const script = `mount -t tmpfs none ${folder} && exec ${process.execPath} -e '${server}' ${name} ${folder}/nse.sock`;
  const running = new Running("unshare", ["--mount", "--net", "sh", "-c", script]);
  const [, pid] = await running.match(/pid (\d+)\n/);
  return { running, pid: Number(pid) };
}

function inodeUrl(file: string): string {
  const { dev, ino } = statSync(file, { bigint: true });
  return `inode://${dev}/${ino}`;
}

async function greeting(url: string): Promise<string> {
  const socket = connect(url.replace("unix://", ""));
  const [said] = (await once(socket, "data")) as [Buffer];
  socket.destroy();
  return said.toString();
}

describe("a socket named by its inode", () => {
  let folder: string;
  beforeEach(() => {
    folder = mkdtempSync(path.join(tmpdir(), "isthmus-ki-"));
  });
  afterEach(() => rmSync(folder, { recursive: true }));

  it("is found in the mount namespace of whoever listens, among others of the same path", async () => {
    const finder = new SocketFinder();
    const [first, second] = [await hidden(folder, "first"), await hidden(folder, "second")];
    await using _ = first.running;
    await using __ = second.running;
    for (const [{ pid }, name] of [[first, "first"] as const, [second, "second"] as const]) {
      const url = await finder.resolve(inodeUrl(`/proc/${pid}/root${folder}/nse.sock`));
      assert.equal(url, `unix:///proc/${pid}/root${folder}/nse.sock`);
      assert.equal(await greeting(url), name);
    }
  });

  it("is the plain path where that leads to it here too", async () => {
    const listening = createServer().listen(`${folder}/nse.sock`);
    await once(listening, "listening");
    try {
      const finder = new SocketFinder();
      const url = inodeUrl(`${folder}/nse.sock`);
      assert.equal(await finder.resolve(url), `unix://${folder}/nse.sock`);
      assert.equal(await finder.resolve(url), `unix://${folder}/nse.sock`);
    } finally {
      listening.close();
    }
  });

  it("is not found any more when nobody listens on it, or it is another file", async () => {
    const finder = new SocketFinder();
    const { running, pid } = await hidden(folder, "first");
    const url = inodeUrl(`/proc/${pid}/root${folder}/nse.sock`);
    assert.equal(await finder.resolve(url), `unix:///proc/${pid}/root${folder}/nse.sock`);
    await running.stop("SIGKILL");
    await assert.rejects(finder.resolve(url), { code: "not-found", message: /no socket that somebody listens on is behind inode:/ });
    writeFileSync(`${folder}/file`, "");
    await assert.rejects(finder.resolve(inodeUrl(`${folder}/file`)), { code: "not-found" });
  });

  it("is refused under a URL that is none, and other URLs stay as they are", async () => {
    const finder = new SocketFinder();
    for (const bad of ["inode://", "inode://4", "inode://4/x", "inode:/4/5"])
      await assert.rejects(finder.resolve(bad), { code: "invalid", message: /inode:\/\/DEV\/INO/ });
    for (const good of ["unix:///run/nse.sock", "tcp://[2001:db8::1]:5003"]) assert.equal(await finder.resolve(good), good);
  });
});

describe("a network namespace named by its inode", () => {
  it("is reached through its oldest process, and is there until the last one ends", async () => {
    await using first = new Running("unshare", ["--net", "sh", "-c", "echo pid $$; exec sleep 60"]);
    const [, pid = ""] = await first.match(/pid (\d+)\n/);
    await using second = new Running("nsenter", [`--net=/proc/${pid}/ns/net`, "sh", "-c", "echo pid $$; exec sleep 60"]);
    await second.printed(/pid/);
    const found = resolveNetns(inodeUrl(`/proc/${pid}/ns/net`));
    assert.equal(found.path, `/proc/${pid}/ns/net`);
    await second.stop("SIGKILL");
    assert.equal(netnsExists(found), true);
    await first.stop("SIGKILL");
    assert.equal(netnsExists(found), false);
  });
});
