/** os-ken's messages of OpenFlow 1.0, which has its own match and actions. */
import {
  big,
  type Json,
  list,
  number,
  port,
  type Structure,
  type Structures,
  text,
  translate,
} from './json.ts';
import { CONTROLLER_MAX_LEN } from './messages.ts';

const action = (type: string, name: string, convert: (value: Json) => unknown, key = name): Structure => ({
  type,
  fields: { [key]: convert },
  rename: { [key]: name },
});

const ACTIONS: Structures = {
  OFPActionOutput: {
    type: 'output',
    defaults: { max_len: CONTROLLER_MAX_LEN },
    fields: { port, max_len: number },
  },
  OFPActionVlanVid: action('set_vlan_vid', 'vlan_vid', number),
  OFPActionVlanPcp: action('set_vlan_pcp', 'vlan_pcp', number),
  OFPActionStripVlan: { type: 'strip_vlan', fields: {} },
  OFPActionSetDlSrc: action('set_dl_src', 'dl_addr', text),
  OFPActionSetDlDst: action('set_dl_dst', 'dl_addr', text),
  OFPActionSetNwSrc: action('set_nw_src', 'nw_addr', text),
  OFPActionSetNwDst: action('set_nw_dst', 'nw_addr', text),
  OFPActionSetNwTos: action('set_nw_tos', 'nw_tos', number, 'tos'),
  OFPActionSetTpSrc: action('set_tp_src', 'tp_port', number, 'tp'),
  OFPActionSetTpDst: action('set_tp_dst', 'tp_port', number, 'tp'),
};

const MATCH: Structures = {
  OFPMatch: {
    fields: {
      ...{ in_port: port, dl_src: text, dl_dst: text, dl_vlan: number, dl_vlan_pcp: number, dl_type: number },
      ...{ nw_tos: number, nw_proto: number, nw_src: text, nw_src_mask: number },
      ...{ nw_dst: text, nw_dst_mask: number, tp_src: number, tp_dst: number },
    },
  },
};

/** nw_src_mask and nw_dst_mask are lengths of prefixes, which our codec takes as "address/length". */
function match(value: Json): Record<string, unknown> {
  const { nw_src_mask, nw_dst_mask, ...fields } = translate(MATCH, value);
  if (nw_src_mask !== undefined) fields.nw_src = `${fields.nw_src}/${nw_src_mask}`;
  if (nw_dst_mask !== undefined) fields.nw_dst = `${fields.nw_dst}/${nw_dst_mask}`;
  return fields;
}

export const MODS10: Structures = {
  OFPFlowMod: {
    type: 'flow_mod',
    fields: {
      ...{ cookie: big, command: number, idle_timeout: number, hard_timeout: number, priority: number },
      ...{ out_port: port, flags: number },
      match,
      actions: (value) => list(value).map((one) => translate(ACTIONS, one)),
    },
  },
};
