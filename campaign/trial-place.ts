// Holds the scenario of a part that prepares one for several points.
import path from 'node:path';
import { Command } from './command.ts';
import { type Lab, pointSeed } from './part.ts';
import { type Errand, Scenario } from './scenario.ts';
import { type TransportName, Transports } from './transports.ts';

/** The input of a group of points. */
export interface Trial {
  readonly errand: Errand;
  readonly transport: TransportName;
}

/** Prepares the scenario of a group of points once, and removes it when the next one comes. */
export class TrialPlace<Extra> {
  readonly command: Command;
  readonly lab: Lab;
  readonly #transports: Transports;
  readonly #extra: (scenario: Scenario) => Promise<Extra>;
  #current:
    { readonly key: string; readonly scenario: Scenario; readonly extra: Extra } | undefined;

  /** @param extra - measures something about a scenario, once */
  constructor(lab: Lab, extra: (scenario: Scenario) => Promise<Extra>) {
    this.lab = lab;
    this.command = new Command(lab.cli);
    this.#transports = new Transports(lab.dir);
    this.#extra = extra;
  }

  async get(
    seed: number,
    group: number,
    trialOf: (groupSeed: number) => Trial,
  ): Promise<{ scenario: Scenario; extra: Extra }> {
    const key = `${seed} ${group}`;
    if (this.#current?.key === key) return this.#current;
    this.#current?.scenario.remove();
    this.#current = undefined;
    const own = pointSeed({ seed, point: -group - 1 });
    const { errand, transport: name } = trialOf(own);
    const transport = await this.#transports.get(name);
    const dir = path.join(this.lab.dir, `scenario-${group}`);
    const scenario = await Scenario.prepare({
      command: this.command,
      transport,
      errand,
      seed: own,
      dir,
    });
    const extra = await this.#extra(scenario);
    this.#current = { key, scenario, extra };
    return this.#current;
  }

  async close(): Promise<void> {
    this.#current?.scenario.remove();
    await this.#transports.stop();
  }
}
