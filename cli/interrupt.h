#ifndef OIM_INTERRUPT_H
#define OIM_INTERRUPT_H

/*
 * Ctrl-C in the shell: it ends the call under way and not the program. Until
 * interrupt_start(), a SIGINT ends the program as usual and the other functions
 * do nothing of note.
 */

#include <stdbool.h>
#include <stdint.h>

struct client;

/*
 * From now on a thread waits for SIGINT. To be called before any other thread
 * is made, so that none of them takes the signal.
 */
void interrupt_start(void);
void interrupt_stop(void);

/* Keeps SIGINT from this thread again, after something has let it in. */
void interrupt_block(void);

/* Whose calls a SIGINT cancels; NULL: nobody's. */
void interrupt_aim(struct client *c);

/* Readable when there was a SIGINT that nobody has taken; -1: none. */
int interrupt_fd(void);

/* Whether there was one since it was last asked. */
bool interrupt_take(void);

/* Sleeps; true if that was cut short. */
bool interrupt_wait(int64_t ns);

#endif
