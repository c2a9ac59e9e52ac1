// Control packets on their way up: in the lane of their sender, and only what can be meant for us.

import { readPackedAddress } from '../ip/packed-address.ts';
import { Opcode } from '../wire/opcode.ts';
import { SHORTEST_FIRST } from './first-packets.ts';
import type { Link, Peer, PlaneState } from './plane-state.ts';
import { dropCode, PASS, type Verdict } from './verdict.ts';

/** Opcodes of control packets, a bit for each. */
const CONTROL_OPCODES = [
  ...[Opcode.softResetV1, Opcode.controlV1, Opcode.ackV1, Opcode.controlWkcV1],
  ...[Opcode.hardResetClientV2, Opcode.hardResetServerV2, Opcode.hardResetClientV3],
].reduce((bits, opcode) => bits | (1 << opcode), 0);
/** No implementation sends longer control packets; bounds what a lane can hold. */
const MAX_CONTROL_BYTES = 4096;
const SHORTEST_BY_OPCODE = new Map(Object.entries(SHORTEST_FIRST).map(([opcode, bytes]) => [Number(opcode), bytes]));

const TOO_BIG = dropCode('too-big');
const NO_FIRST_PACKET = dropCode('no-first-packet');

export function isControl(opcode: number): boolean {
  return (CONTROL_OPCODES & (1 << opcode)) !== 0;
}

/** Drops are counted here. Only here a packet is copied. */
export function handleControl(state: PlaneState, link: Link, from: number, offset: number, length: number): Verdict {
  const { bytes, view } = state.arena;
  const peer = state.addresses.find(view, link.id, from);
  if (length > MAX_CONTROL_BYTES) return state.drop(TOO_BIG, peer, from, undefined);
  const first = view.getUint8(offset);
  // The far end of a link of its own is no stranger, even before it is a peer: a server answers its client like that.
  if (peer === undefined && link.remote === 0 && !mayBeFirst(first, length)) {
    return state.drop(NO_FIRST_PACKET, undefined, from, undefined);
  }
  // A stream keeps its order; datagrams of strangers may overtake each other.
  const reset = link.remote === 0 && isClientReset(first >> 3);
  const room = roomFor(state, peer, reset);
  if (room !== PASS) return state.drop(room, peer, from, undefined);

  const address = readPackedAddress(view, from);
  const packet = bytes.slice(offset, offset + length);
  const event = { type: 'control', link: link.id, address, bytes: packet, known: peer !== undefined } as const;
  if (peer !== undefined) {
    state.countLinkRead(peer, length);
    state.lanes.pushKnown(event, peer);
  } else if (reset) state.lanes.pushReset(event);
  else state.lanes.pushProof(event);
  return PASS;
}

function roomFor(state: PlaneState, peer: Peer | undefined, reset: boolean): Verdict {
  if (peer !== undefined) return state.lanes.roomForKnown(peer);
  return reset ? state.lanes.roomForReset() : state.lanes.roomForProof();
}

function isClientReset(opcode: number): boolean {
  return opcode === Opcode.hardResetClientV2 || opcode === Opcode.hardResetClientV3;
}

/** Whether a stranger's packet asks for a session, or proves its address, under key-id 0. */
function mayBeFirst(firstByte: number, length: number): boolean {
  const shortest = SHORTEST_BY_OPCODE.get(firstByte >> 3);
  return shortest !== undefined && length >= shortest && (firstByte & 7) === 0;
}
