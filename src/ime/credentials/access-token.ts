import { readFileSync, unwatchFile, watchFile } from 'node:fs';

/** How often the token file is looked at, in milliseconds. */
const LOOK_INTERVAL_MS = 1_000;

/**
 * The access token: a fixed one, or a file's content, which is read anew when the file changes and
 * whenever {@link reread} is called.
 */
export class TokenSource {
  readonly #file: string | undefined;
  readonly #onChange = () => {
    this.reread();
  };
  #token: string | undefined;
  #fault: string | undefined;
  #changed: () => void = () => {};

  /**
   * @param token the fixed token; not used where there is a file
   * @param file path of a file that holds the token and nothing else but white space
   */
  constructor(token: string | undefined, file: string | undefined) {
    this.#token = file === undefined ? token : undefined;
    this.#file = file;
    if (file === undefined) return;
    this.reread();
    // Polling sees what notification does not: a mounted secret that is swapped by a symbolic link.
    watchFile(file, { interval: LOOK_INTERVAL_MS, persistent: false }, this.#onChange);
  }

  /** The token as last read; `undefined` where none is known. */
  get token(): string | undefined {
    return this.#token;
  }

  /** Why the file cannot be read, in words; `undefined` while it can. */
  get fault(): string | undefined {
    return this.#fault;
  }

  /** `changed` is called when the file has come to hold another token. */
  watch(changed: () => void): void {
    this.#changed = changed;
  }

  /** Reads the file anew; whoever watches is told of another token. @returns whether it is another one */
  reread(): boolean {
    if (this.#file === undefined) return false;
    const last = this.#token;
    try {
      this.#token = readFileSync(this.#file, 'utf8').trim() || undefined;
      this.#fault = this.#token === undefined ? `IME_TOKEN_FILE ${this.#file} is empty` : undefined;
    } catch (error) {
      // A file that is being replaced may be missing for a moment: the last token stays.
      const { code, message } = error as NodeJS.ErrnoException;
      this.#fault = `IME_TOKEN_FILE ${this.#file} cannot be read: ${code ?? message}`;
    }
    if (this.#token === last) return false;
    this.#changed();
    return true;
  }

  /** Ends the watch. */
  close(): void {
    if (this.#file !== undefined) unwatchFile(this.#file, this.#onChange);
  }
}
