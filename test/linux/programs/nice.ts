// Sets its priority and prints that of each of its threads.

import { readdirSync } from 'node:fs';
import { getPriority } from 'node:os';
import { setNice } from '../../../src/linux/privileges.ts';

setNice(7);
console.log(JSON.stringify(readdirSync('/proc/self/task').map((thread) => getPriority(Number(thread)))));
