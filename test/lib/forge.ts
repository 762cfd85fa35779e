/** Frames that an attacker would make by hand. */

/** A mark that stands in every forged frame, so that a capture can find it. */
export const mark = "f0f1f2f3f4f5f6f7";

/** A VXLAN packet's UDP payload: the header with `vni`, and a broadcast frame with a local experimental ethertype and the mark. */
export function vxlanPayload(vni: number): Buffer {
  const header = Buffer.from([0x08, 0, 0, 0, (vni >> 16) & 0xff, (vni >> 8) & 0xff, vni & 0xff, 0]);
  const frame = Buffer.from(`ffffffffffff02deadbeef0188b5${mark.repeat(6)}`, "hex");
  return Buffer.concat([header, frame]);
}

/** A one-line Node program that sends `payload` three times by UDP; started in the namespace of the attacker. */
export function sender(payload: Buffer, address: string, port: number): string {
  const family = address.includes(":") ? "udp6" : "udp4";
  return (
    `const s=require("node:dgram").createSocket("${family}");const b=Buffer.from("${payload.toString("hex")}","hex");` +
    `let n=3;const go=()=>n-- ? s.send(b,${port},"${address}",go) : s.close();go();`
  );
}
