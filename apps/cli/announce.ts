// The first lines of a log: which program, which libraries, and what about the configuration deserves a warning.

import { type Config, Level, type Log, planPrivileges, scriptSecurityNote } from '../../src/command.ts';
import { librariesLine, versionLine } from './version.ts';

/** Says it once for each reading of the configuration. */
export function announce(config: Config, warnings: readonly string[], log: Log, first: boolean): void {
  for (const message of warnings)
    log(Level.warning, /^[A-Z]+( [A-Z]+)*:/.test(message) ? message : `WARNING: ${message}`);
  if (first) {
    log(Level.info, versionLine());
    log(Level.info, librariesLine());
  }
  for (const text of config.tunnel.echo) log(Level.info, `ECHO:${text}`);
  const scripts = scriptSecurityNote(config);
  if (scripts !== undefined) log(Level.warning, scripts);
  const privileges = planPrivileges(config.process, false);
  for (const text of privileges.warnings) log(Level.warning, text);
  if (first && config.pull) for (const text of privileges.delayed) log(Level.info, text);
  if ((config.authUserPass !== undefined || config.tls.askpass !== undefined) && !config.authNocache) {
    log(
      Level.warning,
      'WARNING: this configuration may cache passwords in memory -- use the auth-nocache option to prevent this',
    );
  }
  if (config.tls.role === 'client' && !verifiesPeer(config)) {
    log(
      Level.warning,
      'WARNING: No server certificate verification method has been enabled.  See http://openvpn.net/howto.html#mitm for more info.',
    );
  }
}

/** Whether anything beyond "some certificate of this CA" is asked of the server. */
function verifiesPeer({ tls, scripts }: Config): boolean {
  return (
    tls.remoteCertKu !== undefined ||
    tls.remoteCertEku !== undefined ||
    tls.nsCertType !== undefined ||
    tls.verifyX509Name !== undefined ||
    tls.verifyHash !== undefined ||
    tls.peerFingerprints.length > 0 ||
    scripts.tlsVerify !== undefined
  );
}
