import { describe, expect, it } from 'vitest';
import { applyPrivileges, type PrivilegePort, planPrivileges } from '../../src/tunnel/privileges.ts';
import { configOf } from './profile.ts';

const planOf = (...lines: string[]) => planPrivileges(configOf(...lines).process, false);

function apply(lines: readonly string[], kept: readonly string[]) {
  const calls: string[] = [];
  const said: string[] = [];
  const port: PrivilegePort = {
    chroot: (path) => calls.push(`chroot ${path}`),
    changeIdentity: ({ user, group, keep }) => {
      calls.push(`identity ${user} ${group} ${keep.join()}`);
      return kept;
    },
  };
  applyPrivileges(planOf(...lines), port, (_, text) => said.push(text));
  return { calls, said };
}

describe('planPrivileges', () => {
  it('is empty where the profile asks for nothing', () => {
    expect(planOf()).toEqual({ steps: [], warnings: [], delayed: [] });
  });

  it('warns of restarts without persist-tun', () => {
    const warning =
      'WARNING: you are using user/group/chroot/setcon without persist-tun -- this may cause restarts to fail';
    expect(planOf('user nobody').warnings).toEqual([warning]);
    expect(planOf('user nobody', 'persist-tun').warnings).toEqual([]);
  });

  it('warns of a chroot as root', () => {
    expect(planOf('chroot /x', 'persist-tun', 'user nobody').warnings).toEqual([
      'WARNING: you are using chroot without specifying user and group -- this may cause the chroot jail to be insecure',
    ]);
    expect(planOf('chroot /x', 'persist-tun', 'user nobody', 'group nogroup').warnings).toEqual([]);
  });

  it('says at start that the drop waits for the tunnel', () => {
    expect(planOf('chroot /x', 'user nobody').delayed).toEqual([
      'NOTE: chroot will be delayed because of --client, --pull, or --up-delay',
      'NOTE: UID/GID downgrade will be delayed because of --client, --pull, or --up-delay',
    ]);
  });

  it('insists on the capability only where the kernel moves the packets', () => {
    const { process } = configOf('user nobody');
    expect(planPrivileges(process, true).steps).toMatchObject([{ keepOrFail: true }]);
    expect(planPrivileges(process, false).steps).toMatchObject([{ keepOrFail: false }]);
  });
});

describe('applyPrivileges', () => {
  it('changes the root first and the identity last, keeping what later routes need', () => {
    const { calls, said } = apply(['chroot /x', 'user nobody', 'group nogroup'], ['CAP_NET_ADMIN']);
    expect(calls).toEqual(['chroot /x', 'identity nobody nogroup CAP_NET_ADMIN']);
    expect(said).toEqual([
      "chroot to '/x' and cd to '/' succeeded",
      'UID set to nobody',
      'GID set to nogroup',
      'Capabilities retained: CAP_NET_ADMIN',
    ]);
  });

  it('says when the capability could not be kept', () => {
    expect(apply(['user nobody'], []).said).toEqual(['Unable to retain capabilities', 'UID set to nobody']);
  });
});
