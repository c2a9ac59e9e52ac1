// PUSH_UPDATE on a tunnel that is up: options laid over those in force, the host and the plane made to fit them. The session
// does not notice.

import { parsePushUpdate } from '../config/push-update.ts';
import { Level } from '../log.ts';
import { type BringUpContext, tunnelRequest, type UpTunnel } from './bring-up.ts';
import { softRestart } from './signal.ts';

/**
 * Applies one update. What can't be changed on a live tunnel, or comes before one is up, restarts the connection through
 * `failed`. Rejects when the host refuses: then the tunnel is neither the old nor the new one, and has to go.
 */
export async function updateTunnel(
  pushed: readonly string[],
  tunnel: UpTunnel | undefined,
  context: BringUpContext,
): Promise<void> {
  const { config, profile, link, ports } = context;
  if (tunnel === undefined) {
    ports.log(Level.pushErrors, 'Failed to update options');
    context.failed(softRestart('process-push-msg-failed'));
    return;
  }
  if (pushed.length === 0) {
    ports.log(Level.warning, 'No updatable options found in incoming PUSH_UPDATE message');
    return;
  }
  const { tunnel: options, verdicts, rejected } = parsePushUpdate(pushed, tunnel.options, config, profile);
  for (const { flags, text } of verdicts) ports.log(flags, text);
  if (rejected !== undefined) {
    context.failed(softRestart('Offending option received from server', { error: rejected }));
    return;
  }
  const opened = await ports.host.update(tunnelRequest(options, context));
  if (!context.stillWanted()) return;
  tunnel.changed(opened, options);
  ports.log(Level.info, 'Initialization Sequence Completed');
  ports.observer.connected(link.remote, opened.plan, tunnel.sizes.cipher);
}
