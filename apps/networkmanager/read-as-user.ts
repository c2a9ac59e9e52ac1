// A process of its own that becomes a user and reads files: built as dist/bin/nm-read-as-user.js, started by named-files.ts
// for a connection that is private to users. It gives up root for good before it opens anything.
//
//   stdin   {"name": "alice", "uid": 1000, "gid": 1000, "paths": [base64, …]}
//   stdout  [{"bytes": base64} | {"problem": text}, …]

import { readFileSync, writeSync } from 'node:fs';
import { readNamedFile } from './read-files.ts';

export interface ReadAsUser {
  readonly name: string;
  readonly uid: number;
  readonly gid: number;
  readonly paths: readonly string[];
}

const { name, uid, gid, paths } = JSON.parse(readFileSync(0, 'utf8')) as ReadAsUser;
if (process.getuid?.() === 0) {
  // Missing in @types/node.
  (process as unknown as { initgroups(user: string, group: number): void }).initgroups(name, gid);
  process.setgid?.(gid);
  process.setuid?.(uid);
}
const { getuid, geteuid, getgid, getegid } = process;
if (getuid?.() !== uid || geteuid?.() !== uid || getgid?.() !== gid || getegid?.() !== gid) {
  throw new Error('the process has not become the user');
}
const contents = paths.map((path) => {
  const content = readNamedFile(Buffer.from(path, 'base64'));
  return 'bytes' in content ? { bytes: Buffer.from(content.bytes).toString('base64') } : content;
});
const answer = Buffer.from(JSON.stringify(contents));
for (let at = 0; at < answer.length; ) at += writeSync(1, answer, at);
