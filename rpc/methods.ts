import { Connection, ConnectionEvent, MonitorScopeSelector } from "../api/gen/connection/connection.js";
import { Empty } from "../api/gen/google/protobuf/empty.js";
import { HealthCheckRequest, HealthCheckResponse } from "../api/gen/grpc/health/v1/health.js";
import { PrefixRequest, PrefixResponse } from "../api/gen/ipam/ipam.js";
import { IssuedIdentity, JoinRequest, RenewRequest, TrustBundles } from "../api/gen/isthmus/v1/identity.js";
import {
  Attachment,
  AttachRequest,
  DetachRequest,
  ListAttachmentsResponse,
  ListConnectionsResponse,
  ListEndpointsResponse,
  ListNodesResponse,
  ListServicesResponse,
  NodeInfo,
  ReadSegmentCountersResponse,
  ServedEndpoint,
  ServeRequest,
  UnserveRequest,
} from "../api/gen/isthmus/v1/node.js";
import { ApplyPolicyRequest, PolicyInForce, SitePolicy } from "../api/gen/isthmus/v1/policy.js";
import {
  CountedNode,
  DeleteSegmentRequest,
  ListBlocksRequest,
  ReleaseBlocksRequest,
  Segment,
  SegmentBlockList,
  SegmentCountersRequest,
  SegmentList,
  StickyClaim,
  StickyLease,
} from "../api/gen/isthmus/v1/segment.js";
import {
  InviteNodeRequest,
  InviteNodeResponse,
  InviteSiteRequest,
  InviteSiteResponse,
  JoinedSite,
  JoinFederationRequest,
  JoinSiteRequest,
  LeaveSiteRequest,
  ListSitesResponse,
  SiteInfo,
} from "../api/gen/isthmus/v1/site.js";
import { NetworkServiceRequest } from "../api/gen/networkservice/networkservice.js";
import {
  NetworkService,
  NetworkServiceEndpoint,
  NetworkServiceEndpointQuery,
  NetworkServiceEndpointResponse,
  NetworkServiceQuery,
  NetworkServiceResponse,
} from "../api/gen/registry/registry.js";
import { checkName } from "./check.js";
import { checkConnection, checkEvent, checkRequest, checkSelector } from "./checkConnection.js";
import { checkInvite, checkJoin, checkJoinFederation, checkJoinSite, checkLeaveSite, checkRenew, checkSiteInfo } from "./checkIdentity.js";
import {
  checkAttach,
  checkDetach,
  checkEndpoint,
  checkEndpointQuery,
  checkServe,
  checkService,
  checkServiceQuery,
  checkUnserve,
} from "./checkRegistry.js";
import {
  checkBlock,
  checkCounted,
  checkCountersRequest,
  checkDeleteSegment,
  checkListBlocks,
  checkPrefixRequest,
  checkReleaseBlocks,
  checkSegment,
  checkSegments,
  checkStickyClaim,
  checkStickyLease,
} from "./checkSegment.js";
import { type Codec, codec } from "./codec.js";
import { limits } from "./limits.js";
import { checkApply } from "./policyApi.js";

/** One call of the wire: its path (/package.Service/Method), and what goes in and out. */
export interface Method<Request, Response> {
  readonly path: string;
  readonly request: Codec<Request>;
  readonly response: Codec<Response>;
}

function method<Request, Response>(path: string, request: Codec<Request>, response: Codec<Response>): Method<Request, Response> {
  return { path, request, response };
}

const connection = codec("Connection", Connection, checkConnection);
const empty = codec("Empty", Empty);
const service = codec("NetworkService", NetworkService, checkService);
const endpoint = codec("NetworkServiceEndpoint", NetworkServiceEndpoint, checkEndpoint);
const healthQuestion = codec("HealthCheckRequest", HealthCheckRequest, (message) => checkName("the service's name", message.service));
const healthAnswer = codec("HealthCheckResponse", HealthCheckResponse);

