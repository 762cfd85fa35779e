/** What one end tries to reach at another: it sends, and waits for that to come back. */
export interface Probe {
  readonly protocol: "tcp" | "udp";
  readonly host: string;
  readonly port: number;
  /** From this port; any unless told. */
  readonly from?: number;
  /** Bytes of a datagram. */
  readonly size?: number;
}

/** "refused": there is the host, and nobody listens. */
export type Reached = "yes" | "no" | "refused";

/** Arguments of node for a process that sends back what it gets, over TCP and UDP on these ports, and says "listening". */
export function listenerArgs(ports: readonly number[]): string[] {
  return ["-e", `(${listen})(${JSON.stringify(ports)})`];
}

/** Arguments of node for a process that tries all of these at once and prints what became of each, a JSON list of `Reached`. */
export function proberArgs(probes: readonly Probe[], patienceMs = 500): string[] {
  return ["-e", `(${attempt})(${JSON.stringify(probes)}, ${patienceMs})`];
}

// Both run in a process of their own, as text.
const listen = `(ports) => {
  const net = require("node:net"), dgram = require("node:dgram");
  let left = 2 * ports.length;
  const ready = () => --left === 0 && console.log("listening");
  for (const port of ports) {
    net.createServer((socket) => socket.on("error", () => {}).pipe(socket)).listen(port, "::", ready);
    const udp = dgram.createSocket("udp6");
    udp.on("message", (data, from) => udp.send(data, from.port, from.address)).bind(port, "::", ready);
  }
}`;

const attempt = `async (probes, patienceMs) => {
  const net = require("node:net"), dgram = require("node:dgram");
  const isRefused = (error) => error.code === "ECONNREFUSED";
  const tcp = ({ host, port, from }, done) => {
    const socket = net.connect({ host, port, localPort: from }, () => socket.write("x"));
    socket.on("data", () => done("yes")).on("error", (error) => done(isRefused(error) ? "refused" : "no"));
  };
  const udp = ({ host, port, from, size = 1 }, done) => {
    const socket = dgram.createSocket(host.includes(":") ? "udp6" : "udp4");
    // That a datagram was too large for the way is said once, and the next one is cut.
    socket.on("message", () => done("yes")).on("error", (error) => isRefused(error) && done("refused"));
    const again = () => socket.send(Buffer.alloc(size), () => {});
    socket.bind(from ?? 0, () => socket.connect(port, host, () => (again(), setInterval(again, 100))));
  };
  const tried = probes.map((probe) => new Promise((resolve) => {
    setTimeout(resolve, patienceMs, "no");
    (probe.protocol === "tcp" ? tcp : udp)(probe, resolve);
  }));
  console.log(JSON.stringify(await Promise.all(tried)));
  process.exit();
}`;
