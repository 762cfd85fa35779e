import { type DestinationStream, type Logger, pino } from "pino";
import type { Fields, Log } from "../core/log.js";

/** NSM's LOG_LEVEL values. */
export const logLevels = ["TRACE", "DEBUG", "INFO", "WARN", "ERROR", "FATAL"] as const;
export type LogLevel = (typeof logLevels)[number];

const secrets = ["token", "privateKey", "key", "secret", "password", "authorization"];

/** JSON lines on stderr (or `destination`), with secrets replaced wherever a field is called like one. */
export function createLog(parts: {
  readonly name: string;
  readonly level: LogLevel;
  readonly destination?: DestinationStream | undefined;
}): Log {
  const options = {
    name: parts.name,
    level: parts.level.toLowerCase(),
    redact: { paths: secrets.flatMap((name) => [name, `*.${name}`, `*.*.${name}`]), censor: "(secret)" },
  };
  return wrap(pino(options, parts.destination ?? pino.destination({ fd: 2, sync: true })));
}

function wrap(logger: Logger): Log {
  return {
    debug: (event, fields) => logger.debug(plain(fields), event),
    info: (event, fields) => logger.info(plain(fields), event),
    warn: (event, fields) => logger.warn(plain(fields), event),
    error: (event, fields) => logger.error(plain(fields), event),
    child: (fields) => wrap(logger.child(plain(fields))),
  };
}

/** Errors do not print by themselves under other names than `err`. */
function plain(fields: Fields = {}): Fields {
  return Object.fromEntries(
    Object.entries(fields).map(([name, value]) => [name, value instanceof Error ? pino.stdSerializers.err(value) : value]),
  );
}
