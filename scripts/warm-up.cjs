// Makes the command's code cache: runs it once as far as a refused connection on loopback, and keeps what V8 compiled.

const { mkdtempSync, rmSync, writeFileSync } = require('node:fs');
const { tmpdir } = require('node:os');
const { join } = require('node:path');
const { loadCommand } = require('../bin/load-command.js');

const bundle = join(__dirname, '../dist/bin/sallyport.js');
const folder = mkdtempSync(join(tmpdir(), 'sallyport-warm-up-'));
const profile = join(folder, 'warm-up.ovpn');
const fingerprint = Array.from({ length: 32 }, () => '00').join(':');
writeFileSync(
  profile,
  `client
dev tun
proto tcp4
remote 127.0.0.1 9
nobind
connect-retry 1 1
connect-retry-max 1
tls-exit
peer-fingerprint ${fingerprint}
<auth-user-pass>
warm
up
</auth-user-pass>
`,
);

const { command, script } = loadCommand(bundle);
process.on('exit', () => {
  writeFileSync(`${bundle}.cache`, script.createCachedData());
  rmSync(folder, { recursive: true, force: true });
});
command.main(['--config', profile, '--verb', '0']);
