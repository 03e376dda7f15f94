/* Edit distance, with swapped neighbours as one edit. */

#include "proto/lib/nearest.h"

#include <stddef.h>
#include <string.h>

#define LONGEST 63

static unsigned least(unsigned a, unsigned b)
{
	return a < b ? a : b;
}

/* Both have at most LONGEST bytes. */
static unsigned distance(const char *a, const char *b)
{
	unsigned rows[3][LONGEST + 1]; /* of prefixes of a, by those of b */
	size_t n = strlen(a), m = strlen(b);

	for (size_t j = 0; j <= m; j++)
		rows[0][j] = (unsigned)j;
	for (size_t i = 1; i <= n; i++) {
		unsigned *row = rows[i % 3];
		const unsigned *above = rows[(i + 2) % 3];
		const unsigned *two_above = rows[(i + 1) % 3];

		row[0] = (unsigned)i;
		for (size_t j = 1; j <= m; j++) {
			row[j] = least(above[j], row[j - 1]) + 1;
			row[j] = least(row[j],
				       above[j - 1] + (a[i - 1] != b[j - 1]));
			if (i > 1 && j > 1 && a[i - 1] == b[j - 2] &&
			    a[i - 2] == b[j - 1])
				row[j] = least(row[j], two_above[j - 2] + 1);
		}
	}
	return rows[n % 3][m];
}

const char *nearest_find(const char *word, const char *const *candidates)
{
	size_t size = strlen(word);
	unsigned best = (unsigned)size / 3 + 1, d;
	const char *found = NULL;

	for (; size <= LONGEST && *candidates; candidates++) {
		if (strlen(*candidates) > LONGEST)
			continue;
		d = distance(word, *candidates);
		if (d < best) {
			best = d;
			found = *candidates;
		}
	}
	return found;
}
