import { SettingFault } from '../access/refused.ts';
import type { Config } from '../config/command-line.ts';
import type { Credentials } from '../ime/credentials/credentials.ts';
import { FurtherHeaders } from '../ime/credentials/further-headers.ts';
import { GivenToken } from '../ime/credentials/given-token.ts';
import { Login } from '../ime/credentials/login.ts';
import { Password } from '../ime/credentials/password.ts';
import type { Clock } from '../lib/clock.ts';
import type { Logger } from '../observability/log.ts';

/** Where a login is, seen from the host of the service. Source: what IME's makers publish. */
const LOGIN_PATH = '/auth/user/token/issue';

/**
 * What the gateway shows IME, as the configuration says.
 *
 * @param base of the service, with `ws` or `wss`
 * @throws SettingFault where a token or a file cannot be used
 */
export function createCredentials(
  config: Config,
  base: URL,
  clock: Clock,
  log: Logger,
): Credentials {
  let headers: FurtherHeaders | undefined;
  try {
    headers = new FurtherHeaders(config.IME_HEADERS_FILE, log);
    if (config.IME_USERNAME === undefined) {
      return new GivenToken(config.IME_TOKEN, config.IME_TOKEN_FILE, headers, log);
    }
    const service = new URL(base.href.replace(/^ws/, 'http'));
    const password = new Password(config.IME_PASSWORD, config.IME_PASSWORD_FILE, log);
    const url = config.IME_LOGIN_URL ?? new URL(LOGIN_PATH, service);
    const settings = { url, username: config.IME_USERNAME, password, service };
    return new Login(settings, headers, clock, log);
  } catch (error) {
    headers?.close();
    const [, variable = 'IME_TOKEN', fault = ''] =
      /^(\w+): (.*)$/s.exec((error as Error).message) ?? [];
    throw new SettingFault(variable, fault);
  }
}
