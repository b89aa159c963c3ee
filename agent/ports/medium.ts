/** What is known of an interface's medium, whoever says so. */

/** `supported`, `advertised` and `peer` are SUPPORTED_* bits of Linux. */
export interface Medium {
  /** Mbit/s, 0 when unknown. */
  speed: number;
  halfDuplex: boolean;
  fiber: boolean;
  supported: number;
  advertised: number;
  peer: number;
}

export const NO_MEDIUM: Medium = {
  speed: 0,
  halfDuplex: false,
  fiber: false,
  supported: 0,
  advertised: 0,
  peer: 0,
};
