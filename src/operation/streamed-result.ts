/** One result of a subscription, for a transport that streams. */
export interface StreamedResult {
  /** Its JSON text. */
  readonly json: Buffer;
  /** By which a client resumes behind it; `undefined` for what is no state of a contract. */
  readonly cursor: string | undefined;
}
