/** Writes `schema.graphql` anew, or with `--check` compares it with what the code prints. */
import { readFileSync, writeFileSync } from 'node:fs';
import { schemaText } from './schema.ts';

const file = new URL('../../schema.graphql', import.meta.url);

if (!process.argv.includes('--check')) {
  writeFileSync(file, schemaText());
} else if (readFileSync(file, 'utf8') !== schemaText()) {
  process.stderr.write('schema.graphql is not what the code prints: run npm run schema\n');
  process.exitCode = 1;
}
