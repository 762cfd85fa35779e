import type { Clock } from "../../core/clock.js";
import { asMeshError, MeshError } from "../../core/error.js";
import type { Log } from "../../core/log.js";
import { Serial } from "../../core/serial.js";
import type { Step, Wireguard, WireguardPeer } from "../model.js";
import type { Link } from "../netlink/link.js";
import type { PeerStatus, WireguardDevices } from "../parts.js";
import type { DeviceState } from "./config.js";
import type { Flavour } from "./flavour.js";
import { publicKeyOf, readKeyFile } from "./keys.js";
import type { MeshLinks } from "./links.js";
import { Memory } from "./memory.js";

const firstRetryMs = 50;
const lastRetryMs = 1_000;

/** WireGuard devices of one mesh namespace. What is asked of one device is done one thing at a time. */
export class Devices implements WireguardDevices {
  readonly #flavour: Flavour;
  readonly #links: MeshLinks;
  readonly #clock: Clock;
  readonly #log: Log;
  readonly #serial = new Serial();
  readonly #memory = new Memory();
  readonly #listeners = new Set<(device: string, what: "gone" | "back") => void>();
  readonly #reviving = new Set<string>();
  readonly #closing = new AbortController();

  constructor(parts: { flavour: Flavour; links: MeshLinks; clock: Clock; log: Log }) {
    this.#flavour = parts.flavour;
    this.#links = parts.links;
    this.#clock = parts.clock;
    this.#log = parts.log;
    this.#flavour.onDeath((name) => this.#died(name));
  }

  async list(aliasPrefix: string): Promise<(Wireguard | WireguardPeer)[]> {
    const links = this.#links.withAlias(aliasPrefix).filter(({ kind }) => kind === this.#flavour.linkKind);
    return (await Promise.all(links.map((link) => this.#read(link.name)))).flat();
  }

  async find(names: readonly string[]): Promise<(Wireguard | WireguardPeer)[]> {
    return (await Promise.all(names.map((name) => this.#read(name)))).flat();
  }

  async apply(step: Step): Promise<void> {
    const object = step.op === "delete" ? step.old : step.value;
    if (object.kind === "wireguard") {
      const task = step.op === "delete" ? () => this.#delete(object.name) : () => this.#set(object);
      return await this.#serial.run(object.name, task);
    }
    if (object.kind === "wireguard-peer") {
      return await this.#serial.run(object.device, () => (step.op === "delete" ? this.#deletePeer(object) : this.#setPeer(object)));
    }
    throw new MeshError("internal", `a step of kind ${object.kind} is not WireGuard's`);
  }

  async status(device: string): Promise<PeerStatus[]> {
    const state = await this.#serial.run(device, () => this.#flavour.get(device));
    if (state === undefined) return [];
    this.#memory.learn(device, state);
    return state.peers.map(({ publicKey, endpoint, lastHandshake, rxBytes, txBytes }) => ({
      publicKey,
      endpoint,
      lastHandshake,
      rxBytes,
      txBytes,
    }));
  }

  onChange(listener: (device: string, what: "gone" | "back") => void): Disposable {
    this.#listeners.add(listener);
    return { [Symbol.dispose]: () => void this.#listeners.delete(listener) };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#closing.abort();
    await this.#flavour[Symbol.asyncDispose]();
    this.#links[Symbol.dispose]();
  }

  #read(name: string): Promise<(Wireguard | WireguardPeer)[]> {
    return this.#serial.run(name, async () => {
      const link = this.#links.find(name);
      if (link?.kind !== this.#flavour.linkKind) return [];
      const state = await this.#flavour.get(name);
      if (state === undefined) return [];
      this.#memory.learn(name, state);
      return [this.#wireguard(link, state), ...state.peers.map((peer) => peerOf(name, peer))];
    });
  }

  #wireguard(link: Link, state: DeviceState): Wireguard {
    const { name, alias, mtu } = link;
    const known = { kind: "wireguard", name, alias, listenPort: state.listenPort, mtu } as const;
    this.#memory.learnLink(name, { alias, mtu });
    const publicKey = state.privateKey === undefined ? "" : publicKeyOf(state.privateKey);
    const privateKeyFile = this.#memory.keyFile(name);
    return { ...known, privateKeyFile, publicKey, ...(link.up ? {} : { fault: "the device is down" }) };
  }

  async #set(wanted: Wireguard): Promise<void> {
    const privateKey = readKeyFile(wanted.privateKeyFile);
    await this.#flavour.create(wanted.name);
    const found = await this.#flavour.get(wanted.name);
    // A port that is set, even to what it is, is closed and opened.
    const listenPort = found?.listenPort === wanted.listenPort && this.#isUp(wanted.name) ? undefined : wanted.listenPort;
    this.#links.configure(wanted.name, wanted);
    await this.#flavour.set(wanted.name, { privateKey, listenPort });
    this.#memory.want(wanted, privateKey);
  }

  async #delete(name: string): Promise<void> {
    this.#memory.forget(name);
    await this.#flavour.destroy(name);
  }

  async #setPeer(wanted: WireguardPeer): Promise<void> {
    const { publicKey, endpoint, allowedIps, keepalive } = wanted;
    const change = { publicKey, endpoint, allowedIps, keepalive };
    await this.#flavour.set(wanted.device, { peers: [change] });
    this.#memory.wantPeer(wanted.device, change);
  }

  async #deletePeer({ device, publicKey }: WireguardPeer): Promise<void> {
    this.#memory.forgetPeer(device, publicKey);
    if (this.#links.find(device) === undefined) return;
    await this.#flavour.set(device, { peers: [{ publicKey, remove: true }] });
  }

  #isUp(name: string): boolean {
    return this.#links.find(name)?.up === true;
  }

  #died(name: string): void {
    // A dying wireguard-go may still be connected to for a moment: that is the same death.
    if (!this.#memory.has(name) || this.#reviving.has(name) || this.#closing.signal.aborted) return;
    this.#reviving.add(name);
    this.#log.warn("the carrier of a WireGuard device died and is started again", { device: name });
    this.#tell(name, "gone");
    void this.#serial.run(name, () => this.#revive(name));
  }

  async #revive(name: string): Promise<void> {
    for (let wait = firstRetryMs; this.#memory.has(name) && !this.#closing.signal.aborted; wait = Math.min(2 * wait, lastRetryMs)) {
      try {
        await this.#restore(name);
        this.#reviving.delete(name);
        this.#log.info("WireGuard is back", { device: name });
        return this.#tell(name, "back");
      } catch (error) {
        this.#log.warn("WireGuard did not come back", { device: name, reason: asMeshError(error).message, retryMs: wait });
      }
      await this.#clock.sleep(wait, this.#closing.signal).catch(() => {});
    }
    this.#reviving.delete(name);
  }

  async #restore(name: string): Promise<void> {
    const remembered = this.#memory.device(name);
    if (remembered === undefined) return;
    await this.#flavour.create(name);
    this.#links.configure(name, remembered);
    await this.#flavour.set(name, { ...remembered.change, replacePeers: true });
  }

  #tell(name: string, what: "gone" | "back"): void {
    for (const listener of this.#listeners) listener(name, what);
  }
}

function peerOf(device: string, { publicKey, endpoint, allowedIps, keepalive }: DeviceState["peers"][number]): WireguardPeer {
  return { kind: "wireguard-peer", device, publicKey, endpoint, allowedIps, keepalive };
}
