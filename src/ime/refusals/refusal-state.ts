import type { StatusCause } from '../../contract/contract-status.ts';

/**
 * What is being done about refusals: nothing to do, finding out whether the token or a contract is at
 * fault, searching a batch for its refused contracts, or waiting because the token, or everything that
 * was asked for so far, is refused.
 */
export type RefusalState = 'clear' | 'asking' | 'searching' | 'tokenRefused' | 'allRefused';

/** Why nothing is dialed in a state; nothing for those in which dialing goes on. */
export const TROUBLE: Partial<Record<RefusalState, StatusCause>> = {
  tokenRefused: {
    code: 'TOKEN_REFUSED',
    reason: 'IME refuses the access token: set IME_TOKEN, or write a valid one to IME_TOKEN_FILE.',
  },
  allRefused: {
    code: 'TOKEN_REFUSED',
    reason:
      'IME refuses either the access token or every contract asked for so far; which of them, it does not say.',
  },
};
