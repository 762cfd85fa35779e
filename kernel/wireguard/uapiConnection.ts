import net from "node:net";
import type { Clock } from "../../core/clock.js";
import { MeshError } from "../../core/error.js";
import { close } from "../ffi/file.js";
import { connect as connectSocket, getOption, socket as openSocket, SOCK_STREAM, SOL_SOCKET } from "../ffi/socket.js";
import type { DeviceChange, DeviceState } from "./config.js";
import { encodeSet, getRequest, parseAnswer, parseGet } from "./uapi.js";

const AF_UNIX = 1;
const SO_PEERCRED = 17;
const answerTimeoutMs = 5_000;

/** The folder is wireguard-go's own and one for the whole machine. */
export function uapiPath(device: string): string {
  return `/var/run/wireguard/${device}.sock`;
}

/** One kept connection to the wireguard-go of a device. That it closes is how its end is noticed. */
export class UapiConnection {
  readonly #device: string;
  readonly #socket: net.Socket;
  readonly #clock: Clock;
  #received = "";
  #waiting: { resolve: (answer: string) => void; reject: (error: Error) => void } | undefined;
  #last: Promise<unknown> = Promise.resolve();
  #ended = false;

  private constructor(device: string, socket: net.Socket, clock: Clock) {
    this.#device = device;
    this.#socket = socket;
    this.#clock = clock;
    socket.setEncoding("utf8");
    socket.unref();
    socket.on("data", (text: string) => this.#take(text));
    // What went wrong is told by "close", which always follows.
    socket.on("error", () => {});
    socket.on("close", () => this.#fail());
  }

  /** Undefined where nobody listens, also where a socket file was left behind. */
  static connect(device: string, clock: Clock): Promise<UapiConnection | undefined> {
    return new Promise((resolve) => {
      const socket = net.connect(uapiPath(device));
      socket.once("error", () => resolve(undefined));
      socket.once("connect", () => resolve(new UapiConnection(device, socket, clock)));
    });
  }

  get ended(): boolean {
    return this.#ended;
  }

  /** Called once, also when it has ended already. */
  onEnd(listener: () => void): void {
    if (this.#ended) listener();
    else this.#socket.once("close", listener);
  }

  async get(): Promise<DeviceState> {
    return parseGet(await this.#ask(getRequest));
  }

  async set(change: DeviceChange): Promise<void> {
    parseAnswer(await this.#ask(encodeSet(change)));
  }

  /** Lets go of wireguard-go, which goes on. */
  close(): void {
    this.#socket.destroy();
  }

  /** One question at a time: answers carry no number. */
  #ask(question: string): Promise<string> {
    const answer = this.#last.then(() => this.#exchange(question));
    this.#last = answer.catch(() => {});
    return answer;
  }

  async #exchange(question: string): Promise<string> {
    if (this.#ended) throw this.#gone();
    using _ = this.#clock.after(answerTimeoutMs, () => this.#socket.destroy());
    this.#socket.ref(); // an answer that is awaited keeps the process alive, the connection as such does not
    try {
      return await new Promise<string>((resolve, reject) => {
        this.#waiting = { resolve, reject };
        this.#socket.write(question);
      });
    } finally {
      this.#socket.unref();
    }
  }

  #take(text: string): void {
    this.#received += text;
    const end = this.#received.indexOf("\n\n");
    if (end < 0) return;
    const answer = this.#received.slice(0, end + 1);
    this.#received = this.#received.slice(end + 2);
    const waiting = this.#waiting;
    this.#waiting = undefined;
    waiting?.resolve(answer);
  }

  #fail(): void {
    this.#ended = true;
    this.#waiting?.reject(this.#gone());
    this.#waiting = undefined;
  }

  #gone(): MeshError {
    return new MeshError("unreachable", `wireguard-go of ${this.#device} ended or did not answer; it is started again`);
  }
}

/** The process that listens on a device's control socket; undefined where nobody does. */
export function uapiPid(device: string): number | undefined {
  const fd = openSocket(AF_UNIX, SOCK_STREAM, 0);
  try {
    const path = Buffer.from(`${uapiPath(device)}\0`);
    connectSocket(fd, Buffer.concat([Uint8Array.of(AF_UNIX, 0), path]));
    return getOption(fd, SOL_SOCKET, SO_PEERCRED, 12).readInt32LE(0);
  } catch {
    return undefined;
  } finally {
    close(fd);
  }
}
