// Entry point for the command: what an app that behaves like the `openvpn` program needs beside `compose`.

export type { ClientObserver, ClientStatistics } from './client/client.ts';
export type {
  Challenge,
  ChallengePort,
  CredentialsPort,
  LoginKind,
  PartialCredentials,
  Steering,
  WebLogin,
} from './client/ports.ts';
export { type ClientSignal, FATAL } from './client/signal.ts';
export type { ClientState } from './client/state.ts';
export type { Config, ConnectionProfile, Source } from './config/config.ts';
export { blockName, isBlockEnd, lexLine } from './config/lexer.ts';
export { parseConfig } from './config/parse.ts';
export { asksForTool } from './config/tool-request.ts';
export { usageText } from './config/usage.ts';
export type { ExternalSigner, SignRequest } from './control/tls-engine.ts';
export { messageOf, SallyportError } from './error.ts';
export { formatAddress } from './ip/address.ts';
export type { SocketAddress } from './ip/socket-address.ts';
export { lockFolder } from './linux/folder-lock.ts';
export { openNotifier, type ServiceState } from './linux/notify.ts';
export { peerCredentials } from './linux/peer-credentials.ts';
export { hasNetAdmin, lookupGroup, lookupUser } from './linux/privileges.ts';
export { startTimeOf } from './linux/process-start.ts';
export { openSyslog, SyslogPriority } from './linux/syslog.ts';
export { Level, type Log, type LogFlags, Severity } from './log.ts';
export { parseInlineCredentials, readCredentialsFile, readPasswordFile } from './node/credentials-file.ts';
export { type DaemonChild, type DaemonStart, daemonise, receiveDaemon } from './node/daemon.ts';
export {
  createLogger,
  formatLocalTime,
  formatLogLine,
  type Logger,
  type LogSink,
  openFileSink,
  stdoutSink,
} from './node/logger.ts';
export { FileRefusal, MAX_PROFILE_BYTES, readBoundedFile } from './node/read-file.ts';
export {
  type BatchCounters,
  formatBatches,
  formatStatus,
  openStatusFile,
  type StatusFile,
} from './node/status-file.ts';
export { cleanTerminalText, createTerminal, prompts, reachablePerson, type TerminalPort } from './node/terminal.ts';
export type { SignalName } from './peer/pending-signal.ts';
export type { ServerHooks } from './server/hooks.ts';
export { type StatusFacts, statusLines } from './server/status-text.ts';
export type { DnsApplied, DnsBackendName } from './tunnel/dns-port.ts';
export { dnsSetter } from './tunnel/dns-steps.ts';
export { type JournalEntry, standingDns } from './tunnel/journal.ts';
export type { TunnelPlan } from './tunnel/plan.ts';
export { planPrivileges } from './tunnel/privileges.ts';
export { scriptSecurityNote } from './tunnel/script-plan.ts';
