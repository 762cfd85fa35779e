import { type ConfigOf, setting } from "../program/config.js";
import { duration, list, oneOf, text } from "../program/values.js";

const life = duration.refine((ms) => ms >= 1_000 && ms <= 86_400_000, "a duration from 1s to 24h");

/** What a registry can be told. */
export const registrySettings = {
  name: setting("NSM_NAME", "the name of this registry in errors and logs", text, "registry"),
  site: setting("NSM_SITE", "the site whose registry this is", text, "default"),
  listenOn: setting(
    "NSM_LISTEN_ON",
    "where it is served",
    list.refine((urls) => urls.length > 0, "at least one URL"),
    "unix:///run/isthmus/registry.sock,tcp://:5002",
  ),
  store: setting("NSM_STORE", "where it keeps its data", oneOf("lmdb", "memory"), "lmdb"),
  stateDir: setting("NSM_STATE_DIR", "the folder for what must survive a restart", text, "/var/lib/isthmus/registry"),
  maxTokenLifetime: setting("NSM_MAX_TOKEN_LIFETIME", "how long a token of this registry lasts", life, "10m"),
  expirePeriod: setting("NSM_EXPIRE_PERIOD", "the longest life of an endpoint that is not registered again", life, "1m"),
};

export type RegistryConfig = ConfigOf<typeof registrySettings>;
