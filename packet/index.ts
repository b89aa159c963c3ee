/** Frames: parse them into flow keys, find what matches, build them. Runs in Node and inside cells. */
export * from './address.ts';
export * from './build.ts';
export * from './checksum.ts';
export { Classifier } from './classifier.ts';
export {
  ETH_TYPE,
  FIELD_BY_NAME,
  FIELDS,
  type Field,
  type FieldKind,
  getField,
  K,
  KEY_WORDS,
  type Piece,
  type Prerequisite,
  putField,
  putNumber,
} from './fields.ts';
export { extractKey, type HeaderOffsets, isVlanType, OFPVID_PRESENT } from './key.ts';
