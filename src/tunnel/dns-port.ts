// What a tunnel's name servers are set on the host with: the port, and the plain data that crosses it. An outcome survives
// JSON, so that another process can undo it after a crash or a reboot.

import type { DnsServerOption } from '../config/config.ts';

/** Ways to set name servers on a host. `none` leaves them alone. */
export type DnsBackendName = 'resolved' | 'resolvconf' | 'file' | 'dnsmasq';

/** One server as the profile or the server states it (`--dns server n …`, or all `dhcp-option` lines together). */
export type DnsServerWanted = DnsServerOption;

/** What one tunnel wants of the host's resolver. */
export interface DnsWanted {
  /** Lowest priority first: the first one that the host's way can use is used. */
  readonly servers: readonly DnsServerWanted[];
  readonly searchDomains: readonly string[];
  /** The tunnel is for its own networks only: it must not answer for every name. */
  readonly onlyItsNetworks: boolean;
}

/** What one tunnel is given on the host, decided by `dns-table`. */
export interface DnsSetting {
  readonly servers: readonly { readonly address: string; readonly port: number | undefined }[];
  /** Name in the servers' certificate; undefined: unchecked. */
  readonly sni: string | undefined;
  /** Tried behind a name without dots; asked of this tunnel's servers, too. */
  readonly search: readonly string[];
  /** Only asked here, never tried behind a name; `.` is every name. */
  readonly routing: readonly string[];
  /** These servers answer for names that no tunnel and no link has claimed. */
  readonly isDefault: boolean;
  readonly dnssec: 'yes' | 'no' | 'allow-downgrade';
  readonly overTls: boolean;
}

/** What stood at a path before. Text is one character a byte. */
export type FileBefore =
  | { readonly kind: 'absent' }
  | { readonly kind: 'link'; readonly target: string }
  | { readonly kind: 'file'; readonly text: string; readonly mode: number; readonly uid: number; readonly gid: number };

/** What has been done, and all that its undoing needs. */
export type DnsApplied = {
  readonly device: string;
  /** Whom this is for, unique among all tunnels of the host. */
  readonly id: string;
  readonly setting: DnsSetting;
} & (
  | { readonly backend: 'resolved'; readonly ifindex: number }
  | { readonly backend: 'resolvconf'; readonly program: string; readonly name: string; readonly ifindex: number }
  | { readonly backend: 'file'; readonly path: string; readonly before: FileBefore; readonly hash: string }
  | { readonly backend: 'dnsmasq'; readonly way: 'bus'; readonly owner: string }
  | {
      readonly backend: 'dnsmasq';
      readonly way: 'servers-file';
      readonly path: string;
      readonly pid: number;
      readonly before: FileBefore;
      readonly hash: string;
    }
);

/** `nothing`: there was nothing that this host could set; `reason` is a sentence for the log. */
export type DnsOutcome =
  | { readonly result: 'applied'; readonly applied: DnsApplied; readonly notes: readonly string[] }
  | { readonly result: 'nothing'; readonly reason: string }
  | { readonly result: 'failed'; readonly reason: string };

/** `left`: somebody else has changed it since, and it stays as that left it. */
export type DnsUndone =
  | { readonly result: 'restored' }
  | { readonly result: 'left'; readonly reason: string }
  | { readonly result: 'failed'; readonly reason: string };

/** Sets name servers. Neither call rejects or throws; each has an end within seconds. */
export interface DnsPort {
  /** `id`: letters, digits and hyphens, unique among all tunnels of the host. */
  apply(request: { readonly device: string; readonly id: string; readonly wanted: DnsWanted }): Promise<DnsOutcome>;
  undo(applied: DnsApplied): Promise<DnsUndone>;
  /** Whether what was set is there still; true as well where that can't be seen. */
  stands(applied: DnsApplied): Promise<boolean>;
  /**
   * Undoes whatever a process that died in `apply` has done under this id, if anything; and what goes by the device, which
   * is named only where it is gone, or there still as the very one.
   */
  clear(request: { readonly device: string | undefined; readonly id: string }): Promise<DnsUndone>;
}
