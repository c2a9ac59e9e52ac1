// What privileges are given up once the tunnel is up, in which order, and what must be kept for later changes of the host.

import type { ProcessOptions } from '../config/config.ts';
import { Level, type Log } from '../log.ts';

export type PrivilegeStep =
  /** Names are looked up and files opened before the root changes. */
  | { readonly kind: 'chroot'; readonly path: string }
  /** Group and user together, because the group can't be changed after the user. `keep` lists the capabilities that stay. */
  | {
      readonly kind: 'change-identity';
      readonly user: string | undefined;
      readonly group: string | undefined;
      readonly keep: readonly 'CAP_NET_ADMIN'[];
      /** Whether to go on without the capabilities where they can't be kept. */
      readonly keepOrFail: boolean;
    };

export interface PrivilegePlan {
  /** Empty when the profile asks for nothing. In order. */
  readonly steps: readonly PrivilegeStep[];
  /** Warnings to say at start. */
  readonly warnings: readonly string[];
  /** What a start says when the drop waits for the tunnel. */
  readonly delayed: readonly string[];
}

/** Carries out the plan; each call throws HostError when the system refuses. */
export interface PrivilegePort {
  chroot(path: string): void;
  /** Returns the capabilities that were really kept, in this thread and all others. */
  changeIdentity(step: Extract<PrivilegeStep, { kind: 'change-identity' }>): readonly string[];
}

/**
 * Plans the drop. CAP_NET_ADMIN stays as in the C program: routes and addresses are removed at the end, and set anew when
 * a restart brings other ones. `kernelOffload` can't do without it.
 */
export function planPrivileges(process: ProcessOptions, kernelOffload: boolean): PrivilegePlan {
  const { chroot, user, group, persistTun } = process;
  const steps: PrivilegeStep[] = [];
  if (chroot !== undefined) steps.push({ kind: 'chroot', path: chroot });
  if (user !== undefined || group !== undefined) {
    steps.push({ kind: 'change-identity', user, group, keep: ['CAP_NET_ADMIN'], keepOrFail: kernelOffload });
  }
  const warnings: string[] = [];
  if (steps.length > 0 && !persistTun) {
    warnings.push(
      'WARNING: you are using user/group/chroot/setcon without persist-tun -- this may cause restarts to fail',
    );
  }
  if (chroot !== undefined && (user === undefined || group === undefined)) {
    warnings.push(
      'WARNING: you are using chroot without specifying user and group -- this may cause the chroot jail to be insecure',
    );
  }
  return { steps, warnings, delayed: steps.map(delayedLine) };
}

/** Does the steps in order and says each in the words of the C program. Throws at the first that the system refuses. */
export function applyPrivileges(plan: PrivilegePlan, port: PrivilegePort, log: Log): void {
  for (const step of plan.steps) {
    switch (step.kind) {
      case 'chroot':
        port.chroot(step.path);
        log(Level.info, `chroot to '${step.path}' and cd to '/' succeeded`);
        break;
      case 'change-identity':
        changeIdentity(step, port, log);
        break;
      default:
        step satisfies never;
    }
  }
}

function changeIdentity(
  step: Extract<PrivilegeStep, { kind: 'change-identity' }>,
  port: PrivilegePort,
  log: Log,
): void {
  const kept = port.changeIdentity(step);
  if (kept.length === 0) log(Level.error, 'Unable to retain capabilities');
  if (step.user !== undefined) log(Level.info, `UID set to ${step.user}`);
  if (step.group !== undefined) log(Level.info, `GID set to ${step.group}`);
  if (kept.length > 0) log(Level.info, `Capabilities retained: ${kept.join(' ')}`);
}

function delayedLine(step: PrivilegeStep): string {
  const what = step.kind === 'chroot' ? 'chroot' : 'UID/GID downgrade';
  return `NOTE: ${what} will be delayed because of --client, --pull, or --up-delay`;
}
