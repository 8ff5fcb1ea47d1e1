import { readFileSync, unwatchFile, watchFile } from 'node:fs';

/** How often a file is looked at, in milliseconds. */
const LOOK_INTERVAL_MS = 1_000;

/** A file that is read anew when it changes. */
export class PolledFile {
  readonly path: string;
  readonly #changed: () => void;

  /** @param changed called when the file may have changed */
  constructor(path: string, changed: () => void) {
    this.path = path;
    this.#changed = changed;
    // Polling sees what notification does not: a mounted secret that is swapped by a symbolic link.
    watchFile(path, { interval: LOOK_INTERVAL_MS, persistent: false }, this.#changed);
  }

  /** The text in it, without white space around it. @throws where it cannot be read */
  read(): string {
    return readFileSync(this.path, 'utf8').trim();
  }

  /** Ends the watch. */
  close(): void {
    unwatchFile(this.path, this.#changed);
  }
}

/** Why a file cannot be read, in a few words. */
export function fileFault(error: unknown): string {
  const { code, message } = error as NodeJS.ErrnoException;
  return code ?? message;
}
