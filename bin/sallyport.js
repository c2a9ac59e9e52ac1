#!/usr/bin/env node
// The command. `--version` is answered before anything is loaded: NetworkManager asks it before every connection.

if (process.argv[2] === '--version') {
  const { printVersion } = await import('../dist/bin/version.js');
  printVersion();
} else {
  const { main } = await import('../dist/bin/sallyport.js');
  await main(process.argv.slice(2));
}
