import { spawn } from "node:child_process";
import fs from "node:fs";
import path from "node:path";
import { MeshError } from "../../core/error.js";

const program = "wireguard-go";

/** Where wireguard-go is, by PATH; undefined where it is not installed. */
export function findWireguardGo(searchPath: string = process.env.PATH ?? ""): string | undefined {
  const folders = [...searchPath.split(":"), "/usr/local/bin", "/usr/bin", "/usr/sbin"];
  return folders.map((folder) => path.join(folder, program)).find(isExecutable);
}

/** A wireguard-go that was started. */
export interface Started {
  readonly pid: number;
  /** Resolves when it has ended, with why. */
  readonly ended: Promise<string>;
}

/**
 * Starts wireguard-go for a device, in the network namespace of the moment. It is nobody's child to kill: it has a session of its
 * own and goes on when this process ends. What it says is appended to `logDir`/DEVICE.log.
 */
export function startWireguardGo(device: string, logDir: string): Started {
  const binary = findWireguardGo();
  if (binary === undefined) throw new MeshError("unsupported", "wireguard-go is not installed (Debian: apt-get install wireguard-go)");
  fs.mkdirSync(logDir, { recursive: true, mode: 0o755 });
  const log = fs.openSync(path.join(logDir, `${device}.log`), "a", 0o640);
  try {
    // Without -f it would fork, and the socket's pid would be that of the parent, which is gone.
    const child = spawn(binary, ["-f", device], { cwd: "/", detached: true, stdio: ["ignore", log, log], env: { LOG_LEVEL: "error" } });
    const ended = new Promise<string>((resolve) => {
      child.once("error", (error) => resolve(error.message));
      child.once("exit", (code, signal) => resolve(signal ?? `exit code ${code}`));
    });
    child.unref();
    return { pid: child.pid ?? 0, ended };
  } finally {
    fs.closeSync(log);
  }
}

function isExecutable(file: string): boolean {
  try {
    fs.accessSync(file, fs.constants.X_OK);
    return true;
  } catch {
    return false;
  }
}
