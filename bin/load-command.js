// Loads the bundled command with V8's code cache beside it, which the build makes: what was compiled then need not be
// compiled at every start. A cache of another Node is refused by V8 itself, and the command is compiled as usual.

const { readFileSync } = require('node:fs');
const { createRequire, Module } = require('node:module');
const { dirname } = require('node:path');
const { Script } = require('node:vm');

/** The bundle's exports, and its script for whoever makes the cache. */
exports.loadCommand = (file) => {
  const source = Module.wrap(readFileSync(file, 'utf8'));
  const script = new Script(source, { filename: file, cachedData: readCache(`${file}.cache`) });
  const module = { exports: {} };
  script.runInThisContext()(module.exports, createRequire(file), module, file, dirname(file));
  return { command: module.exports, script };
};

const readCache = (file) => {
  try {
    return readFileSync(file);
  } catch {
    return undefined;
  }
};
