#ifndef SYMPROBE_LINUX_LOG2_H
#define SYMPROBE_LINUX_LOG2_H
/* The size of a map must be a constant expression: for 2 <= n <= 2^31. */
#define roundup_pow_of_two(n) (1U << (32 - __builtin_clz((unsigned int)(n) - 1)))
#endif
