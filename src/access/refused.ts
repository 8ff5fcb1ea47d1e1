/** Why somebody is not let in; the message is for them and gives nothing away. */
export class AccessRefused extends Error {
  override readonly name = 'AccessRefused';

  /** @param detail what the log says besides, never told to the client */
  constructor(
    message: string,
    readonly detail?: string,
  ) {
    super(message);
  }
}

/** Tokens cannot be checked now, whoever's they are: worth another try. */
export class AccessUnavailable extends Error {
  override readonly name = 'AccessUnavailable';
}

/** A file that a setting names cannot be used. */
export class SettingFault extends Error {
  override readonly name = 'SettingFault';

  /** @param variable the setting's name */
  constructor(variable: string, fault: string) {
    super(`${variable}: ${fault}`);
  }
}

/** What an error says, with its code where it has one. */
export function errorText(error: unknown): string {
  const { code, message } = error as NodeJS.ErrnoException;
  return code === undefined ? message : `${code}: ${message}`;
}
