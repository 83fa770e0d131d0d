import { type Kind, type Obj, type Reply, textOf } from "./objects.ts";

/** An answer that is no success, thrown from within a request. */
export class Refused extends Error {
  readonly reply: Reply;

  constructor(reply: Reply) {
    super(reply.body);
    this.reply = reply;
  }
}

export const answer = (code: number, object: Obj, metadataOnly: boolean): Reply => ({
  status: code,
  body: textOf(object, metadataOnly),
});

/** The API server's Status object. */
export function status(code: number, reason: string, message: string, kind?: Kind, name?: string): Reply {
  const details = kind && { name, group: kind.group, kind: kind.plural };
  const head = { kind: "Status", apiVersion: "v1", metadata: {}, status: "Failure" };
  return { status: code, body: JSON.stringify({ ...head, message, reason, ...(details && { details }), code }) };
}

const resourceName = ({ group, plural }: Kind): string => (group ? `${plural}.${group}` : plural);

/** What a path asks for that nobody serves. */
export const NOT_SERVED: Reply = { status: 404, body: "404 page not found\n" };

export const notFound = (kind: Kind, name: string): Refused =>
  new Refused(status(404, "NotFound", `${resourceName(kind)} "${name}" not found`, kind, name));

export const alreadyExists = (kind: Kind, name: string): Refused =>
  new Refused(status(409, "AlreadyExists", `${resourceName(kind)} "${name}" already exists`, kind, name));

export const conflict = (kind: Kind, name: string): Refused => {
  const why = "the object has been modified; please apply your changes to the latest version and try again";
  return new Refused(
    status(409, "Conflict", `Operation cannot be fulfilled on ${resourceName(kind)} "${name}": ${why}`, kind, name),
  );
};

export const versionMissing = (kind: Kind, name: string): Refused => {
  const why = "metadata.resourceVersion: Invalid value: 0: must be specified for an update";
  return new Refused(status(422, "Invalid", `${resourceName(kind)} "${name}" is invalid: ${why}`, kind, name));
};

/** Names nothing, on the real server too. */
export const unpatchable = (why: string): Refused => new Refused(status(422, "Invalid", why));

export const deleted = (kind: Kind, { metadata: { name, uid } }: Obj): Reply => {
  const details = { name, group: kind.group, kind: kind.plural, uid };
  const body = { kind: "Status", apiVersion: "v1", metadata: {}, status: "Success", details };
  return { status: 200, body: JSON.stringify(body) };
};
