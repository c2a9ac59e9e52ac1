// Which of several sockets on one address gets a datagram: a program of the classic packet filter, which the kernel runs
// over each (SO_ATTACH_REUSEPORT_CBPF). A peer-id always comes to the same socket, wherever its packets come from, so that
// a float changes nothing.
//
// The program sees the datagram's payload. A load beyond its end gives the first socket.
//
//   0  A = first word                      opcode 5 bits | key-id 3 bits | peer-id 24 bits
//   1  A >>= 27
//   2  A == 9 (DATA_V2)?                   no: 8
//   3  A = first word
//   4  A &= 0xffffff
//   5  A == 0xffffff (no peer-id)?         yes: 8
//   6  A %= sockets
//   7  return A
//   8  return 0

import { DATA_V2 } from '../data/seal.ts';
import { libc, nativeBytes, writeAddress } from './libc.ts';
import { SOL_SOCKET } from './socket-options.ts';

const SO_ATTACH_REUSEPORT_CBPF = 51;
const LOAD_WORD = 0x20;
const SHIFT_RIGHT = 0x74;
const AND = 0x54;
const MODULO = 0x94;
const JUMP_IF_EQUAL = 0x15;
const RETURN_A = 0x16;
const RETURN = 0x06;

// struct sock_filter: code u16 | jump if true u8 | jump if false u8 | k u32, in host order
const INSTRUCTION_BYTES = 8;
// struct sock_fprog: instructions u16 | padding | address u64 at 8
const PROGRAM_BYTES = 16;

type Instruction = readonly [code: number, jumpTrue: number, jumpFalse: number, k: number];

/** The program for so many sockets. */
function peerIdFilter(sockets: number): readonly Instruction[] {
  return [
    [LOAD_WORD, 0, 0, 0],
    [SHIFT_RIGHT, 0, 0, 27],
    [JUMP_IF_EQUAL, 0, 5, DATA_V2],
    [LOAD_WORD, 0, 0, 0],
    [AND, 0, 0, 0xffffff],
    [JUMP_IF_EQUAL, 2, 0, 0xffffff],
    [MODULO, 0, 0, sockets],
    [RETURN_A, 0, 0, 0],
    [RETURN, 0, 0, 0],
  ];
}

/** Spreads what comes to the sockets that share the address of `fd`, numbered as they were bound. False when the kernel refuses. */
export function spreadByPeerId(fd: number, sockets: number): boolean {
  const program = peerIdFilter(sockets);
  const instructions = nativeBytes(program.length * INSTRUCTION_BYTES);
  for (const [index, [code, jumpTrue, jumpFalse, k]] of program.entries()) {
    const at = index * INSTRUCTION_BYTES;
    instructions.view.setUint16(at, code, true);
    instructions.view.setUint8(at + 2, jumpTrue);
    instructions.view.setUint8(at + 3, jumpFalse);
    instructions.view.setUint32(at + 4, k, true);
  }
  const header = nativeBytes(64);
  header.view.setUint16(0, program.length, true);
  writeAddress(header.view, 8, instructions.address);
  const taken = libc.setsockopt(fd, SOL_SOCKET, SO_ATTACH_REUSEPORT_CBPF, header.address, PROGRAM_BYTES) === 0;
  instructions.bytes.fill(0); // referenced until here
  header.bytes.fill(0);
  return taken;
}
