import { fileFault, WatchedFile } from '../../lib/watched-file.ts';
import type { Logger } from '../../observability/log.ts';
import { readHeaders } from './header-text.ts';

/** The headers of IME_HEADERS_FILE, which is read anew when it changes; none without it. */
export class FurtherHeaders {
  readonly #file: WatchedFile | undefined;
  readonly #log: Logger;
  #headers: Readonly<Record<string, string>> = {};
  #changed: () => void = () => {};

  /** @throws TypeError where the file cannot be used */
  constructor(path: string | undefined, log: Logger) {
    this.#log = log;
    if (path === undefined) return;
    this.#file = new WatchedFile(path, () => this.reread());
    try {
      this.#headers = readHeaders(this.#file.read());
    } catch (error) {
      this.#file.close();
      throw new TypeError(`IME_HEADERS_FILE: ${fileFault(error)}`);
    }
  }

  get headers(): Readonly<Record<string, string>> {
    return this.#headers;
  }

  /** `changed` is called when there are other headers. */
  watch(changed: () => void): void {
    this.#changed = changed;
  }

  /** Reads the file anew; what cannot be used leaves the last headers in force. */
  reread(): void {
    if (this.#file === undefined) return;
    try {
      const headers = readHeaders(this.#file.read());
      if (JSON.stringify(headers) === JSON.stringify(this.#headers)) return;
      this.#headers = headers;
    } catch (error) {
      this.#log.error(
        { reason: fileFault(error) },
        'IME_HEADERS_FILE cannot be used; the last one stays',
      );
      return;
    }
    this.#changed();
  }

  close(): void {
    this.#file?.close();
  }
}
