/** `--protocols`: versions of OpenFlow by the names that Open vSwitch has for them. */

import { InvalidArgumentError } from 'commander';

/** Wire version by name; those that agent and controller can speak. */
const PROTOCOLS: Readonly<Record<string, number>> = {
  OpenFlow10: 1,
  OpenFlow13: 4,
  OpenFlow14: 5,
  OpenFlow15: 6,
};

export const PROTOCOL_NAMES = Object.keys(PROTOCOLS).join(',');

/** Wire versions from a list such as `OpenFlow10,OpenFlow13`. */
export function protocols(text: string): number[] {
  return text.split(',').map((name) => {
    if (!Object.hasOwn(PROTOCOLS, name)) {
      throw new InvalidArgumentError(`It must be some of ${PROTOCOL_NAMES}, with commas between them.`);
    }
    return PROTOCOLS[name];
  });
}
