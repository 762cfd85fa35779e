import { Connection } from "../api/gen/connection/connection.js";
import { type Form, messageText } from "../program/persisted.js";

const text = messageText(Connection);

/** How a connection is kept on disk: by its wire form. Older versions wrote it as JSON. */
export const keptForm: Form<Connection, unknown> = {
  write: (connection) => text.write(connection),
  read: (kept) => (typeof kept === "string" ? text.read(kept) : Connection.fromJSON(kept)),
};