export const networkServiceMethods = {
  request: method(
    "/networkservice.NetworkService/Request",
    codec("NetworkServiceRequest", NetworkServiceRequest, checkRequest),
    // What is larger could not be sent again to renew it.
    codec("Connection", Connection, checkConnection, limits.message),
  ),
  close: method("/networkservice.NetworkService/Close", connection, empty),
};

export const monitorMethods = {
  watch: method(
    "/connection.MonitorConnection/MonitorConnections",
    codec("MonitorScopeSelector", MonitorScopeSelector, checkSelector),
    codec("ConnectionEvent", ConnectionEvent, checkEvent),
  ),
};

export const serviceRegistryMethods = {
  register: method("/registry.NetworkServiceRegistry/Register", service, service),
  unregister: method("/registry.NetworkServiceRegistry/Unregister", service, empty),
  find: method(
    "/registry.NetworkServiceRegistry/Find",
    codec("NetworkServiceQuery", NetworkServiceQuery, checkServiceQuery),
    codec("NetworkServiceResponse", NetworkServiceResponse, (answer) => answer.networkService && checkService(answer.networkService)),
  ),
};

export const endpointRegistryMethods = {
  register: method("/registry.NetworkServiceEndpointRegistry/Register", endpoint, endpoint),
  unregister: method("/registry.NetworkServiceEndpointRegistry/Unregister", endpoint, empty),
  find: method(
    "/registry.NetworkServiceEndpointRegistry/Find",
    codec("NetworkServiceEndpointQuery", NetworkServiceEndpointQuery, checkEndpointQuery),
    codec(
      "NetworkServiceEndpointResponse",
      NetworkServiceEndpointResponse,
      (answer) => answer.networkServiceEndpoint && checkEndpoint(answer.networkServiceEndpoint),
    ),
  ),
};

export const healthMethods = {
  check: method("/grpc.health.v1.Health/Check", healthQuestion, healthAnswer),
  watch: method("/grpc.health.v1.Health/Watch", healthQuestion, healthAnswer),
};

const issued = codec("IssuedIdentity", IssuedIdentity);

export const identityMethods = {
  join: method("/isthmus.v1.Identity/Join", codec("JoinRequest", JoinRequest, checkJoin), issued),
  renew: method("/isthmus.v1.Identity/Renew", codec("RenewRequest", RenewRequest, checkRenew), issued),
  followTrust: method("/isthmus.v1.Identity/FollowTrust", empty, codec("TrustBundles", TrustBundles)),
};

const segment = codec("Segment", Segment, checkSegment);
const blockList = codec("SegmentBlockList", SegmentBlockList);
const segmentList = codec("SegmentList", SegmentList, checkSegments);

export const segmentMethods = {
  apply: method("/isthmus.v1.Segments/Apply", segment, segment),
  list: method("/isthmus.v1.Segments/List", empty, segmentList),
  delete: method("/isthmus.v1.Segments/Delete", codec("DeleteSegmentRequest", DeleteSegmentRequest, checkDeleteSegment), empty),
  listBlocks: method("/isthmus.v1.Segments/ListBlocks", codec("ListBlocksRequest", ListBlocksRequest, checkListBlocks), blockList),
  releaseBlocks: method(
    "/isthmus.v1.Segments/ReleaseBlocks",
    codec("ReleaseBlocksRequest", ReleaseBlocksRequest, checkReleaseBlocks),
    blockList,
  ),
};

export const segmentFeedMethods = {
  watch: method("/isthmus.v1.SegmentFeed/Watch", empty, segmentList),
};

const countersRequest = codec("SegmentCountersRequest", SegmentCountersRequest, checkCountersRequest);

export const segmentCountersMethods = {
  read: method("/isthmus.v1.SegmentCounters/Read", countersRequest, codec("CountedNode", CountedNode, checkCounted)),
};

export const blockMethods = {
  manage: method(
    "/ipam.IPAM/ManagePrefixes",
    codec("PrefixRequest", PrefixRequest, checkPrefixRequest),
    codec("PrefixResponse", PrefixResponse, checkBlock),
  ),
};

