import { existsSync, mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { check, Running } from "./command.js";

/** A workload that SPIRE knows: whoever runs on that node with that primary group. */
export interface SpireEntry {
  readonly node: string;
  readonly gid: number;
  /** The path of its SPIFFE id. */
  readonly path: string;
}

export interface SpireOptions {
  readonly trustDomain: string;
  /** For sockets, data and logs; the caller's to remove. */
  readonly folder: string;
  /** Where the server runs, and every node's agent. */
  readonly server: SpireHost;
  readonly nodes: readonly SpireHost[];
  readonly entries: readonly SpireEntry[];
  /** Of an SVID, in seconds; the agent renews it at half of that, give or take. */
  readonly lifetime: number;
}

/** A network namespace (a path), and its address there. */
export interface SpireHost {
  readonly name: string;
  readonly netns: string;
  readonly address: string;
}

const port = 8090;
/** Where scripts/spire.sh puts the programs. */
const bin = join(process.env.XDG_CACHE_HOME || "/var/cache", "isthmus", "spire", "bin");

/** A real SPIRE: one server, and an agent on each node. */
export class Spire implements AsyncDisposable {
  readonly #options: SpireOptions;
  readonly #agents = new Map<string, Running>();
  #server: Running | undefined;

  private constructor(options: SpireOptions) {
    this.#options = options;
  }

  /** Resolves when every agent serves its Workload API. */
  static async start(options: SpireOptions): Promise<Spire> {
    if (!existsSync(join(bin, "spire-server"))) throw new Error(`there is no SPIRE in ${bin}: build it with \`bash scripts/spire.sh\``);
    const spire = new Spire(options);
    try {
      await spire.#startServer();
      await Promise.all(options.nodes.map(({ name }) => spire.startAgent(name)));
      return spire;
    } catch (error) {
      await spire[Symbol.asyncDispose]();
      throw error;
    }
  }

  /** The Workload API of a node's agent, as SPIFFE_ENDPOINT_SOCKET says it. */
  socket(node: string): string {
    return `unix://${join(this.#options.folder, `agent-${node}.sock`)}`;
  }

  /** Also after a kill: it goes on with its data. */
  async startAgent(node: string): Promise<void> {
    const host = this.#options.nodes.find(({ name }) => name === node);
    if (host === undefined) throw new Error(`there is no node ${node}`);
    const agent = runIn(host, "spire-agent", "run", "-config", this.#file(`agent-${node}.conf`));
    this.#agents.set(node, agent);
    await agent.printed(/Starting Workload and SDS APIs/);
  }

  async killAgent(node: string): Promise<void> {
    await this.#agents.get(node)?.[Symbol.asyncDispose]();
  }

  /** What the server's command line prints, asked at its own socket. */
  ctl(...args: readonly string[]): Promise<string> {
    return check(join(bin, "spire-server"), [...args, "-socketPath", this.#file("server.sock")]);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const agent of this.#agents.values()) await agent[Symbol.asyncDispose]();
    await this.#server?.[Symbol.asyncDispose]();
  }

  async #startServer(): Promise<void> {
    const { server, nodes, entries, lifetime, trustDomain } = this.#options;
    this.#write("server.conf", this.#serverConfig());
    this.#server = runIn(server, "spire-server", "run", "-config", this.#file("server.conf"));
    await this.#server.printed(/Starting Server APIs[^\n]*unix/);
    writeFileSync(this.#file("bundle.pem"), await this.ctl("bundle", "show"));
    this.#write("entries.json", {
      entries: entries.map(({ node, gid, path }) => ({
        parent_id: hostId(trustDomain, node),
        spiffe_id: `spiffe://${trustDomain}${path}`,
        selectors: [{ type: "unix", value: `gid:${gid}` }],
        x509_svid_ttl: lifetime,
      })),
    });
    await this.ctl("entry", "create", "-data", this.#file("entries.json"));
    for (const { name } of nodes) {
      const made = await this.ctl("token", "generate", "-spiffeID", hostId(trustDomain, name), "-output", "json");
      this.#write(`agent-${name}.conf`, this.#agentConfig(name, (JSON.parse(made) as { value: string }).value));
    }
  }

  #serverConfig() {
    const { trustDomain, server } = this.#options;
    return {
      server: {
        ...{ trust_domain: trustDomain, bind_address: server.address, bind_port: port, socket_path: this.#file("server.sock") },
        data_dir: this.#folder("server"),
      },
      plugins: {
        DataStore: { sql: { plugin_data: { database_type: "sqlite3", connection_string: join(this.#folder("server"), "data.sqlite3") } } },
        NodeAttestor: { join_token: { plugin_data: {} } },
        KeyManager: { memory: { plugin_data: {} } },
      },
    };
  }

  #agentConfig(node: string, token: string) {
    const { trustDomain, server } = this.#options;
    return {
      agent: {
        ...{ trust_domain: trustDomain, server_address: server.address, server_port: port, trust_bundle_path: this.#file("bundle.pem") },
        ...{ socket_path: this.#file(`agent-${node}.sock`), data_dir: this.#folder(`agent-${node}`), join_token: token },
        experimental: { sync_interval: "1s" },
      },
      plugins: {
        NodeAttestor: { join_token: { plugin_data: {} } },
        KeyManager: { disk: { plugin_data: { directory: this.#folder(`agent-${node}`) } } },
        WorkloadAttestor: { unix: { plugin_data: {} } },
      },
    };
  }

  #file(name: string): string {
    return join(this.#options.folder, name);
  }

  #folder(name: string): string {
    mkdirSync(this.#file(name), { recursive: true, mode: 0o700 });
    return this.#file(name);
  }

  /** SPIRE reads JSON where it reads HCL. */
  #write(name: string, content: unknown): void {
    writeFileSync(this.#file(name), JSON.stringify(content), { mode: 0o600 });
  }
}

/** It dies with the tests, however those end. */
function runIn(host: SpireHost, program: string, ...args: readonly string[]): Running {
  return new Running("setpriv", ["--pdeathsig", "KILL", "nsenter", `--net=${host.netns}`, "--", join(bin, program), ...args]);
}

function hostId(trustDomain: string, node: string): string {
  return `spiffe://${trustDomain}/host/${node}`;
}
