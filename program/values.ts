import { isIP, isIPv6 } from "node:net";
import { z } from "zod";

/** Kinds of values in a configuration. All start as text; the message says what is allowed. */

export const text = z.string().min(1, "a text that is not empty");

export const optionalText = z.string();

/** Comma separated, spaces around each are dropped, "" is the empty list. */
export const list = z.string().transform((value) =>
  value
    .split(",")
    .map((part) => part.trim())
    .filter((part) => part !== ""),
);

export const bool = z.enum(["true", "false"], "true or false").transform((value) => value === "true");

export function integer(lowest: number, highest: number) {
  const message = `a whole number from ${lowest} to ${highest}`;
  return z
    .string()
    .regex(/^-?\d{1,15}$/, message)
    .transform(Number)
    .refine((value) => value >= lowest && value <= highest, message);
}

export function oneOf<const T extends readonly [string, ...string[]]>(...values: T) {
  return z.enum(values, `one of ${values.join(", ")}`);
}

const units: Readonly<Record<string, number>> = { ms: 1, s: 1000, m: 60_000, h: 3_600_000 };

/** As Go writes them (750ms, 15s, 1m30s, 1h); milliseconds. */
export const duration = z
  .string()
  .regex(/^(\d+(\.\d+)?(ms|s|m|h))+$/, "a duration such as 750ms, 15s, 10m or 1h30m")
  .transform((value) =>
    [...value.matchAll(/(\d+(?:\.\d+)?)(ms|s|m|h)/g)].reduce((sum, [, count, unit]) => sum + Number(count) * (units[unit ?? ""] ?? 0), 0),
  );

/** `key:value` pairs, comma separated, as NSM writes labels (p2p:true). */
export const labels = z
  .string()
  .regex(/^\s*([^:,\s]+:[^,]*(,\s*[^:,\s]+:[^,]*)*)?\s*$/, "pairs key:value, comma separated")
  .transform(
    (value): Readonly<Record<string, string>> =>
      Object.fromEntries(
        value
          .split(",")
          .filter((pair) => pair.trim() !== "")
          .map((pair) => [pair.slice(0, pair.indexOf(":")).trim(), pair.slice(pair.indexOf(":") + 1).trim()]),
      ),
  );

/** A host and a port to listen on. */
export interface HostPort {
  /** Empty is every address. */
  readonly host: string;
  readonly port: number;
  readonly text: string;
}

const hostPort = "HOST:PORT such as 127.0.0.1:8081, [::1]:8081 or :8081, or off";

/** `off` is undefined. */
export const optionalHostPort = z.string().transform((value, context): HostPort | undefined => {
  if (value === "off") return undefined;
  const [, host, port = ""] = /^(\[[0-9a-fA-F:.]+\]|[^:\s/]*):(\d{1,5})$/.exec(value) ?? [];
  if (host !== undefined && Number(port) <= 65_535) return { host: host.replace(/^\[|\]$/g, ""), port: Number(port), text: value };
  context.addIssue({ code: "custom", message: hostPort });
  return z.NEVER;
});

/** Where a program is reached from outside its site. */
export interface External {
  readonly host: string;
  /** Undefined: the same as inside. */
  readonly port?: number | undefined;
}

const externalForm = "ADDRESS, ADDRESS:PORT or [V6]:PORT, or none where nobody outside reaches it";

/** "" is undefined: the same as inside. */
export const external = z.string().transform((value, context): External | "none" | undefined => {
  if (value === "" || value === "none") return value || undefined;
  if (isIPv6(value)) return { host: value };
  const [, v6, name = "", port] = /^(?:\[([^\]]+)\]|([A-Za-z0-9][A-Za-z0-9.-]{0,252}))(?::(\d{1,5}))?$/.exec(value) ?? [];
  const host = v6 ?? name;
  const good = v6 === undefined ? host !== "" : isIPv6(v6);
  if (good && port === undefined) return { host };
  if (good && Number(port) >= 1 && Number(port) <= 65_535) return { host, port: Number(port) };
  context.addIssue({ code: "custom", message: externalForm });
  return z.NEVER;
});

/** The same for WireGuard, which asks nobody for names. */
export const externalIp = external.refine(
  (value) => value === undefined || value === "none" || isIP(value.host) !== 0,
  `${externalForm}; the address in digits`,
);

const collectorForm = "HOST:PORT, http://HOST:PORT or https://HOST:PORT";

/** Where traces go; "" is left to OpenTelemetry. As with NSM, HOST:PORT is without TLS. */
export const collector = z
  .string()
  .transform((value) => (value === "" || value.includes("://") ? value : `http://${value}`))
  .refine((value) => value === "" || /^https?:\/\/[^\s/@]+:\d{1,5}\/?$/.test(value), collectorForm);
