// Texts of peers in files and lines: none begins a line of its own, and one that is missing has C's name.

/** Every control character is replaced by `by`. */
export const replaceControls = (text: string, by: string): string => text.replace(/[\0-\x1f\x7f]/g, by);

/** C's word for a name that there is none of. */
export const named = (name: string | undefined): string => (name === undefined || name === '' ? 'UNDEF' : name);
