// A program of the story's own: `ioc run` on a new data folder and a free port. Before ./harness.mjs is loaded, which wants its address.
//   IOC_BIN  the program, default target/debug/ioc
import { spawn } from 'node:child_process';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';

/** Gives { url, stop }; the program is asked for from the tree's root, where its pipelines are. */
export async function runProgram(more = []) {
  const data = await mkdtemp(join(tmpdir(), 'ioc-story-'));
  const program = spawn(process.env.IOC_BIN ?? 'target/debug/ioc', ['run', '--listen', '127.0.0.1:0', '--data', data, ...more], { stdio: ['ignore', 'ignore', 'pipe'] });
  const said = [];
  const ended = new Promise((done) => { program.once('exit', done); program.once('error', (error) => { said.push(String(error)); done(null); }); });
  const stop = async () => {
    program.kill();
    const code = await ended;
    await rm(data, { recursive: true, force: true });
    return code;
  };
  const url = await new Promise((done) => {
    createInterface({ input: program.stderr }).on('line', (line) => {
      said.push(line);
      const found = /http:\/\/127[0-9.:]+/.exec(line);
      if (found) done(found[0]);
    });
    void ended.then(() => done(null));
  });
  if (url === null) {
    await stop();
    throw new Error(`ioc run did not come up:\n${said.join('\n')}`);
  }
  return { url, stop };
}
