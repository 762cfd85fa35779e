import { auditLog } from "../program/audit.js";
import { setting } from "../program/config.js";
import { memberSettings } from "../program/identity.js";
import { duration, external, list, optionalText, text } from "../program/values.js";

/** What nsmgr can be told. Names are NSM's where NSM has one. */
export const nsmgrSettings = {
  name: setting("NSM_NAME", "the name of this nsmgr in paths", text, "nsmgr"),
  ...memberSettings,
  site: setting("NSM_SITE", "the site that this node belongs to", text, "default"),
  nodeName: setting("NSM_NODE_NAME", "the node's name, the label nodeName of what is here; NSM_NAME unless given", optionalText, ""),
  listenOn: setting(
    "NSM_LISTEN_ON",
    "where NSM's API is served; the first tcp:// url is the one published",
    list,
    "unix:///run/isthmus/nsmgr.sock,tcp://:5001",
  ),
  externalAddress: setting(
    "NSM_EXTERNAL_ADDRESS",
    "where other sites reach it: ADDRESS or ADDRESS:PORT; none: nowhere, and what is served here is not shown to them; the published url unless given",
    external,
    "",
  ),
  registryUrls: setting(
    "NSM_REGISTRY_URL",
    "the site's registry; several addresses where it has replicas, each asked when the one before is away",
    list.refine((urls) => urls.length > 0, "at least one URL"),
    "tcp://localhost:5002",
  ),
  nodeSocket: setting(
    "NSM_NODE_SOCKET",
    "the unix socket of isthmus.v1, for this node's administrator",
    text,
    "unix:///run/isthmus/node.sock",
  ),
  runDir: setting("NSM_RUN_DIR", "the folder for sockets of its own", text, "/run/isthmus"),
  stateDir: setting("NSM_STATE_DIR", "the folder for what must survive a restart", text, "/var/lib/isthmus/nsmgr"),
  auditLog,
  dialTimeout: setting("NSM_DIAL_TIMEOUT", "how long a dial may take", duration, "750ms"),
  forwarderService: setting("NSM_FORWARDER_NETWORK_SERVICE_NAME", "the service that forwarders serve", text, "forwarder"),
  maxTokenLifetime: setting("NSM_MAX_TOKEN_LIFETIME", "how long a token is good for", duration, "10m"),
  excludedPrefixesFile: setting(
    "NSM_EXCLUDED_PREFIXES_FILE",
    "a file with prefixes that no connection may use",
    text,
    "/var/lib/networkservicemesh/config/excluded_prefixes.yaml",
  ),
};
