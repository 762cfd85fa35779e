import type { Audit } from "../../core/audit.js";
import type { Prover } from "../../core/checkTokens.js";
import type { Clock } from "../../core/clock.js";
import { Gate } from "../../identity/policy/gate.js";
import type { PolicySource } from "../../identity/policy/inForce.js";
import { audited } from "../../rpc/audited.js";
import type { BlocksApi } from "../../rpc/blocks.js";
import type { FederationApi, IdentityApi } from "../../rpc/identityApi.js";
import { policedEndpoints, policedServices } from "../../rpc/policed.js";
import { policyFeed } from "../../rpc/policyFeed.js";
import type { EndpointRegistry, ServiceRegistry } from "../../rpc/registry.js";
import { type SegmentSource, segmentFeed } from "../../rpc/segmentApi.js";
import type { Services } from "../../rpc/services.js";
import type { StickyApi } from "../../rpc/sticky.js";

export interface OfferedParts {
  readonly services: ServiceRegistry;
  readonly endpoints: EndpointRegistry;
  readonly identity?: IdentityApi | undefined;
  readonly federation?: FederationApi | undefined;
  readonly segments: SegmentSource;
  readonly blocks?: BlocksApi | undefined;
  readonly sticky?: StickyApi | undefined;
  readonly policy: PolicySource;
  /** The own one's name. */
  readonly site: string;
  readonly audit: Audit;
  readonly prover?: Prover | undefined;
  readonly clock: Clock;
}

/** What a registry offers to others: as its policy allows it, with every denial in the audit log. */
export function offered(parts: OfferedParts): Services {
  const { services, endpoints, identity, federation, blocks, sticky, policy, site, audit, prover, clock } = parts;
  const policed = { gate: new Gate({ source: policy, audit, site }), prover, clock };
  return audited(
    {
      services: policedServices(services, policed),
      endpoints: policedEndpoints(endpoints, policed),
      identity,
      federation,
      policyFeed: policyFeed(policy),
      segmentFeed: segmentFeed(parts.segments),
      blocks,
      sticky,
    },
    audit,
  );
}
