import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  MessageType,
  parseAddress,
  parseError,
  parseLink,
  parseMessages,
  parseRoute,
  writeAddressAdd,
  writeLinkChange,
  writeRouteAdd,
  writeRouteExact,
  writeRouteRemove,
} from '../../src/linux/rtnetlink-messages.ts';

const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString('hex');
const route = {
  prefix: Uint8Array.of(192, 168, 50, 0),
  prefixLength: 24,
  gateway: Uint8Array.of(10, 8, 0, 1),
  index: 7,
  metric: 50,
  table: undefined,
};

describe('rtnetlink messages', () => {
  it('writes a link change as header, fixed part and attributes', () => {
    const message = writeLinkChange(7, { up: true, mtuBytes: 1400 });
    expect(hex(message)).toBe(
      // length 40, RTM_NEWLINK, request and ack | index 7, flags UP, mask UP | IFLA_MTU 1400
      '28000000100005000000000000000000' + '00000000070000000100000001000000' + '0800040078050000',
    );
  });

  it('writes a route that its own parser reads', () => {
    const [message] = [...parseMessages(writeRouteAdd(route))];
    expect(message?.type).toBe(MessageType.newRoute);
    expect(parseRoute(message!.body)).toMatchObject({
      family: 4,
      prefixLength: 24,
      table: 254,
      gateway: route.gateway,
      index: 7,
      metric: 50,
    });
  });

  it('writes a table above 255 as an attribute', () => {
    const [message] = [...parseMessages(writeRouteAdd({ ...route, table: 1000 }))];
    expect(message!.body[4]).toBe(0);
    expect(parseRoute(message!.body)?.table).toBe(1000);
  });

  it('gives a route without gateway link scope, and asks for removal whatever the scope', () => {
    const scope = (message: Uint8Array) => message[16 + 6];
    expect(scope(writeRouteAdd(route))).toBe(0);
    expect(scope(writeRouteAdd({ ...route, gateway: undefined }))).toBe(253);
    expect(scope(writeRouteRemove(route))).toBe(255);
  });

  it('tells the own address of a point-to-point link, not the far end', () => {
    const change = {
      index: 7,
      address: Uint8Array.of(10, 9, 0, 2),
      prefixLength: 32,
      remote: Uint8Array.of(10, 9, 0, 1),
    };
    const [message] = [...parseMessages(writeAddressAdd(change))];
    expect(parseAddress(message!.body)).toEqual({ index: 7, address: change.address, prefixLength: 32 });
  });

  it('writes an exact copy without state, keeping the on-link flag', () => {
    const [message] = [...parseMessages(writeRouteAdd(route))];
    const told = message!.body.slice();
    told[8] = 0x10 | 0x04; // link down, on link
    const [copy] = [...parseMessages(writeRouteExact('add', told))];
    const expected = told.slice();
    expected[8] = 0x04;
    expect(hex(copy!.body)).toBe(hex(expected));
  });

  it('reads an acknowledgement as 0 and a refusal as its errno', () => {
    expect(parseError(Uint8Array.of(0, 0, 0, 0))).toBe(0);
    expect(parseError(Uint8Array.of(0xef, 0xff, 0xff, 0xff))).toBe(17);
  });

  it('never throws and never reads on for ever, whatever the bytes', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 200 }), (bytes) => {
        for (const message of parseMessages(bytes)) {
          parseRoute(message.body);
          parseLink(message.body);
          parseAddress(message.body);
          parseError(message.body);
        }
        parseRoute(bytes);
        parseLink(bytes);
        parseAddress(bytes);
        if (bytes.length >= 12) writeRouteExact('add', bytes);
      }),
      { numRuns: 500 },
    );
  });
});
