/** Where versions that share a table have the same messages in their specifications. */

/** Appendix A of OpenFlow 1.1 and 1.2. */
export const APPENDIX_A = {
  hello: 'A.5.1',
  error: 'A.4.4',
  echo_request: 'A.5.2',
  echo_reply: 'A.5.3',
  experimenter: 'A.5.4',
  features_request: 'A.3.1',
  features_reply: 'A.3.1',
  get_config_request: 'A.3.2',
  get_config_reply: 'A.3.2',
  set_config: 'A.3.2',
  packet_in: 'A.4.1',
  flow_removed: 'A.4.2',
  port_status: 'A.4.3',
  packet_out: 'A.3.7',
  flow_mod: 'A.3.4.1',
  group_mod: 'A.3.4.2',
  port_mod: 'A.3.4.3',
  table_mod: 'A.3.3',
  stats_request: 'A.3.6',
  stats_reply: 'A.3.6',
  barrier_request: 'A.3.8',
  barrier_reply: 'A.3.8',
  queue_get_config_request: 'A.3.5',
  queue_get_config_reply: 'A.3.5',
  role_request: 'A.3.9',
  role_reply: 'A.3.9',
} as const;

/** Section 7 since OpenFlow 1.4, which has no messages of queues, and counts table_mod as one that modifies state. */
export const SINCE_14 = {
  group_mod: '7.3.4.3',
  meter_mod: '7.3.4.5',
  error: '7.5.4',
  experimenter: '7.5.5',
  packet_out: '7.3.6',
  barrier_request: '7.3.7',
  barrier_reply: '7.3.7',
  role_request: '7.3.8',
  role_reply: '7.3.8',
} as const;
