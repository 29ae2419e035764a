#ifndef SYMPROBE_LINUX_VERSION_H
#define SYMPROBE_LINUX_VERSION_H
/* BCC compares these to choose helpers; the oldest kernel that symprobe supports has them all. */
#define KERNEL_VERSION(major, minor, patch) (((major) << 16) + ((minor) << 8) + (patch))
#define LINUX_VERSION_CODE KERNEL_VERSION(5, 8, 0)
#endif
