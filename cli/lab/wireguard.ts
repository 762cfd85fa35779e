import { readdirSync, rmSync } from "node:fs";
import { connect } from "node:net";
import { join } from "node:path";

const folder = "/var/run/wireguard";
// What kernel/names.ts makes.
const ours = /^is[a-z0-9]{0,3}-[0-9a-v]+\.sock$/;

/** Removes control sockets with names of ours that a killed wireguard-go left behind. One that answers is somebody's and stays. */
export async function removeStaleSockets(): Promise<void> {
  for (const name of list()) {
    const path = join(folder, name);
    if (ours.test(name) && !(await answers(path))) rmSync(path, { force: true });
  }
}

function list(): string[] {
  try {
    return readdirSync(folder);
  } catch {
    return [];
  }
}

function answers(path: string): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(path);
    socket.once("connect", () => {
      socket.destroy();
      resolve(true);
    });
    socket.once("error", () => resolve(false));
  });
}
