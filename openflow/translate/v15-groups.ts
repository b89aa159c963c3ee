/**
 * Groups of OpenFlow 1.5: buckets have numbers and properties. 1.3 has no numbers: a device counts buckets from 0 when
 * it describes a group, and does not insert or remove single ones.
 */
import type { Bucket, MessageInitOf, MessageOf } from '../index.ts';
import { ErrorType, Group, GroupModCommand, GroupModFailedCode, GroupType, Port } from '../index.ts';
import type { In, Out } from '../schema/types.ts';
import { GroupBucket } from '../v15/constants.ts';
import { GroupModFailedCode as GroupModFailedCode15 } from '../v15/errors.ts';
import type { kitStructs } from '../v15/structs.ts';
import { onlyProperties, property } from './later-helpers.ts';
import { fail } from './shared.ts';
import { actionsTo13, type kit15 } from './v15-flows.ts';

type Structs = ReturnType<
  typeof kitStructs<(typeof kit15)['match'], (typeof kit15)['action'], (typeof kit15)['instruction']>
>;
type Bucket15 = Out<Structs['bucket']>;
type GroupDesc15 = Out<Structs['groupDesc']>;
type BucketInit13 = NonNullable<MessageInitOf<'group_mod'>['buckets']>[number];
type GroupDesc13 = Extract<MessageOf<'multipart_reply'>['body'], { type: 'group_desc' }>['groups'][number];
type GroupDescInit13 = Extract<
  MessageInitOf<'multipart_reply'>['body'],
  { type: 'group_desc' }
>['groups'][number];

/** What a bucket of a select group weighs that does not say it. */
const weightOf = (group_type: number): number => (group_type === GroupType.SELECT ? 1 : 0);

const bucketTo13 =
  (group_type: number) =>
  ({ actions, properties }: Bucket15): Bucket => ({
    weight: property(properties, 'weight')?.weight ?? weightOf(group_type),
    watch_port: property(properties, 'watch_port')?.watch ?? Port.ANY,
    watch_group: property(properties, 'watch_group')?.watch ?? Group.ANY,
    actions: actionsTo13(actions),
  });

const bucketFrom13 =
  (group_type: number) =>
  (
    { weight = 0, watch_port = Port.ANY, watch_group = Group.ANY, actions }: BucketInit13,
    bucket_id: number,
  ) => {
    const properties: NonNullable<In<Structs['bucket']>['properties']>[number][] = [];
    if (group_type === GroupType.SELECT || weight !== 0) properties.push({ type: 'weight', weight });
    if (watch_port !== Port.ANY) properties.push({ type: 'watch_port', watch: watch_port });
    if (watch_group !== Group.ANY) properties.push({ type: 'watch_group', watch: watch_group });
    return { bucket_id, actions, properties };
  };

/** The numbers, which 1.3 does not know, must at least be right. */
function checkBuckets(buckets: readonly Bucket15[]): void {
  const ids = new Set<number>();
  for (const { bucket_id, properties } of buckets) {
    if (bucket_id > GroupBucket.MAX) {
      fail(
        ErrorType.GROUP_MOD_FAILED,
        GroupModFailedCode.BAD_BUCKET,
        `group_mod: a bucket cannot be ${bucket_id}`,
      );
    }
    if (ids.has(bucket_id)) {
      fail(
        ErrorType.GROUP_MOD_FAILED,
        GroupModFailedCode15.BUCKET_EXISTS,
        `group_mod: two buckets ${bucket_id}`,
      );
    }
    ids.add(bucket_id);
    onlyProperties(properties, 'weight', 'watch_port', 'watch_group');
  }
}

type GroupMod15 = Omit<MessageOf<'group_mod'>, 'buckets'> & {
  command_bucket_id: number;
  buckets: Bucket15[];
  properties: GroupDesc15['properties'];
};

/** @throws OpenFlowError GROUP_MOD_FAILED; BAD_COMMAND for INSERT_BUCKET and REMOVE_BUCKET */
export function groupModTo13(message: GroupMod15): MessageOf<'group_mod'> {
  const { command_bucket_id: _, buckets, properties, ...kept } = message;
  if (kept.command > GroupModCommand.DELETE) {
    const text = `group_mod: command ${kept.command}; a group's buckets can only be changed all at once`;
    fail(ErrorType.GROUP_MOD_FAILED, GroupModFailedCode.BAD_COMMAND, text);
  }
  onlyProperties(properties);
  checkBuckets(buckets);
  return { ...kept, buckets: buckets.map(bucketTo13(kept.group_type)) };
}

export const groupModFrom13 = ({ buckets, ...kept }: MessageInitOf<'group_mod'>) => ({
  ...kept,
  buckets: buckets?.map(bucketFrom13(kept.group_type ?? 0)),
});

export const groupDescTo13 = ({ properties: _, buckets, ...kept }: GroupDesc15): GroupDesc13 => ({
  ...kept,
  buckets: buckets.map(bucketTo13(kept.group_type)),
});

export const groupDescFrom13 = ({ buckets, ...kept }: GroupDescInit13) => ({
  ...kept,
  buckets: buckets?.map(bucketFrom13(kept.group_type)),
});
