/** What ends a tool: lines for the log, of which the last are why. */
export class ToolError extends Error {
  readonly lines: readonly string[];

  constructor(...lines: readonly string[]) {
    super(lines.join('; '));
    this.lines = lines;
  }
}
