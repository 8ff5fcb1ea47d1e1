import { SignJWT } from 'jose';

/** A shared secret for tests, long enough for HS256. */
const SECRET = 'a secret that is long enough for HS256';

/** Settings of a gateway that takes tokens of {@link token}. */
export const JWT = { AUTH: 'jwt', JWT_SECRET: SECRET } as const;

/** A token with claims, signed with {@link SECRET}; it expires after so many seconds. */
export function token(
  claims: Record<string, unknown> = {},
  expiresInS: number | undefined = 3600,
): Promise<string> {
  const jwt = new SignJWT({ sub: 'somebody', ...claims }).setProtectedHeader({ alg: 'HS256' });
  if (expiresInS !== undefined) jwt.setExpirationTime(Math.floor(Date.now() / 1000) + expiresInS);
  return jwt.sign(new TextEncoder().encode(SECRET));
}

/** The header that shows a token. */
export const bearer = (shown: string) => ({ authorization: `Bearer ${shown}` });
