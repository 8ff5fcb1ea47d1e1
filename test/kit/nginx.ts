import { spawn } from 'node:child_process';
import { mkdtempSync, readFileSync, writeFileSync } from 'node:fs';
import type { AddressInfo } from 'node:net';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { onTestFinished } from 'vitest';

/**
 * nginx with the configuration in `deploy/`, in front of gateways on this machine; ended with the test.
 *
 * @returns where it listens
 */
export async function startNginx(program: string, ports: readonly number[]): Promise<string> {
  const directory = mkdtempSync(join(tmpdir(), 'ime-gateway-nginx-'));
  const port = await freePort();
  const [a, b] = ports;
  const text = readFileSync('deploy/nginx.conf', 'utf8')
    .replace('gateway-a:4000', `127.0.0.1:${a}`)
    .replace('gateway-b:4000', `127.0.0.1:${b}`)
    .replace('listen 80 reuseport', `listen 127.0.0.1:${port}`)
    .replace(
      'http {',
      `http {\n  access_log off;\n  client_body_temp_path ${directory};\n  proxy_temp_path ${directory};`,
    );
  const path = join(directory, 'nginx.conf');
  writeFileSync(path, text);
  const globals = `daemon off; pid ${directory}/pid; error_log ${directory}/error.log;`;
  const nginx = spawn(
    program,
    ['-p', directory, '-e', `${directory}/error.log`, '-c', path, '-g', globals],
    {
      stdio: 'inherit',
    },
  );
  onTestFinished(async () => {
    nginx.kill('SIGQUIT');
    nginx.kill('SIGTERM');
    await new Promise((resolve) => nginx.once('exit', resolve));
  });
  const url = `http://127.0.0.1:${port}`;
  for (let tries = 0; tries < 200; tries++) {
    const answer = await fetch(`${url}/health`).catch(() => undefined);
    if (answer?.ok) return url;
    if (nginx.exitCode !== null) break;
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  throw new Error(`nginx does not serve: ${readFileSync(`${directory}/error.log`, 'utf8')}`);
}

async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  await new Promise((resolve) => server.close(resolve));
  return port;
}
