import { pathMtuSuite } from "../suite/pathmtu.js";

pathMtuSuite("wireguard-go");
