// How the pki commands say times.

/** `2028-03-02`, in UTC. */
export const dayOf = (unix: number): string => new Date(unix * 1000).toISOString().slice(0, 10);

/** `2028-03-02T10:20:30Z`. */
export const timeOf = (unix: number): string => new Date(unix * 1000).toISOString().replace('.000Z', 'Z');
