// What a server has shown to the user: pushed as `echo msg TEXT`, `msg-n`, `msg-window`, `msg-notify`, which graphical
// clients of OpenVPN know.

const TEXT_LIMIT = 2048;

/** The text to show; undefined where the echo is about something else. An empty `msg-window` only closes what came before. */
export function bannerOf(echo: string): string | undefined {
  const text = /^msg(?:-n|-window|-notify)?(?: (.*))?$/s
    .exec(echo)?.[1]
    ?.replace(/[\0-\x1f\x7f]/g, ' ')
    .trim();
  return text === undefined || text === '' ? undefined : text.slice(0, TEXT_LIMIT);
}
