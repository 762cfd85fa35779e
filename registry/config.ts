import { mostEntries } from "../identity/policy/parse.js";
import { isNamePattern } from "../identity/policy/patterns.js";
import { auditLog } from "../program/audit.js";
import { type ConfigOf, setting } from "../program/config.js";
import { identitySettings } from "../program/identity.js";
import { duration, integer, list, oneOf, optionalText, text } from "../program/values.js";
import { limits } from "../rpc/limits.js";

const life = duration.refine((ms) => ms >= 1_000 && ms <= 86_400_000, "a duration from 1s to 24h");

const svidLife = duration.refine((ms) => ms >= 20_000 && ms <= 30 * 86_400_000, "a duration from 20s to 720h");

/** They become entries of the policy. */
const exported = list.refine(
  (patterns) => patterns.length <= mostEntries && patterns.every(isNamePattern),
  `at most ${mostEntries} names or patterns, without spaces`,
);

/** What a registry can be told. */
export const registrySettings = {
  name: setting("NSM_NAME", "the name of this registry in errors and logs", text, "registry"),
  ...identitySettings,
  site: setting("NSM_SITE", "the site whose registry this is", text, "default"),
  listenOn: setting(
    "NSM_LISTEN_ON",
    "where it is served",
    list.refine((urls) => urls.length > 0, "at least one URL"),
    "unix:///run/isthmus/registry.sock,tcp://:5002",
  ),
  store: setting("NSM_STORE", "where it keeps its data", oneOf("lmdb", "memory", "etcd"), "lmdb"),
  etcdEndpoints: setting(
    "NSM_ETCD_ENDPOINTS",
    "the members of the etcd, in the order in which they are tried",
    list,
    "http://127.0.0.1:2379",
  ),
  etcdPrefix: setting("NSM_ETCD_PREFIX", "before every key in etcd; registries with the same are one (isthmus/SITE/)", optionalText, ""),
  etcdCa: setting("NSM_ETCD_CA", "the file with the certificate that etcd's own are signed by", optionalText, ""),
  etcdCert: setting("NSM_ETCD_CERT", "the file with this registry's certificate for etcd", optionalText, ""),
  etcdKey: setting("NSM_ETCD_KEY", "the file with the key of that certificate", optionalText, ""),
  stateDir: setting("NSM_STATE_DIR", "the folder for what must survive a restart", text, "/var/lib/isthmus/registry"),
  adminSocket: setting(
    "NSM_ADMIN_SOCKET",
    "the unix socket of isthmus.v1, for this site's administrator",
    text,
    "unix:///run/isthmus/registry-admin.sock",
  ),
  auditLog,
  trustDomain: setting(
    "NSM_TRUST_DOMAIN",
    "the trust domain that this registry's authority signs for; the site's name unless given",
    optionalText,
    "",
  ),
  svidLifetime: setting(
    "NSM_SVID_LIFETIME",
    "how long the identities last that this registry's authority gives; they are renewed at half of it",
    svidLife,
    "1h",
  ),
  caKeyFile: setting("NSM_CA_KEY_FILE", "the authority's key, PEM, mode 0600; made in the state folder unless given", optionalText, ""),
  caCertificateFile: setting("NSM_CA_CERT_FILE", "the authority's certificate, PEM; made with the key unless given", optionalText, ""),
  maxTokenLifetime: setting("NSM_MAX_TOKEN_LIFETIME", "how long a token of this registry lasts", life, "10m"),
  export: setting(
    "NSM_EXPORT",
    "the services that joined sites may find here and ask for: names, or patterns such as public-*",
    exported,
    "*",
  ),
  segmentsPerSite: setting(
    "NSM_SEGMENTS_PER_SITE",
    "how many segments of each joined site this one takes part in, where that names it; 0: in none",
    integer(0, limits.segments),
    "64",
  ),
  forwarderService: setting(
    "NSM_FORWARDER_NETWORK_SERVICE_NAME",
    "the service that forwarders serve; it is every site's own, and no other site sees it",
    text,
    "forwarder",
  ),
  federationUrls: setting(
    "NSM_FEDERATION_URLS",
    "where the registries of other sites reach this site's, in the order in which they are tried; the first tcp:// url of NSM_LISTEN_ON unless given",
    list,
    "",
  ),
  expirePeriod: setting("NSM_EXPIRE_PERIOD", "the longest life of an endpoint that is not registered again", life, "1m"),
};

export type RegistryConfig = ConfigOf<typeof registrySettings>;
