import { readFileSync } from "node:fs";
import { noop } from "cockatiel";
import { Etcd3, type IOptions } from "etcd3";
import { MeshError } from "../../core/error.js";

/** Files in PEM. Without a client's certificate etcd is asked without; without a CA those of the system count. */
export interface TlsFiles {
  readonly ca?: string | undefined;
  readonly cert?: string | undefined;
  readonly key?: string | undefined;
}

/**
 * A silent connection is noticed by HTTP/2 pings, each way of the network; etcd refuses pings within 5 s of one another. What must be
 * noticed sooner the watchdog sees.
 */
const channel = {
  "grpc.keepalive_time_ms": 10_000,
  "grpc.keepalive_timeout_ms": 3_000,
  "grpc.initial_reconnect_backoff_ms": 100,
  "grpc.max_reconnect_backoff_ms": 1_000,
  // A proxy for the web is none for etcd.
  "grpc.enable_http_proxy": 0,
  // A watch that catches up gets many changes in one message.
  "grpc.max_receive_message_length": -1,
};

/**
 * Makes clients of one member each. etcd3 itself would retry, also a commit of which nobody knows whether it happened, and would shut a
 * member out for 5 s; both are switched off: members.ts decides.
 */
export function clientFactory(files: TlsFiles): (url: string) => Etcd3 {
  let credentials = read(files);
  return (url) => {
    credentials = readAgain(files) ?? credentials;
    return new Etcd3({
      hosts: url,
      grpcOptions: channel,
      faultHandling: { global: noop, host: () => noop },
      ...(url.startsWith("https:") && credentials !== undefined ? { credentials } : {}),
    });
  };
}

type Credentials = NonNullable<IOptions["credentials"]>;

/** For certificates that were renewed. One that is being written just now is taken the next time. */
function readAgain(files: TlsFiles): Credentials | undefined {
  try {
    return read(files);
  } catch {
    return undefined;
  }
}

function read({ ca, cert, key }: TlsFiles): Credentials | undefined {
  if ((cert === undefined) !== (key === undefined))
    throw new MeshError("invalid", "NSM_ETCD_CERT and NSM_ETCD_KEY belong together: give both or neither");
  if (ca === undefined && cert !== undefined)
    throw new MeshError("invalid", "NSM_ETCD_CERT needs NSM_ETCD_CA, the file with the certificate that etcd's own are signed by");
  if (ca === undefined) return undefined;
  const rootCertificate = readPem("NSM_ETCD_CA", ca);
  if (cert === undefined || key === undefined) return { rootCertificate };
  return { rootCertificate, certChain: readPem("NSM_ETCD_CERT", cert), privateKey: readPem("NSM_ETCD_KEY", key) };
}

function readPem(setting: string, file: string): Buffer {
  let content: Buffer;
  try {
    content = readFileSync(file);
  } catch (error) {
    throw new MeshError("invalid", `${setting} cannot be read: ${(error as Error).message}`, { cause: error });
  }
  if (!content.includes("-----BEGIN ")) throw new MeshError("invalid", `${setting} must be a file in PEM, ${file} is not`);
  return content;
}
