/** The `flowcell` command. Each command is a file of its own, and loaded only when it is the one asked for. */

import { Command, CommanderError } from 'commander';
import { explain } from './lib/errors.ts';

/** What a command's file exports: adds its options and its action to the command made for it here. */
export interface CommandModule {
  configure(command: Command): void;
}

interface Entry {
  readonly summary: string;
  readonly load: () => Promise<CommandModule>;
}

const COMMANDS: Readonly<Record<string, Entry>> = {
  controller: {
    summary: 'run the OpenFlow controller',
    load: () => import('./controller.ts'),
  },
  agent: {
    summary: 'run the switch on this device: every flow in a cell of its own',
    load: () => import('./agent.ts'),
  },
  devices: {
    summary: 'run several switches in one process, as told on standard input (for Mininet)',
    load: () => import('./devices.ts'),
  },
  demo: {
    summary: 'see it work: three hosts, a switch and real packets, on this machine',
    load: () => import('./demo.ts'),
  },
  cells: { summary: 'list the live cells of the agents on this machine', load: () => import('./cells.ts') },
  rules: { summary: 'list their dispatch rules', load: () => import('./rules.ts') },
  flows: { summary: "list the flow entries in the cells' tables", load: () => import('./flows.ts') },
  version: { summary: 'print the version', load: () => import('./version.ts') },
};

async function main(args: readonly string[]): Promise<number> {
  const argv = args[0] === '--version' || args[0] === '-V' ? ['version'] : args;
  const program = new Command('flowcell')
    .description('An OpenFlow controller and software switch in which every flow runs in its own sandbox.')
    .exitOverride()
    .showHelpAfterError("Run 'flowcell --help' to see the commands.");
  const asked = COMMANDS[argv[0]];
  for (const [name, entry] of Object.entries(COMMANDS)) {
    const command = program
      .command(name)
      .description(entry.summary)
      .copyInheritedSettings(program)
      .showHelpAfterError(`Run 'flowcell ${name} --help' to see its options.`);
    // `flowcell help agent` shows options too, so there the named command must be complete.
    if (entry === asked || (argv[0] === 'help' && argv[1] === name)) (await entry.load()).configure(command);
  }
  program.option('-V, --version', 'print the version');
  try {
    if (argv.length === 0) {
      program.outputHelp();
      return 2;
    }
    await program.parseAsync(argv, { from: 'user' });
    return Number(process.exitCode ?? 0);
  } catch (error) {
    if (error instanceof CommanderError) return error.exitCode === 0 ? 0 : 2;
    const { sentence, exitCode } = explain(error);
    process.stderr.write(`flowcell: ${sentence}\n`);
    return exitCode;
  }
}

// `flowcell cells | head`: who reads no further has what they wanted.
process.stdout.on('error', (error: NodeJS.ErrnoException) => {
  if (error.code !== 'EPIPE') throw error;
});
process.exitCode = await main(process.argv.slice(2));
