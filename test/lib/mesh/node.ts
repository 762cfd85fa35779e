import type { Attachment, AttachRequest, ServedEndpoint, ServeRequest } from "../../../api/gen/isthmus/v1/node.js";
import { AttachRequest as AttachMessage, ServeRequest as ServeMessage } from "../../../api/gen/isthmus/v1/node.js";
import type { PolicySource } from "../../../identity/policy/inForce.js";
import { type Nsmgr, startNsmgr } from "../../../nsmgr/nsmgr.js";
import type { NodeClient } from "../../../rpc/node.js";
import type { FollowedPolicy } from "../../../rpc/policyFollower.js";
import type { MeshWorld } from "../mesh.js";
import { Disk } from "./disk.js";
import { StubForwarder } from "./forwarder.js";
import { meshIdentity } from "./identities.js";
import { Mortal } from "./mortal.js";
import { meshPolicy } from "./policy.js";
import { registryUrl } from "./registry.js";

const patience = new AbortController().signal;

/** A node: an nsmgr, its disk, and a forwarder without a kernel. */
export class MeshNode implements AsyncDisposable {
  readonly name: string;
  readonly urls: { readonly tcp: string; readonly unix: string; readonly node: string; readonly endpoints: string };
  readonly disk = new Disk();
  readonly forwarder: StubForwarder;
  excludedPrefixes: readonly string[] = [];
  /** Sockets that are known by their inode. */
  readonly sockets = new Map<string, string>();
  readonly #world: MeshWorld;
  readonly #caller: Mortal;
  #run: { readonly mortal: Mortal; readonly nsmgr: Nsmgr; readonly policy: FollowedPolicy } | undefined;

  constructor(world: MeshWorld, number: number) {
    this.#world = world;
    this.name = `node-${number}`;
    const run = `unix:///run/${this.name}`;
    this.urls = {
      tcp: `tcp://10.0.0.${number}:5001`,
      unix: `${run}/nsmgr.sock`,
      node: `${run}/node.sock`,
      endpoints: `${run}/endpoints.sock`,
    };
    this.forwarder = new StubForwarder(world, this.name, this.urls.unix);
    this.#caller = new Mortal(world);
  }

  async start(): Promise<void> {
    await this.startNsmgr();
    await this.forwarder.start();
  }

  async startNsmgr(): Promise<void> {
    const identity = await meshIdentity(this.#world, `node/${this.name}/nsmgr`);
    const mortal = new Mortal(this.#world, identity);
    const { namespaces, log, audit, tokenLifetimeMs } = this.#world;
    const name = `nsmgr-${this.name}`;
    const policy = meshPolicy({
      ...{ peers: mortal.peers, from: registryUrl, audit, log, clock: mortal.clock },
      disk: mortal.store(this.disk),
    });
    const nsmgr = await startNsmgr({
      config: {
        ...{
          name,
          site: this.#world.siteOf(this.name),
          nodeName: this.name,
          nodeId: this.name,
          version: "test",
          tokenLifetimeMs,
          registryUrls: [registryUrl],
        },
        ...{ listenOn: [this.urls.unix, this.urls.tcp], publishedUrl: this.urls.tcp, nodeSocket: this.urls.node },
        ...{ endpointsUrl: this.urls.endpoints, forwarderService: "forwarder" },
      },
      ...{ peers: mortal.peers, policy, audit, identity, store: mortal.store(this.disk), clock: mortal.clock, namespaces },
      listen: async (urls, services) => mortal.listen(urls, services, name),
      excludedPrefixes: () => this.excludedPrefixes,
      resolveUrl: async (url) => this.sockets.get(url) ?? url,
      log: log.child({ program: name }),
      sinks: this.#world.sinks(name),
      random: () => 0.5,
    });
    this.#run = { mortal, nsmgr, policy };
  }

  /** What its nsmgr and its forwarder follow, as far as they run. */
  get policies(): PolicySource[] {
    return [this.#run?.policy, this.forwarder.policy].filter((one) => one !== undefined);
  }

  /** As kill -9. */
  async killNsmgr(): Promise<void> {
    await this.#run?.mortal.kill();
    this.#run = undefined;
  }

  /** As SIGTERM. */
  async stopNsmgr(): Promise<void> {
    await this.#run?.nsmgr[Symbol.asyncDispose]();
    await this.#run?.policy[Symbol.asyncDispose]();
    await this.#run?.mortal.kill();
    this.#run = undefined;
  }

  /** What nsmctl calls. */
  get client(): NodeClient {
    return this.#caller.peers.node(this.urls.node);
  }

  /** Makes the pod if it is not there, and asks for an interface in it. */
  async attach(service: string, pod: string, more: Partial<AttachRequest> = {}, signal = patience): Promise<Attachment> {
    const request = AttachMessage.fromPartial({ networkService: service, pod: { name: pod, netnsUrl: this.pod(pod) }, ...more });
    return await this.client.attach(request, signal);
  }

  /** Makes the pod if it is not there, and serves in it, detached. */
  async serve(service: string, pod: string, more: Partial<ServeRequest> = {}): Promise<ServedEndpoint> {
    const request = ServeMessage.fromPartial({
      ...{ networkService: service, pod: { name: pod, netnsUrl: this.pod(pod) }, cidrs: ["172.16.1.0/24"], payload: "IP", detach: true },
      ...more,
    });
    for await (const served of this.client.serve(request, patience)) return served;
    throw new Error("serve ended without a word");
  }

  /** The url of a pod's network namespace, made if it is not there. */
  pod(name: string): string {
    const url = `file:///run/netns/${name}`;
    return this.#world.namespaces.look(url) === undefined ? this.#world.namespaces.add(name) : url;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#caller.kill();
    await this.stopNsmgr();
    await this.forwarder.kill();
  }
}
