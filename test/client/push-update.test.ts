import { describe, expect, it } from 'vitest';
import { IvProto, ivProtoOf } from '../../src/wire/peer-info.ts';
import { ClientLab, SUCCESS } from '../lab/client-lab.ts';

const REMOTE = 'remote 198.51.100.1 1194';
const routes = (lab: ClientLab): readonly string[] =>
  lab.host.routes.filter(({ device }) => device === 'tun0').map(({ prefix }) => prefix);
const plan = (lab: ClientLab) => {
  const state = lab.states.at(-1);
  return state?.phase === 'connected' ? state.plan : undefined;
};

describe('PUSH_UPDATE', () => {
  it('is announced', async () => {
    const lab = await new ClientLab(REMOTE).up();
    const event = lab.server.last.events.find(({ type }) => type === 'peer-connected');
    const info = event?.type === 'peer-connected' ? event.peerInfo : new Map();
    expect(ivProtoOf(info) & IvProto.pushUpdate).toBe(IvProto.pushUpdate);
  });

  it('changes the live tunnel: addresses, routes, MTU, MSS, name servers, and no session is lost', async () => {
    const lab = await new ClientLab(REMOTE).up();
    const mssBefore = [...lab.plane.peers.values()][0]?.options.mssBytes4 ?? 0;
    lab.server.last.say(
      'PUSH_UPDATE,ifconfig 10.8.0.9 255.255.255.0,route 10.30.0.0 255.255.0.0, tun-mtu 1300,block-ipv6,dns server 1 address 10.8.0.53',
    );
    await lab.until(() => lab.ups === 2, 'updated');
    expect(lab.host.addresses.find(({ device }) => device === 'tun0')?.address).toBe('10.8.0.9');
    expect(routes(lab)).toEqual(['10.30.0.0/16']);
    expect(lab.host.devices.get('tun0')?.mtuBytes).toBe(1300);
    expect([...lab.plane.devices.values()]).toMatchObject([{ mtuBytes: 1300, blockIpv6: true }]);
    expect([...lab.plane.peers.values()][0]?.options.mssBytes4).toBeLessThan(mssBefore);
    expect(plan(lab)?.dns.servers).toMatchObject([{ addresses: [{ address: '10.8.0.53' }] }]);
    expect(lab.server.count).toBe(1);
    lab.signal('SIGTERM');
    await lab.gone();
  });

  it('in several messages counts once the last one is here', async () => {
    const lab = await new ClientLab(REMOTE).up();
    lab.server.last.say('PUSH_UPDATE,route 10.30.0.0 255.255.0.0,push-continuation 2');
    await lab.runFor(1000);
    expect(routes(lab)).toEqual([]);
    lab.server.last.say('PUSH_UPDATE,route 10.31.0.0 255.255.0.0,push-continuation 1');
    await lab.until(() => lab.ups === 2, 'updated');
    expect(routes(lab)).toEqual(['10.30.0.0/16', '10.31.0.0/16']);
  });

  it('comes after the one before, however long its scripts take', async () => {
    const lab = new ClientLab(REMOTE, 'script-security 2', 'route-up /route-up');
    await lab.up();
    const finish = lab.hangScripts();
    lab.server.last.say('PUSH_UPDATE,route 10.30.0.0 255.255.0.0');
    lab.server.last.say('PUSH_UPDATE,-route');
    await lab.runFor(2000);
    expect(routes(lab)).toEqual(['10.30.0.0/16']);
    lab.script = () => Promise.resolve(SUCCESS);
    finish();
    await lab.until(() => lab.ups === 3, 'updated twice');
    expect(routes(lab)).toEqual([]);
  });

  it('while the tunnel is being set up waits until it is', async () => {
    const lab = new ClientLab(REMOTE, 'script-security 2', 'up /up');
    const finish = lab.hangScripts();
    lab.start();
    await lab.until(() => lab.phase === 'configuring', 'configuring');
    lab.server.last.say('PUSH_UPDATE,route 10.30.0.0 255.255.0.0');
    await lab.runFor(1000);
    lab.script = () => Promise.resolve(SUCCESS);
    finish();
    await lab.until(() => lab.ups === 2, 'up and updated');
    expect(routes(lab)).toEqual(['10.30.0.0/16']);
  });

  it('that can’t be had on a live tunnel restarts the connection', async () => {
    const lab = await new ClientLab(REMOTE).up();
    lab.server.last.say('PUSH_UPDATE,ping 3,tun-mtu 1300');
    await lab.until(() => lab.ups === 2, 'up again');
    expect(lab.received).toEqual(['SIGUSR1[soft,Offending option received from server] received, process restarting']);
    expect(plan(lab)?.mtuBytes).toBe(1500);
    expect(lab.server.count).toBe(2);
  });

  it('before the push reply restarts the connection', async () => {
    const lab = new ClientLab(REMOTE);
    lab.server.answer = () => (lab.server.count < 2 ? 'PUSH_UPDATE,-route' : undefined);
    await lab.up();
    expect(lab.received).toEqual(['SIGUSR1[soft,process-push-msg-failed] received, process restarting']);
  });

  it('without anything in it is told and changes nothing', async () => {
    const lab = await new ClientLab(REMOTE).up();
    lab.server.last.say('PUSH_UPDATE');
    await lab.until(() => lab.log.some((line) => line.startsWith('No updatable options')), 'told');
    expect(lab.ups).toBe(1);
  });

  it('that the host refuses half-way ends the program, with the host as it was', async () => {
    const lab = await new ClientLab(REMOTE).up();
    lab.host.refuse = (call) => (call.startsWith('address 10.8.0.9') ? 'EPERM' : undefined);
    lab.server.last.say('PUSH_UPDATE,ifconfig 10.8.0.9 255.255.255.0,route 10.30.0.0 255.255.0.0');
    expect(await lab.ended()).toMatchObject({ exitCode: 1, error: { code: 'SALLYPORT_PERMISSION' } });
    await lab.gone();
  });

  it('in the middle of the end is not applied', async () => {
    const lab = await new ClientLab(REMOTE).up();
    lab.server.last.say('PUSH_UPDATE,route 10.30.0.0 255.255.0.0');
    lab.signal('SIGTERM');
    await lab.gone();
  });

  it('a thousand at once restart the connection instead of waiting for each other', async () => {
    const lab = new ClientLab(REMOTE, 'script-security 2', 'route-up /route-up');
    await lab.up();
    const finish = lab.hangScripts();
    for (let n = 0; n < 1000; n++) lab.server.last.say(`PUSH_UPDATE,route 10.${n % 250}.0.0 255.255.0.0`);
    await lab.runFor(5000);
    lab.script = () => Promise.resolve(SUCCESS);
    finish();
    await lab.until(() => lab.server.count === 2 && lab.isUp, 'up again');
    expect(lab.received).toEqual(['SIGUSR1[soft,process-push-msg-failed] received, process restarting']);
  });

  it('is kept over a restart under persist-tun where the server pushes the same from then on', async () => {
    const lab = await new ClientLab(REMOTE, 'persist-tun').up();
    lab.server.last.say('PUSH_UPDATE,route 10.30.0.0 255.255.0.0');
    await lab.until(() => lab.ups === 2, 'updated');
    lab.server.push = [...lab.server.push, 'route 10.30.0.0 255.255.0.0'];
    lab.host.calls.splice(0);
    lab.signal('SIGUSR1');
    await lab.until(() => lab.ups === 3, 'up again');
    expect(lab.host.calls).toEqual([]);
  });
});