const stickyClaim = codec("StickyClaim", StickyClaim, checkStickyClaim);

export const stickyMethods = {
  claim: method("/isthmus.v1.StickyAddresses/Claim", stickyClaim, codec("StickyLease", StickyLease, checkStickyLease)),
  release: method("/isthmus.v1.StickyAddresses/Release", stickyClaim, empty),
};

const siteInfo = codec("SiteInfo", SiteInfo, checkSiteInfo);

export const federationMethods = {
  join: method("/isthmus.v1.Federation/Join", codec("JoinFederationRequest", JoinFederationRequest, checkJoinFederation), siteInfo),
  follow: method("/isthmus.v1.Federation/Follow", empty, siteInfo),
  segments: method("/isthmus.v1.Federation/Segments", empty, segmentList),
};

export const siteMethods = {
  inviteNode: method(
    "/isthmus.v1.Site/InviteNode",
    codec("InviteNodeRequest", InviteNodeRequest, checkInvite),
    codec("InviteNodeResponse", InviteNodeResponse),
  ),
  inviteSite: method(
    "/isthmus.v1.Site/InviteSite",
    codec("InviteSiteRequest", InviteSiteRequest),
    codec("InviteSiteResponse", InviteSiteResponse),
  ),
  joinSite: method("/isthmus.v1.Site/JoinSite", codec("JoinSiteRequest", JoinSiteRequest, checkJoinSite), codec("JoinedSite", JoinedSite)),
  listSites: method("/isthmus.v1.Site/ListSites", empty, codec("ListSitesResponse", ListSitesResponse)),
  leaveSite: method("/isthmus.v1.Site/LeaveSite", codec("LeaveSiteRequest", LeaveSiteRequest, checkLeaveSite), empty),
};

const sitePolicy = codec("SitePolicy", SitePolicy);

export const policyMethods = {
  apply: method("/isthmus.v1.Policy/Apply", codec("ApplyPolicyRequest", ApplyPolicyRequest, checkApply), sitePolicy),
  get: method("/isthmus.v1.Policy/Get", empty, sitePolicy),
};

export const policyFeedMethods = {
  watch: method("/isthmus.v1.PolicyFeed/Watch", empty, codec("PolicyInForce", PolicyInForce)),
};

const endpointList = codec("ListEndpointsResponse", ListEndpointsResponse);

export const nodeMethods = {
  info: method("/isthmus.v1.Node/Info", empty, codec("NodeInfo", NodeInfo)),
  attach: method("/isthmus.v1.Node/Attach", codec("AttachRequest", AttachRequest, checkAttach), codec("Attachment", Attachment)),
  detach: method("/isthmus.v1.Node/Detach", codec("DetachRequest", DetachRequest, checkDetach), empty),
  listAttachments: method("/isthmus.v1.Node/ListAttachments", empty, codec("ListAttachmentsResponse", ListAttachmentsResponse)),
  serve: method("/isthmus.v1.Node/Serve", codec("ServeRequest", ServeRequest, checkServe), codec("ServedEndpoint", ServedEndpoint)),
  unserve: method("/isthmus.v1.Node/Unserve", codec("UnserveRequest", UnserveRequest, checkUnserve), empty),
  listConnections: method("/isthmus.v1.Node/ListConnections", empty, codec("ListConnectionsResponse", ListConnectionsResponse)),
  listServices: method("/isthmus.v1.Node/ListServices", empty, codec("ListServicesResponse", ListServicesResponse)),
  listEndpoints: method("/isthmus.v1.Node/ListEndpoints", empty, endpointList),
  listForwarders: method("/isthmus.v1.Node/ListForwarders", empty, endpointList),
  listNodes: method("/isthmus.v1.Node/ListNodes", empty, codec("ListNodesResponse", ListNodesResponse)),
  readSegmentCounters: method(
    "/isthmus.v1.Node/ReadSegmentCounters",
    countersRequest,
    codec("ReadSegmentCountersResponse", ReadSegmentCountersResponse),
  ),
};
