import type { AttachRequest, DetachRequest, PodReference, ServeRequest, UnserveRequest } from "../api/gen/isthmus/v1/node.js";
import type {
  NetworkService,
  NetworkServiceEndpoint,
  NetworkServiceEndpointQuery,
  NetworkServiceQuery,
} from "../api/gen/registry/registry.js";
import { MeshError } from "../core/error.js";
import { checkCount, checkMap, checkName, checkText, checkTextMap, checkTexts, checkTime } from "./check.js";
import { limits } from "./limits.js";

export function checkService(service: NetworkService): void {
  checkName("the network service's name", service.name);
  checkName("the payload", service.payload);
  checkTexts("path_ids", service.pathIds, limits.pathSegments, limits.url);
  checkCount("the list of matches", service.matches.length, limits.matches);
  for (const match of service.matches) {
    checkTextMap("a match's source selector", match.sourceSelector);
    if (match.metadata !== undefined) checkTextMap("a match's metadata", match.metadata.labels);
    checkCount("a match's routes", match.routes.length, limits.routes);
    for (const route of match.routes) checkTextMap("a route's destination selector", route.destinationSelector);
  }
}

export function checkEndpoint(endpoint: NetworkServiceEndpoint): void {
  checkName("the endpoint's name", endpoint.name);
  checkText("the endpoint's URL", endpoint.url, limits.url);
  checkTexts("path_ids", endpoint.pathIds, limits.pathSegments, limits.url);
  checkCount("the endpoint's network services", endpoint.networkServiceNames.length, limits.services);
  for (const name of endpoint.networkServiceNames) checkName("a network service's name", name);
  checkMap("the endpoint's labels by service", endpoint.networkServiceLabels);
  for (const labels of Object.values(endpoint.networkServiceLabels)) checkTextMap("the endpoint's labels", labels.labels);
  checkTime("the endpoint's expiration time", endpoint.expirationTime);
  checkTime("the endpoint's registration time", endpoint.initialRegistrationTime);
}

export function checkServiceQuery(query: NetworkServiceQuery): void {
  if (query.networkService === undefined) throw new MeshError("invalid", "the query names no network service to compare with");
  checkService(query.networkService);
}

export function checkEndpointQuery(query: NetworkServiceEndpointQuery): void {
  if (query.networkServiceEndpoint === undefined) throw new MeshError("invalid", "the query names no endpoint to compare with");
  checkEndpoint(query.networkServiceEndpoint);
}

export function checkAttach(request: AttachRequest): void {
  checkName("the network service's name", request.networkService);
  checkPod(request.pod);
  checkName("the interface's name", request.interface);
  checkTextMap("the labels", request.labels);
  checkName("the mechanism", request.mechanism);
  checkName("the endpoint's name", request.endpoint);
  checkTexts("the list of addresses", request.ips, limits.cidrs, limits.ipText);
  checkName("the sticky name", request.sticky);
  checkTexts("the list of announced prefixes", request.announces, limits.routes, limits.ipText);
  checkTexts("the list of services", request.services, limits.services, limits.name);
}

export function checkDetach(request: DetachRequest): void {
  checkName("the attachment's id", request.id);
}

export function checkServe(request: ServeRequest): void {
  checkName("the network service's name", request.networkService);
  checkPod(request.pod);
  checkTexts("the list of prefixes", request.cidrs, limits.cidrs, limits.ipText);
  checkName("the payload", request.payload);
  checkTextMap("the labels", request.labels);
  checkName("the endpoint's name", request.name);
}

export function checkUnserve(request: UnserveRequest): void {
  checkName("the endpoint's name", request.name);
}

function checkPod(pod: PodReference | undefined): void {
  if (pod === undefined) throw new MeshError("invalid", "the request names no pod");
  checkName("the pod's name", pod.name);
  checkText("the pod's network namespace", pod.netnsUrl, limits.url);
  checkTextMap("the pod's labels", pod.labels);
}
