import type { StatusCause } from '../../contract/contract-status.ts';

/**
 * What is being done about refusals: nothing to do, finding out whether the token or a contract is at
 * fault, searching a batch for its refused contracts, or waiting because the token, or everything that
 * was asked for so far, is refused.
 */
export type RefusalState = 'clear' | 'asking' | 'searching' | 'tokenRefused' | 'allRefused';

/** What the log says where a state is begun that is no trouble in itself. */
export const IN_WORDS: Record<RefusalState, string> = {
  clear: 'it is clear what IME has refused',
  asking:
    'IME has refused a connection: whether for its token or for a contract is being found out',
  searching: 'IME refuses a contract: which one is being found out',
  tokenRefused: 'IME refuses the access token',
  allRefused: 'IME refuses everything',
};

/** Why nothing is dialed while a token is refused whose life, as it says itself, is over. */
export const TOKEN_ENDED: StatusCause = {
  code: 'TOKEN_REFUSED',
  reason:
    'The access token for IME has ended: set another IME_TOKEN, or write a valid one to IME_TOKEN_FILE.',
};

const ALL_REFUSED: StatusCause = {
  code: 'TOKEN_REFUSED',
  reason:
    'IME refuses either the access token or every contract asked for so far; which of them, it does not say.',
};

/**
 * Why nothing is dialed in a state, with a token that was given and with one of a login; nothing for those in
 * which dialing goes on.
 */
export const TROUBLE: Record<'token' | 'login', Partial<Record<RefusalState, StatusCause>>> = {
  token: {
    tokenRefused: {
      code: 'TOKEN_REFUSED',
      reason:
        'IME refuses the access token: set IME_TOKEN, or write a valid one to IME_TOKEN_FILE.',
    },
    allRefused: ALL_REFUSED,
  },
  login: {
    tokenRefused: {
      code: 'TOKEN_REFUSED',
      reason:
        'IME refuses the access token that the login gave: the gateway logs in again once it is a minute old.',
    },
    allRefused: ALL_REFUSED,
  },
};
