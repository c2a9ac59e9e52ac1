import { describe, expect, it } from 'vitest';
import { createNodeResolver, type Lookup } from '../../src/node/resolver.ts';

const never = new AbortController().signal;
const forbidden: Lookup = () => Promise.reject(new Error('the resolver was asked'));
const failing =
  (code: string): Lookup =>
  () =>
    Promise.reject(Object.assign(new Error('x'), { code }));

describe('the resolver', () => {
  it.each([
    ['192.0.2.7', 4, [192, 0, 2, 7]],
    ['2001:db8::1', 6, [0x20, 1, 0xd, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1]],
    ['fe80::1%lo', 6, [0xfe, 0x80, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1]],
  ])('takes the literal %s for itself without asking', async (host, family, bytes) => {
    expect(await createNodeResolver(forbidden).resolve(host, undefined, never)).toEqual([
      { family, address: Uint8Array.from(bytes) },
    ]);
  });

  it('refuses a literal of another family than asked', async () => {
    await expect(createNodeResolver(forbidden).resolve('192.0.2.7', 6, never)).rejects.toThrow(/family/);
  });

  it('keeps the order of the system and asks for the family wanted', async () => {
    const asked: unknown[] = [];
    const resolver = createNodeResolver(async (host, options) => {
      asked.push([host, options]);
      return [
        { address: '::1', family: 6 },
        { address: '127.0.0.1', family: 4 },
      ];
    });
    const found = await resolver.resolve('vpn.example', undefined, never);
    expect(found.map(({ family }) => family)).toEqual([6, 4]);
    await resolver.resolve('vpn.example', 4, never);
    expect(asked).toEqual([
      ['vpn.example', { all: true, verbatim: true, family: 0 }],
      ['vpn.example', { all: true, verbatim: true, family: 4 }],
    ]);
  });

  it.each([
    ['ENOTFOUND', 'Name or service not known', false],
    ['EAI_AGAIN', 'Temporary failure in name resolution', true],
  ])("tells %s in the resolver's words", async (code, words, retry) => {
    await expect(createNodeResolver(failing(code)).resolve('x.example', undefined, never)).rejects.toMatchObject({
      message: words,
      code: 'SALLYPORT_NETWORK',
      retry,
    });
  });

  it('rejects at once when aborted, before and meanwhile', async () => {
    const controller = new AbortController();
    const pending = createNodeResolver(() => new Promise(() => {})).resolve('x.example', undefined, controller.signal);
    controller.abort();
    await expect(pending).rejects.toMatchObject({ code: 'SALLYPORT_ABORTED' });
    await expect(
      createNodeResolver(forbidden).resolve('x.example', undefined, controller.signal),
    ).rejects.toMatchObject({
      code: 'SALLYPORT_ABORTED',
    });
  });

  it('finds localhost by the system', async () => {
    const found = await createNodeResolver().resolve('localhost', 4, never);
    expect(found[0]).toEqual({ family: 4, address: Uint8Array.from([127, 0, 0, 1]) });
  });
});
