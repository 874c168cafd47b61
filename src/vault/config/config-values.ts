/** Schemas of values in configuration files. */
import * as v from 'valibot';

export const text = v.pipe(
  v.string('must be a text in quotes'),
  v.minLength(1, 'must not be empty'),
);

export const flag = v.boolean('must be true or false');

/** A program and its words: one string that is split as by a shell, or the words themselves. */
export const command = v.optional(
  v.union(
    [text, v.pipe(v.array(text), v.minLength(1, 'must name a program'))],
    'must be a text or a list of texts',
  ),
);
