// What a management client with the private key is asked, and that what it makes of it is a signature.

import {
  constants,
  createHash,
  createPublicKey,
  generateKeyPairSync,
  type KeyObject,
  privateEncrypt,
  verify,
} from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { type ExternalKeyFlag, signingQuestion } from '../../apps/management/external-key.ts';
import type { SignRequest } from '../../src/command.ts';

const message = new TextEncoder().encode('what is to be signed');
const rsa: SignRequest = {
  keyType: 'RSA',
  padding: 'pss',
  digest: 'SHA256',
  saltLength: 'digest',
  keyBits: 2048,
  message,
};
const ec: SignRequest = { ...rsa, keyType: 'EC', padding: undefined, keyBits: 256 };
const ed: SignRequest = { ...ec, keyType: 'ED25519', digest: undefined };
const flagsOf = (text: string): ReadonlySet<ExternalKeyFlag> => new Set(text.split(' ') as ExternalKeyFlag[]);

describe('the question for a signature', () => {
  it.each([
    [ec, 'pkcs1', 'ECDSA', 32],
    [ec, 'pkcs1 digest', 'ECDSA,hashalg=SHA256,data=message', message.length],
    [ed, 'pkcs1', 'ED25519,data=message', message.length],
    [rsa, 'pss', 'RSA_PKCS1_PSS_PADDING,hashalg=SHA256,saltlen=digest', 32],
    [rsa, 'pss digest', 'RSA_PKCS1_PSS_PADDING,hashalg=SHA256,saltlen=digest,data=message', message.length],
    [{ ...rsa, digest: 'SHA512' }, 'pss nopadding', 'RSA_PKCS1_PSS_PADDING,hashalg=SHA512,saltlen=digest', 64],
    [{ ...rsa, padding: 'pkcs1' }, 'pkcs1 pss', 'RSA_PKCS1_PADDING', 51],
    [{ ...rsa, padding: 'pkcs1' }, 'pkcs1 digest', 'RSA_PKCS1_PADDING,hashalg=SHA256,data=message', message.length],
    [rsa, 'nopadding', 'RSA_NO_PADDING', 256],
    [{ ...rsa, padding: 'pkcs1' }, 'nopadding', 'RSA_NO_PADDING', 256],
  ] as const)('%#: %s for a client with %s is %s', (request, flags, algorithm, bytes) => {
    const question = signingQuestion(request, flagsOf(flags));
    expect(question?.algorithm).toBe(algorithm);
    expect(question?.data).toHaveLength(bytes);
  });

  it.each([
    [rsa, 'pkcs1'],
    [{ ...rsa, padding: 'pkcs1' }, 'pss'],
    [{ ...rsa, saltLength: 'max' }, 'nopadding'],
    [{ ...rsa, keyBits: 512 }, 'nopadding'],
  ] as const)('%#: is none where the client does not know the padding', (request, flags) => {
    expect(signingQuestion(request as SignRequest, flagsOf(flags))).toBeUndefined();
  });

  // A key whose length is no whole number of bytes has its own padding.
  for (const modulusLength of [2048, 2047, 2041]) {
    const { privateKey } = generateKeyPairSync('rsa', { modulusLength });
    const keyBits = privateKey.asymmetricKeyDetails?.modulusLength ?? 0;
    const pem = privateKey.export({ type: 'pkcs8', format: 'pem' });
    const publicKey: KeyObject = createPublicKey(privateKey);
    it.each([
      ['pss', 'nopadding'],
      ['pkcs1', 'nopadding'],
      ['pkcs1', 'pkcs1'],
    ] as const)(`${keyBits} bits, %s by a client with %s: the signature is good`, (padding, flag) => {
      for (const digest of ['SHA1', 'SHA224', 'SHA256', 'SHA384', 'SHA512']) {
        const question = signingQuestion({ ...rsa, padding, digest, keyBits }, flagsOf(flag));
        const how = flag === 'nopadding' ? constants.RSA_NO_PADDING : constants.RSA_PKCS1_PADDING;
        const signature = privateEncrypt({ key: pem, padding: how }, question!.data);
        const options = {
          key: publicKey,
          padding: padding === 'pss' ? constants.RSA_PKCS1_PSS_PADDING : constants.RSA_PKCS1_PADDING,
          saltLength: constants.RSA_PSS_SALTLEN_DIGEST,
        };
        expect(verify(digest, message, options, signature), digest).toBe(true);
      }
    });
  }

  it('has the digest of the message, not the message', () => {
    expect(signingQuestion(ec, flagsOf('pkcs1'))?.data).toEqual(createHash('sha256').update(message).digest());
  });
});
