import { readFileSync, unwatchFile, watchFile } from 'node:fs';

/** How often the file is looked at, in milliseconds. */
const LOOK_INTERVAL_MS = 500;

/** A file whose content is read anew whenever it changes. */
export class WatchedFile {
  readonly path: string;
  readonly #onChange: () => void;

  /** @param changed called after each change; what it throws is its own business */
  constructor(path: string, changed: () => void) {
    this.path = path;
    this.#onChange = changed;
    // Polling sees what notification does not: a mounted secret that is swapped by a symbolic link.
    watchFile(path, { interval: LOOK_INTERVAL_MS, persistent: false }, this.#onChange);
  }

  /** The content now. @throws where it cannot be read */
  read(): string {
    return readFileSync(this.path, 'utf8');
  }

  /** Ends the watch. */
  close(): void {
    unwatchFile(this.path, this.#onChange);
  }
}

/** Why a file cannot be read, in a few words. */
export function fileFault(error: unknown): string {
  const { code, message } = error as NodeJS.ErrnoException;
  return code ?? message;
}
