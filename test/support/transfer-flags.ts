import fc from 'fast-check';

/** Every combination of the options of a run that are on or off. */
export const transferFlags = fc.record({
  links: fc.boolean(),
  perms: fc.boolean(),
  times: fc.boolean(),
  owner: fc.boolean(),
  group: fc.boolean(),
  devices: fc.boolean(),
  specials: fc.boolean(),
  hardLinks: fc.boolean(),
  checksum: fc.boolean(),
  dryRun: fc.boolean(),
  numericIds: fc.boolean(),
  ignoreTimes: fc.boolean(),
  deleteAfter: fc.boolean(),
});
