/** `npm run key`: makes an API key, adds its hash to the key file, and shows the key once. */
import { randomBytes } from 'node:crypto';
import { existsSync, mkdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { dirname } from 'node:path';
import { parseArgs } from 'node:util';
import { hashOfKey, type KeyEntry, readKeyFile } from './key-file.ts';
import { errorText } from './refused.ts';

const KEY_BYTES = 32;
const USAGE = `Usage: npm run key -- --label "mobile app" [--file keys.json] [--contracts "name:Gold*,id:12"]
                  [--scopes operator] [--expires 2027-01-01T00:00:00Z]
                  [--max-connections 100] [--max-contracts 1000]

Adds a key to the file (AUTH_KEYS_FILE, or keys.json) and prints it. Only its hash is kept.
`;

try {
  const { values } = parseArgs({
    options: {
      help: { type: 'boolean' },
      label: { type: 'string' },
      file: { type: 'string', default: process.env['AUTH_KEYS_FILE'] ?? 'keys.json' },
      contracts: { type: 'string' },
      scopes: { type: 'string' },
      expires: { type: 'string' },
      'max-connections': { type: 'string' },
      'max-contracts': { type: 'string' },
    },
  });
  if (values.help) {
    process.stdout.write(USAGE);
  } else {
    if (!values.label) throw new TypeError('--label: expected a name for the key, got none');
    const key = `ime_${randomBytes(KEY_BYTES).toString('base64url')}`;
    const list = (text: string | undefined) => text?.split(',').map((item) => item.trim());
    const connections = values['max-connections'];
    const contracts = values['max-contracts'];
    const entry: KeyEntry = {
      label: values.label,
      sha256: hashOfKey(key),
      contracts: list(values.contracts) ?? ['*'],
      ...(values.scopes ? { scopes: list(values.scopes) as string[] } : {}),
      ...(values.expires ? { expiresAt: values.expires } : {}),
      limits: {
        ...(connections ? { connections: Number(connections) } : {}),
        ...(contracts ? { contracts: Number(contracts) } : {}),
      },
    };
    addTo(values.file, entry);
    process.stdout.write(`${key}\n`);
    process.stderr.write(
      `Added to ${values.file} as ${JSON.stringify(values.label)}. The key is not kept: note it now.\n`,
    );
  }
} catch (error) {
  process.stderr.write(`${errorText(error)}\n\n${USAGE}`);
  process.exitCode = 2;
}

/** Writes the file anew beside the old one and swaps them: a gateway never reads half of it. */
function addTo(file: string, entry: KeyEntry): void {
  const before = existsSync(file) ? readFileSync(file, 'utf8') : '{"keys":[]}';
  readKeyFile(before);
  const { keys } = JSON.parse(before) as { keys: KeyEntry[] };
  const after = `${JSON.stringify({ keys: [...keys, entry] }, null, 2)}\n`;
  readKeyFile(after);
  mkdirSync(dirname(file), { recursive: true });
  writeFileSync(`${file}.new`, after, { mode: 0o600 });
  renameSync(`${file}.new`, file);
}
