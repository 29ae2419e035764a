#ifndef SYMPROBE_ASM_PAGE_H
#define SYMPROBE_ASM_PAGE_H
/* BCC sizes ring buffers as a number of pages. The real page may be larger (aarch64: up to
 * 64 KiB); symprobe.trace passes -D SYMPROBE_PAGE_SIZE where it is not 4096. */
#ifdef SYMPROBE_PAGE_SIZE
#define PAGE_SIZE SYMPROBE_PAGE_SIZE
#else
#define PAGE_SIZE 4096
#endif
#endif
