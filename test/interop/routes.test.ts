// The steps of a plan on a real kernel, without a client around them: what they leave is what the C program leaves for
// the same push, and afterwards the host is what it was, to the last attribute of its default route.

import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { comparable } from '../lab/host-comparison.ts';
import { useLab } from '../lab/lab.ts';
import { address, hostState, type Namespace } from '../lab/net.ts';
import { run, type WatchedProcess } from '../lab/process.ts';
import { labSuite, projectRoot } from '../lab/requirements.ts';

/** What a server of topology subnet gives the first client, as this suite's servers do. */
const addresses = [
  'topology subnet',
  'route-gateway 10.8.0.1',
  'ifconfig 10.8.0.2 255.255.255.0',
  'ifconfig-ipv6 fd00:8::1000/64 fd00:8::1',
];
const main = [process.execPath, '--import', 'tsx', join(projectRoot, 'test/interop/steps-main.ts')];

function stepsIn(namespace: Namespace, journal: string, lines: readonly string[]): WatchedProcess {
  const argv = [...main, 'up', journal, address.server4, JSON.stringify([...addresses, ...lines])];
  return namespace.watch(argv, { name: 'steps', cwd: projectRoot });
}

labSuite('the steps of a plan', () => {
  const lab = useLab();

  it.each([
    [['redirect-gateway def1 ipv6 block-local']],
    [['redirect-gateway']],
    [['redirect-gateway autolocal']],
    [['redirect-private def1', 'route 10.77.0.0 255.255.255.0 vpn_gateway 77', 'route-ipv6 fd00:77::/64']],
    [['route-metric 50', 'route 10.77.0.0 255.255.255.0 net_gateway', 'route-ipv6 fd00:78::/64 fd00:8::1 9']],
    [['route 10.77.0.0 255.255.255.0 10.8.0.1 default', 'route remote_host 255.255.255.255 net_gateway 3']],
  ])('leave what the C program leaves for the push of %j', async (lines) => {
    const { client: namespace } = lab().net;
    await lab().server({ lines: lines.map((line) => `push "${line}"`) });
    const before = await hostState(namespace);
    const real = await lab().connect({ kind: 'openvpn' });
    const expected = comparable(await hostState(namespace));
    await real.stop();
    await lab().net.resetClient();

    const ours = stepsIn(namespace, await lab().file('journal', ''), lines);
    await ours.line(/steps done/);
    expect(comparable(await hostState(namespace))).toEqual(expected);
    expect(await ours.stop()).toEqual({ code: 0, signal: null });
    expect(comparable(await hostState(namespace))).toEqual(comparable(before));
  });

  const odd = `default via ${address.gateway4} dev outer0 proto static src ${address.client4} metric 42 mtu 1400 advmss 1300 onlink`;

  it('put a default route back with every attribute that it had', async () => {
    const { client: namespace } = lab().net;
    await namespace.ip(`route replace ${odd}`);
    await namespace.ip(`route del default via ${address.gateway4} metric 0`);
    const before = await hostState(namespace);
    const ours = stepsIn(namespace, await lab().file('journal', ''), ['redirect-gateway']);
    await ours.line(/steps done/);
    expect(await hostState(namespace)).not.toEqual(before);
    expect(await ours.stop()).toEqual({ code: 0, signal: null });
    expect(await hostState(namespace)).toEqual(before);
  });

  it('are finished by the next start when the process was killed', async () => {
    const { client: namespace } = lab().net;
    await namespace.ip(`route replace ${odd}`);
    await namespace.ip(`route del default via ${address.gateway4} metric 0`);
    const before = await hostState(namespace);
    const journal = await lab().file('journal', '');
    const ours = stepsIn(namespace, journal, ['redirect-gateway', 'route 10.50.0.0 255.255.0.0 net_gateway']);
    await ours.line(/steps done/);
    await ours.kill();
    expect(await hostState(namespace)).not.toEqual(before);
    expect(await readFile(journal, 'utf8')).toContain('"remove-route"');
    await run([...namespace.prefix, ...main, 'recover', journal], { cwd: projectRoot });
    expect(await hostState(namespace)).toEqual(before);
  });

  it('leave a route alone that was there before', async () => {
    const { client: namespace } = lab().net;
    await namespace.ip(`route add 10.50.0.0/16 via ${address.gateway4}`);
    const before = await hostState(namespace);
    const ours = stepsIn(namespace, await lab().file('journal', ''), ['route 10.50.0.0 255.255.0.0 net_gateway']);
    await ours.line(/NOTE: Linux route add command failed because route exists/);
    await ours.line(/steps done/);
    expect(await ours.stop()).toEqual({ code: 0, signal: null });
    expect(await hostState(namespace)).toEqual(before);
  });
});
