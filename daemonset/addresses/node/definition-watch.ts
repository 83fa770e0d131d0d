import { DEFINITIONS, RESERVATIONS } from "../../../kubernetes/cluster.ts";
import { type FollowContext, follow } from "../follow.ts";

/** The definition that reservations live and die with. */
const DEFINITION = `${RESERVATIONS.plural}.${RESERVATIONS.group}`;

/**
 * Follows the definition of reservations: one that was deleted and created again has another UID. A watch by name, which
 * costs the API server nothing.
 *
 * @param onUid called with it, empty if there is none.
 */
export function followDefinition(context: FollowContext, signal: AbortSignal, onUid: (uid: string) => void): void {
  const informer = follow(context, DEFINITIONS, {
    fieldSelector: `metadata.name=${DEFINITION}`,
    metadataOnly: true,
    signal,
    onChange: (change, { metadata: { uid = "" } }) => onUid(change === "DELETED" ? "" : uid),
  });
  void informer.synced.then(() => {
    if (informer.objects.size === 0) onUid("");
  });
}
