#!/usr/bin/env node
// NetworkManager's VPN service for OpenVPN connections: NetworkManager starts it for each connection, with --bus-name NAME.

const { existsSync } = require('node:fs');
const { join } = require('node:path');

const bundle = join(__dirname, '../dist/bin/nm-service.js');

if (!existsSync(bundle)) {
  process.stderr.write('sallyport-nm-service: this checkout is not built yet: run npm ci && npm run build\n');
  process.exitCode = 1;
} else {
  require(bundle)
    .main(process.argv.slice(2))
    .then((exitCode) => process.exit(exitCode));
}
