import { fileFault, WatchedFile } from '../../lib/watched-file.ts';
import type { Logger } from '../../observability/log.ts';

/** A password: given, or the content of a file that is read anew when it changes. */
export class Password {
  readonly #file: WatchedFile | undefined;
  readonly #log: Logger;
  #text: string;
  #changed: () => void = () => {};

  /**
   * @param text not used where there is a file
   * @throws TypeError where the file cannot be read, or is empty
   */
  constructor(text: string | undefined, path: string | undefined, log: Logger) {
    this.#log = log;
    this.#text = text ?? '';
    if (path === undefined) return;
    this.#file = new WatchedFile(path, () => this.reread());
    try {
      this.#text = this.#file.read().trim();
    } catch (error) {
      this.#file.close();
      throw new TypeError(`IME_PASSWORD_FILE: expected a file, got ${fileFault(error)}`);
    }
    if (this.#text !== '') return;
    this.#file.close();
    throw new TypeError('IME_PASSWORD_FILE: expected a password, got nothing');
  }

  get text(): string {
    return this.#text;
  }

  /** `changed` is called when it is another one. */
  watch(changed: () => void): void {
    this.#changed = changed;
  }

  /** Reads the file anew; the last password stays where that cannot be done. */
  reread(): void {
    let text: string;
    try {
      text = this.#file?.read().trim() ?? this.#text;
    } catch (error) {
      this.#log.error({ reason: fileFault(error) }, 'IME_PASSWORD_FILE cannot be read');
      return;
    }
    if (text === '' || text === this.#text) return;
    this.#text = text;
    this.#changed();
  }

  close(): void {
    this.#file?.close();
  }
}
