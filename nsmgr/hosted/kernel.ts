import { createHash } from "node:crypto";
import type { Connection, Mechanism } from "../../api/gen/connection/connection.js";
import type { Call, Element } from "../../core/chain.js";
import { MeshError } from "../../core/error.js";
import { KERNEL, kernelMechanism } from "../../core/mechanism.js";
import type { HostedRecord } from "./record.js";

/** Answers the mechanism of the endpoint's side: an interface in the serving pod's network namespace, one per connection. */
export function servedInterface(record: HostedRecord): Element {
  return {
    name: "interface",
    async request(call, next) {
      const offered = kernelOffer(call);
      if (offered === undefined) throw noKernel(record, call);
      const mechanism = kernelMechanism({ netns: record.netnsUrl, name: interfaceName(record.service, call.connection.id) }, offered);
      return await next.request({ ...call, connection: { ...call.connection, mechanism } });
    },
  };
}

function kernelOffer({ connection, preferences }: Call): Mechanism | undefined {
  const offers = connection.mechanism === undefined ? preferences : [connection.mechanism, ...preferences];
  return offers.find((offer) => offer.type === KERNEL);
}

function noKernel(record: HostedRecord, { preferences }: Call): MeshError {
  const types = preferences.map((offer) => offer.type).join(", ") || "none";
  return new MeshError("no-mechanism", `endpoint ${record.name} takes ${KERNEL} interfaces only, and was offered ${types}`);
}

/** At most 15 characters: what the service is called, as far as it fits, and a hash of the connection. */
function interfaceName(service: string, id: Connection["id"]): string {
  const prefix =
    service
      .toLowerCase()
      .replace(/[^a-z0-9]/g, "")
      .slice(0, 6) || "nse";
  return `${prefix}-${createHash("sha256").update(id).digest("hex").slice(0, 8)}`;
}
