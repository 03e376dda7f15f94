#ifndef OIM_COMPLETION_H
#define OIM_COMPLETION_H

/* completions/oimctl; generated. */
extern const char completion_bash[];

#endif
