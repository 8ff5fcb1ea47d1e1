import type { CredentialsSummary } from '../../hub/source.ts';

/** What a handshake shows IME. Immutable: another token is another credential. */
export interface Credential {
  readonly token: string;
  /** When the token ends, in epoch milliseconds by our clock, as far as that can be read in it. */
  readonly expiresAtMs: number | undefined;
  /** Further headers: cookies of the login, and those of IME_HEADERS_FILE. */
  readonly headers: Readonly<Record<string, string>>;
}

/** How a login has ended. */
export type LoginOutcome = 'accepted' | 'refused' | 'unreachable' | 'malformed';

/** Where the sockets' credential comes from. */
export interface Credentials {
  /** What is shown now; `undefined` where there is nothing to show. */
  readonly current: Credential | undefined;
  /** Whether nothing may be dialed without a credential. */
  readonly isRequired: boolean;
  /** What is wrong, in words; `undefined` while nothing is. */
  readonly problem: string | undefined;
  /** `changed` is called when another credential is in force, or something else is wrong. */
  watch(changed: () => void): void;
  /** IME has refused this credential, and no contract is to blame. */
  refused(credential: Credential | undefined): void;
  /** Reads files anew. @returns whether another credential is in force */
  reread(): boolean;
  /** An operator asks for it: files are read anew, and a login that has failed is tried at once. */
  retry(): void;
  report(): CredentialsSummary;
  /** Ends every timer and watch, and a login that is under way. */
  close(): void;
}

/** No login has ended yet. */
export function noLogins(): Record<LoginOutcome, number> {
  return { accepted: 0, refused: 0, unreachable: 0, malformed: 0 };
}
