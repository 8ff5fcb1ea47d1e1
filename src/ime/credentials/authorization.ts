import type { Logger } from '../../observability/log.ts';
import type { AuthorizationForm } from '../protocol/endpoints.ts';

/**
 * The form in which IME wants the token: as it is set, or found out. Two editions of the API document
 * disagree about it.
 */
export class Authorization {
  readonly #log: Logger;
  #form: AuthorizationForm;
  #isDecided: boolean;

  /** @param wanted `auto`: behind `Bearer`, until that is refused and the other form is not */
  constructor(wanted: AuthorizationForm | 'auto', log: Logger) {
    this.#log = log;
    this.#form = wanted === 'raw' ? 'raw' : 'bearer';
    this.#isDecided = wanted !== 'auto';
  }

  get form(): AuthorizationForm {
    return this.#form;
  }

  /** Whether the other form is worth a try. */
  get isOpen(): boolean {
    return !this.#isDecided;
  }

  /** Takes the other form from now on. */
  flip(): void {
    if (!this.#isDecided) this.#form = this.#form === 'bearer' ? 'raw' : 'bearer';
  }

  /** IME has accepted a token in a form: that one stays. */
  accepted(form: AuthorizationForm): void {
    if (this.#isDecided) return;
    this.#isDecided = true;
    this.#form = form;
    if (form === 'raw') this.#log.warn('IME wants the access token alone, without Bearer');
  }
}
