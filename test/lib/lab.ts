import { resolve } from "node:path";
import { check, type Finished, Running, run } from "./command.js";

const nsmctl = resolve(import.meta.dirname, "../../dist/cli/main.js");

/** What `request-connection -o json` prints. */
export interface Requested {
  readonly id: string;
  readonly service: string;
  readonly endpoint: string;
  readonly interface: string;
  readonly addresses: readonly string[];
  readonly peerAddresses: readonly string[];
  readonly routes: readonly string[];
  readonly payload: string;
  readonly mechanism: string;
  readonly encrypted: boolean;
  readonly mtu: number;
  readonly path: readonly { readonly name: string; readonly id: string }[];
  readonly establishedMs: number;
}

/** A real lab, driven only through nsmctl as a user would, and looked at from outside with iproute2. */
export class Lab implements AsyncDisposable {
  readonly prefix: string;

  private constructor(prefix: string) {
    this.prefix = prefix;
  }

  /** One that something else has raised. */
  static raised(prefix: string): Lab {
    return new Lab(prefix);
  }

  static async up(
    prefix: string,
    options: { readonly sites?: string; readonly underlay?: "4" | "6"; readonly args?: readonly string[] } = {},
  ): Promise<Lab> {
    const lab = new Lab(prefix);
    const sites = options.sites ? ["--sites", options.sites] : [];
    const underlay = options.underlay ? ["--underlay", options.underlay] : [];
    await lab.ctl("lab", "up", ...sites, ...underlay, ...(options.args ?? []));
    return lab;
  }

  /** nsmctl, which has to succeed. */
  ctl(...args: string[]): Promise<string> {
    return check(process.execPath, [nsmctl, ...this.#withPrefix(args)], { timeoutMs: 90_000 });
  }

  /** nsmctl, however it ends. */
  tryCtl(...args: string[]): Promise<Finished> {
    return run(process.execPath, [nsmctl, ...this.#withPrefix(args)], { timeoutMs: 90_000 });
  }

  /** nsmctl beside the test. */
  start(...args: string[]): Running {
    return new Running(process.execPath, [nsmctl, ...this.#withPrefix(args)]);
  }

  async json<T>(...args: string[]): Promise<T> {
    return JSON.parse(await this.ctl(...args, "-o", "json")) as T;
  }

  async pod(name: string, node: string): Promise<void> {
    await this.ctl("lab", "pod", "add", name, "--node", node);
  }

  serve(node: string, service: string, pod: string, cidr: string, ...more: string[]): Promise<string> {
    return this.ctl("--node", node, "serve", service, "--pod", pod, "--cidr", cidr, "--detach", ...more);
  }

  request(node: string, service: string, pod: string, ...more: string[]): Promise<Requested> {
    return this.json<Requested>("--node", node, "request-connection", service, "--pod", pod, ...more);
  }

  close(node: string, ...ids: string[]): Promise<string> {
    return this.ctl("--node", node, "close-connection", ...ids);
  }

  /** The namespace of a node, of "wan", of a pod ("pod-NAME") or of a node's mesh ("NODE-mesh"). */
  netns(name: string): string {
    return `/run/netns/${this.prefix}-${name}`;
  }

  /** A command in a namespace, which has to succeed. */
  exec(where: string, command: string, ...args: string[]): Promise<string> {
    return check("nsenter", [`--net=${this.netns(where)}`, "--", command, ...args]);
  }

  tryExec(where: string, command: string, ...args: string[]): Promise<Finished> {
    return run("nsenter", [`--net=${this.netns(where)}`, "--", command, ...args]);
  }

  /** A command in a namespace, beside the test. */
  spawn(where: string, command: string, ...args: string[]): Running {
    return new Running("nsenter", [`--net=${this.netns(where)}`, "--", command, ...args]);
  }

  /** What a node's loopback answers to a plain GET, headers first. */
  get(node: string, url: string): Promise<string> {
    const { hostname, port, pathname } = new URL(url);
    return this.exec(node, "sh", "-c", `printf 'GET ${pathname} HTTP/1.0\\r\\n\\r\\n' | nc ${hostname} ${port}`);
  }

  async ifindex(pod: string, device: string): Promise<number> {
    const [link] = JSON.parse(await this.exec(`pod-${pod}`, "ip", "-j", "link", "show", device)) as { ifindex: number }[];
    if (!link) throw new Error(`pod ${pod} has no ${device}`);
    return link.ifindex;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.ctl("lab", "down");
  }

  #withPrefix(args: readonly string[]): string[] {
    return ["--prefix", this.prefix, ...args];
  }
}
