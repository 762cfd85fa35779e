import { type DestinationStream, type Logger, pino } from "pino";
import type { Fields, Log } from "../core/log.js";

/** NSM's LOG_LEVEL values. */
export const logLevels = ["TRACE", "DEBUG", "INFO", "WARN", "ERROR", "FATAL"] as const;
export type LogLevel = (typeof logLevels)[number];

/** Fields that are never written. */
const secrets = new Set(["token", "privateKey", "key", "secret", "password", "authorization"]);
/** How deep in a line they are looked for: a field, what is in it, and what is in that. */
const deepest = 3;

/** JSON lines on stderr (or `destination`), with secrets replaced wherever a field is called like one. */
export function createLog(parts: {
  readonly name: string;
  readonly level: LogLevel;
  readonly destination?: DestinationStream | undefined;
}): Log {
  const options = { name: parts.name, level: parts.level.toLowerCase() };
  return wrap(pino(options, parts.destination ?? pino.destination({ fd: 2, sync: true })));
}

function wrap(logger: Logger): Log {
  const debugs = logger.isLevelEnabled("debug");
  return {
    debugs,
    debug: (event, fields) => debugs && logger.debug(plain(fields), event),
    info: (event, fields) => logger.info(plain(fields), event),
    warn: (event, fields) => logger.warn(plain(fields), event),
    error: (event, fields) => logger.error(plain(fields), event),
    child: (fields) => wrap(logger.child(plain(fields))),
  };
}

/** As it may be written. Errors do not print by themselves under other names than `err`. pino's own way to leave secrets out copies each line whole. */
function plain(fields: Fields = {}, depth = 1): Fields {
  const written: Record<string, unknown> = {};
  for (const [name, value] of Object.entries(fields)) written[name] = secrets.has(name) ? "(secret)" : plainValue(value, depth);
  return written;
}

function plainValue(value: unknown, depth: number): unknown {
  if (typeof value !== "object" || value === null) return value;
  if (value instanceof Error) return plainValue(pino.stdSerializers.err(value), depth);
  if (depth >= deepest || "toJSON" in value) return value;
  return Array.isArray(value) ? value.map((item) => plainValue(item, depth + 1)) : plain(value as Fields, depth + 1);
}
