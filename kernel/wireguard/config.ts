/** What a WireGuard device can be told and asked, whichever program carries its packets. Keys are in base64. */

/** A change of a device. What is left out stays as it is. */
export interface DeviceChange {
  readonly privateKey?: string | undefined;
  readonly listenPort?: number | undefined;
  /** The peers not named stay, unless `replacePeers`. */
  readonly replacePeers?: boolean | undefined;
  readonly peers?: readonly PeerChange[] | undefined;
}

/** A change of one peer. Allowed IPs, when given, take the place of those it had. */
export interface PeerChange {
  readonly publicKey: string;
  readonly remove?: boolean | undefined;
  /** `192.0.2.1:51820` or `[2001:db8::1]:51820`. */
  readonly endpoint?: string | undefined;
  readonly allowedIps?: readonly string[] | undefined;
  /** Seconds; 0 is off. */
  readonly keepalive?: number | undefined;
}

/** A device as found. The private key stays in this process. */
export interface DeviceState {
  readonly privateKey: string | undefined;
  readonly listenPort: number;
  readonly peers: readonly PeerState[];
}

/** A peer as found. */
export interface PeerState {
  readonly publicKey: string;
  readonly endpoint: string | undefined;
  readonly allowedIps: readonly string[];
  readonly keepalive: number;
  /** Milliseconds since 1970; 0: never. */
  readonly lastHandshake: number;
  readonly rxBytes: number;
  readonly txBytes: number;
}
