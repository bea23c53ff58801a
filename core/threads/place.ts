/**
 * Which thread it is.
 *
 * @module
 */

/** A thread among those that listen on the same port. */
export interface ThreadPlace {
  /** Its number, from 0. */
  readonly index: number;
  /** How many there are. */
  readonly count: number;
}
