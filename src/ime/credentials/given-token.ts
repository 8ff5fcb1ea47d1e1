import type { CredentialsSummary } from '../../hub/source.ts';
import { fileFault, WatchedFile } from '../../lib/watched-file.ts';
import type { Logger } from '../../observability/log.ts';
import { type Credential, type Credentials, noLogins } from './credentials.ts';
import type { FurtherHeaders } from './further-headers.ts';
import { expiryOf, tokenFault } from './header-text.ts';

/** A token that somebody gives the gateway: IME_TOKEN, the content of IME_TOKEN_FILE, or none. */
export class GivenToken implements Credentials {
  readonly isRequired = false;
  readonly #file: WatchedFile | undefined;
  readonly #headers: FurtherHeaders;
  readonly #log: Logger;
  #token: string | undefined;
  #current: Credential | undefined;
  #problem: string | undefined;
  #changed: () => void = () => {};

  /**
   * @param token the fixed token; not used where there is a file
   * @param path of a file that holds the token and nothing else but white space
   * @throws TypeError for a token that no header can carry
   */
  constructor(
    token: string | undefined,
    path: string | undefined,
    headers: FurtherHeaders,
    log: Logger,
  ) {
    this.#headers = headers;
    this.#log = log;
    this.#token = path === undefined ? token : undefined;
    const fault = this.#token === undefined ? undefined : tokenFault(this.#token);
    if (fault !== undefined) throw new TypeError(`IME_TOKEN: ${fault}`);
    if (path !== undefined) {
      this.#file = new WatchedFile(path, () => this.reread());
      const wrong = this.#read();
      if (wrong !== undefined) {
        this.#file.close();
        throw new TypeError(`IME_TOKEN_FILE: ${wrong}`);
      }
    }
    this.#make();
    headers.watch(() => {
      this.#make();
      this.#changed();
    });
  }

  get current(): Credential | undefined {
    return this.#current;
  }

  get problem(): string | undefined {
    return this.#problem;
  }

  watch(changed: () => void): void {
    this.#changed = changed;
  }

  refused(): void {
    this.reread();
  }

  reread(): boolean {
    if (this.#file === undefined) return false;
    const last = this.#token;
    const said = this.#problem;
    const wrong = this.#read();
    if (wrong !== undefined) this.#setProblem(`IME_TOKEN_FILE ${this.#file.path}: ${wrong}`);
    if (this.#token !== last) this.#make();
    if (this.#token !== last || this.#problem !== said) this.#changed();
    return this.#token !== last;
  }

  retry(): void {
    this.reread();
  }

  report(): CredentialsSummary {
    return {
      mode: this.#file === undefined ? (this.#token === undefined ? 'NONE' : 'TOKEN') : 'FILE',
      expiresAtMs: this.#current?.expiresAtMs ?? null,
      renewedAtMs: null,
      problem: this.#problem ?? null,
      logins: noLogins(),
    };
  }

  close(): void {
    this.#file?.close();
    this.#headers.close();
  }

  /** @returns what is wrong with what the file holds; the last token then stays */
  #read(): string | undefined {
    let text: string;
    try {
      text = this.#file?.read().trim() ?? '';
    } catch (error) {
      // A file that is being replaced may be missing for a moment.
      this.#setProblem(`IME_TOKEN_FILE ${this.#file?.path} cannot be read: ${fileFault(error)}`);
      return undefined;
    }
    const fault = tokenFault(text);
    if (fault !== undefined) return fault;
    this.#token = text;
    this.#setProblem(undefined);
    return undefined;
  }

  #make(): void {
    const token = this.#token;
    const { headers } = this.#headers;
    this.#current =
      token === undefined ? undefined : { token, expiresAtMs: expiryOf(token), headers };
  }

  #setProblem(problem: string | undefined): void {
    if (problem !== undefined && problem !== this.#problem) {
      this.#log.error(`${problem}; the last token stays`);
    }
    this.#problem = problem;
  }
}
