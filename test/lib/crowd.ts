import { type Attachment, AttachRequest } from "../../api/gen/isthmus/v1/node.js";
import { raisePod } from "../../cli/lab/network.js";
import { removeNetns } from "../../kernel/netns.js";
import type { NodeClient } from "../../rpc/node.js";
import { inParallel } from "./inParallel.js";
import type { Lab } from "./lab.js";
import { nodeClient } from "./nodeClient.js";
import { bare } from "./ping.js";

const patience = (): AbortSignal => AbortSignal.timeout(60_000);

/** Where a crowd is, and how many pods it has. */
export interface CrowdPlace {
  readonly node: string;
  readonly segment: string;
  readonly count: number;
}

/** A pod that is in the segment. */
export interface Member {
  readonly node: string;
  readonly pod: string;
  /** That it was given, without length. */
  readonly addresses: readonly string[];
}

/**
 * Pods of one node by the hundred, for a segment. They are network namespaces that the lab does not know of, because it makes and removes
 * them one by one; and they join and leave through the node's own socket, because each nsmctl takes half a second to start.
 */
export class Crowd implements AsyncDisposable {
  readonly node: string;
  readonly segment: string;
  readonly pods: readonly string[];
  readonly client: NodeClient;
  readonly #lab: Lab;
  readonly #channel: AsyncDisposable;
  readonly #joined = new Map<string, Attachment>();

  private constructor(lab: Lab, { node, segment, count }: CrowdPlace) {
    const { node: client, ...channel } = nodeClient(lab, node);
    this.node = node;
    this.client = client;
    this.#lab = lab;
    this.segment = segment;
    this.#channel = channel;
    this.pods = Array.from({ length: count }, (_, at) => `${segment}-${node}-${at}`);
  }

  static async raise(lab: Lab, place: CrowdPlace): Promise<Crowd> {
    const crowd = new Crowd(lab, place);
    try {
      for (const pod of crowd.pods) raisePod(crowd.namespace(pod));
    } catch (error) {
      await crowd[Symbol.asyncDispose]();
      throw error;
    }
    return crowd;
  }

  namespace(pod: string): string {
    return `${this.#lab.prefix}-pod-${pod}`;
  }

  /** Those that are in the segment now. */
  get members(): Member[] {
    const addressesOf = ({ connection }: Attachment) => connection?.context?.ipContext?.srcIpAddrs.map(bare) ?? [];
    return [...this.#joined].map(([pod, attachment]) => ({ node: this.node, pod, addresses: addressesOf(attachment) }));
  }

  has(pod: string): boolean {
    return this.#joined.has(pod);
  }

  async join(pod: string): Promise<Attachment> {
    const request = { networkService: this.segment, pod: { name: pod, netnsUrl: `file://${this.#lab.netns(`pod-${pod}`)}` } };
    const attachment = await this.client.attach(AttachRequest.fromPartial({ ...request, timeoutMs: 30_000 }), patience());
    this.#joined.set(pod, attachment);
    return attachment;
  }

  async leave(pod: string): Promise<void> {
    const attachment = this.#joined.get(pod);
    if (attachment === undefined) return;
    this.#joined.delete(pod);
    await this.client.detach({ id: attachment.id }, patience());
  }

  /** Until so many are members, `atOnce` at a time; in their order. */
  async fill(count: number, atOnce = 8): Promise<void> {
    const outside = this.pods.filter((pod) => !this.#joined.has(pod)).slice(0, Math.max(0, count - this.#joined.size));
    await inParallel(outside.length, atOnce, (at) => this.join(outside[at] ?? ""));
  }

  /** Until nobody is a member. */
  async empty(atOnce = 8): Promise<void> {
    const inside = [...this.#joined.keys()];
    await inParallel(inside.length, atOnce, (at) => this.leave(inside[at] ?? ""));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#channel[Symbol.asyncDispose]();
    for (const pod of this.pods) removeNetns(this.namespace(pod));
  }
}
