import { tunnelSuite } from "../suite/tunnel.js";

tunnelSuite("wireguard-go");
