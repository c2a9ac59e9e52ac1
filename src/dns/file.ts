// Name servers in a plain /etc/resolv.conf, for several tunnels at once (resolv-conf.ts).

import type { DnsApplied, FileBefore } from '../tunnel/dns-port.ts';
import { locked } from './locked.ts';
import type { DnsBackend, DnsPlatform, Restored } from './ports.ts';
import { layerOf, parseResolvConf, type ResolvState, type TextCodec, writeResolvConf } from './resolv-conf.ts';

export type FileApplied = Extract<DnsApplied, { backend: 'file' }>;

export function fileBackend(platform: DnsPlatform, codec: TextCodec, path: string): DnsBackend<FileApplied> {
  const { files } = platform;
  const stateAt = (where: string): ResolvState | undefined => {
    const now = files.look(where);
    return now.kind === 'file' ? parseResolvConf(now.text, codec) : undefined;
  };
  const put = (where: string, state: ResolvState): string => {
    const text = writeResolvConf(state, codec);
    const { before } = state;
    const { mode, uid, gid } = before.kind === 'file' ? before : { mode: 0o644, uid: 0, gid: 0 };
    files.put(where, { kind: 'file', text, mode, uid, gid });
    return codec.hash(text);
  };
  const take = (where: string, id: string): Restored => {
    const state = stateAt(where);
    if (state === undefined || !state.layers.some((layer) => layer.id === id)) {
      return { left: `${where} was changed by another program meanwhile` };
    }
    const layers = state.layers.filter((layer) => layer.id !== id);
    if (layers.length === 0) files.put(where, state.before);
    else put(where, { before: state.before, layers });
    return 'restored';
  };
  return {
    apply: (device, id, setting) =>
      locked(platform, () => {
        files.tidy(path);
        const standing = stateAt(path) ?? { before: files.look(path), layers: [] };
        const layers = [...standing.layers.filter((layer) => layer.id !== id), layerOf(id, device, setting)];
        const hash = put(path, { before: standing.before, layers });
        return { backend: 'file', device, id, setting, path, before: standing.before, hash };
      }),
    undo: ({ path: where, id, before }) =>
      // A helper, or another look at what a killed process left, may have done it.
      locked(platform, () => {
        files.tidy(where);
        return isSameFile(files.look(where), before) ? 'restored' : take(where, id);
      }),
    stands: async ({ path: where, id }) => stateAt(where)?.layers.some((layer) => layer.id === id) === true,
    clear: (_device, id) =>
      locked(platform, () => {
        files.tidy(path);
        take(path, id);
      }),
  };
}

export const isSameFile = (one: FileBefore, other: FileBefore): boolean =>
  one.kind === 'file' && other.kind === 'file'
    ? one.text === other.text
    : one.kind === 'link' && other.kind === 'link'
      ? one.target === other.target
      : one.kind === other.kind;
