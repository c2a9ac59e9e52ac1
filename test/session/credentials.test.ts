import { describe, expect, it } from 'vitest';
import { CredentialStore } from '../../src/session/credentials.ts';

const ALICE = { username: 'alice', password: 'secret' };

describe('the credentials of a key exchange', () => {
  it('are missing only where they are needed', () => {
    expect(new CredentialStore({ needed: true, forget: false }).take()).toBe('missing');
    expect(new CredentialStore({ needed: false, forget: false }).take()).toBeUndefined();
  });

  it('are kept for renegotiations, or forgotten once sent', () => {
    const kept = new CredentialStore({ needed: true, forget: false });
    kept.setCredentials(ALICE);
    expect([kept.take(), kept.take()]).toEqual([ALICE, ALICE]);
    const forgotten = new CredentialStore({ needed: true, forget: true });
    forgotten.setCredentials(ALICE);
    expect([forgotten.take(), forgotten.take()]).toEqual([ALICE, 'missing']);
  });

  it('give way to an auth-token, under the name that was sent or the one that came with it', () => {
    const store = new CredentialStore({ needed: true, forget: true });
    store.setCredentials(ALICE);
    store.take();
    store.setToken('SESS_ID_one', undefined);
    expect(store.take()).toEqual({ username: 'alice', password: 'SESS_ID_one' });
    store.setToken('SESS_ID_two', 'bob');
    expect(store.take()).toEqual({ username: 'bob', password: 'SESS_ID_two' });
    store.setToken('SESS_ID_three', undefined);
    expect(store.take()).toEqual({ username: 'bob', password: 'SESS_ID_three' });
    store.close();
    expect(store.hasToken).toBe(false);
  });
});
