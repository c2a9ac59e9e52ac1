// node:tls is loaded at its first use: it costs the start of commands that never open a connection.

import { createRequire } from 'node:module';

const require = createRequire(import.meta.url);

/** The node:tls module. */
export const nodeTls = (): typeof import('node:tls') => require('node:tls') as typeof import('node:tls');
