import { MeshError } from "../../core/error.js";
import { errnoOf } from "../ffi/system.js";
import { findFamily, genericAttributes, genericRequest, openGeneric } from "../netlink/generic.js";
import type { NetlinkSocket } from "../netlink/socket.js";
import { within } from "../netns.js";
import type { DeviceChange, DeviceState } from "./config.js";
import type { Flavour } from "./flavour.js";
import type { MeshLinks } from "./links.js";
import { decodeDevice, encodeChange, encodeQuestion, WG_CMD_GET_DEVICE, WG_CMD_SET_DEVICE, WG_GENL_VERSION } from "./message.js";

/** WireGuard of the kernel, by generic netlink. */
export class KernelFlavour implements Flavour {
  readonly linkKind = "wireguard";
  readonly #links: MeshLinks;
  readonly #socket: NetlinkSocket;
  readonly #family: number;

  constructor(mesh: string, links: MeshLinks) {
    this.#links = links;
    this.#socket = within(mesh, openGeneric);
    const family = findFamily(this.#socket, "wireguard");
    if (family === undefined) throw new MeshError("unsupported", "this kernel has no WireGuard; load it with `modprobe wireguard`");
    this.#family = family;
  }

  async create(name: string): Promise<void> {
    if (this.#links.find(name) === undefined) this.#links.createWireguard(name);
  }

  async destroy(name: string): Promise<void> {
    this.#links.remove(name);
  }

  async get(name: string): Promise<DeviceState | undefined> {
    const command = { id: WG_CMD_GET_DEVICE, version: WG_GENL_VERSION };
    const question = genericRequest(`read the WireGuard device ${name}`, this.#family, command, [encodeQuestion(name)]);
    try {
      return decodeDevice(this.#socket.dump(question).map(genericAttributes));
    } catch (error) {
      if (errnoOf(error) === "ENODEV") return undefined;
      throw error;
    }
  }

  async set(name: string, change: DeviceChange): Promise<void> {
    const command = { id: WG_CMD_SET_DEVICE, version: WG_GENL_VERSION };
    for (const attributes of encodeChange(name, change)) {
      this.#socket.request(genericRequest(`configure the WireGuard device ${name}`, this.#family, command, attributes));
    }
  }

  /** The kernel does not die. A device that somebody deleted is netlink's to tell. */
  onDeath(): void {}

  async [Symbol.asyncDispose](): Promise<void> {
    this.#socket[Symbol.dispose]();
  }
}
