import { type AddressInfo, createServer } from "node:net";
import { join } from "node:path";
import { check, Running } from "./command.js";
import { newFolder } from "./folder.js";

export interface EtcdOptions {
  /** One or three. */
  readonly members?: number;
  /** More flags for every member. */
  readonly flags?: readonly string[];
  /** What clients speak; https needs its certificates among the flags. */
  readonly scheme?: "http" | "https";
}

/** A real etcd on loopback, of one or more processes, with its data in a folder that goes away with it. */
export class Etcd implements AsyncDisposable {
  readonly members: readonly EtcdMember[];
  readonly #folder: ReturnType<typeof newFolder>;

  private constructor(members: readonly EtcdMember[], folder: ReturnType<typeof newFolder>) {
    this.members = members;
    this.#folder = folder;
  }

  /** Resolves when every member is ready for clients. */
  static async start({ members = 1, flags = [], scheme = "http" }: EtcdOptions = {}): Promise<Etcd> {
    const folder = newFolder();
    const ports = await freePorts(2 * members);
    const places = Array.from({ length: members }, (_, at) => ({
      name: `m${at}`,
      client: `${scheme}://127.0.0.1:${ports[2 * at]}`,
      peer: `http://127.0.0.1:${ports[2 * at + 1]}`,
    }));
    const cluster = places.map(({ name, peer }) => `${name}=${peer}`).join(",");
    const made = places.map((place) => new EtcdMember(place.client, flagsOf(place, cluster, folder.path).concat(flags)));
    const etcd = new Etcd(made, folder);
    try {
      await Promise.all(made.map((member) => member.start()));
      return etcd;
    } catch (error) {
      await etcd[Symbol.asyncDispose]();
      throw error;
    }
  }

  get urls(): string[] {
    return this.members.map(({ url }) => url);
  }

  /** The member at this place in the list of URLs. */
  member(at: number): EtcdMember {
    const member = this.members[at];
    if (member === undefined) throw new Error(`there is no member ${at}`);
    return member;
  }

  /** What `etcdctl` prints, asked of the first member. */
  ctl(...args: readonly string[]): Promise<string> {
    return check("env", ["ETCDCTL_API=3", "etcdctl", "--endpoints", this.member(0).url, ...args]);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const member of this.members) await member.kill();
    this.#folder[Symbol.dispose]();
  }
}

export class EtcdMember {
  readonly url: string;
  readonly #flags: readonly string[];
  #process: Running | undefined;

  constructor(url: string, flags: readonly string[]) {
    this.url = url;
    this.#flags = flags;
  }

  /** Also after a kill: it goes on with its data. */
  async start(): Promise<void> {
    // It dies with the tests, however those end.
    this.#process = new Running("setpriv", ["--pdeathsig", "KILL", "etcd", ...this.#flags]);
    await this.#process.printed(/serving client traffic (in)?securely/);
  }

  async kill(): Promise<void> {
    await this.#process?.[Symbol.asyncDispose]();
    this.#process = undefined;
  }

  freeze(): void {
    this.#process?.signal("SIGSTOP");
  }

  thaw(): void {
    this.#process?.signal("SIGCONT");
  }
}

function flagsOf(
  place: { readonly name: string; readonly client: string; readonly peer: string },
  cluster: string,
  folder: string,
): string[] {
  const values = {
    name: place.name,
    "data-dir": join(folder, place.name),
    "listen-client-urls": place.client,
    "advertise-client-urls": place.client,
    "listen-peer-urls": place.peer,
    "initial-advertise-peer-urls": place.peer,
    "initial-cluster": cluster,
    logger: "zap",
  };
  return Object.entries(values).flatMap(([name, value]) => [`--${name}`, value]);
}

/** Ports that nobody listens on; all are held until the last is known, so that they differ. */
async function freePorts(count: number): Promise<number[]> {
  const servers = await Promise.all(
    Array.from(
      { length: count },
      () =>
        new Promise<ReturnType<typeof createServer>>((resolve, reject) => {
          const server = createServer().once("error", reject);
          server.listen(0, "127.0.0.1", () => resolve(server));
        }),
    ),
  );
  const ports = servers.map((server) => (server.address() as AddressInfo).port);
  await Promise.all(servers.map((server) => new Promise((resolve) => server.close(resolve))));
  return ports;
}
