import type { ApplyPolicyRequest, SitePolicy as SitePolicyMessage } from "../../api/gen/isthmus/v1/policy.js";
import type { Audit } from "../../core/audit.js";
import { asMeshError, MeshError } from "../../core/error.js";
import { builtIn, HeldPolicy, type InForce, type PolicySource } from "../../identity/policy/inForce.js";
import { authorNeeds, lockedOut, type Needs } from "../../identity/policy/lockout.js";
import { formatPolicy, parseInForce, parsePolicy } from "../../identity/policy/parse.js";
import { joined, type Policy } from "../../identity/policy/policy.js";
import type { PolicyApi } from "../../rpc/policyApi.js";
import { fenced } from "../fenced.js";
import type { Revision } from "../store.js";
import { View, type ViewParts } from "../view.js";
import { everyPolicy, own, type PolicyDocument, policyKind } from "./document.js";

export interface SitePolicyParts extends Omit<ViewParts<PolicyDocument>, "kind"> {
  readonly trustDomain: string;
  /** The programs of the site's nodes, which a policy must not lock out unless it is forced to. */
  readonly nodes: () => Promise<readonly Needs[]>;
  readonly audit: Audit;
}

/**
 * The policy of this site, in its store: what the administrator applied (else the one of a fresh site), and the rules that other documents
 * under the same prefix add, which is where those of joined sites go. Several registries with one store have the same.
 */
export class SitePolicy implements PolicySource, PolicyApi, AsyncDisposable {
  readonly #parts: SitePolicyParts;
  readonly #view: View<PolicyDocument>;
  readonly #fresh: InForce;
  readonly #held: HeldPolicy;
  readonly #stop = new AbortController();
  /** Those that are in force, by name. */
  #documents: ReadonlyMap<string, PolicyDocument>;
  #following: Promise<void> = Promise.resolve();

  private constructor(parts: SitePolicyParts, view: View<PolicyDocument>) {
    this.#parts = parts;
    this.#view = view;
    this.#fresh = builtIn(parts.trustDomain);
    this.#documents = this.#found();
    this.#held = new HeldPolicy(this.#inForce());
  }

  static async open(parts: SitePolicyParts): Promise<SitePolicy> {
    const policy = new SitePolicy(parts, await View.open({ ...parts, kind: policyKind }));
    policy.#following = policy.#follow();
    return policy;
  }

  get current(): InForce {
    return this.#held.current;
  }

  listen(listener: () => void): Disposable {
    return this.#held.listen(listener);
  }

  async get(): Promise<SitePolicyMessage> {
    const { text, version, appliedMs } = this.#own();
    return { text, version, appliedMs, inForce: formatPolicy(this.current.policy) };
  }

  async apply({ text, force, author }: ApplyPolicyRequest, signal: AbortSignal): Promise<SitePolicyMessage> {
    const { store, clock, log, audit } = this.#parts;
    const policy = parsePolicy(text, "the policy");
    const lost = await this.#lostBy(policy, author);
    if (lost.length > 0 && !force)
      throw new MeshError(
        "denied",
        `this policy would lock out ${lost.length} of those it must not: ${lost.slice(0, 3).join("; ")}; add rules for them, or \`nsmctl policy apply --force\` it`,
      );
    let version = 0;
    const revision = await fenced(store, policyKind.prefix + own, (found) => {
      version = (found === undefined ? 0 : policyKind.decode(found).version) + 1;
      const value = policyKind.encode({ name: own, version, text, appliedMs: clock.now() });
      return { op: "put", key: policyKind.prefix + own, value };
    });
    await this.#view.settled(revision ?? 0, signal);
    this.#refresh();
    log.info("policy applied", { version, rules: policy.rules.length, forced: force });
    const who = author === "" ? "the administrator" : author;
    const forced = lost.length > 0 ? `, by force although ${lost.join("; ")}` : "";
    audit.changed({ who, what: "policy", on: `version ${version}`, sentence: `applied a policy of ${policy.rules.length} rules${forced}` });
    return await this.get();
  }

  /** Resolves when what was written at `revision`, by whomever, is in force here. */
  async settled(revision: Revision): Promise<void> {
    await this.#view.settled(revision, this.#stop.signal);
    this.#refresh();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#stop.abort();
    await this.#view[Symbol.asyncDispose]();
    await this.#following;
  }

  async #follow(): Promise<void> {
    for await (const _ of this.#view.watch(everyPolicy, this.#stop.signal)) this.#refresh();
  }

  #refresh(): void {
    const [before, now] = [this.#documents, this.#found()];
    const changed = [...new Set([...before.keys(), ...now.keys()])].filter((name) => before.get(name) !== now.get(name));
    if (changed.length === 0) return;
    this.#documents = now;
    this.#held.set(this.#inForce());
    // Who applied the administrator's own is told where it was applied.
    for (const name of changed.filter((one) => one !== own && before.get(one)?.text !== now.get(one)?.text))
      this.#tell(name, now.has(name));
  }

  #found(): ReadonlyMap<string, PolicyDocument> {
    return new Map(this.#view.find(everyPolicy).map((document) => [document.name, document]));
  }

  #tell(name: string, holds: boolean): void {
    const sentence = holds
      ? `the rules of ${name} hold here now, beside the administrator's own`
      : `the rules of ${name} do not hold here any more`;
    this.#parts.log.info("policy changed", { document: name, holds });
    this.#parts.audit.changed({ who: "federation", what: "policy", on: name, sentence });
  }

  /** With what other documents add. */
  async #lostBy(policy: Policy, author: string): Promise<string[]> {
    const whole = joined([policy, ...this.#others()]);
    const needs = await this.#parts.nodes();
    return lockedOut(whole, author === "" ? needs : [authorNeeds(author, this.current.policy), ...needs]);
  }

  #own(): Pick<PolicyDocument, "version" | "text" | "appliedMs"> {
    return this.#documents.get(own) ?? { version: this.#fresh.version, text: this.#fresh.text, appliedMs: 0 };
  }

  #inForce(): InForce {
    const { text, version } = this.#own();
    const policy = joined([this.#read(own, text), ...this.#others()]);
    return { policy, text: formatPolicy(policy), version };
  }

  #others(): Policy[] {
    const others = [...this.#documents.values()].filter(({ name }) => name !== own);
    return others.sort((a, b) => (a.name < b.name ? -1 : 1)).map(({ name, text }) => this.#read(name, text));
  }

  /** What cannot be read allows nothing. */
  #read(name: string, text: string): Policy {
    try {
      return parseInForce(text, `the policy ${name}`);
    } catch (error) {
      this.#parts.log.error("policy not readable, it allows nothing", { name, reason: asMeshError(error).message });
      return { rules: [] };
    }
  }
}
