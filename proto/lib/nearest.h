#ifndef OIM_NEAREST_H
#define OIM_NEAREST_H

/*
 * What somebody who mistyped a word may have meant: commands, options, keys.
 */

/*
 * The candidate that takes the fewest letters changed, left out, put in or
 * swapped with their neighbour; NULL if the word is more than a third wrong or
 * has more than 63 bytes. The list ends with NULL. Any thread.
 */
const char *nearest_find(const char *word, const char *const *candidates);

#endif
