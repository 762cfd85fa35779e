import type { ConnectionEventType, State } from "../api/gen/connection/connection.js";

/** The states of a connection, as numbers on the wire. */
export const UP: State = 0;
export const DOWN: State = 1;
export const REFRESH_REQUESTED: State = 2;
export const RESELECT_REQUESTED: State = 3;

/** The kinds of a monitor's events. */
export const INITIAL_STATE_TRANSFER: ConnectionEventType = 0;
export const UPDATE: ConnectionEventType = 1;
export const DELETE: ConnectionEventType = 2;
