// `--test-crypto`: seals and opens packets of every length with one cipher. Words and exit codes are the C program's.

import { Level, type Log, MAX_PROFILE_BYTES, readBoundedFile } from '../../src/command.ts';
import {
  hasCipher,
  hasDigest,
  isSmallBlock,
  parseStaticKey,
  runCipherTest,
  type ToolRequest,
} from '../../src/tools.ts';
import { sentenceOf } from './named-files.ts';
import { ToolError } from './tool-error.ts';
import { librariesLine, versionLine } from './version.ts';

/** The C program's defaults; the first is in no OpenSSL 3 without `--providers legacy default`. */
const DEFAULT_CIPHER = 'BF-CBC';
const DEFAULT_DIGEST = 'SHA1';

/** Throws ToolError for what is not there and for a packet that did not come back as it was. */
export function testCrypto(request: ToolRequest, log: Log): void {
  const { cipher = DEFAULT_CIPHER, auth = DEFAULT_DIGEST, maxPacketBytes } = request;
  if (request.secret !== undefined) log(Level.warning, 'DEPRECATED OPTION: The option --secret is deprecated.');
  const key = request.secret === undefined ? undefined : keyOf(request.secret);
  log(Level.info, versionLine());
  log(Level.info, librariesLine());
  if (!hasCipher(cipher)) {
    throw new ToolError(`Cipher ${cipher} not supported`, '  Name one of --show-ciphers: --cipher AES-256-GCM.');
  }
  if (!hasDigest(auth)) {
    throw new ToolError(`Message hash algorithm '${auth}' not found`, '  Name one of --show-digests: --auth SHA256.');
  }
  if (isSmallBlock(cipher)) {
    log(
      Level.warning,
      `WARNING: INSECURE cipher (${cipher}) with block size less than 128 bit (64 bit).  This allows attacks like SWEET32.  Mitigate by using a --cipher with a larger block size (e.g. AES-256-CBC). Support for these insecure ciphers will be removed in OpenVPN 2.8.`,
    );
  }
  if (cipher === 'none') {
    log(
      Level.warning,
      "******* WARNING *******: '--cipher none' was specified. This means NO encryption will be performed and tunnelled data WILL be transmitted in clear text over the network! PLEASE DO RECONSIDER THIS SETTING!",
    );
  }
  log(Level.info, 'Entering OpenVPN crypto self-test mode.');
  const problem = runCipherTest({
    cipher,
    digest: auth,
    maxBytes: maxPacketBytes,
    key,
    onLength: (length) => log(Level.info, `TESTING ENCRYPT/DECRYPT of packet length=${length}`),
  });
  if (problem !== undefined) throw new ToolError(problem);
  log(Level.info, 'OpenVPN crypto self-test mode SUCCEEDED.');
}

/** The first half of a static key file: what is sealed is opened with the same. */
function keyOf(path: string): Uint8Array {
  let text: string;
  try {
    text = readBoundedFile(path, MAX_PROFILE_BYTES).toString('utf8');
  } catch (error) {
    throw new ToolError(`--secret fails with '${path}': ${sentenceOf(error)}`);
  }
  const parsed = parseStaticKey(text);
  if ('problem' in parsed) throw new ToolError(`--secret fails with '${path}': ${parsed.problem}`);
  return parsed.key.subarray(0, 128);
}
